//! From a verdict to a filed result: severities, words, waivers.

use super::Settings;
use crate::catalog::{CheckSpec, Language};
use crate::model::{
    Category, CheckId, CheckResult, Edit, Finding, Remedy, RemedyKind, ReportedFinding, Severity,
    Verdict, VerdictName, Waived, Waiver,
};
use crate::sys::today;

/// A check's result with what was waived of it and what would mend it.
pub struct Filed {
    pub result: CheckResult,
    pub waived: Vec<Waived>,
    pub edits: Vec<(CheckId, Edit)>,
}

/// How bad a check is here; `None` when profile or configuration leave it out.
pub fn declared_severity(spec: &CheckSpec, settings: &Settings) -> Option<Severity> {
    // What somebody names with --check is run, whatever the profile is not about.
    let named = settings.selection.names(spec).then_some(spec.severity);
    let of_profile = settings.profile.severity_of(spec).or(named)?;
    let Some(own) = settings.config.checks.get(spec.id) else { return Some(of_profile) };
    if own.enabled == Some(false) {
        return None;
    }
    Some(own.severity.unwrap_or(of_profile))
}

/// The worst that a check could have said, had it been able to judge.
pub fn worst(spec: &CheckSpec, declared: Severity, settings: &Settings) -> Severity {
    match overridden(spec, settings) {
        Some(severity) => severity,
        None => spec.worst(declared),
    }
}

fn overridden(spec: &CheckSpec, settings: &Settings) -> Option<Severity> {
    settings.config.checks.get(spec.id).and_then(|own| own.severity)
}

/// File a verdict.
pub fn file(spec: &CheckSpec, declared: Severity, verdict: Verdict, settings: &Settings) -> Filed {
    let texts = spec.texts(settings.language);
    let (name, reason, findings) = match verdict {
        Verdict::Pass => (VerdictName::Pass, None, Vec::new()),
        Verdict::Fail(facts) if spec.informs => (VerdictName::Pass, None, facts),
        Verdict::Fail(findings) => (VerdictName::Fail, None, findings),
        Verdict::NotApplicable(key) => {
            (VerdictName::NotApplicable, Some(not_applicable(spec, key, settings)), Vec::new())
        }
        Verdict::Unknown { reason, findings } => (VerdictName::Unknown, Some(reason), findings),
    };
    let waivers = settings.config.checks.get(spec.id).and_then(|own| own.waive.as_deref());
    let waivers = waivers.unwrap_or_default();
    let id = CheckId::from(spec.id);
    let mut filed = Filed {
        result: CheckResult {
            id: id.clone(),
            title: texts.title.to_owned(),
            category: spec.category,
            severity: declared,
            verdict: name,
            reason,
            findings: Vec::new(),
        },
        waived: Vec::new(),
        edits: Vec::new(),
    };
    let is_about_use = matches!(spec.category, Category::Identity | Category::Residue);
    let erases = settings.erases(spec);
    for mut finding in findings {
        if is_about_use && !erases {
            finding.fix.clear();
        }
        let mut reported = report(spec, declared, &finding, settings);
        let (over, held): (Vec<_>, Vec<_>) = waivers
            .iter()
            .filter(|waiver| waiver.is_for(&reported))
            .map(|settings| &settings.waiver)
            .partition(|waiver| is_over(waiver));
        if let Some(waiver) = held.first() {
            let waiver = (*waiver).clone();
            filed.waived.push(Waived { id: id.clone(), waiver, finding: reported });
        } else {
            reported.expired = over.first().map(|waiver| (*waiver).clone());
            filed.result.findings.push(reported);
            filed.edits.extend(finding.fix.into_iter().map(|edit| (id.clone(), edit)));
        }
    }
    if let Some(worst) = filed.result.findings.iter().map(|f| f.severity).max() {
        filed.result.severity = worst;
    } else if let Some(waived) = filed.waived.first()
        && filed.result.verdict == VerdictName::Fail
    {
        filed.result.verdict = VerdictName::Pass;
        filed.result.reason = Some(waived.waiver.reason.clone());
    }
    filed
}

fn report(
    spec: &CheckSpec,
    declared: Severity,
    finding: &Finding,
    settings: &Settings,
) -> ReportedFinding {
    let texts = spec.texts(settings.language);
    let severity = overridden(spec, settings)
        .or(finding.severity)
        .or_else(|| settings.profile.finding_severity(spec, finding.key))
        .unwrap_or(declared);
    ReportedFinding {
        key: finding.key.to_owned(),
        severity,
        values: finding.values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        message: texts.message(finding.key, &finding.values),
        subject: finding.subject.clone(),
        evidence: finding.evidence.clone(),
        impact: finding.impact,
        remedy: Remedy {
            kind: if finding.fix.is_empty() { RemedyKind::Manual } else { RemedyKind::Automatic },
            summary: texts.remedy.to_owned(),
            reversible: spec.fix.as_ref().is_some_and(|fix| fix.reversible),
        },
        expired: None,
    }
}

/// Why a question does not arise: in the check's own words, or in those that all checks share.
fn not_applicable(spec: &CheckSpec, key: &str, settings: &Settings) -> String {
    let own = spec.texts(settings.language).reason(key);
    if own != key {
        return own;
    }
    match (key, settings.language) {
        ("offline", Language::En) => "It is judged on a running guest only.",
        ("offline", Language::Zh) => "仅在运行中的系统上检查。",
        ("live", Language::En) => "It is judged on a tree or a disk only.",
        ("live", Language::Zh) => "仅在目录树或磁盘上检查。",
        ("family", Language::En) => "It is about other distributions.",
        ("family", Language::Zh) => "仅适用于其他发行版。",
        _ => key,
    }
    .to_owned()
}

/// Whether a waiver has ended. What day it is is asked only where one can end: an answer rests on what
/// was asked for it.
fn is_over(waiver: &Waiver) -> bool {
    waiver.until.is_some() && waiver.is_over(&today())
}
