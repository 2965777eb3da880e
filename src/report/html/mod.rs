//! The report as one page that needs no network: for a browser, a phone, and paper.
//!
//! What a guest says is text and never markup: the template escapes it, control characters and what
//! turns the direction of writing are shown as escapes, and the page's own policy runs no script but
//! the one that it came with.

use askama::Template;

use super::words::{Words, fill};
use crate::model::{
    Category, CheckResult, Decision, RemedyKind, Report, ReportedFinding, Severity, VerdictName,
    Waived, sha256_hex, visible,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Render a report as a page. `target` is what a command takes to be about the same guest.
pub fn html(report: &Report, words: &Words, target: &str) -> String {
    // `Template::render` fails where a value's Display does, and that of text does not.
    Page::of(report, words, target).render().unwrap_or_default()
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    words: &'a Words,
    title: String,
    nonce: String,
    style: &'static str,
    script: &'static str,
    verdict: &'static str,
    decision: &'static str,
    counts: String,
    facts: Vec<String>,
    left_out: Vec<String>,
    kinds: Vec<Kind<'a>>,
    categories: Vec<Named>,
    checks: Vec<Check>,
    others: Vec<Other>,
    taken: String,
    made_by: String,
    digest: String,
}

/// What the filter can hide.
struct Kind<'a> {
    key: &'static str,
    word: &'a str,
    count: usize,
}

/// A category: what the filter knows it by, and its word.
#[derive(Clone, Copy)]
struct Named {
    key: &'static str,
    word: &'static str,
}

impl Named {
    fn of(category: Category, words: &Words) -> Self {
        Self { key: category.as_str(), word: words.category(category) }
    }
}

/// A check that has something to say, or a finding of one that was waived.
struct Check {
    anchor: String,
    id: String,
    kind: &'static str,
    label: &'static str,
    title: String,
    category: Named,
    reason: Option<String>,
    findings: Vec<Finding>,
    waiver: Option<String>,
    command: Option<String>,
    remedy: Option<String>,
}

struct Finding {
    subject: String,
    message: String,
    notes: Vec<String>,
    ended: Option<String>,
    evidence: Option<String>,
}

/// A check that has nothing to say.
struct Other {
    id: String,
    category: Named,
    verdict: &'static str,
    reason: String,
}

impl<'a> Page<'a> {
    fn of(report: &Report, words: &'a Words, target: &str) -> Self {
        let mut checks = Vec::new();
        for severity in [Severity::Blocker, Severity::Warning, Severity::Advice] {
            let is_this = |c: &&CheckResult| c.severity == severity && !c.findings.is_empty();
            let these = report.checks.iter().filter(is_this);
            checks.extend(these.map(|c| Check::failed(c, words, target)));
        }
        let is_unknown = |c: &&CheckResult| c.verdict == VerdictName::Unknown;
        checks.extend(report.checks.iter().filter(is_unknown).map(|c| Check::unknown(c, words)));
        let waived = report.waived.iter().zip(1..);
        checks.extend(waived.map(|(waived, number)| Check::waived(waived, number, report, words)));
        let says_nothing = |c: &&CheckResult| c.findings.is_empty() && !is_unknown(c);
        let others: Vec<Other> =
            report.checks.iter().filter(says_nothing).map(|c| Other::of(c, words)).collect();
        let kind = |key, word| {
            let count = match key {
                "other" => others.len(),
                _ => checks.iter().filter(|check| check.kind == key).count(),
            };
            Kind { key, word, count }
        };
        let kinds = vec![
            kind("blocker", words.blocker),
            kind("warning", words.warning),
            kind("advice", words.advice),
            kind("unknown", words.unknown),
            kind("waived", words.waived),
            kind("other", words.other_checks),
        ];
        let mut categories: Vec<Category> = report.checks.iter().map(|c| c.category).collect();
        categories.sort();
        categories.dedup();
        let decision = words.decision(report.verdict);
        let host = report.guest.hostname.as_deref().map(visible);
        let left_out = report.guest.image.iter().flat_map(|image| &image.left_out);
        Self {
            words,
            title: format!("{} - {decision}", host.as_deref().unwrap_or("guestprep")),
            nonce: nonce(report),
            style: STYLE,
            script: SCRIPT,
            verdict: match report.verdict {
                Decision::Ready => "ready",
                Decision::NotReady => "not-ready",
                Decision::Undetermined => "undetermined",
            },
            decision,
            counts: counts(report, words),
            facts: words.facts(report).iter().map(|fact| visible(fact)).collect(),
            left_out: left_out
                .map(|what| fill(words.not_seen, &[("what", &visible(what))]))
                .collect(),
            kinds: kinds.into_iter().filter(|kind| kind.count > 0).collect(),
            categories: categories.into_iter().map(|c| Named::of(c, words)).collect(),
            checks,
            others,
            taken: fill(words.taken, &[("time", &visible(&report.started))]),
            made_by: fill(words.made_by, &[("version", &visible(&report.tool.version))]),
            digest: visible(&report.digest),
        }
    }
}

