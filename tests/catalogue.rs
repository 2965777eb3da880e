//! The catalogue against itself, its probes and its fixtures: what one place names, the others
//! have.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use common::case::Case;
use common::fixture::fixtures;
use guestprep::catalog::{CHECKS, PEERS, QUESTIONS, Rule, Texts};
use guestprep::model::Category;
use guestprep::probe::PROBES;

/// What no recorded guest can show, and where it is tested instead: check, verdict or key, place.
const ELSEWHERE: [(&str, &str, &str); 16] = [
    // A recorded process holds nothing.
    ("data-disk-mounted", "busy", "tests/live/busy.rs"),
    // How full a filesystem is only statvfs(2) of a real one says.
    ("disk-full", "pass", "tests/mounted_tree.rs"),
    ("disk-full", "fail", "tests/mounted_tree.rs"),
    ("disk-full", "space-low", "tests/mounted_tree.rs"),
    ("disk-full", "space-full", "tests/mounted_tree.rs"),
    ("disk-full", "inodes-low", "tests/mounted_tree.rs"),
    ("disk-full", "inodes-full", "tests/mounted_tree.rs"),
    // A superblock's features are not in udev's database.
    ("filesystem-errors", "error-flag", "tests/mounted_tree.rs"),
    ("filesystem-errors", "journal-not-replayed", "tests/mounted_tree.rs"),
    ("filesystem-errors", "check-due", "tests/mounted_tree.rs"),
    // The kernel mounts none that is in need of it.
    ("filesystem-errors", "needs-repair", "src/probe/filesystem_errors.rs"),
    ("filesystem-features", "ext4-64bit", "tests/mounted_tree.rs"),
    ("filesystem-features", "project-and-quota", "tests/mounted_tree.rs"),
    // Which build of systemd it is only rpm says.
    ("initramfs-stale-systemd", "fail", "tests/initramfs/stale.rs"),
    ("initramfs-stale-systemd", "stale", "tests/initramfs/stale.rs"),
    // As with disk-full.
    ("kdump-half-on", "space-low", "src/probe/kdump_half_on.rs"),
];

/// The cases of a check, by the name of their folder.
fn cases(check: &str) -> BTreeMap<String, Case> {
    let folder = fixtures().join("checks").join(check);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, Case::read(&path.join("case.toml")))
        })
        .collect()
}

fn is_elsewhere(check: &str, what: &str) -> bool {
    ELSEWHERE.iter().any(|(id, key, _)| *id == check && *key == what)
}

#[test]
fn every_native_check_has_a_probe_of_its_name_and_every_probe_a_check() {
    let native = CHECKS.iter().filter(|spec| spec.rule != Rule::Paths);
    let checks: Vec<&str> = native.map(|spec| spec.id).collect();
    let probes: Vec<&str> = PROBES.iter().map(|probe| probe.id).collect();
    let lacks = |of: &[&str], what: &[&'static str]| -> Vec<&str> {
        what.iter().copied().filter(|id| !of.contains(id)).collect()
    };
    let [no_row, no_check] = [lacks(&probes, &checks), lacks(&checks, &probes)];
    assert!(no_row.is_empty(), "no row in PROBES of src/probe/mod.rs: {no_row:?}");
    assert!(no_check.is_empty(), "a row in PROBES and no checks/<id>.toml: {no_check:?}");
    assert!(probes.is_sorted(), "PROBES is sorted by id");
    for spec in CHECKS {
        let Rule::Native(name) = spec.rule else { continue };
        assert_eq!(name, spec.id, "a rule names the probe of its check");
    }
    let files: BTreeSet<String> = source_files("src/probe");
    for id in checks {
        assert!(files.contains(&id.replace('-', "_")), "{id} has no file in src/probe");
    }
}

fn source_files(folder: &str) -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("the sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

#[test]
fn ids_and_keys_are_words_in_lower_case_joined_by_hyphens() {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let is_name = |name: &str| name.split('-').all(is_word) && name.len() <= 40;
    for spec in CHECKS {
        assert!(is_name(spec.id), "{}", spec.id);
        assert!(spec.id.contains('-'), "{} says what is wrong with what: two words", spec.id);
        for finding in spec.findings {
            assert!(is_name(finding.key), "{} {}", spec.id, finding.key);
        }
        for (key, _) in spec.en.not_applicable.iter().chain(spec.zh.not_applicable) {
            assert!(is_name(key), "{} {key}", spec.id);
        }
    }
}

#[test]
fn every_folder_of_fixtures_is_a_check() {
    let folder = fixtures().join("checks");
    for entry in fs::read_dir(folder).expect("the fixtures") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(guestprep::catalog::check(&name).is_some(), "there is no check {name}");
    }
}

