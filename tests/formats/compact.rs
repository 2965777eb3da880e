//! The compact form: under 16 KiB whatever is in it, and saying what it left out.

use guestprep::model::{CheckId, Report};
use guestprep::report;
use proptest::prelude::*;
use serde_json::Value;

use crate::guest::{HOSTILE, audit, guest, hostile, report};

const LIMIT: usize = 16 << 10;

fn read(text: &str) -> Value {
    assert!(text.len() < LIMIT, "{} bytes", text.len());
    assert_eq!(text.matches('\n').count(), 1);
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn it_has_the_verdict_the_ids_and_the_digest() {
    let fixture = guest(HOSTILE);
    let (text, code) = audit(&fixture, "compact", &[]);
    let (compact, whole) = (read(&text), report(&fixture, &[]));
    assert_eq!(code, 1);
    for key in ["verdict", "digest", "profile", "summary"] {
        assert_eq!(compact[key], whole[key], "{key}");
    }
    for (list, severity) in [("blockers", "blocker"), ("warnings", "warning"), ("advice", "advice")]
    {
        let is_so = |check: &&Value| {
            check["severity"] == severity
                && check["verdict"] != "pass"
                && check["findings"].as_array().is_some_and(|all| !all.is_empty())
        };
        let checks = whole["checks"].as_array().unwrap().iter().filter(is_so);
        let ids: Vec<&Value> = checks.map(|check| &check["id"]).collect();
        assert_eq!(compact[list].as_array().unwrap().iter().collect::<Vec<_>>(), ids, "{list}");
    }
    assert_eq!(compact["left_out"], 0);
}

fn hostile_report() -> Report {
    serde_json::from_value(report(&hostile(), &[])).expect("a report")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_short_whatever_is_in_it(
        ids in proptest::collection::vec(".{0,200}", 0..400),
        texts in proptest::collection::vec(proptest::collection::vec(any::<char>(), 0..9000), 3),
    ) {
        let mut whole = hostile_report();
        let texts: Vec<String> = texts.into_iter().map(|text| text.into_iter().collect()).collect();
        whole.guest.hostname = Some(texts[0].clone());
        whole.guest.instance_id = Some("\u{1}".repeat(texts[1].len()));
        whole.digest.clone_from(&texts[2]);
        let failed = whole.checks.iter().find(|check| check.id.as_str() == "fstab-data-disk");
        let failed = failed.expect("a failed check").clone();
        for id in &ids {
            whole.checks.push(guestprep::model::CheckResult {
                id: CheckId::new(id.as_str()),
                ..failed.clone()
            });
        }
        let compact = read(&report::compact(&whole));
        let lists = ["blockers", "unknown", "warnings", "expired", "advice", "waived"];
        let kept: usize = lists.iter().map(|list| compact[list].as_array().unwrap().len()).sum();
        let left_out = usize::try_from(compact["left_out"].as_u64().unwrap()).unwrap();
        let had = |whole: &Report| {
            let said = whole.checks.iter().filter(|c| !c.findings.is_empty());
            let said = said.filter(|c| c.verdict != guestprep::model::VerdictName::Pass);
            let open = whole.checks.iter().filter(|c| c.verdict == guestprep::model::VerdictName::Unknown);
            said.count() + open.count()
        };
        prop_assert_eq!(kept + left_out, had(&whole));
        // What matters least is left out first.
        if left_out > 0 && compact["blockers"].as_array().unwrap().len() < ids.len() {
            prop_assert!(compact["advice"].as_array().unwrap().is_empty());
        }
    }
}
