//! Recall and precision on fixtures/secrets: every secret is found, as what it is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use guestprep::secrets::Rules;

use super::command::run;
use super::scan_tree;

#[test]
fn every_secret_is_found_and_no_near_miss() {
    let folder = tempfile::tempdir().unwrap();
    run(&["python3", "fixtures/secrets/expand.py", folder.path().to_str().unwrap()]);
    let table = fs::read_to_string(folder.path().join("expected.tsv")).unwrap();
    let wanted: BTreeMap<&str, &str> =
        table.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let near = fs::read_dir(folder.path().join("near-miss")).unwrap().count();
    assert!(wanted.len() >= 300 && near >= 600, "{} and {near} are too few", wanted.len());

    let scanned = scan_tree(folder.path());
    assert_eq!(scanned.unread, []);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in &scanned.found {
        let path = one.at.path.to_string();
        let folder = path.splitn(4, '/').skip(1).take(2).collect::<Vec<_>>().join("/");
        found.entry(folder).or_default().insert(one.rule.clone());
    }
    let missed: Vec<_> =
        wanted.iter().filter(|(folder, _)| !found.contains_key(**folder)).collect();
    let wrong: Vec<_> = found
        .iter()
        .filter(|(folder, rules)| {
            wanted.get(folder.as_str()).is_none_or(|rule| !rules.iter().eq([rule]))
        })
        .collect();
    assert!(missed.is_empty() && wrong.is_empty(), "missed {missed:#?}\nwrong {wrong:#?}");
    let rules: BTreeSet<&str> = wanted.values().copied().collect();
    assert!(rules.iter().all(|rule| Rules::built_in().unwrap().rule(rule).is_some()));
}
