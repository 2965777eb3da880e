//! A report as SARIF: a rule for every check, a result for every finding.

use serde_json::json;

use super::{SarifKind, SarifNotice, SarifPlace, SarifResult, SarifRule, SarifRun};
use crate::model::{
    CheckResult, Decision, Report, ReportedFinding, Severity, Subject, VerdictName, sha256_hex,
};
use crate::report::outcome::{message_of, told};

/// SARIF's word for a severity.
pub fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocker => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

/// The report as one SARIF document, with the texts of its checks as rules.
pub fn sarif(report: &Report, rules: Vec<SarifRule>) -> String {
    let mut results = Vec::new();
    let mut notices = Vec::new();
    for check in &report.checks {
        if check.verdict == VerdictName::Unknown {
            notices.push(SarifNotice {
                // A guest that is READY all the same is so whatever the answer had been.
                level: if report.verdict == Decision::Ready { "warning" } else { "error" },
                rule: Some(check.id.to_string()),
                text: check.reason.clone().unwrap_or_default(),
            });
            results.push(open(check));
        }
        let kind = match check.verdict {
            VerdictName::Pass => SarifKind::Informational,
            _ => SarifKind::Fail,
        };
        for finding in &check.findings {
            results.push(result(check.id.as_str(), kind, finding));
        }
    }
    for waived in &report.waived {
        let result = result(waived.id.as_str(), SarifKind::Fail, &waived.finding);
        results.push(SarifResult { suppressed: Some(told(&waived.waiver)), ..result });
    }
    tell_apart(&mut results);
    let host = report.guest.hostname.as_deref().unwrap_or("unknown");
    SarifRun {
        rules,
        results,
        notices,
        category: format!("guestprep/audit/{}/{host}/", report.profile),
        started: Some(report.started.clone()),
        properties: json!({
            "verdict": report.verdict,
            "profile": report.profile,
            "digest": report.digest,
            "guest": report.guest,
        }),
    }
    .document()
}

fn result(rule: &str, kind: SarifKind, finding: &ReportedFinding) -> SarifResult {
    SarifResult {
        rule: rule.to_owned(),
        kind,
        level: level(finding.severity),
        message: message_of(finding),
        place: place(&finding.subject),
        fingerprint: fingerprint(rule, finding),
        suppressed: None,
        properties: json!({
            "key": finding.key,
            "severity": finding.severity,
            "impact": finding.impact,
            "evidence": finding.evidence,
            "expired": finding.expired,
        }),
    }
}

/// What could not be told, as a result that says so.
fn open(check: &CheckResult) -> SarifResult {
    SarifResult {
        rule: check.id.to_string(),
        kind: SarifKind::Open,
        level: level(check.severity),
        message: check.reason.clone().unwrap_or_default(),
        place: SarifPlace::Named { name: check.id.to_string(), kind: "check" },
        fingerprint: sha256_hex(check.id.as_str().as_bytes()),
        suppressed: None,
        properties: json!(null),
    }
}

fn place(subject: &Subject) -> SarifPlace {
    match subject {
        Subject::File { path, line } => SarifPlace::File {
            path: path.as_bytes().to_vec(),
            line: line.and_then(|line| u64::try_from(line).ok()),
            column: None,
        },
        Subject::Device { device } => SarifPlace::Named { name: device.clone(), kind: "device" },
        Subject::Unit { unit } => SarifPlace::Named { name: unit.clone(), kind: "unit" },
        Subject::Setting { setting } => {
            SarifPlace::Named { name: setting.clone(), kind: "setting" }
        }
    }
}

/// What stays the same when a line is put before it: the check, the message, its values and the file.
fn fingerprint(rule: &str, finding: &ReportedFinding) -> String {
    let subject = match &finding.subject {
        Subject::File { path, .. } => path.to_string(),
        other => other.to_string(),
    };
    sha256_hex(json!([rule, finding.key, subject, finding.values]).to_string().as_bytes())
}

/// Of several that are alike in all of that, which one it is counts too.
fn tell_apart(results: &mut [SarifResult]) {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for result in results {
        let number = seen.entry(result.fingerprint.clone()).or_default();
        *number += 1;
        if *number > 1 {
            result.fingerprint = sha256_hex(format!("{} {number}", result.fingerprint).as_bytes());
        }
    }
}
