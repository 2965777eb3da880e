//! Runs the checks and files what they say.
//!
//! Three channels stay apart: what was judged bad is a finding, what could not be judged is
//! Unknown with its reason, and a probe that panics is Unknown too and ends nothing. A finding is
//! filed (counted or waived), never dropped.

mod filing;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::catalog::{CHECKS, CheckSpec, Config, Language, Profile, Rule};
use crate::guest::{Guest, Mode};
use crate::model::{
    Category, CheckId, Decision, Edit, GuestInfo, GuestOs, ImageInfo, Report, Severity, Summary,
    Tool, Verdict, VerdictName, digest_of,
};
use crate::probe;
use crate::sys::{Stopwatch, now_rfc3339};

/// How an audit is to be made.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The profile.
    pub profile: &'static Profile,
    /// The operator's configuration.
    pub config: &'a Config,
    /// The language of titles and messages.
    pub language: Language,
    /// Findings of this weight and above make the guest not ready.
    pub fail_on: Severity,
    /// Which checks are run.
    pub selection: Selection,
}

/// Which checks are run.
#[derive(Debug, Default)]
pub struct Selection {
    /// These alone, where any are named.
    pub only: Vec<CheckId>,
    /// Not these.
    pub skip: Vec<CheckId>,
    /// Of this category alone.
    pub category: Option<Category>,
}

impl Selection {
    /// Whether a check is among those that are named.
    fn names(&self, spec: &CheckSpec) -> bool {
        self.only.iter().any(|id| id.as_str() == spec.id)
    }

    fn takes(&self, spec: &CheckSpec) -> bool {
        let named = |ids: &[CheckId]| ids.iter().any(|id| id.as_str() == spec.id);
        (self.only.is_empty() || self.names(spec))
            && !named(&self.skip)
            && self.category.is_none_or(|category| category == spec.category)
    }
}

/// What an audit found: the report, and what would mend it.
#[derive(Debug)]
pub struct Audit {
    /// The report.
    pub report: Report,
    /// The edits that the findings offer, each with its check; those of waived findings are not
    /// among them.
    pub edits: Vec<(CheckId, Edit)>,
}

/// Run the selected checks on a guest.
pub fn audit(guest: &Guest, settings: &Settings) -> Audit {
    let started = now_rfc3339();
    let stopwatch = Stopwatch::start();
    let mut results = Vec::new();
    let mut waived = Vec::new();
    let mut edits = Vec::new();
    let mut undetermined = false;
    // What rests on an initramfs is judged last: until then the images are read beside the rest.
    let waits = |spec: &&CheckSpec| probe::READ_INITRAMFS.contains(&spec.id);
    let (last, mut selected): (Vec<&CheckSpec>, Vec<&CheckSpec>) =
        CHECKS.iter().filter(|spec| settings.selection.takes(spec)).partition(waits);
    if !last.is_empty() {
        guest.read_ahead();
    }
    selected.extend(last);
    let mut judged: Vec<_> = selected
        .into_iter()
        .filter_map(|spec| {
            let declared = filing::declared_severity(spec, settings)?;
            let verdict = judge(guest, spec);
            Some((spec, declared, filing::file(spec, declared, verdict, settings)))
        })
        .collect();
    judged.sort_by_key(|(spec, ..)| spec.id);
    for (spec, declared, filed) in judged {
        if filed.result.verdict == VerdictName::Unknown
            && filing::worst(spec, declared, settings) >= settings.fail_on
        {
            undetermined = true;
        }
        results.push(filed.result);
        waived.extend(filed.waived);
        edits.extend(filed.edits);
    }
    let summary = summary(&results);
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
    let mut info = guest_info(guest);
    let digest = digest_of(&(&info, settings.profile.name, verdict, &results, &waived));
    // The digest of a bundle's report is that of the guest's own.
    info.mode = guest.comes_from().to_owned();
    let guest = info;
    let report = Report {
        schema: Report::SCHEMA.to_owned(),
        tool: Tool { name: "guestprep".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        profile: settings.profile.name.to_owned(),
        guest,
        started,
        duration_ms: stopwatch.milliseconds(),
        verdict,
        summary,
        checks: results,
        waived,
        digest,
    };
    Audit { report, edits }
}

fn judge(guest: &Guest, spec: &CheckSpec) -> Verdict {
    match guest.mode() {
        Mode::Live if !spec.live => return Verdict::NotApplicable("live"),
        Mode::Tree | Mode::Image if !spec.offline => return Verdict::NotApplicable("offline"),
        _ => {}
    }
    if !spec.families.is_empty() {
        match guest.os() {
            Ok(os) if spec.families.contains(&os.family.as_str()) => {}
            Ok(_) => return Verdict::NotApplicable("family"),
            Err(why) => return Verdict::Unknown { reason: why.0, findings: Vec::new() },
        }
    }
    let Rule::Native(name) = &spec.rule;
    let Some(probe) = probe::find(name) else {
        let reason = format!("there is no probe {name}");
        return Verdict::Unknown { reason, findings: Vec::new() };
    };
    // The guest's facts are cells that are either empty or filled; a panic between leaves them
    // empty.
    match catch_unwind(AssertUnwindSafe(|| (probe.judge)(guest))) {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(why)) => Verdict::Unknown { reason: why.0, findings: Vec::new() },
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let reason = format!("the probe broke ({said}); please report this");
            Verdict::Unknown { reason, findings: Vec::new() }
        }
    }
}

fn summary(results: &[crate::model::CheckResult]) -> Summary {
    let mut summary = Summary::default();
    for result in results {
        match result.verdict {
            VerdictName::Pass => {
                summary.pass += 1;
                // What a check that passes has found are facts.
                continue;
            }
            VerdictName::Fail => summary.fail += 1,
            VerdictName::NotApplicable => summary.not_applicable += 1,
            VerdictName::Unknown => summary.unknown += 1,
        }
        for finding in &result.findings {
            match finding.severity {
                Severity::Blocker => summary.blockers += 1,
                Severity::Warning => summary.warnings += 1,
                Severity::Advice => summary.advice += 1,
            }
        }
    }
    summary
}

/// What a report says of the guest itself.
pub fn guest_info(guest: &Guest) -> GuestInfo {
    let os = guest.os().ok();
    GuestInfo {
        mode: guest.mode().as_str().to_owned(),
        hostname: guest.hostname(),
        os: GuestOs {
            id: os.and_then(|os| os.id.clone()),
            version_id: os.and_then(|os| os.version_id.clone()),
            family: os.map_or("unknown", |os| os.family.as_str()).to_owned(),
            pretty_name: os.and_then(|os| os.pretty_name.clone()),
        },
        kernel: guest.kernel_release(),
        init: guest.init().map_or("unknown", crate::guest::Init::as_str).to_owned(),
        instance_id: guest.instance_id(),
        image: guest.disk_image().map(|image| ImageInfo {
            container: image.container().to_owned(),
            reader: image.reader().as_str().to_owned(),
            left_out: image.left_out().to_vec(),
        }),
    }
}
