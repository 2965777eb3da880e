//! Every folder of `fixtures/checks` is a test: the check of that name judges the guest in it as
//! its `case.toml` says.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::path::Path;

use common::case::{Case, CaseVerdict};
use common::fixture::Fixture;
use guestprep::catalog::{self, CheckSpec, Rule};
use guestprep::guest::Guest;
use guestprep::model::{Finding, Verdict};
use guestprep::probe;

fn case(path: &Path) -> datatest_stable::Result<()> {
    let folder = path.parent().ok_or("a case has a folder")?;
    let name = |folder: Option<&Path>| {
        folder.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    };
    let (id, case_name) = (name(folder.parent()), name(Some(folder)));
    let spec = catalog::check(&id).ok_or_else(|| format!("there is no check {id}"))?;
    let case = Case::read(path);
    let begins = match case.verdict {
        CaseVerdict::Pass => "pass-",
        CaseVerdict::Fail => "fail-",
        CaseVerdict::NotApplicable => "na-",
        CaseVerdict::Unknown => "unknown-",
    };
    assert!(case_name.starts_with(begins), "{case_name} has to start with {begins}");

    let fixture = case.fixture(folder);
    if let Some(what) = what_matters(&case, &fixture) {
        println!("left out: {id}/{case_name}: {what}");
        return Ok(());
    }
    let guest = case.guest(&fixture);
    let verdict = judge(spec, &guest);
    expect(spec, &case, &verdict)?;
    repair(spec, &case, &fixture, &verdict)
}

/// Mend what the findings offer to mend, see the check pass, roll back and see the tree as it was.
/// Flags can only be set again by root, owners only be given back by it.
fn repair(
    spec: &CheckSpec,
    case: &Case,
    fixture: &Fixture,
    verdict: &Verdict,
) -> datatest_stable::Result<()> {
    let findings = match verdict {
        Verdict::Fail(findings) | Verdict::Unknown { findings, .. } => findings,
        Verdict::Pass | Verdict::NotApplicable(_) => return Ok(()),
    };
    if spec.fix.is_none() && findings.iter().any(|finding| !finding.fix.is_empty()) {
        return Err(format!("{} offers a repair that its text does not declare", spec.id).into());
    }
    let judge = |guest: &Guest| judge(spec, guest);
    common::repair::repair(spec.id, &fixture.root, &|| case.guest(fixture), &judge)?;
    Ok(())
}

/// What the case needs and this machine could not make: flags and attributes. Owners matter to
/// rollback alone.
fn what_matters(_case: &Case, fixture: &Fixture) -> Option<String> {
    let missing: Vec<_> =
        fixture.left_out.iter().filter(|what| !what.starts_with("owner of")).cloned().collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

fn judge(spec: &CheckSpec, guest: &Guest) -> Verdict {
    let answer = match spec.rule {
        Rule::Paths => probe::leftovers::judge(guest, spec.id, spec.fix.is_some()),
        Rule::Native(name) => {
            let probe = probe::find(name).unwrap_or_else(|| panic!("there is no probe {name}"));
            (probe.judge)(guest)
        }
    };
    answer.unwrap_or_else(|why| Verdict::Unknown { reason: why.0, findings: Vec::new() })
}

fn expect(spec: &CheckSpec, case: &Case, verdict: &Verdict) -> Result<(), String> {
    let (word, reason, findings) = match verdict {
        Verdict::Pass => (CaseVerdict::Pass, None, &[][..]),
        Verdict::Fail(findings) => (CaseVerdict::Fail, None, findings.as_slice()),
        Verdict::NotApplicable(key) => {
            let texts = [&spec.en, &spec.zh];
            if texts.iter().any(|t| t.not_applicable.iter().all(|(known, _)| known != key)) {
                return Err(format!("{key} is no declared reason"));
            }
            (CaseVerdict::NotApplicable, Some((*key).to_owned()), &[][..])
        }
        Verdict::Unknown { reason, findings } => {
            (CaseVerdict::Unknown, Some(reason.clone()), findings.as_slice())
        }
    };
    let shown = format!("{verdict:#?}");
    if word != case.verdict {
        return Err(format!("{}: expected {:?}, got {shown}", case.about, case.verdict));
    }
    if let Some(wanted) = &case.reason
        && !reason.as_ref().is_some_and(|reason| reason.contains(wanted))
    {
        return Err(format!("the reason is {reason:?}, without {wanted:?}"));
    }
    if findings.len() != case.finding.len() {
        return Err(format!("expected {} findings, got {shown}", case.finding.len()));
    }
    for (at, (expected, finding)) in case.finding.iter().zip(findings).enumerate() {
        let differs = |what: &str, wanted: &str, got: &str| {
            Err(format!("finding {at}: {what} is {got:?}, expected {wanted:?}, of {shown}"))
        };
        let message = message(spec, finding)?;
        if expected.key != finding.key {
            return differs("the key", &expected.key, finding.key);
        }
        let subject = finding.subject.to_string();
        if expected.subject != subject {
            return differs("the subject", &expected.subject, &subject);
        }
        if let Some(wanted) = &expected.severity {
            let own = finding.severity.or_else(|| spec.finding_severity(finding.key));
            let got = own.unwrap_or(spec.severity);
            if wanted != got.as_str() {
                return differs("the severity", wanted, got.as_str());
            }
        }
        if let Some(wanted) = &expected.impact {
            let got = finding.impact.map_or("none", |impact| impact.as_str());
            if wanted != got {
                return differs("the impact", wanted, got);
            }
        }
        if let Some(wanted) = expected.repair
            && wanted == finding.fix.is_empty()
        {
            return differs("the repair", &wanted.to_string(), &format!("{:?}", finding.fix));
        }
        if let Some(wanted) = &expected.message
            && !message.contains(wanted)
        {
            return differs("the message", wanted, &message);
        }
    }
    Ok(())
}

/// The English message. Both languages must declare the key, and every value that they name in
/// braces must be there.
fn message(spec: &CheckSpec, finding: &Finding) -> Result<String, String> {
    if !spec.findings.iter().any(|declared| declared.key == finding.key) {
        return Err(format!("{} is no declared key", finding.key));
    }
    for texts in [&spec.en, &spec.zh] {
        // Filled in with nothing, so that a brace in a value does not count.
        let blank = finding.values.keys().map(|name| (*name, String::new())).collect();
        let bare = texts.message(finding.key, &blank);
        if bare.contains('{') {
            return Err(format!("{}: a value is missing: {bare}", finding.key));
        }
    }
    Ok(spec.en.message(finding.key, &finding.values))
}

datatest_stable::harness! {
    { test = case, root = "fixtures/checks", pattern = r"case\.toml$" },
}
