//! The report of one audit (schema `guestprep.report/1`, stable).

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Category, CheckId, Impact, Severity, Subject, Waiver, digest_of};

/// Everything that one audit found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always `guestprep.report/1`.
    #[schemars(extend("const" = "guestprep.report/1"))]
    pub schema: String,
    /// What made the report.
    pub tool: Tool,
    /// The profile that it was judged under.
    pub profile: String,
    /// The guest that was looked at.
    pub guest: GuestInfo,
    /// When the audit began, RFC 3339, UTC.
    pub started: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The answer.
    pub verdict: Decision,
    /// Counts.
    pub summary: Summary,
    /// Every check that was run, in the order of the catalogue.
    pub checks: Vec<CheckResult>,
    /// Findings that the configuration waived, kept and not counted.
    pub waived: Vec<Waived>,
    /// `sha256:` and the hex digest of guest, verdict and checks: equal when nothing changed.
    pub digest: String,
}

impl Report {
    /// The schema that this version writes.
    pub const SCHEMA: &'static str = "guestprep.report/1";

    /// The digest of what it says of a guest that is looked at in this way.
    pub fn digest_in(&self, mode: &str) -> String {
        let guest = GuestInfo { mode: mode.to_owned(), ..self.guest.clone() };
        digest_of(&(guest, &self.profile, self.verdict, &self.checks, &self.waived))
    }

    /// Whether digest and counts are those of what it says. Who changes a report can make both anew: only
    /// a signature tells who made it.
    pub fn is_whole(&self) -> bool {
        // The report of a bundle has the digest of the guest's own.
        let modes = match self.guest.mode.as_str() {
            "bundle" => ["live", "root", "image"].as_slice(),
            own => &[own],
        };
        modes.iter().any(|mode| self.digest_in(mode) == self.digest)
            && self.summary == Summary::of(&self.checks)
    }
}

/// The program and its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `guestprep`.
    pub name: String,
    /// The version, as Cargo.toml has it.
    pub version: String,
}

/// The guest that a report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestInfo {
    /// `live`, `root`, `image` or `bundle`.
    pub mode: String,
    /// The hostname, where it is known.
    pub hostname: Option<String>,
    /// The distribution.
    pub os: GuestOs,
    /// The running kernel's release; none offline.
    pub kernel: Option<String>,
    /// `systemd`, `upstart`, `sysv` or `unknown`.
    pub init: String,
    /// What tells this instance from a clone of it; none offline.
    pub instance_id: Option<String>,
    /// The disk image that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageInfo>,
}

/// The disk image that a guest is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageInfo {
    /// What holds the disk: `raw`, `tar.gz`, `qcow2`.
    pub container: String,
    /// Who reads its filesystems: `kernel`, `user-space`.
    pub reader: String,
    /// Filesystems that its fstab names and that could not be mounted, and what else is not seen.
    pub left_out: Vec<String>,
}

/// The distribution of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestOs {
    /// `ID` of os-release, or what the older release files say.
    pub id: Option<String>,
    /// `VERSION_ID`.
    pub version_id: Option<String>,
    /// `el`, `deb`, `suse`, `fedora`, `immutable` or `unknown`.
    pub family: String,
    /// `PRETTY_NAME`.
    pub pretty_name: Option<String>,
}

/// The answer of a whole audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// A clone without its data disks boots and can be logged in to.
    Ready,
    /// A blocker fails.
    NotReady,
    /// No blocker fails, but one could not be judged.
    Undetermined,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Decision::Ready => "READY",
            Decision::NotReady => "NOT READY",
            Decision::Undetermined => "UNDETERMINED",
        })
    }
}

/// Counts of checks by verdict, and of findings by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Checks that passed.
    pub pass: usize,
    /// Checks that failed.
    pub fail: usize,
    /// Checks whose question does not arise.
    pub not_applicable: usize,
    /// Checks that could not be judged.
    pub unknown: usize,
    /// Findings that are blockers.
    pub blockers: usize,
    /// Findings that are warnings.
    pub warnings: usize,
    /// Findings that are advice.
    pub advice: usize,
}

impl Summary {
    /// Count.
    pub fn of(checks: &[CheckResult]) -> Self {
        let mut summary = Self::default();
        for check in checks {
            match check.verdict {
                VerdictName::Pass => {
                    summary.pass += 1;
                    // What a check that passes has found are facts.
                    continue;
                }
                VerdictName::Fail => summary.fail += 1,
                VerdictName::NotApplicable => summary.not_applicable += 1,
                VerdictName::Unknown => summary.unknown += 1,
            }
            for finding in &check.findings {
                match finding.severity {
                    Severity::Blocker => summary.blockers += 1,
                    Severity::Warning => summary.warnings += 1,
                    Severity::Advice => summary.advice += 1,
                }
            }
        }
        summary
    }
}

/// One check's answer, with its texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// The check.
    pub id: CheckId,
    /// What it is called.
    pub title: String,
    /// Where it belongs.
    pub category: Category,
    /// The worst of its findings, or what the profile declares while it has none.
    pub severity: Severity,
    /// The answer.
    pub verdict: VerdictName,
    /// Why it does not apply or could not be judged.
    pub reason: Option<String>,
    /// What is bad.
    pub findings: Vec<ReportedFinding>,
}

/// A verdict without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictName {
    /// Judged, and good.
    Pass,
    /// Judged, and bad.
    Fail,
    /// The question does not arise.
    NotApplicable,
    /// Could not be judged.
    Unknown,
}

/// One bad thing, with its words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedFinding {
    /// The message's key.
    pub key: String,
    /// What it means for an instance made from the image.
    pub severity: Severity,
    /// The values that the message names.
    pub values: BTreeMap<String, String>,
    /// The message in the language asked for.
    pub message: String,
    /// What it is about.
    pub subject: Subject,
    /// What was seen.
    pub evidence: Option<String>,
    /// What absence does to boot.
    pub impact: Option<Impact>,
    /// What can be done.
    pub remedy: Remedy,
    /// The waiver that it had, where that has ended: it counts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Waiver>,
}

/// What can be done about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remedy {
    /// By `prepare`, or by a person.
    pub kind: RemedyKind,
    /// One sentence.
    pub summary: String,
    /// Whether rollback undoes it.
    pub reversible: bool,
}

/// Who mends a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemedyKind {
    /// `guestprep prepare` does it.
    Automatic,
    /// A person has to.
    Manual,
}

/// A finding that the configuration waived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waived {
    /// The check.
    pub id: CheckId,
    /// Who decided that, why, and until when, as the configuration has it.
    #[serde(flatten)]
    pub waiver: Waiver,
    /// What was waived.
    pub finding: ReportedFinding,
}
