//! Reads the `use` lines of src/ and says which module reaches where it may not.
//!
//! The arrows are those of the architecture page in src/lib.rs. Clippy keeps the calls
//! (clippy.toml); this keeps the names.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::collections::BTreeMap;
use std::fs;

use walkdir::WalkDir;

/// What each module may use of ours.
fn arrows() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("model", vec![]),
        ("parse", vec![]),
        ("sys", vec!["model"]),
        ("guest", vec!["model", "parse", "sys"]),
        ("secrets", vec!["model", "parse", "sys", "guest"]),
        ("probe", vec!["model", "parse", "guest", "secrets"]),
        ("catalog", vec!["model", "parse", "guest", "probe"]),
        ("engine", vec!["model", "sys", "guest", "probe", "catalog"]),
        ("change", vec!["model", "parse", "sys", "guest", "engine"]),
        ("firstboot", vec!["model", "parse", "sys", "guest", "change"]),
        ("report", vec!["model"]),
        ("fleet", vec!["model", "report"]),
        ("daemon", vec!["model", "sys", "guest", "catalog", "engine", "change", "report"]),
        (
            "cli",
            vec![
                "model",
                "parse",
                "sys",
                "guest",
                "secrets",
                "probe",
                "catalog",
                "engine",
                "change",
                "report",
                "fleet",
                "firstboot",
                "daemon",
            ],
        ),
    ])
}

/// Names that only one module may say.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("nix::", &["sys"], "system calls are made in sys/ alone"),
    ("rustix::", &["sys"], "system calls are made in sys/ alone"),
    ("minreq::", &["sys"], "the network is asked in sys/ alone"),
    ("sysinfo::", &["sys"], "the machine is asked in sys/ alone"),
    ("netlink_packet_", &["sys"], "the kernel is asked in sys/ alone"),
    ("signal_hook::", &["sys"], "signals are handled in sys/ alone"),
    ("std::fs", &["sys"], "files are opened in sys/ alone"),
    ("std::process::Command", &["sys"], "commands are run in sys/ alone"),
    ("sys::write", &["change"], "change/ alone obtains a writable root"),
    ("tokio::", &["daemon"], "whoever waits for two things at once is the daemon"),
    ("axum::", &["daemon"], "HTTP is the daemon's alone"),
    ("hyper::", &["daemon"], "HTTP is the daemon's alone"),
    ("askama::", &["report"], "pages are made in report/ alone"),
    ("sd_notify::", &["daemon"], "systemd is told by the daemon alone"),
    ("clap::", &["cli"], "what was typed is cli/'s alone"),
    ("clap_complete::", &["cli"], "what can be typed is cli/'s alone"),
    ("clap_mangen::", &["cli"], "what can be typed is cli/'s alone"),
    (
        "std::env::var",
        &["cli", "sys"],
        "the environment is the operator's, and read where typing is",
    ),
];

struct Line {
    module: String,
    place: String,
    text: String,
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in WalkDir::new("src").sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.path().extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let relative = entry.path().strip_prefix("src").unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        if ["main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            lines.push(Line {
                module: module.clone(),
                place: format!("{}:{}", entry.path().display(), number + 1),
                text: code.to_owned(),
            });
        }
    }
    lines
}

/// The modules of ours that a line names as `crate::x` or, in a list, `crate::{x, y}`.
fn named(text: &str) -> Vec<String> {
    text.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split(',').map(|item| item.trim().to_owned()).collect(),
            None => vec![rest.to_owned()],
        })
        .map(|name| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

/// Whether a line says a name, and not a longer one that has it in it (`unix::`, `write_named`).
fn says(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_word)
            && (name.ends_with(':') || !text[at + name.len()..].starts_with(is_word))
    })
}

#[test]
fn no_module_reaches_against_the_arrows() {
    let arrows = arrows();
    let mut broken = Vec::new();
    for line in lines() {
        let allowed = arrows.get(line.module.as_str()).unwrap_or_else(|| {
            panic!("src/{} has no arrows; add it to tests/arrows.rs and src/lib.rs", line.module)
        });
        for name in named(&line.text) {
            if arrows.contains_key(name.as_str())
                && name != line.module
                && !allowed.contains(&name.as_str())
            {
                broken.push(format!("{}: {} may not use {name}", line.place, line.module));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn names_are_said_where_they_may_be() {
    let mut broken = Vec::new();
    for line in lines() {
        for (name, modules, why) in RESERVED {
            let own = line.module == "sys" && *name == "sys::write";
            if says(&line.text, name) && !modules.contains(&line.module.as_str()) && !own {
                broken.push(format!("{}: {name} ({why})", line.place));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_test_sees_what_it_forbids() {
    assert_eq!(named("use crate::{sys, guest::Guest};"), ["sys", "guest"]);
    assert_eq!(named("let x = crate::sys::now();"), ["sys"]);
    assert!(says("use nix::unistd;", "nix::") && !says("use std::os::unix::ffi;", "nix::"));
    assert!(says("sys::write::RootMut", "sys::write") && !says("sys::write_named(", "sys::write"));
}

#[test]
fn main_is_short() {
    let lines = fs::read_to_string("src/main.rs").unwrap().lines().count();
    assert!(lines < 40, "src/main.rs has {lines} lines");
}
