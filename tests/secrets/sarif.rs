//! SARIF by its public schema.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::command::left_out;
use super::{guestprep, token};

/// The crate that ships the schema of OASIS; of it nothing else is used.
const SHIPS_IT: (&str, &str) = ("serde-sarif", "=0.8.0");

const VALIDATE: &str = "
import json, sys
import jsonschema
schema, *documents = (json.load(open(path, encoding='utf-8')) for path in sys.argv[1:])
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
for document in documents:
    for error in validator(schema).iter_errors(document):
        sys.exit(f'{list(error.absolute_path)}: {error.message}')
";

/// Where the schema lies, which cargo fetches with its crate.
fn schema() -> Option<PathBuf> {
    let folder = tempfile::tempdir().unwrap();
    let (name, version) = SHIPS_IT;
    let manifest = format!(
        "[package]\nname = 'schema'\nversion = '0.0.0'\n[lib]\npath = 'lib.rs'\n\
         [dependencies]\n{name} = {{ version = '{version}', default-features = false }}\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.path().join("lib.rs"), "").unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(folder.path().join("Cargo.toml"))
        .output()
        .ok()?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let package = told["packages"].as_array()?.iter().find(|package| package["name"] == name)?;
    let path = PathBuf::from(package["manifest_path"].as_str()?).with_file_name("src/schema.json");
    path.exists().then_some(path)
}

/// A Python that has jsonschema: Debian's, where another one comes first.
fn python() -> Option<&'static str> {
    ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let tried = Command::new(python).args(["-c", "import jsonschema"]).output();
        tried.is_ok_and(|output| output.status.success())
    })
}

#[test]
fn the_public_schema_takes_it() {
    let Some(schema) = schema() else {
        left_out("SARIF by its schema: cargo cannot fetch the crate that ships it");
        return;
    };
    let Some(python) = python() else {
        left_out("SARIF by its schema: there is no python3-jsonschema");
        return;
    };
    // Something of each: found, found in a member, waived, unread; and nothing at all.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("a b")).unwrap();
    fs::write(root.join("a b/umläut"), format!("a\n {}\n", token(1))).unwrap();
    fs::write(root.join("large"), vec![b'x'; 3 << 20]).unwrap();
    fs::write(root.join("in.tar"), "").unwrap();
    super::command::run(&[
        "sh",
        "-euc",
        &format!("cd '{}' && tar -cf in.tar 'a b' && mkdir ../none", root.display()),
    ]);
    let document = |name: &str, root: &std::path::Path, code: i32| {
        let path = folder.path().join(name);
        let limit = ["--max-file-size", "1MiB", "--format", "sarif"];
        let mut arguments = vec!["scan", "--root", root.to_str().unwrap()];
        arguments.extend(limit);
        arguments.extend(["-o", path.to_str().unwrap()]);
        guestprep(&arguments).exits(code);
        path
    };
    let whole = document("whole", &root, 1);
    let empty = document("empty", &folder.path().join("none"), 0);
    let text = fs::read_to_string(&whole).unwrap();
    assert!(text.contains("a%20b/uml") && text.contains("has more than"), "{text}");
    let valid = |documents: &[&PathBuf]| {
        let mut command = Command::new(python);
        command.args(["-c", VALIDATE]).arg(&schema).args(documents).output().unwrap()
    };
    let judged = valid(&[&whole, &empty]);
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));

    // The judge is one that can say no.
    let broken = folder.path().join("broken");
    fs::write(&broken, text.replace("\"startLine\": 2", "\"startLine\": 0")).unwrap();
    assert!(!valid(&[&broken]).status.success());
}
