//! What stands judged of a guest, check by check, so that a few can be judged again.
//!
//! Each answer is kept with the questions that it rests on ([`Inputs`]). When the answers to some
//! of those may have changed, [`Standing::judge`] judges the checks that asked them on a guest that
//! is looked at anew; what the others said still holds. The report is the one that an audit of
//! everything would give.

use std::collections::BTreeMap;

use super::filing::{self, Filed};
use super::{Audit, Settings, guest_info, judge};
use crate::catalog::{CHECKS, CheckSpec};
use crate::guest::Guest;
use crate::model::{Decision, GuestInfo, Report, Summary, Tool, VerdictName};
use crate::probe;
use crate::sys::trace::{self, Inputs, Question};
use crate::sys::{Stopwatch, now_rfc3339};

/// A check's answer, and what it rests on.
struct Judged {
    filed: Filed,
    /// It could not be judged, and might have made the guest not ready.
    is_open: bool,
    inputs: Inputs,
}

/// Work something out, and learn what it rests on where anybody will ask.
fn note<T>(is_final: bool, work: impl FnOnce() -> T) -> (T, Inputs) {
    if is_final { (work(), Inputs::default()) } else { trace::note(work) }
}

/// The answers that stand.
#[derive(Default)]
pub struct Standing {
    judged: BTreeMap<&'static str, Judged>,
    /// What the report says of the guest itself.
    info: Option<(GuestInfo, Inputs)>,
    started: String,
    duration_ms: u64,
    /// Nobody will ask what the answers rest on, and nothing of it is noted.
    is_final: bool,
}

impl Standing {
    /// Answers that stand for good. Noting what each rests on takes longer than the judging where
    /// there are ten thousand block devices, on which half of the checks rest.
    pub fn for_good() -> Self {
        Self { is_final: true, ..Self::default() }
    }

    /// Judge the selected checks that have no answer yet, or whose answer rests on a question for
    /// which `changed` is true. Whether any was judged.
    pub fn judge(
        &mut self,
        guest: &Guest,
        settings: &Settings,
        changed: impl Fn(&Question) -> bool,
    ) -> bool {
        let stopwatch = Stopwatch::start();
        let started = now_rfc3339();
        let is_stale = |inputs: &Inputs| inputs.iter().any(|question| changed(question));
        self.judged.retain(|_, judged| !is_stale(&judged.inputs));
        self.info.take_if(|(_, inputs)| is_stale(inputs));
        let wanted: Vec<&CheckSpec> = CHECKS
            .iter()
            .filter(|spec| settings.selection.takes(spec) && !self.judged.contains_key(spec.id))
            .collect();
        let is_final = self.is_final;
        let (judged, _) = note(is_final, || {
            let judged = self.judge_these(guest, settings, wanted);
            if self.info.is_none() {
                let (info, inputs) = note(is_final, || guest_info(guest));
                self.info = Some((info, inputs));
                return true;
            }
            judged
        });
        if judged {
            self.started = started;
            self.duration_ms = stopwatch.milliseconds();
        }
        judged
    }

    fn judge_these(
        &mut self,
        guest: &Guest,
        settings: &Settings,
        these: Vec<&'static CheckSpec>,
    ) -> bool {
        // What rests on an initramfs is judged last: until then the images are read beside the rest.
        let waits = |spec: &&CheckSpec| probe::READ_INITRAMFS.contains(&spec.id);
        let (last, mut these): (Vec<_>, Vec<_>) = these.into_iter().partition(waits);
        if !last.is_empty() {
            guest.read_ahead();
        }
        these.extend(last);
        let mut any = false;
        for spec in these {
            let Some(declared) = filing::declared_severity(spec, settings) else { continue };
            // Filing too: a waiver that ends has its check judged again.
            let (filed, inputs) = note(self.is_final, || {
                let verdict = judge(guest, spec);
                filing::file(spec, declared, verdict, settings)
            });
            let is_open = filed.result.verdict == VerdictName::Unknown
                && filing::worst(spec, declared, settings) >= settings.fail_on;
            self.judged.insert(spec.id, Judged { filed, is_open, inputs });
            any = true;
        }
        any
    }

    /// Every question that an answer rests on; a question may be given more than once.
    pub fn inputs(&self) -> impl Iterator<Item = &Inputs> {
        let of_info = self.info.iter().map(|(_, inputs)| inputs);
        self.judged.values().map(|judged| &judged.inputs).chain(of_info)
    }

    /// The questions that a check's answer rests on; none of a check that was not judged.
    pub fn inputs_of(&self, check: &str) -> Option<&Inputs> {
        self.judged.get(check).map(|judged| &judged.inputs)
    }

    /// The report of what stands, and the edits that would mend it.
    pub fn audit(&self, guest: &Guest, settings: &Settings) -> Audit {
        let info = self.info.as_ref().map_or_else(|| guest_info(guest), |(info, _)| info.clone());
        let judged = self.judged.values();
        let undetermined = judged.clone().any(|judged| judged.is_open);
        let results: Vec<_> = judged.clone().map(|judged| judged.filed.result.clone()).collect();
        let waived: Vec<_> = judged.clone().flat_map(|j| j.filed.waived.iter().cloned()).collect();
        let edits = judged.flat_map(|judged| judged.filed.edits.iter().cloned()).collect();
        let failed = results
            .iter()
            .filter(|result| result.verdict != VerdictName::Pass)
            .flat_map(|result| &result.findings)
            .any(|finding| finding.severity >= settings.fail_on);
        let verdict = match (failed, undetermined) {
            (true, _) => Decision::NotReady,
            (false, true) => Decision::Undetermined,
            (false, false) => Decision::Ready,
        };
        let mode = info.mode.clone();
        let guest = GuestInfo { mode: guest.comes_from().to_owned(), ..info };
        let mut report = Report {
            schema: Report::SCHEMA.to_owned(),
            tool: Tool {
                name: "guestprep".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            profile: settings.profile.name.to_owned(),
            guest,
            started: self.started.clone(),
            duration_ms: self.duration_ms,
            verdict,
            summary: Summary::of(&results),
            checks: results,
            waived,
            digest: String::new(),
        };
        // The digest of a bundle's report is that of the guest's own.
        report.digest = report.digest_in(&mode);
        Audit { report, edits }
    }
}
