//! The report as metrics: OpenMetrics 1.0, of gauges alone, so that a reader of the older Prometheus
//! text format (node_exporter's textfile collector) takes it too.

use std::fmt::Write as _;

use crate::model::{Decision, Report, VerdictName};

/// Metrics under way: whoever adds more says so before they are ended.
#[derive(Debug, Default)]
pub struct Metrics(String);

impl Metrics {
    /// Begin a gauge with its help.
    pub fn gauge(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} gauge\n# HELP {name} {}", escaped(help));
    }

    /// One sample of the gauge that was begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// The whole text, ended.
    pub fn end(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

/// The metrics of a report, not ended yet.
pub fn metrics(report: &Report) -> Metrics {
    let mut out = Metrics::default();
    let profile = report.profile.as_str();
    out.gauge(
        "guestprep_ready",
        "Whether an image made now is ready: 1, or 0 where it is not or cannot be told.",
    );
    let is_ready = u8::from(report.verdict == Decision::Ready);
    out.sample("guestprep_ready", &[("profile", profile)], is_ready);
    out.gauge("guestprep_verdict", "The answer: 1 for the one that holds.");
    for (verdict, name) in [
        (Decision::Ready, "ready"),
        (Decision::NotReady, "not-ready"),
        (Decision::Undetermined, "undetermined"),
    ] {
        let value = u8::from(report.verdict == verdict);
        out.sample("guestprep_verdict", &[("verdict", name)], value);
    }
    let summary = &report.summary;
    out.gauge("guestprep_findings", "Findings of failed checks by severity.");
    for (severity, count) in
        [("blocker", summary.blockers), ("warning", summary.warnings), ("advice", summary.advice)]
    {
        out.sample("guestprep_findings", &[("severity", severity)], count);
    }
    out.gauge("guestprep_checks", "Checks by verdict.");
    for (verdict, count) in [
        ("pass", summary.pass),
        ("fail", summary.fail),
        ("not-applicable", summary.not_applicable),
        ("unknown", summary.unknown),
    ] {
        out.sample("guestprep_checks", &[("verdict", verdict)], count);
    }
    out.gauge("guestprep_check_failed", "1 for a check that fails, with its severity.");
    of_checks(&mut out, report, "guestprep_check_failed", VerdictName::Fail);
    out.gauge("guestprep_check_unknown", "1 for a check that could not be judged.");
    of_checks(&mut out, report, "guestprep_check_unknown", VerdictName::Unknown);
    out.gauge("guestprep_waived_findings", "Findings that the configuration waives.");
    out.sample("guestprep_waived_findings", &[], report.waived.len());
    out.gauge(
        "guestprep_expired_waivers",
        "Findings that count again, because their waiver has ended.",
    );
    let findings = report.checks.iter().flat_map(|check| &check.findings);
    let expired = findings.filter(|finding| finding.expired.is_some()).count();
    out.sample("guestprep_expired_waivers", &[], expired);
    out.gauge("guestprep_audit_seconds", "How long the last look took.");
    let seconds = report.duration_ms / 1000;
    let rest = report.duration_ms % 1000;
    out.sample("guestprep_audit_seconds", &[], format_args!("{seconds}.{rest:03}"));
    out.gauge("guestprep_build", "1, with the version.");
    out.sample("guestprep_build", &[("version", report.tool.version.as_str())], 1);
    out
}

/// The report as one OpenMetrics document.
pub fn openmetrics(report: &Report) -> String {
    metrics(report).end()
}

fn of_checks(out: &mut Metrics, report: &Report, name: &str, verdict: VerdictName) {
    for check in report.checks.iter().filter(|check| check.verdict == verdict) {
        let labels = [("check", check.id.as_str()), ("severity", check.severity.as_str())];
        out.sample(name, &labels, 1);
    }
}

/// A text as a label's value or a help has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
