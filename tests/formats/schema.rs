//! Our own schema: kept as generated, and true of what guestprep writes and reads.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::fixture::Fixture;
use crate::guest::{HOSTILE, audit, config, guest, has_python, hostile, read_by};

const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
schema, name, document = json.load(open(sys.argv[1])), sys.argv[2], json.load(open(sys.argv[3]))
Draft202012Validator.check_schema(schema)
schema = {'$schema': schema['$schema'], '$ref': '#/$defs/' + name, '$defs': schema['$defs']}
errors = list(Draft202012Validator(schema).iter_errors(document))
print(*(f'{list(e.absolute_path)}: {e.message[:300]}' for e in errors), sep='\\n')
sys.exit(bool(errors))
";

fn kept() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("checks/schema.json").display().to_string()
}

#[test]
fn the_schema_is_as_generated() {
    let generated = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["generate", "schema"])
        .output()
        .expect("guestprep");
    assert!(
        fs::read(kept()).expect("checks/schema.json") == generated.stdout,
        "checks/schema.json is old: cargo run -q -- generate schema > checks/schema.json"
    );
}

fn is_valid(name: &str, text: &str) -> (bool, String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("a file");
    let path = file.path().display().to_string();
    read_by(&["/usr/bin/python3", "-c", VALIDATE, &kept(), name, &path]).expect("python3")
}

#[track_caller]
fn valid(name: &str, text: &str, spoiled: (&str, &str)) {
    let (is_so, said) = is_valid(name, text);
    assert!(is_so, "{name}: {said}\n{text}");
    let bad = text.replacen(spoiled.0, spoiled.1, 1);
    assert_ne!(bad, text, "{name} has no {}", spoiled.0);
    assert!(!is_valid(name, &bad).0, "{name}: the schema takes {}", spoiled.1);
}

fn plan(fixture: &Fixture) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["plan", "--format", "json", "--root"])
        .arg(&fixture.root)
        .output()
        .expect("guestprep");
    String::from_utf8(done.stdout).expect("UTF-8")
}

#[test]
fn real_documents_are_of_the_schema() {
    if !has_python("jsonschema") {
        return println!("left out: there is no jsonschema for /usr/bin/python3");
    }
    let fixture = guest(HOSTILE);
    let waive = "[[checks.fstab-data-disk.waive]]\nowner = \"o\"\nreason = \"r\"\nuntil = 2999-01-01\n\
        subject = \"/etc/fstab:2\"\n[checks.fstab-missing-device]\nwaive = \"why, until 2020-01-01\"\n";
    let path = config(&fixture, waive);
    valid(
        "Report",
        &audit(&fixture, "json", &["--config", &path]).0,
        ("\"verdict\": \"ready\"", "\"verdict\": \"READY\""),
    );
    valid("Report", &audit(&hostile(), "json", &[]).0, ("\"digest\":", "\"digests\":"));
    let text = plan(&guest(b"/dev/vdb1 /data ext4 defaults 0 0\n"));
    valid("Plan", &text, ("\"edit-file\"", "\"edit-files\""));
    valid("Plan", &text, ("\"steps\":", "\"step\": 1, \"steps\":"));
    let readiness = guestprep::daemon::Readiness {
        verdict: guestprep::model::Decision::NotReady,
        since: "2026-11-27T00:14:00Z".to_owned(),
        generation: 1,
        blockers: vec!["fstab-data-disk".to_owned()],
        unknown: Vec::new(),
        drift: Vec::new(),
    };
    let text = serde_json::to_string(&readiness).expect("JSON");
    valid("Readiness", &text, ("\"generation\":1", "\"generation\":\"1\""));
}

#[test]
fn the_configuration_of_the_readme_is_of_the_schema() {
    if !has_python("jsonschema") {
        return println!("left out: there is no jsonschema for /usr/bin/python3");
    }
    let readme = fs::read_to_string("README.md").expect("README.md");
    let (_, section) = readme.split_once("\n## Configuration\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("an end");
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(text.contains("[mounts]") && text.contains("waive"), "{text}");
    guestprep::catalog::Config::parse(Path::new("README.md"), &text).expect("a configuration");
    let table: toml::Value = toml::from_str(&text).expect("TOML");
    let json = serde_json::to_string(&dated(table)).expect("JSON");
    valid("Config", &json, ("\"data-disks\":", "\"data-disk\":"));
}

/// The value with its dates as text, as JSON has them.
fn dated(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(dated).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, dated(value))).collect()
        }
        toml::Value::String(text) => text.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Integer(value) => value.into(),
        toml::Value::Float(value) => value.into(),
    }
}
