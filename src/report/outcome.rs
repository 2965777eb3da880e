//! A check as a test: what JUnit and TAP can say of it.

use crate::model::{
    CheckResult, Decision, Report, ReportedFinding, Severity, VerdictName, Waived, Waiver,
};

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
    format!("{} {}: {}", finding.severity, finding.subject, message_of(finding))
}

/// What a finding says, what it does to boot, and that it was waived and is no longer.
pub fn message_of(finding: &ReportedFinding) -> String {
    let mut text = finding.message.clone();
    if let Some(impact) = finding.impact {
        text += &format!(" [{}]", impact.as_str());
    }
    if let Some(waiver) = &finding.expired {
        text += &format!(" [the waiver has ended: {}]", told(waiver));
    }
    text
}

/// A finding that does not count, on one line.
pub fn waived_line(waived: &Waived) -> String {
    format!("waived: {}: {}", told(&waived.waiver), line_of(&waived.finding))
}

/// Why, who and until when.
pub fn told(waiver: &Waiver) -> String {
    let mut text = waiver.reason.clone();
    let until = waiver.until.as_ref().map(|day| format!("until {day}"));
    let who: Vec<&str> = waiver.owner.as_deref().into_iter().chain(until.as_deref()).collect();
    if !who.is_empty() {
        text += &format!(" ({})", who.join(", "));
    }
    text
}
