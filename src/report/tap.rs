//! The report as TAP, version 13, which every reader knows: a line for every check, `ok` where what
//! its id says is not so, and below it what was found.

use std::fmt::Write as _;

use super::outcome::{Outcome, message_of, waived_line};
use crate::model::{CheckResult, Report, Severity};

/// Render a report. Findings of `line` and above make a guest not ready; what is milder is a TODO,
/// which a harness shows and does not count.
pub fn tap(report: &Report, line: Severity) -> String {
    let mut out = String::from("TAP version 13\n");
    let _ = writeln!(out, "1..{}", report.checks.len());
    for (number, check) in (1..).zip(&report.checks) {
        let reason = check.reason.as_deref().unwrap_or_default();
        let (is_ok, directive) = match Outcome::of(check, report, line) {
            Outcome::Passed => (true, String::new()),
            Outcome::Tolerated => (false, format!(" # TODO {}", check.severity)),
            Outcome::Failed | Outcome::Undecided => (false, String::new()),
            Outcome::Skipped => (true, format!(" # SKIP {}", escaped(reason))),
        };
        // Not the title, which says the bad thing and would be read after `ok`.
        let _ = writeln!(
            out,
            "{}ok {number} - {}{directive}",
            if is_ok { "" } else { "not " },
            check.id
        );
        if !check.findings.is_empty() || !is_ok {
            diagnose(&mut out, reason, check);
        }
        for waived in report.waived.iter().filter(|waived| waived.id == check.id) {
            let _ = writeln!(out, "# {}", escaped(&waived_line(waived)));
        }
    }
    let _ = writeln!(out, "# {}", escaped(&report.verdict.to_string()));
    out
}

/// The YAML block of a test. JSON's strings are YAML's.
fn diagnose(out: &mut String, reason: &str, check: &CheckResult) {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    out.push_str("  ---\n");
    let _ = writeln!(out, "  title: {}", text(&check.title));
    let _ = writeln!(out, "  severity: {}", check.severity);
    if !reason.is_empty() {
        let _ = writeln!(out, "  reason: {}", text(reason));
    }
    if !check.findings.is_empty() {
        out.push_str("  findings:\n");
    }
    for finding in &check.findings {
        let _ = writeln!(out, "    - key: {}", finding.key);
        let _ = writeln!(out, "      severity: {}", finding.severity);
        let _ = writeln!(out, "      subject: {}", text(&finding.subject.to_string()));
        let _ = writeln!(out, "      message: {}", text(&message_of(finding)));
    }
    out.push_str("  ...\n");
}

/// A description, in which `#` would begin a directive, and a line break the next line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
