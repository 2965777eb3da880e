//! Every rule of the content scan, tried with the examples in its own file.

use std::fs;
use std::path::PathBuf;

use guestprep::secrets::Rules;
use guestprep::secrets::schema::{RuleFile, RulesFile};

use super::scan_tree;

fn files() -> Vec<(PathBuf, RulesFile)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir("checks/secrets").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let file = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, file)
        })
        .collect()
}

fn all() -> Vec<RuleFile> {
    files().into_iter().flat_map(|(_, file)| file.rule).collect()
}

/// The examples of all rules, each in a file of its own, in one scan: a second rule that takes an
/// example for its own is seen too.
#[test]
fn examples_are_judged_as_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = Vec::new();
    for rule in all() {
        let name = rule.example_path.clone().unwrap_or_else(|| "/srv/example".to_owned());
        for (kind, texts) in [("positive", &rule.positive), ("negative", &rule.negative)] {
            for (number, text) in texts.iter().enumerate() {
                let path = format!("/{}/{kind}-{number}{name}", rule.id);
                let file = folder.path().join(&path[1..]);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, text.replace('¦', "")).unwrap();
                if kind == "positive" {
                    wanted.push((path, rule.id.clone()));
                }
            }
        }
    }
    wanted.sort();
    let scanned = scan_tree(folder.path());
    assert_eq!(scanned.unread, []);
    let got: Vec<(String, String)> =
        scanned.found.iter().map(|f| (f.at.path.to_string(), f.rule.clone())).collect();
    let missed: Vec<_> = wanted.iter().filter(|row| !got.contains(row)).collect();
    let wrong: Vec<_> = got.iter().filter(|row| !wanted.contains(row)).collect();
    assert!(missed.is_empty() && wrong.is_empty(), "missed {missed:#?}\nwrong {wrong:#?}");
}

#[test]
fn a_rule_says_what_it_is() {
    let mut ids = Vec::new();
    for (path, file) in files() {
        for rule in file.rule {
            let place = format!("{}: {}", path.display(), rule.id);
            assert!(!rule.en.is_empty() && !rule.zh.is_empty() && rule.en != rule.zh, "{place}");
            assert!(
                rule.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit())
            );
            assert_eq!(rule.paths.is_empty(), rule.example_path.is_none(), "{place}");
            ids.push(rule.id);
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "a name is taken twice");
    let rules = Rules::built_in().unwrap();
    assert_eq!(rules.rules().len(), count);
}
