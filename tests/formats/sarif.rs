//! SARIF against the public schema of 2.1.0, which the crate serde-sarif carries: `SARIF_SCHEMA` names it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::guest::{HOSTILE, audit, config, guest, has_python, hostile, read_by, report};

/// Complains of a file that is not of a schema.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft7Validator
schema, document = (json.load(open(path)) for path in sys.argv[1:3])
Draft7Validator.check_schema(schema)
errors = list(Draft7Validator(schema).iter_errors(document))
print(*(f'{list(e.absolute_path)}: {e.message[:300]}' for e in errors), sep='\\n')
sys.exit(bool(errors))
";

fn valid(schema: &str, text: &str) -> (bool, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("a file");
    let path = file.path().display().to_string();
    read_by(&["/usr/bin/python3", "-c", VALIDATE, schema, &path]).expect("python3")
}

#[test]
fn the_public_schema_takes_it() {
    let Ok(schema) = std::env::var("SARIF_SCHEMA") else {
        return println!("left out: SARIF_SCHEMA does not name the public schema");
    };
    if !has_python("jsonschema") {
        return println!("left out: there is no jsonschema for /usr/bin/python3");
    }
    for (fixture, name) in [(guest(&HOSTILE[..62]), "clean"), (hostile(), "hostile")] {
        let text = audit(&fixture, "sarif", &[]).0;
        let (is_valid, said) = valid(&schema, &text);
        assert!(is_valid, "{name}: {said}\n{text}");
        // The schema is one that complains.
        let (is_valid, _) =
            valid(&schema, &text.replace("\"kind\": \"fail\"", "\"kind\": \"bad\""));
        assert!(!is_valid || name == "clean", "{name}");
        assert!(!valid(&schema, &text.replace("\"startTimeUtc\"", "\"startTime\"")).0, "{name}");
    }
}

fn run(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).expect("JSON");
    document["runs"][0].clone()
}

fn fingerprint(result: &Value) -> String {
    result["partialFingerprints"]["guestprep/1"].as_str().expect("a fingerprint").to_owned()
}

#[test]
fn every_finding_is_a_result_of_its_rule() {
    let fixture = guest(HOSTILE);
    let report = report(&fixture, &[]);
    let run = run(&audit(&fixture, "sarif", &[]).0);
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!(rules.len(), checks.len());
    let results = run["results"].as_array().expect("results");
    let findings = checks.iter().map(|check| check["findings"].as_array().unwrap().len());
    let unknown = checks.iter().filter(|check| check["verdict"] == "unknown").count();
    assert_eq!(results.len(), findings.sum::<usize>() + unknown);
    let mut fingerprints = BTreeSet::new();
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(result["ruleId"], rule["id"]);
        assert!(fingerprints.insert(fingerprint(result)));
        assert!(rule["help"]["text"].as_str().is_some_and(|text| text.contains('.')), "{rule}");
    }
    let of = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).expect("a result");
    let data_disk = of("fstab-data-disk");
    assert_eq!(data_disk["level"], "error");
    let place = &data_disk["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "etc/fstab");
    assert_eq!(place["artifactLocation"]["uriBaseId"], "ROOT");
    assert_eq!(place["region"]["startLine"], 2);
    // A line before it does not make another finding of it.
    let moved = guest(&[b"# a comment\n", HOSTILE].concat());
    let moved = crate::sarif::run(&audit(&moved, "sarif", &[]).0);
    let moved: BTreeSet<String> =
        moved["results"].as_array().unwrap().iter().map(fingerprint).collect();
    assert!(moved.contains(&fingerprint(data_disk)));
}

#[test]
fn what_is_waived_is_suppressed_and_what_is_unknown_is_open() {
    let fixture = guest(b"UUID=1 /data ext4 defaults 0 0\n/dev/vdb1 /d ext4 defaults 0 0\n");
    let waive = "[checks.fstab-data-disk]\nwaive = { owner = \"ops\", reason = \"why\", until = 2999-01-01 }\n";
    let path = config(&fixture, waive);
    let run = run(&audit(&fixture, "sarif", &["--config", &path]).0);
    let results = run["results"].as_array().unwrap();
    let waived: Vec<&Value> = results.iter().filter(|r| r["suppressions"].is_array()).collect();
    assert_eq!(waived.len(), 1);
    let waived = waived[0];
    assert_eq!(waived["ruleId"], "fstab-data-disk");
    assert_eq!(waived["suppressions"][0]["justification"], "why (ops, until 2999-01-01)");
    let open: Vec<&Value> = results.iter().filter(|r| r["kind"] == "open").collect();
    assert!(!open.is_empty(), "an entry that cannot be placed");
    assert!(open.iter().all(|result| result["level"] == "none"));
    let notices = &run["invocations"][0]["toolExecutionNotifications"];
    assert_eq!(notices.as_array().unwrap().len(), open.len());
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
}