impl Check {
    fn of(check: &CheckResult, kind: &'static str, label: &'static str, words: &Words) -> Self {
        Self {
            anchor: visible(check.id.as_str()),
            id: visible(check.id.as_str()),
            kind,
            label,
            title: visible(&check.title),
            category: Named::of(check.category, words),
            reason: None,
            findings: Vec::new(),
            waiver: None,
            command: None,
            remedy: None,
        }
    }

    fn failed(check: &CheckResult, words: &Words, target: &str) -> Self {
        let is = |kind: RemedyKind| check.findings.iter().any(|f| f.remedy.kind == kind);
        let command = is(RemedyKind::Automatic).then(|| {
            format!("guestprep prepare{} --check {}", visible(target), visible(check.id.as_str()))
        });
        let remedy = check.findings.first().map(|finding| visible(&finding.remedy.summary));
        Self {
            findings: check
                .findings
                .iter()
                .map(|f| Finding::of(f, check.severity, words))
                .collect(),
            command,
            remedy: remedy.filter(|text| !text.is_empty()),
            ..Self::of(check, check.severity.as_str(), words.severity(check.severity), words)
        }
    }

    fn unknown(check: &CheckResult, words: &Words) -> Self {
        Self {
            anchor: format!("unknown-{}", visible(check.id.as_str())),
            reason: check.reason.as_deref().map(visible),
            ..Self::of(check, "unknown", words.unknown, words)
        }
    }

    fn waived(waived: &Waived, number: usize, report: &Report, words: &Words) -> Self {
        let finding = Finding::of(&waived.finding, waived.finding.severity, words);
        let check = report.checks.iter().find(|check| check.id == waived.id);
        let id = visible(waived.id.as_str());
        Self {
            anchor: format!("waived-{number}"),
            title: check.map_or_else(|| id.clone(), |check| visible(&check.title)),
            id,
            kind: "waived",
            label: words.waived,
            category: Named::of(check.map_or(Category::Storage, |check| check.category), words),
            reason: None,
            findings: vec![finding],
            waiver: Some(visible(&words.waiver(&waived.waiver))),
            command: None,
            remedy: None,
        }
    }
}

impl Finding {
    fn of(finding: &ReportedFinding, of_check: Severity, words: &Words) -> Self {
        let own =
            (finding.severity != of_check).then(|| words.severity(finding.severity).to_owned());
        let seconds = finding.values.get("seconds");
        let impact = finding.impact.map(|impact| visible(&words.impact(impact, seconds)));
        Self {
            subject: visible(&finding.subject.to_string()),
            message: visible(&finding.message),
            notes: own.into_iter().chain(impact).collect(),
            ended: finding.expired.as_ref().map(|waiver| visible(&words.ended(waiver))),
            evidence: finding.evidence.as_deref().map(visible),
        }
    }
}

impl Other {
    fn of(check: &CheckResult, words: &Words) -> Self {
        Self {
            id: visible(check.id.as_str()),
            category: Named::of(check.category, words),
            verdict: words.verdict(check.verdict),
            reason: check.reason.as_deref().map(visible).unwrap_or_default(),
        }
    }
}

fn counts(report: &Report, words: &Words) -> String {
    let summary = &report.summary;
    let counts = [
        (Severity::Blocker, summary.blockers),
        (Severity::Warning, summary.warnings),
        (Severity::Advice, summary.advice),
    ];
    let said = counts.into_iter().filter(|(_, count)| *count > 0);
    said.map(|(severity, count)| words.findings(severity, count))
        .collect::<Vec<_>>()
        .join(words.comma)
}

/// The word that only the page's own script and style have. A guest cannot know it: it is a digest of
/// all that the guest said.
fn nonce(report: &Report) -> String {
    let json = serde_json::to_vec(report).unwrap_or_default();
    sha256_hex(&json)[..32].to_owned()
}
