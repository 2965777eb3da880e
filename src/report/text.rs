//! The report for a person: the answer first, then what is bad from worst to mildest, each with what to
//! do about it, then what could not be told, then what to do next. It fits 80 columns.

use std::fmt::Write as _;

use super::words::{Words, fill};
use super::wrap::wrapped;
use super::{Style, wrap};
use crate::model::{
    CheckResult, Decision, RemedyKind, Report, ReportedFinding, Severity, VerdictName, visible,
};

/// How a report is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// In which words.
    pub words: &'a Words,
    /// In which colours.
    pub style: Style,
    /// With the checks that passed, and what was seen of each finding.
    pub verbose: bool,
    /// What a command is to be given so that it is about this guest: ` --root /mnt`.
    pub target: &'a str,
}

/// Below a check's own line.
const INDENT: &str = "    ";

/// Render a report as text.
pub fn text(report: &Report, shown: &Shown) -> String {
    let (words, style) = (shown.words, shown.style);
    let mut out = String::new();
    header(&mut out, report, shown);
    for severity in [Severity::Blocker, Severity::Warning, Severity::Advice] {
        let at_this = |c: &&CheckResult| c.severity == severity && !c.findings.is_empty();
        for check in report.checks.iter().filter(at_this) {
            failed(&mut out, check, shown);
        }
    }
    for check in report.checks.iter().filter(|c| c.verdict == VerdictName::Unknown) {
        let label = style.unknown(words.unknown);
        let _ = writeln!(out, "{label}  {}", style.bold(check.id.as_str()));
        let _ = writeln!(out, "{}\n", indented(check.reason.as_deref().unwrap_or_default()));
    }
    for waived in &report.waived {
        let _ = writeln!(out, "{}  {}", style.dim(words.waived), style.bold(waived.id.as_str()));
        finding(&mut out, &waived.finding, waived.finding.severity, shown);
        let _ = writeln!(out, "{}\n", style.dim(&indented(&words.waiver(&waived.waiver))));
    }
    if shown.verbose {
        others(&mut out, report, shown);
    }
    let summary = &report.summary;
    let counts = fill(
        words.counts,
        &[
            ("pass", &summary.pass.to_string()),
            ("fail", &summary.fail.to_string()),
            ("unknown", &summary.unknown.to_string()),
            ("na", &summary.not_applicable.to_string()),
        ],
    );
    let _ = writeln!(out, "{}", style.dim(&counts));
    next(&mut out, report, shown);
    out
}

fn header(out: &mut String, report: &Report, shown: &Shown) {
    let (words, style) = (shown.words, shown.style);
    let decision = words.decision(report.verdict);
    let _ = write!(out, "{}", style.decision(report.verdict, decision));
    let summary = &report.summary;
    let counts: Vec<String> = [
        (summary.blockers, Severity::Blocker),
        (summary.warnings, Severity::Warning),
        (summary.advice, Severity::Advice),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, severity)| words.findings(severity, count))
    .collect();
    if !counts.is_empty() {
        let _ = write!(out, "  {}", counts.join(words.comma));
    }
    let facts = words.facts(report).join(words.comma);
    let _ = writeln!(out, "\n{}", style.dim(&wrapped(&facts, "", 0)));
    for what in report.guest.image.iter().flat_map(|image| &image.left_out) {
        let line = fill(words.not_seen, &[("what", what)]);
        let _ = writeln!(out, "{}", style.dim(&wrapped(&line, "", 2)));
    }
    out.push('\n');
}

fn failed(out: &mut String, check: &CheckResult, shown: &Shown) {
    let (words, style) = (shown.words, shown.style);
    let severity = words.severity(check.severity);
    let label = style.severity(check.severity, severity);
    let _ = write!(out, "{label}  {}", style.bold(check.id.as_str()));
    let columns = wrap::width(severity) + check.id.as_str().len() + wrap::width(&check.title) + 4;
    if columns <= wrap::COLUMNS {
        let _ = writeln!(out, "  {}", style.dim(&visible(&check.title)));
    } else {
        let _ = writeln!(out, "\n{}", style.dim(&indented(&check.title)));
    }
    for each in &check.findings {
        finding(out, each, check.severity, shown);
    }
    remedy(out, check, shown);
    out.push('\n');
}

