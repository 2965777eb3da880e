//! os-release and shell variables against the reader of environment.d(5) and sh(1).

use super::{check, run};
use guestprep::parse::key_value::KeyValue;
use guestprep::parse::os_release::OsRelease;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What systemd's reader of environment files makes of a text, by way of the generator of environment.d(5).
fn environment(dir: &Path, text: &str) -> BTreeMap<String, String> {
    fs::create_dir_all(dir.join("environment.d")).unwrap();
    fs::write(dir.join("environment.d/x.conf"), text).unwrap();
    let output = run(Command::new(
        "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator",
    )
    .env("XDG_CONFIG_HOME", dir)
    .env("HOME", dir));
    // The generator quotes what a shell would need quoted, as we read it in KeyValue; but it writes a newline and the
    // like as C escapes, so that the inputs have none in their values.
    let printed = KeyValue::parse(&output.stdout);
    printed
        .assignments()
        .iter()
        .filter(|a| a.key.starts_with(b"GP_"))
        .map(|a| {
            (String::from_utf8(a.key.clone()).unwrap(), String::from_utf8(a.value.clone()).unwrap())
        })
        .collect()
}

#[test]
fn os_release_is_read_as_systemd_reads_environment_files() {
    let dir = tempfile::tempdir().unwrap();
    let piece = prop::sample::select(vec![
        "a", "b c", "\"", "\"", "'", "'", "\\", "\\\\", " ", "#", ";", "=", "\\\"", "\u{e4}",
        "\\\n", "\t", "x",
    ]);
    let start = prop::sample::select(vec![
        "GP_A=",
        "GP_B=",
        " GP_A = ",
        "#GP_C=",
        ";GP_C=",
        "GP_D",
        "#\\\nGP_E=",
    ]);
    let line = (start, prop::collection::vec(piece, 1..7))
        .prop_map(|(start, pieces)| format!("{start}{}\n", pieces.concat()));
    check(prop::collection::vec(line, 1..5), |lines| {
        let text = lines.concat();
        let release = OsRelease::parse(text.as_bytes());
        let mut ours = BTreeMap::new();
        for assignment in release.assignments() {
            let key = String::from_utf8(assignment.key.clone()).unwrap();
            let value = String::from_utf8(assignment.value.clone()).unwrap();
            // The generator drops other names; whether it sets what is empty depends on how it was written.
            if key.starts_with("GP_")
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !value.is_empty()
            {
                ours.insert(key, value);
            }
        }
        prop_assume!(!ours.values().any(|value| value.contains(['\n', '\t'])));
        let mut theirs = environment(dir.path(), &text);
        theirs.retain(|_, value| !value.is_empty());
        prop_assert_eq!(ours, theirs, "{:?}", text);
        Ok(())
    });
}

#[test]
fn shell_variables_are_those_of_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "\"x y\"",
        "'p q'",
        "'\"'",
        "\"'\"",
        "\\ ",
        "\\\\",
        "\\\"",
        "\"\\\"\\\\\\$\\a\"",
        "#",
        "=",
        "\\\n",
        "\"l\nm\"",
        "\u{e4}",
        "-",
    ]);
    let start = prop::sample::select(vec![
        "GP_A=",
        "GP_B=",
        "  GP_A=",
        "export GP_B=",
        "#GP_A=",
        " # GP_B=",
    ]);
    let end =
        prop::sample::select(vec!["\n", "\n", " # c\n", "  \n", "; GP_A=z\n", ";", " GP_B=y\n"]);
    let line = (start, prop::collection::vec(piece, 0..5), end)
        .prop_map(|(start, pieces, end)| format!("{start}{}{end}", pieces.concat()));
    check(prop::collection::vec(line, 1..5), |lines| {
        let text = lines.concat();
        fs::write(&path, &text).unwrap();
        let script = ". \"$1\"; printf '%s\\0%s\\0' \"${GP_A-none}\" \"${GP_B-none}\"";
        let output = run(Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&path)
            .env_remove("GP_A")
            .env_remove("GP_B"));
        prop_assume!(output.status.success() && output.stderr.is_empty());
        let file = KeyValue::parse(text.as_bytes());
        let ours =
            ["GP_A", "GP_B"].map(|key| [file.get(key).unwrap_or(b"none"), b"\0"].concat()).concat();
        prop_assert_eq!(
            ours.escape_ascii().to_string(),
            output.stdout.escape_ascii().to_string(),
            "{:?}",
            text
        );
        Ok(())
    });
}
