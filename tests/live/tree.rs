//! `--root`: the trees of all distributions, with a data disk added.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::command::left_out;
use crate::common::fixture::{Fixture, fixtures};
use crate::common::state;

fn guestprep(root: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(args)
        .arg("--root")
        .arg(root)
        .env("LC_ALL", "C")
        .output()
        .expect("guestprep");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn every_distribution_is_prepared_and_put_back() {
    if !rustix::process::geteuid().is_root() {
        return left_out("changing a tree needs root");
    }
    let mut trees = 0;
    for entry in fs::read_dir(fixtures().join("distros")).expect("the distributions") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let fixture = Fixture::distro(&name);
        let root = &fixture.root;
        fs::create_dir_all(root.join("var/lib/guestprep")).expect("the state directory");
        let fstab = root.join("etc/fstab");
        let original = fs::read_to_string(&fstab).expect("fstab");
        let added = "/dev/vdz1 /data ext4 defaults 0 2";
        // Without a last newline, as people leave it.
        fs::write(&fstab, format!("{original}{added}")).expect("fstab");
        let before = state::tree(root);

        let (code, said) = guestprep(root, &["audit", "--verbose"]);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains("stops boot") && said.contains(added), "{name}: {said}");
        let (code, said) = guestprep(root, &["prepare", "--yes"]);
        assert_eq!(code, 0, "{name}: {said}");
        let edited = fs::read_to_string(&fstab).expect("fstab");
        assert_eq!(edited, format!("{original}#guestprep[fstab-data-disk] {added}"), "{name}");
        let (code, said) = guestprep(root, &["rollback", "--yes"]);
        assert_eq!(code, 0, "{name}: {said}");
        state::assert_same(&before, &state::tree(root), &name);
        trees += 1;
    }
    assert_eq!(trees, 12);
}