/// What mends a check: the command for what `prepare` can do, the check's own words for the rest.
fn remedy(out: &mut String, check: &CheckResult, shown: &Shown) {
    let (words, style) = (shown.words, shown.style);
    let is_automatic = |f: &&ReportedFinding| f.remedy.kind == RemedyKind::Automatic;
    let automatic = check.findings.iter().filter(is_automatic).count();
    if automatic > 0 {
        let command = format!("guestprep prepare{} --check {}", shown.target, check.id);
        let _ = writeln!(out, "{INDENT}{} {}", style.dim("$"), style.added(&command));
    }
    // Advice is worth knowing; nobody has to do anything about it.
    let manual = check.findings.iter().find(|f| f.remedy.kind == RemedyKind::Manual);
    if let Some(manual) = manual.filter(|_| check.severity > Severity::Advice) {
        let label = if automatic > 0 { words.rest_by_hand } else { words.by_hand };
        let text = format!("{label} {}", manual.remedy.summary);
        let _ = writeln!(out, "{}", style.dim(&indented(&text)));
    }
}

fn finding(out: &mut String, finding: &ReportedFinding, of_check: Severity, shown: &Shown) {
    let (words, style) = (shown.words, shown.style);
    let mut notes = Vec::new();
    if finding.severity != of_check {
        notes.push(words.severity(finding.severity).to_owned());
    }
    if let Some(impact) = finding.impact {
        notes.push(words.impact(impact, finding.values.get("seconds")));
    }
    let notes =
        if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(words.comma)) };
    let subject = visible(&finding.subject.to_string());
    let line = wrapped(&format!("{subject}: {}{notes}", finding.message), INDENT, 6);
    // Coloured once it is known where the lines end; a subject never has one in it.
    let _ = writeln!(out, "{}", line.replacen(&subject, &style.bold(&subject), 1));
    if let Some(waiver) = &finding.expired {
        let _ = writeln!(out, "{}", style.removed(&wrapped(&words.ended(waiver), "      ", 6)));
    }
    for line in finding.evidence.iter().filter(|_| shown.verbose).flat_map(|text| text.lines()) {
        let _ = writeln!(out, "        {}", style.dim(&visible(line)));
    }
}

/// The checks that have nothing to say, one a line.
fn others(out: &mut String, report: &Report, shown: &Shown) {
    let (words, style) = (shown.words, shown.style);
    let longest = wrap::width(words.passed).max(wrap::width(words.not_applicable));
    for verdict in [VerdictName::Pass, VerdictName::NotApplicable] {
        for check in report.checks.iter().filter(|check| check.verdict == verdict) {
            let label = words.verdict(verdict);
            let gap = " ".repeat(longest - wrap::width(label) + 2);
            let reason = check.reason.iter().map(|reason| format!("  {reason}"));
            let text = format!("{}{}", check.id, reason.collect::<String>());
            let line = wrapped(&text, &format!("{label}{gap}"), longest + 2);
            let _ = writeln!(out, "{}", style.dim(&line));
        }
    }
    out.push('\n');
}

/// What to do now, as commands to paste.
fn next(out: &mut String, report: &Report, shown: &Shown) {
    let words = shown.words;
    let sentence = match report.verdict {
        Decision::Ready => Some(words.says_ready),
        Decision::Undetermined => Some(words.says_undetermined),
        Decision::NotReady => None,
    };
    if let Some(sentence) = sentence {
        let _ = writeln!(out, "{}", wrapped(sentence, "", 0));
    }
    let findings = || report.checks.iter().flat_map(|c| c.findings.iter().map(move |f| (c, f)));
    let mut commands = Vec::new();
    if findings().any(|(_, f)| f.remedy.kind == RemedyKind::Automatic) {
        commands.push((format!("guestprep plan{}", shown.target), words.next_plan));
    }
    if let Some((check, _)) = findings().max_by_key(|(_, f)| f.severity) {
        commands.push((format!("guestprep explain {}", check.id), words.next_explain));
    }
    if commands.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", words.next);
    let longest = commands.iter().map(|(command, _)| wrap::width(command)).max().unwrap_or(0);
    for (command, why) in commands {
        let gap = " ".repeat(longest - wrap::width(&command) + 2);
        let line = format!("{INDENT}{command}{gap}# {why}");
        // A long path pushes what is said of the command off the line.
        let fits = wrap::width(&line) <= wrap::COLUMNS;
        let _ = writeln!(out, "{}", if fits { line } else { format!("{INDENT}{command}") });
    }
}

fn indented(text: &str) -> String {
    wrapped(text, INDENT, INDENT.len())
}
