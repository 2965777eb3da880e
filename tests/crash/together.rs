//! Somebody else at work on the same guest: one wins, the other says why, and nothing is lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use guestprep::sys::write::MAX_FILE;

use crate::common::state::assert_same;
use crate::every::PREPARE;
use crate::subject::{Fault, States, Subject, until_held};
use crate::tree::tree;

/// What a package manager makes of fstab.
const THEIRS: &str = "/dev/vdz9 /theirs ext4 defaults 0 2\n";

/// What somebody puts in the place of fstab.
#[derive(Clone, Copy, Debug)]
enum Theirs {
    /// A file, as dpkg(1) and editors do.
    File,
    /// A link, as managers of resolv.conf do.
    Link,
    /// A file that is larger than any that is edited.
    Large,
}

impl Theirs {
    const ALL: [Self; 3] = [Self::File, Self::Link, Self::Large];

    fn make(self, path: &Path) {
        match self {
            Self::File => fs::write(path, THEIRS).expect("a new fstab"),
            Self::Link => symlink("/run/fstab", path).expect("a link"),
            Self::Large => {
                let file = fs::File::create(path).expect("a new fstab");
                file.set_len(MAX_FILE + 1).expect("its size");
            }
        }
    }

    /// A new one, renamed over the old fstab.
    fn replace(self, fstab: &Path) {
        let new = fstab.with_extension("dpkg-new");
        self.make(&new);
        fs::rename(&new, fstab).expect("its place");
    }

    #[track_caller]
    fn assert_is(self, path: &Path) {
        let about = fs::symlink_metadata(path).expect("it is there");
        match self {
            Self::File => assert_eq!(fs::read_to_string(path).expect("fstab"), THEIRS),
            Self::Link => assert_eq!(fs::read_link(path).expect("a link"), Path::new("/run/fstab")),
            Self::Large => assert_eq!(about.len(), MAX_FILE + 1),
        }
    }
}

#[test]
fn what_a_package_manager_writes_in_the_last_moment_of_prepare_stays() {
    for theirs in Theirs::ALL {
        let Some(fixture) = tree() else { return };
        let subject = Subject::Tree(&fixture.root, None);
        let log = fixture.root.with_file_name("strace");
        let fstab = fixture.root.join("etc/fstab");
        let prepare = subject.held(&PREPARE, "renameat2", 1, &log);
        until_held(&log, "renameat2", 1);
        theirs.replace(&fstab);
        prepare.wait().exits(4).says("somebody else changed it meanwhile");
        theirs.assert_is(&fstab);
        subject.assert_no_temporary("prepare");
        subject.guestprep(&["rollback", "--yes"]);
        theirs.assert_is(&fstab);
    }
}

#[test]
fn what_a_package_manager_writes_in_the_last_moment_of_rollback_stays() {
    for theirs in Theirs::ALL {
        let Some(fixture) = tree() else { return };
        let subject = Subject::Tree(&fixture.root, None);
        let log = fixture.root.with_file_name("strace");
        let fstab = fixture.root.join("etc/fstab");
        subject.guestprep(&PREPARE).exits(0);
        let rollback = subject.held(&["rollback", "--yes"], "renameat2", 1, &log);
        until_held(&log, "renameat2", 1);
        theirs.replace(&fstab);
        rollback.wait().exits(5).says("somebody else changed it meanwhile");
        theirs.assert_is(&fstab);
        subject.assert_no_temporary("rollback");
    }
}

#[test]
fn what_was_taken_out_when_the_run_was_killed_goes_back() {
    for theirs in Theirs::ALL {
        let Some(fixture) = tree() else { return };
        goes_back(&fixture.root, theirs);
    }
}

fn goes_back(root: &Path, theirs: Theirs) {
    let subject = Subject::Tree(root, None);
    let etc = root.join("etc");
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
    let taken = taken.expect("it is killed there once");
    fs::remove_file(&taken).expect("what came out");
    theirs.make(&taken);
    subject.guestprep(&["runs"]).says("is left as it is; the original is kept as");
    theirs.assert_is(&etc.join("fstab"));
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
        let running = subject.held(first, "renameat2", 1, &log);
        until_held(&log, "renameat2", 1);
        subject.guestprep(second).exits(75).says("another guestprep run holds it");
        running.wait().exits(0);
        subject.guestprep(&["rollback", "--yes"]);
        assert_same(&states.before, &subject.state(), &format!("{first:?}, {second:?}"));
        subject.forget();
    }
}