#[test]
fn every_check_has_a_case_that_passes_one_that_fails_and_one_for_each_reason() {
    let mut missing = Vec::new();
    for spec in CHECKS {
        let cases = cases(spec.id);
        for verdict in ["pass", "fail"] {
            let has = cases.keys().any(|name| name.starts_with(&format!("{verdict}-")));
            if !has && !is_elsewhere(spec.id, verdict) {
                missing.push(format!("{} has no case that is to {verdict}", spec.id));
            }
        }
        for (key, _) in spec.en.not_applicable {
            let names = |case: &Case| case.reason.as_deref() == Some(*key);
            let has = cases.iter().any(|(name, case)| name.starts_with("na-") && names(case));
            if !has && !is_elsewhere(spec.id, key) {
                missing.push(format!("{} has no case whose reason is {key}", spec.id));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_declared_finding_is_filed_by_a_case() {
    let mut missing = Vec::new();
    for spec in CHECKS {
        let cases = cases(spec.id);
        for finding in spec.findings {
            let files = |case: &Case| case.finding.iter().any(|f| f.key == finding.key);
            if !cases.values().any(files) && !is_elsewhere(spec.id, finding.key) {
                missing.push(format!("{} {}", spec.id, finding.key));
            }
        }
    }
    assert!(missing.is_empty(), "no case files these:\n{}", missing.join("\n"));
}

#[test]
fn what_is_tested_elsewhere_is_tested_there() {
    for (check, what, place) in ELSEWHERE {
        let spec = guestprep::catalog::check(check).expect("a check");
        let is_key = spec.findings.iter().any(|f| f.key == what);
        assert!(is_key || ["pass", "fail"].contains(&what), "{check} {what}: it says nothing so");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(place);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let named = if is_key { what } else { check };
        assert!(text.contains(&format!("\"{named}\"")), "{place} does not name {named}");
    }
}

#[test]
fn both_languages_say_the_same_things() {
    for spec in CHECKS {
        let keys = |texts: &Texts| -> Vec<(String, BTreeSet<String>)> {
            let all = texts.findings.iter().chain(texts.not_applicable);
            all.map(|(key, text)| ((*key).to_owned(), names_in_braces(text))).collect()
        };
        assert_eq!(keys(&spec.en), keys(&spec.zh), "{}: keys and values", spec.id);
        let declared: BTreeSet<&str> = spec.findings.iter().map(|f| f.key).collect();
        let said: BTreeSet<&str> = spec.en.findings.iter().map(|(key, _)| *key).collect();
        assert_eq!(declared, said, "{}", spec.id);
    }
}

fn names_in_braces(text: &str) -> BTreeSet<String> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
}

#[test]
fn why_remedy_and_reasons_are_whole_sentences() {
    let mut wrong = Vec::new();
    for spec in CHECKS {
        for (language, texts, full_stops) in
            [("en", &spec.en, &['.'][..]), ("zh", &spec.zh, &['。'][..])]
        {
            let reasons = texts.not_applicable.iter().map(|(_, text)| *text);
            for text in [texts.why, texts.remedy].into_iter().chain(reasons) {
                let fault = if !text.ends_with(full_stops) {
                    "does not end as a sentence does"
                } else if text.starts_with(|c: char| c.is_ascii_lowercase()) && !is_command(text) {
                    "does not begin as a sentence does"
                } else if text.contains("  ") || text.contains('\n') || text.trim() != text {
                    "has blanks or line ends that nobody wants"
                } else if text.matches('`').count() % 2 == 1 {
                    "opens code and does not close it"
                } else {
                    continue;
                };
                wrong.push(format!("{} [{language}] {fault}: {text}", spec.id));
            }
            for text in texts.findings.iter().map(|(_, text)| *text).chain([texts.title]) {
                if text.ends_with(['.', '。']) || text.trim() != text || text.is_empty() {
                    wrong.push(format!("{} [{language}] a message is a clause: {text}", spec.id));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names that are written small at the beginning of a sentence too.
fn is_command(text: &str) -> bool {
    let ends = |c: char| !c.is_ascii_lowercase() && !".-".contains(c);
    let first = text.split(ends).next().unwrap_or_default();
    ["guestprep", "fstab", "systemd", "cloud-init", "kdump", "swap", "mount", "rc.local"]
        .contains(&first)
}

#[test]
fn a_fix_is_declared_where_a_case_offers_one_and_names_known_actions() {
    const ACTIONS: [&str; 11] = [
        "edit-file",
        "write-file",
        "remove",
        "truncate",
        "drop-account",
        "set-flags",
        "unmount",
        "swap-off",
        "swap-file",
        "unit",
        "run",
    ];
    for spec in CHECKS {
        let Some(fix) = &spec.fix else { continue };
        // What a list of paths names is taken away for good, and nothing else may go for good
        // outside of identity and residue.
        let may_last = matches!(spec.category, Category::Identity | Category::Residue);
        assert!(fix.reversible || may_last, "{}: it could be undone", spec.id);
        assert!(!fix.reversible || spec.rule != Rule::Paths, "{}: it cannot be undone", spec.id);
        for action in fix.actions {
            assert!(ACTIONS.contains(action), "{}: there is no action {action}", spec.id);
        }
    }
}

#[test]
fn every_case_says_what_it_is_in_a_sentence() {
    for spec in CHECKS {
        for (name, case) in cases(spec.id) {
            assert!(case.about.ends_with('.'), "{}/{name}: {}", spec.id, case.about);
        }
    }
}

#[test]
fn the_readme_of_the_checks_is_as_generated() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("checks/README.md");
    let kept = fs::read_to_string(path).expect("checks/README.md");
    let generated = std::process::Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["generate", "catalogue"])
        .output()
        .expect("guestprep");
    assert!(
        kept.as_bytes() == generated.stdout,
        "checks/README.md is old: cargo run -q -- generate catalogue > checks/README.md"
    );
}

#[test]
fn every_command_that_answers_a_question_is_one() {
    for question in QUESTIONS {
        for text in [question.en, question.zh] {
            assert!(text.ends_with(['.', '。']), "{text}: a whole sentence");
        }
        for command in question.commands {
            let words = command.split(' ').chain(["--help"]);
            let done = std::process::Command::new(env!("CARGO_BIN_EXE_guestprep"))
                .args(words)
                .output()
                .expect("guestprep");
            assert!(done.status.success(), "guestprep {command}: {done:?}");
        }
    }
}

#[test]
fn whatever_a_peer_does_is_a_check_or_has_its_reason() {
    for operation in PEERS.iter().flat_map(|peer| peer.operations) {
        for id in operation.checks {
            assert!(guestprep::catalog::check(id).is_some(), "{}: no check {id}", operation.name);
        }
        let is_sentence = operation.note.is_empty() || operation.note.ends_with('.');
        assert!(is_sentence, "{}: {}: a whole sentence", operation.name, operation.note);
        let is_cell = ![operation.name, operation.does, operation.note].concat().contains('|');
        assert!(is_cell, "{}: it would break its table", operation.name);
    }
}

/// virt-sysprep itself says what it does; a newer one may do more than the table knows.
#[test]
fn every_operation_of_the_virt_sysprep_that_is_installed_is_in_its_table() {
    let Ok(told) = std::process::Command::new("virt-sysprep").arg("--list-operations").output()
    else {
        println!("left out: what virt-sysprep says that it does: it is not installed");
        return;
    };
    let told = String::from_utf8(told.stdout).expect("a list");
    let peer = PEERS.iter().find(|peer| peer.name == "virt-sysprep").expect("its table");
    let known: BTreeSet<&str> = peer.operations.iter().map(|operation| operation.name).collect();
    let does: BTreeSet<&str> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(!does.is_empty(), "virt-sysprep lists nothing");
    let unknown: Vec<_> = does.difference(&known).collect();
    assert!(unknown.is_empty(), "not in checks/peers/virt-sysprep.toml: {unknown:?}");
}
