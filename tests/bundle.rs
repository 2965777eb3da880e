//! A bundle answers as the guest did that it was collected from.
//!
//! The oracle is the audit of the guest itself: its report and its plan have to be those of the
//! bundle, for every clean distribution and for every fixture of a check, as a tree and as it ran.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::path::{Path, PathBuf};

use common::case::Case;
use common::fixture::{Fixture, fixtures};
use guestprep::catalog::{self, Config, Language};
use guestprep::change::compose;
use guestprep::engine::{self, Selection, Settings};
use guestprep::guest::{Bundle, Guest, Mode, SavedSettings};
use guestprep::model::{Policy, Tool};
use serde_json::{Value, json};

/// The report and the plan of a guest, without what differs from run to run.
fn judged(guest: &Guest) -> String {
    let config = Config::default();
    let settings = Settings {
        profile: catalog::profile("share").expect("a profile"),
        config: &config,
        language: Language::En,
        fail_on: guestprep::model::Severity::Blocker,
        selection: Selection::default(),
    };
    let audit = engine::audit(guest, &settings);
    let plan = match compose(guest, "share", &audit.edits) {
        Ok(plan) => serde_json::to_value(plan).expect("a plan is JSON"),
        Err(error) => json!(error.to_string()),
    };
    let mut value = json!({ "report": audit.report, "plan": plan });
    for field in ["started", "duration_ms"] {
        value["report"][field] = Value::Null;
    }
    for (pointer, was) in [("/report/guest/mode", guest.comes_from()), ("/plan/guest/mode", "")] {
        if let Some(mode) = value.pointer_mut(pointer) {
            assert!(was.is_empty() || *mode == was, "{mode}");
            *mode = Value::Null;
        }
    }
    // A plan's own digest is of its guest's mode too.
    if let Some(digest) = value.pointer_mut("/plan/digest") {
        *digest = Value::Null;
    }
    serde_json::to_string_pretty(&value).expect("a text")
}

/// Collect a bundle of a guest: what it was judged, and the file.
fn collect(guest: Guest) -> (String, Vec<u8>) {
    let recorder = Guest::recorder();
    let mode = guest.mode();
    let guest = guest.recorded_by(&recorder);
    let judged = judged(&guest);
    let tool = Tool { name: "guestprep".to_owned(), version: "1".to_owned() };
    let created = "2026-01-01T00:00:00Z".to_owned();
    let bundle = Bundle::new(&recorder, mode, SavedSettings::default(), created, tool);
    (judged, bundle.write().expect("a bundle"))
}

fn open(bundle: &[u8], policy: Policy) -> Guest {
    Guest::bundle(Bundle::read(bundle).expect("a bundle that can be read"), policy)
}

/// The first lines that differ.
fn differences(a: &str, b: &str) -> Option<String> {
    let diff = similar::TextDiff::from_lines(a, b);
    let text = diff.unified_diff().context_radius(3).to_string();
    (a != b).then(|| text.lines().take(40).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_clean_guest_is_judged_alike() {
    for name in names(&fixtures().join("distros")) {
        let name = name.file_name().expect("a name").to_string_lossy().into_owned();
        let fixture = Fixture::distro_in_memory(&name);
        for mode in [Mode::Live, Mode::Tree] {
            let direct = judged(&fixture.guest(mode, Policy::default()));
            let (noted, bundle) = collect(fixture.guest(mode, Policy::default()));
            assert_eq!(differences(&direct, &noted), None, "{name}: what is noted is as before");
            let again = judged(&open(&bundle, Policy::default()));
            if let Some(differences) = differences(&direct, &again) {
                panic!("{name} {}:\n{differences}", mode.as_str());
            }
        }
    }
}

#[test]
fn every_fixture_is_judged_alike() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for check in names(&fixtures().join("checks")) {
        for folder in names(&check) {
            let path = folder.join("case.toml");
            if !path.is_file() {
                continue;
            }
            let case = Case::read(&path);
            let fixture = case.fixture(&folder);
            let guest = case.guest(&fixture);
            let policy = guest.policy().clone();
            let (direct, bundle) = collect(guest);
            let again = judged(&open(&bundle, policy));
            count += 1;
            if let Some(differences) = differences(&direct, &again) {
                wrong.push(format!("{}:\n{differences}", folder.display()));
            }
        }
    }
    println!("{count} fixtures");
    assert!(count > 300, "{count} fixtures");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.retain(|path| path.is_dir());
    names.sort();
    names
}
