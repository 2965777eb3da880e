//! The report as JUnit's XML, as Jenkins, GitLab and their like read it: a suite for the guest, a
//! case for every check.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::outcome::{Outcome, line_of, waived_line};
use crate::model::{CheckResult, Report, Severity};

/// Render a report. Findings of `line` and above make a guest not ready; a case that has milder ones
/// alone passes, and says them on its output.
pub fn junit(report: &Report, line: Severity) -> String {
    let outcomes: Vec<Outcome> =
        report.checks.iter().map(|check| Outcome::of(check, report, line)).collect();
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count().to_string();
    let seconds = format!("{}.{:03}", report.duration_ms / 1000, report.duration_ms % 1000);
    let (tests, failures) = (outcomes.len().to_string(), count(Outcome::Failed));
    let (errors, skipped) = (count(Outcome::Undecided), count(Outcome::Skipped));
    let counts = [
        ("tests", tests.as_str()),
        ("failures", &failures),
        ("errors", &errors),
        ("time", &seconds),
    ];
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    xml.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    xml.open("testsuites", &[&[("name", "guestprep")], counts.as_slice()].concat());
    let host = report.guest.hostname.as_deref().unwrap_or("unknown");
    let name = format!("guestprep {}", report.profile);
    // The schema of Jenkins knows a time without a zone; it is UTC.
    let started = report.started.get(..19).unwrap_or(&report.started);
    let own = [
        ("name", name.as_str()),
        ("hostname", host),
        ("timestamp", started),
        ("skipped", skipped.as_str()),
    ];
    xml.open("testsuite", &[own.as_slice(), counts.as_slice()].concat());
    xml.open("properties", &[]);
    xml.empty("property", &[("name", "verdict"), ("value", &report.verdict.to_string())]);
    xml.empty("property", &[("name", "digest"), ("value", &report.digest)]);
    xml.close("properties");
    for (check, outcome) in report.checks.iter().zip(outcomes) {
        case(&mut xml, report, check, outcome);
    }
    xml.close("testsuite");
    xml.close("testsuites");
    let mut text = String::from_utf8(xml.0.into_inner()).unwrap_or_default();
    text.push('\n');
    text
}

fn case(xml: &mut Xml, report: &Report, check: &CheckResult, outcome: Outcome) {
    let class = format!("guestprep.{}", check.category);
    let attributes = [("name", check.id.as_str()), ("classname", class.as_str()), ("time", "0")];
    let reason = check.reason.as_deref().unwrap_or_default();
    let waived = report.waived.iter().filter(|waived| waived.id == check.id).map(waived_line);
    let lines: Vec<String> = check.findings.iter().map(line_of).chain(waived).collect();
    let lines = lines.join("\n");
    match outcome {
        Outcome::Passed if lines.is_empty() => return xml.empty("testcase", &attributes),
        _ => xml.open("testcase", &attributes),
    }
    let severity = check.severity.as_str();
    match outcome {
        Outcome::Passed | Outcome::Tolerated => xml.text("system-out", &[], &lines),
        Outcome::Skipped => xml.empty("skipped", &[("message", reason)]),
        Outcome::Failed => {
            xml.text("failure", &[("type", severity), ("message", &check.title)], &lines);
        }
        Outcome::Undecided => {
            xml.text("error", &[("type", "unknown"), ("message", reason)], &lines);
        }
    }
    xml.close("testcase");
}

/// A writer into memory, which cannot fail.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn write(&mut self, event: Event) {
        let _ = self.0.write_event(event);
    }

    fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            start.push_attribute((*key, printable(value).as_str()));
        }
        start
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.write(Event::Start(Self::start(name, attributes)));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.write(Event::Empty(Self::start(name, attributes)));
    }

    fn close(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.write(Event::Text(BytesText::new(&printable(text))));
        self.close(name);
    }
}

/// XML 1.0 has no place for most control characters, however they are written.
fn printable(text: &str) -> String {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{FFFD}' }).collect()
}
