//! TAP read by prove(1), JUnit's XML by junitparser (the Debian packages perl and python3-junitparser).

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::guest::{HOSTILE, audit, guest, report};

/// Every check by what a reader of tests should take it for, given the line of `--fail-on`.
fn expected(report: &Value, line: &str) -> BTreeMap<String, &'static str> {
    let ranks = ["advice", "warning", "blocker"];
    let rank = |severity: &Value| ranks.iter().position(|rank| severity == rank).expect("a rank");
    let line = ranks.iter().position(|rank| *rank == line).expect("a line");
    let of = |check: &Value| {
        let mut findings = check["findings"].as_array().expect("findings").iter();
        match check["verdict"].as_str().expect("a verdict") {
            "not-applicable" => "skipped",
            "pass" => "passed",
            _ if findings.any(|finding| rank(&finding["severity"]) >= line) => "failed",
            "fail" => "passed",
            _ if report["verdict"] == "ready" => "skipped",
            _ => "error",
        }
    };
    let checks = report["checks"].as_array().expect("checks").iter();
    checks.map(|check| (check["id"].as_str().expect("an id").to_owned(), of(check))).collect()
}

const LINES: [&str; 3] = ["blocker", "warning", "advice"];

#[test]
fn one_line_of_json_is_the_report() {
    let fixture = guest(HOSTILE);
    let (text, code) = audit(&fixture, "ndjson", &[]);
    assert_eq!(code, 1);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    let line: Value = serde_json::from_str(&text).expect("JSON");
    let whole = report(&fixture, &[]);
    assert_eq!(line["checks"], whole["checks"]);
    assert_eq!(line["digest"], whole["digest"]);
}

#[test]
fn prove_counts_what_fails() {
    if Command::new("prove").arg("--version").output().is_err() {
        return println!("left out: there is no prove");
    }
    for (fstab, name) in [(HOSTILE, "hostile"), (&HOSTILE[..62], "clean")] {
        let fixture = guest(fstab);
        for line in LINES {
            let (text, code) = audit(&fixture, "tap", &["--fail-on", line]);
            let expected = expected(&report(&fixture, &["--fail-on", line]), line);
            let file = fixture.root.join("../report.tap");
            fs::write(&file, &text).expect("a file");
            let read = Command::new("prove").args(["--exec", "cat"]).arg(&file).output();
            let read = read.expect("prove runs");
            let said = String::from_utf8_lossy(&read.stdout);
            let bad = expected.values().filter(|v| ["failed", "error"].contains(v)).count();
            assert_eq!(read.status.success(), bad == 0, "{name} {line}: {said}\n{text}");
            assert_eq!(code == 0, bad == 0, "{name} {line}: {text}");
            if bad > 0 {
                let counted = format!("Tests: {} Failed: {bad})", expected.len());
                assert!(said.contains(&counted), "{name} {line}: not {counted}: {said}\n{text}");
            }
            assert!(!said.contains("Parse errors"), "{name} {line}: {said}\n{text}");
        }
    }
}

/// Prints each case of a file: its name and what it comes to.
const JUNIT_READER: &str = "
import sys
from junitparser import JUnitXml, Error, Failure, Skipped
for suite in JUnitXml.fromfile(sys.argv[1]):
    cases = list(suite)
    for case in cases:
        kinds = [type(result) for result in case.result]
        word = {(): 'passed', (Failure,): 'failed', (Error,): 'error', (Skipped,): 'skipped'}[tuple(kinds)]
        print(case.name, word, sep='\\t')
    suite.update_statistics()
    print('', suite.tests, suite.failures, suite.errors, suite.skipped, sep='\\t')
";

#[test]
fn a_reader_of_junit_sees_every_check() {
    let has = Command::new("/usr/bin/python3").args(["-c", "import junitparser"]).status();
    if !has.is_ok_and(|status| status.success()) {
        return println!("left out: there is no junitparser for /usr/bin/python3");
    }
    let fixture = guest(HOSTILE);
    for line in LINES {
        let (text, _) = audit(&fixture, "junit", &["--fail-on", line]);
        let expected = expected(&report(&fixture, &["--fail-on", line]), line);
        let file = fixture.root.join("../report.xml");
        fs::write(&file, &text).expect("a file");
        let read = Command::new("/usr/bin/python3").args(["-c", JUNIT_READER]).arg(&file).output();
        let read = read.expect("python3 runs");
        let said = String::from_utf8(read.stdout).expect("UTF-8");
        let complaint = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success(), "{line}: {complaint}\n{text}");
        let mut cases = BTreeMap::new();
        for (name, word) in said.lines().filter_map(|line| line.split_once('\t')) {
            cases.insert(name.to_owned(), word.to_owned());
        }
        let counts = cases.remove("").expect("counts");
        let words: BTreeMap<String, String> =
            expected.iter().map(|(id, word)| (id.clone(), (*word).to_owned())).collect();
        assert_eq!(cases, words, "{line}: {text}");
        // What the suite says of itself is what was counted.
        let counts: Vec<&str> = counts.split('\t').collect();
        for (name, count) in ["tests", "failures", "errors", "skipped"].iter().zip(counts) {
            let said = format!("{name}=\"{count}\"");
            assert!(text.contains(&said), "{line}: not {said}: {text}");
        }
    }
}

#[test]
fn a_plan_has_no_form_of_a_report() {
    let fixture = guest(HOSTILE);
    let done = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["plan", "--format", "tap", "--root"])
        .arg(&fixture.root)
        .output()
        .expect("guestprep runs");
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("a plan is text or json"));
}
