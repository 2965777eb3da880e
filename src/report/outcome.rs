//! A check as a test: what JUnit and TAP can say of it.

use crate::model::{CheckResult, Decision, Report, ReportedFinding, Severity, VerdictName};

/// What a check comes to as a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Judged, and nothing at or above the line is bad.
    Passed,
    /// Something below the line is bad.
    Tolerated,
    /// Something at or above the line is bad.
    Failed,
    /// The question does not arise, or could not be judged and does not decide.
    Skipped,
    /// Could not be judged, and the answer rests on it or on another that could not.
    Undecided,
}

impl Outcome {
    /// Of a check of a report; findings of `line` and above make a guest not ready.
    pub fn of(check: &CheckResult, report: &Report, line: Severity) -> Self {
        let is_bad = |finding: &ReportedFinding| finding.severity >= line;
        match check.verdict {
            VerdictName::NotApplicable => Outcome::Skipped,
            VerdictName::Pass => Outcome::Passed,
            _ if check.findings.iter().any(is_bad) => Outcome::Failed,
            VerdictName::Fail => Outcome::Tolerated,
            // Of a guest that is READY all the same it was nothing that could have said otherwise.
            VerdictName::Unknown if report.verdict == Decision::Ready => Outcome::Skipped,
            VerdictName::Unknown => Outcome::Undecided,
        }
    }
}

/// A finding on one line: where, what, and what it does to boot.
pub fn line_of(finding: &ReportedFinding) -> String {
    let mut text = format!("{} {}: {}", finding.severity, finding.subject, finding.message);
    if let Some(impact) = finding.impact {
        text += &format!(" [{}]", impact.as_str());
    }
    text
}
