//! What stands, as it is published and served.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{CheckResult, Decision, Report, Severity, VerdictName};
use crate::report::{self, Metrics};

/// Whether an image made now is ready, and what stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, JsonSchema)]
pub struct Readiness {
    /// The answer.
    #[schema(value_type = String, example = "not-ready")]
    pub verdict: Decision,
    /// Since when the verdict has been this one, RFC 3339, UTC.
    pub since: String,
    /// Grows by one whenever anything of this answer changes; begins at 1 when the daemon starts.
    pub generation: u64,
    /// The checks that fail so that the guest is not ready.
    pub blockers: Vec<String>,
    /// The checks that could not be judged.
    pub unknown: Vec<String>,
    /// What a prepared run had mended and came back.
    pub drift: Vec<Drift>,
}

/// Something that `prepare` had mended and that is there again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, JsonSchema)]
pub struct Drift {
    /// The check that finds it.
    pub check: String,
    /// What it is about: a file and its line, a device, a unit.
    pub subject: String,
    /// What came back, in one sentence.
    pub message: String,
    /// The run that had mended it.
    pub run: String,
    /// When it was seen to be back, RFC 3339, UTC.
    pub since: String,
}

/// Everything that is served, whole: a clone shares it.
#[derive(Clone, Debug)]
pub struct State {
    pub readiness: Arc<Readiness>,
    /// `GET /v1/report`.
    pub report: Arc<str>,
    /// `GET /metrics`.
    pub metrics: Arc<str>,
    /// When what no event tells of was looked at last.
    pub looked: std::time::Instant,
}

/// What the daemon says of itself among the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Inodes that are watched.
    pub watched: usize,
    /// How often everything had to be judged again because events were lost.
    pub lost: u64,
    /// Seconds since 1970 at which the verdict became what it is.
    pub since: u64,
}

impl Readiness {
    /// What a report comes to. `since` and `generation` are the caller's.
    pub fn of(report: &Report, fail_on: Severity, drift: Vec<Drift>) -> Self {
        let stands_in_the_way = |check: &&CheckResult| {
            check.verdict != VerdictName::Pass
                && check.findings.iter().any(|finding| finding.severity >= fail_on)
        };
        let ids = |checks: Vec<&CheckResult>| checks.iter().map(|c| c.id.to_string()).collect();
        let checks = report.checks.iter();
        Self {
            verdict: report.verdict,
            since: String::new(),
            generation: 0,
            blockers: ids(checks.clone().filter(stands_in_the_way).collect()),
            unknown: ids(checks.filter(|c| c.verdict == VerdictName::Unknown).collect()),
            drift,
        }
    }

    /// Whether it says the same, whenever it was said.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let plain =
            |readiness: &Self| Self { since: String::new(), generation: 0, ..readiness.clone() };
        plain(self) == plain(other)
    }
}

/// The metrics of what stands.
pub fn metrics(report: &Report, readiness: &Readiness, own: Own) -> String {
    let mut out: Metrics = report::metrics(report);
    out.gauge("guestprep_generation", "Grows whenever the readiness changes.");
    out.sample("guestprep_generation", &[], readiness.generation);
    out.gauge(
        "guestprep_verdict_since_seconds",
        "When the verdict became what it is, in seconds since 1970.",
    );
    out.sample("guestprep_verdict_since_seconds", &[], own.since);
    out.gauge("guestprep_drift", "1 for a check that finds again what a prepared run had mended.");
    let mut drifted: Vec<&str> = readiness.drift.iter().map(|drift| drift.check.as_str()).collect();
    drifted.dedup();
    for check in drifted {
        out.sample("guestprep_drift", &[("check", check)], 1);
    }
    out.gauge("guestprep_watched_inodes", "Files and directories that are watched.");
    out.sample("guestprep_watched_inodes", &[], own.watched);
    out.gauge(
        "guestprep_events_lost",
        "How often events were lost and everything was judged again.",
    );
    out.sample("guestprep_events_lost", &[], own.lost);
    out.end()
}
