//! Somebody else at work on the same guest: one wins, the other says why, and nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::command::{Running, until};
use crate::common::state::assert_same;
use crate::every::PREPARE;
use crate::subject::{Fault, States, Subject};
use crate::tree::tree;

/// What a package manager makes of fstab.
const THEIRS: &str = "/dev/vdz9 /theirs ext4 defaults 0 2\n";

/// guestprep under strace, which holds it for two seconds as it makes a call for the first time.
fn held_at(call: &str, args: &[&str], root: &Path, log: &Path) -> Running {
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:delay_enter=2000000:when=1"), "-o"]).arg(log);
    command.arg(env!("CARGO_BIN_EXE_guestprep")).args(args).arg("--root").arg(root);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(&mut command)
}

/// As dpkg(1) and editors do: a new file, renamed over the old one.
fn write_theirs(fstab: &Path) {
    let new = fstab.with_extension("dpkg-new");
    fs::write(&new, THEIRS).expect("a new fstab");
    fs::rename(&new, fstab).expect("its place");
}

/// Wait until the call is entered: strace writes its name before it holds the process.
fn until_held(log: &Path) {
    until("it is held", || fs::metadata(log).is_ok_and(|log| log.len() > 0));
    std::thread::sleep(Duration::from_millis(200));
}

#[test]
fn what_a_package_manager_writes_in_the_last_moment_of_prepare_stays() {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let log = fixture.root.with_file_name("strace");
    let fstab = fixture.root.join("etc/fstab");
    let prepare = held_at("renameat2", &PREPARE, &fixture.root, &log);
    until_held(&log);
    write_theirs(&fstab);
    prepare.wait().exits(4).says("somebody else changed it meanwhile");
    assert_eq!(fs::read_to_string(&fstab).expect("fstab"), THEIRS);
    subject.assert_no_temporary("prepare");
    subject.guestprep(&["rollback", "--yes"]);
    assert_eq!(fs::read_to_string(&fstab).expect("fstab"), THEIRS);
}

#[test]
fn what_a_package_manager_writes_in_the_last_moment_of_rollback_stays() {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let log = fixture.root.with_file_name("strace");
    let fstab = fixture.root.join("etc/fstab");
    subject.guestprep(&PREPARE).exits(0);
    let rollback = held_at("renameat2", &["rollback", "--yes"], &fixture.root, &log);
    until_held(&log);
    write_theirs(&fstab);
    rollback.wait().exits(5).says("somebody else changed it meanwhile");
    assert_eq!(fs::read_to_string(&fstab).expect("fstab"), THEIRS);
    subject.assert_no_temporary("rollback");
}

#[test]
fn what_was_taken_out_when_the_run_was_killed_goes_back() {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let etc = fixture.root.join("etc");
    let out = || -> Option<PathBuf> {
        let names = fs::read_dir(&etc).expect("/etc").map(|entry| entry.expect("a name").path());
        names.into_iter().find(|path| path.extension().is_some_and(|end| end == "out"))
    };
    // Killed as it is to remove what came out.
    let taken = (1..50).find_map(|n| {
        subject.faulty(&PREPARE, "unlinkat", Fault::Kill, n);
        let found = out();
        if found.is_none() {
            subject.guestprep(&["rollback", "--yes"]);
        }
        found
    });
    fs::write(taken.expect("it is killed there once"), THEIRS).expect("what came out");
    subject.guestprep(&["runs"]);
    assert_eq!(fs::read_to_string(etc.join("fstab")).expect("fstab"), THEIRS);
    subject.assert_no_temporary("killed");
}

#[test]
fn of_two_commands_one_wins_and_the_other_says_why() {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let states = States::by(&subject, &PREPARE);
    let log = fixture.root.with_file_name("strace");
    for (first, second) in [
        (&PREPARE[..], &PREPARE[..]),
        (&PREPARE, &["rollback", "--yes"]),
        (&["rollback", "--yes"], &PREPARE),
        (&["rollback", "--yes"], &["rollback", "--yes"]),
    ] {
        if first[0] == "rollback" {
            subject.guestprep(&PREPARE).exits(0);
        }
        let _ = fs::remove_file(&log);
        let running = held_at("renameat2", first, &fixture.root, &log);
        until_held(&log);
        subject.guestprep(second).exits(75).says("another guestprep run holds it");
        running.wait().exits(0);
        subject.guestprep(&["rollback", "--yes"]);
        assert_same(&states.before, &subject.state(), &format!("{first:?}, {second:?}"));
        subject.forget();
    }
}
