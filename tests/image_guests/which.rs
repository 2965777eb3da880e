//! What is undone and removed is what a run made, whatever it or its record is called.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::command::Done;
use crate::host::has;
use crate::killed::Victim;
use crate::program::guestprep;

const PREPARE: [&str; 4] = ["prepare", "--in-place", "--yes", "--quiet"];
const ROLLBACK: [&str; 2] = ["rollback", "--yes"];

fn victim() -> Option<Victim> {
    has(&["mke2fs", "setfattr"]).then(Victim::new)
}

fn at(args: &[&str], disk: &Path) -> Done {
    guestprep(args, disk)
}

#[test]
fn an_image_that_was_prepared_by_another_name_is_rolled_back() {
    let Some(victim) = victim() else { return };
    let folder = victim.directory.path();
    symlink(".", folder.join("alias")).expect("a link");
    at(&PREPARE, &folder.join("alias/disk.raw")).exits(0);
    at(&ROLLBACK, &victim.disk).exits(0).says("steps undone");
    victim.assert_as_before("by the other name");
}

#[test]
fn an_image_that_was_given_another_name_is_rolled_back() {
    let Some(victim) = victim() else { return };
    let folder = victim.directory.path();
    at(&PREPARE, &victim.disk).exits(0);
    let moved = folder.join("moved.raw");
    fs::rename(&victim.disk, &moved).expect("a new name");
    let state = folder.join("disk.raw.guestprep");
    fs::rename(&state, folder.join("moved.raw.guestprep")).expect("a new name");
    // Somebody else's, which has the name now.
    fs::write(&victim.disk, "another").expect("a file");
    at(&ROLLBACK, &moved).exits(0).says("steps undone");
    assert_eq!(fs::read(&victim.disk).expect("a file"), b"another");
    fs::rename(&moved, &victim.disk).expect("the old name");
    victim.assert_as_before("by the new name");
}

#[test]
fn a_state_directory_of_several_images() {
    let Some(victim) = victim() else { return };
    let folder = victim.directory.path();
    let state = folder.join("state");
    let named = ["--state-dir", state.to_str().expect("UTF-8")];
    at(&[&PREPARE[..], &named].concat(), &victim.disk).exits(0);
    let other = folder.join("other.raw");
    fs::copy(&victim.disk, &other).expect("a copy");
    let disk = victim.disk.to_str().expect("UTF-8");
    at(&[&ROLLBACK[..], &named].concat(), &other).exits(2).says("another image").says(disk);
    assert!(victim.disk.exists() && other.exists());
    at(&[&ROLLBACK[..], &named].concat(), &victim.disk).exits(0);
    victim.assert_as_before("by its own name");
}

#[test]
fn a_record_names_no_file_to_remove() {
    let Some(victim) = victim() else { return };
    let folder = victim.directory.path();
    let precious = folder.join("precious");
    let rewrite = |from: &Path| {
        let runs = folder.join("disk.raw.guestprep/runs");
        let run = fs::read_dir(runs).expect("runs").next().expect("a run").expect("a run").path();
        let text = fs::read_to_string(run.join("run.json")).expect("a record");
        let from = from.to_str().expect("UTF-8");
        assert!(text.contains(from), "{text}");
        fs::write(run.join("run.json"), text.replace(from, precious.to_str().expect("UTF-8")))
            .expect("a record");
    };
    // Of a run in place, and of one on a copy, whose file it is in the end.
    at(&PREPARE, &victim.disk).exits(0);
    fs::write(&precious, "of the machine").expect("a file");
    rewrite(&victim.disk);
    at(&ROLLBACK, &victim.disk).exits(0).says("steps undone");
    assert_eq!(fs::read(&precious).expect("a file"), b"of the machine");
    victim.assert_as_before("whatever the record says");

    fs::remove_dir_all(folder.join("disk.raw.guestprep")).expect("removed");
    fs::remove_file(&precious).expect("removed");
    at(&["prepare", "--yes", "--quiet"], &victim.disk).exits(0);
    let copy = folder.join("disk.prepared.raw");
    fs::rename(&copy, &precious).expect("a new name");
    rewrite(&copy);
    at(&ROLLBACK, &victim.disk).exits(0).says("is left, and yours to remove");
    assert!(precious.exists());
}

#[test]
fn another_file_that_has_the_name_of_the_copy_is_left() {
    let Some(victim) = victim() else { return };
    let folder = victim.directory.path();
    at(&["prepare", "--yes", "--quiet"], &victim.disk).exits(0);
    let copy = folder.join("disk.prepared.raw");
    fs::rename(&copy, folder.join("kept.raw")).expect("a new name");
    fs::write(&copy, "another").expect("a file");
    at(&ROLLBACK, &victim.disk).exits(4).says("another file than the one that was made");
    assert_eq!(fs::read(&copy).expect("a file"), b"another");
    fs::remove_file(&copy).expect("removed");
    at(&ROLLBACK, &victim.disk).exits(0).says("is rolled back");
}
