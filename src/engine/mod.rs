//! Runs the checks and files what they say.
//!
//! Three channels stay apart: what was judged bad is a finding, what could not be judged is
//! Unknown with its reason, and a probe that panics is Unknown too and ends nothing. A finding is
//! filed (counted or waived), never dropped.

mod filing;
mod standing;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::catalog::{CheckSpec, Config, Language, Profile, Rule};
use crate::guest::{Guest, Mode};
use crate::model::{
    Category, CheckId, Edit, GuestInfo, GuestOs, ImageInfo, Report, Severity, Verdict,
};
use crate::probe;

pub use standing::Standing;

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

impl Settings<'_> {
    /// Whether `prepare` may take away what the use of a guest left in it: where the profile or who
    /// named the check or its category asks for that, and the configuration does not keep it.
    fn erases(&self, spec: &CheckSpec) -> bool {
        let is_asked = self.profile.erases
            || self.selection.names(spec)
            || self.selection.category == Some(spec.category);
        let kept = self.config.clean.keep.iter().flatten().any(|id| id == spec.id);
        is_asked && !kept
    }
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
    let mut standing = Standing::for_good();
    standing.judge(guest, settings, |_| false);
    standing.audit(guest, settings)
}

fn judge(guest: &Guest, spec: &CheckSpec) -> Verdict {
    match (judge_what_is_seen(guest, spec), unseen(guest, spec)) {
        // That nothing was found elsewhere is no pass.
        (Verdict::Pass, Some(reason)) => Verdict::Unknown { reason, findings: Vec::new() },
        (verdict, _) => verdict,
    }
}

/// The filesystems of an image that could not be mounted, where the check looks everywhere.
fn unseen(guest: &Guest, spec: &CheckSpec) -> Option<String> {
    let looks_everywhere = matches!(spec.category, Category::Identity | Category::Residue);
    let left_out = guest.disk_image().filter(|_| looks_everywhere)?.left_out();
    (!left_out.is_empty()).then(|| left_out.join("; "))
}

fn judge_what_is_seen(guest: &Guest, spec: &CheckSpec) -> Verdict {
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
    let probe = match spec.rule {
        Rule::Paths => None,
        Rule::Native(name) => match probe::find(name) {
            Some(probe) => Some(probe),
            None => {
                let reason = format!("there is no probe {name}");
                return Verdict::Unknown { reason, findings: Vec::new() };
            }
        },
    };
    let judge = || match probe {
        Some(probe) => (probe.judge)(guest),
        None => probe::leftovers::judge(guest, spec.id, spec.fix.is_some()),
    };
    // The guest's facts are cells that are either empty or filled; a panic between leaves them
    // empty.
    match catch_unwind(AssertUnwindSafe(judge)) {
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
