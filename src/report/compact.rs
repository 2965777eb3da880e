//! The report as one short object, for a channel that cuts what is longer: the output of a cloud's
//! command service, a tag, a message.

use serde::Serialize;

use crate::model::{CheckResult, Decision, Report, Severity, Summary, VerdictName};

/// The most that it has, with its line end: what Cloud Assistant keeps whole with room to spare.
const LIMIT: usize = 16 << 10;
/// The most of a text that the guest chose.
const TEXT: usize = 256;

/// Schema `guestprep.compact/1`. Ids of checks, worst first where something has to be left out.
#[derive(Debug, Serialize)]
struct Compact<'a> {
    schema: &'static str,
    version: String,
    hostname: Option<String>,
    instance_id: Option<String>,
    profile: String,
    started: String,
    verdict: Decision,
    digest: String,
    summary: Summary,
    blockers: Vec<&'a str>,
    unknown: Vec<&'a str>,
    warnings: Vec<&'a str>,
    /// Checks with a finding whose waiver has ended.
    expired: Vec<&'a str>,
    advice: Vec<&'a str>,
    waived: Vec<&'a str>,
    /// How many ids did not fit.
    left_out: usize,
}

/// The report on one line of less than 16 KiB, whatever is in it.
pub fn compact(report: &Report) -> String {
    let failed = |severity: Severity| {
        let is_so = |check: &&CheckResult| {
            check.severity == severity
                && check.verdict != VerdictName::Pass
                && !check.findings.is_empty()
        };
        ids(report.checks.iter().filter(is_so))
    };
    let mut waived: Vec<&str> = report.waived.iter().map(|waived| waived.id.as_str()).collect();
    waived.dedup();
    let has_expired = |check: &&CheckResult| check.findings.iter().any(|f| f.expired.is_some());
    let mut lists = [
        failed(Severity::Blocker),
        ids(report.checks.iter().filter(|check| check.verdict == VerdictName::Unknown)),
        failed(Severity::Warning),
        ids(report.checks.iter().filter(has_expired)),
        failed(Severity::Advice),
        waived,
    ];
    let mut compact = Compact {
        schema: "guestprep.compact/1",
        version: shortened(&report.tool.version),
        hostname: report.guest.hostname.as_deref().map(shortened),
        instance_id: report.guest.instance_id.as_deref().map(shortened),
        profile: shortened(&report.profile),
        started: shortened(&report.started),
        verdict: report.verdict,
        digest: shortened(&report.digest),
        summary: report.summary,
        blockers: Vec::new(),
        unknown: Vec::new(),
        warnings: Vec::new(),
        expired: Vec::new(),
        advice: Vec::new(),
        waived: Vec::new(),
        // At its longest while the room for the ids is measured.
        left_out: usize::MAX,
    };
    let around = serde_json::to_string(&compact).map_or(0, |text| text.len());
    compact.left_out = fit(&mut lists, (LIMIT - 1).saturating_sub(around));
    [
        compact.blockers,
        compact.unknown,
        compact.warnings,
        compact.expired,
        compact.advice,
        compact.waived,
    ] = lists;
    let mut line = serde_json::to_string(&compact).unwrap_or_default();
    line.push('\n');
    line
}

/// Cut the lists where the room ends, and what comes after it; how many ids that is.
fn fit(lists: &mut [Vec<&str>], mut room: usize) -> usize {
    let mut left_out = 0;
    for list in lists {
        let fits = |id: &&str| {
            // JSON writes a control character with six.
            let length = serde_json::to_string(id).map_or(0, |text| text.len()) + 1;
            let is_room = length < room;
            room = if is_room { room - length } else { 0 };
            is_room
        };
        let kept = list.iter().copied().take_while(fits).count();
        left_out += list.len() - kept;
        list.truncate(kept);
    }
    left_out
}

fn ids<'a>(checks: impl Iterator<Item = &'a CheckResult>) -> Vec<&'a str> {
    checks.map(|check| check.id.as_str()).collect()
}

/// A text that says that it was longer.
fn shortened(text: &str) -> String {
    if text.len() <= TEXT {
        return text.to_owned();
    }
    let end = (0..=TEXT - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
