//! What is no secret, by where it lies: the allow-list is as narrow as it says.

use std::fs;

use super::scan_tree;

const SETTING: &str = "password: \"mZ8koVxp2NR!\"\n";

/// Published with a package, and of its author: and the same of somebody else, one name away.
const PLACES: [(&str, bool); 14] = [
    ("usr/lib/python3/dist-packages/pkg/tests/config.yml", true),
    ("srv/app/venv/lib/python3.11/site-packages/pkg/examples/config.yml", true),
    ("srv/app/node_modules/pkg/docs/config.yml", true),
    ("srv/app/node_modules/pkg/__tests__/deep/config.yml", true),
    ("usr/lib/python3/dist-packages/ansible_collections/a/b/playbooks/config.yml", true),
    ("usr/lib/python3/dist-packages/ansible_collections/a/b/roles/r/defaults/config.yml", true),
    ("usr/share/doc/pkg/config.yml", true),
    ("usr/lib/python3/dist-packages/pkg/config.yml", false),
    ("srv/app/venv/lib/python3.11/site-packages/pkg/settings/config.yml", false),
    ("srv/app/node_modules/pkg/config.yml", false),
    ("srv/app/tests/config.yml", false),
    ("home/user/.ansible/collections/ansible_collections/a/b/playbooks/config.yml", false),
    ("usr/lib/python3/dist-packages/ansible_collections/a/b/config.yml", false),
    ("usr/share/pkg/config.yml", false),
];

#[test]
fn what_lies_beside_an_example_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for (place, _) in PLACES {
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, SETTING).unwrap();
    }
    let scanned = scan_tree(folder.path());
    let mut found: Vec<String> =
        scanned.found.iter().map(|found| found.at.path.to_string()[1..].to_owned()).collect();
    let mut wanted: Vec<&str> =
        PLACES.iter().filter(|(_, allowed)| !allowed).map(|(place, _)| *place).collect();
    found.sort();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

/// A key is a key in a test suite too: only what can be read as an example is taken for one.
#[test]
fn no_place_hides_a_token() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (place, _)) in PLACES.iter().enumerate() {
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, super::token(number)).unwrap();
    }
    assert_eq!(scan_tree(folder.path()).found.len(), PLACES.len());
}
