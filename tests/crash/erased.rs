//! Killed or refused while it takes away for good: nothing is undone then, and all of it is finished.

use std::fs;
use std::path::PathBuf;

use crate::common::fixture::Fixture;
use crate::subject::{Fault, Subject};
use crate::tree::may_be_tried;

/// The calls by which it takes away, and those by which it notes that.
const CALLS: [&str; 6] = ["unlinkat", "ftruncate", "write", "fsync", "renameat", "mkdirat"];

const PREPARE: [&str; 6] =
    ["prepare", "--yes", "--check", "tmp-files", "log-files", "shell-history"];

/// A file for each way of taking away: a directory with all in it, files by name, one that is emptied.
const FILES: [&str; 7] = [
    "tmp/a/b/file",
    "tmp/a/other",
    "tmp/file",
    "var/tmp/file",
    "var/log/syslog",
    "var/log/syslog.1",
    "root/.bash_history",
];

/// More calls than the command makes.
const MOST: usize = 500;

struct Used {
    fixture: Fixture,
}

impl Used {
    fn new() -> Option<Self> {
        if !may_be_tried() {
            return None;
        }
        Some(Self { fixture: Fixture::distro("debian-12") })
    }

    fn subject(&self) -> Subject<'_> {
        Subject::Tree(&self.fixture.root, None)
    }

    /// Use the guest again, and forget what was done before.
    fn fill(&self) {
        for path in FILES.map(|path| self.fixture.root.join(path)) {
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, "canary").expect("a file");
        }
        self.subject().forget();
    }

    /// What is there of it.
    fn left(&self) -> Vec<PathBuf> {
        let paths = FILES.map(|path| self.fixture.root.join(path));
        let has_content = |path: &PathBuf| fs::read(path).is_ok_and(|text| !text.is_empty());
        paths.into_iter().filter(has_content).collect()
    }

    fn is_finished_by_another(&self, at: &str) {
        let again = self.subject().guestprep(&PREPARE);
        assert_eq!(again.code, 0, "{at}: {again:?}");
        assert!(self.left().is_empty(), "{at}: {:?} are left", self.left());
        self.subject().assert_no_temporary(at);
    }
}

#[test]
fn taking_away_killed_at_any_call() {
    let Some(used) = Used::new() else { return };
    let (mut times, mut within) = (0, 0);
    for call in CALLS {
        for n in 1.. {
            assert!(n < MOST, "it makes more than {MOST} calls of {call}");
            used.fill();
            let (done, was_killed) = used.subject().faulty(&PREPARE, call, Fault::Kill, n);
            let at = format!("killed at {call} {n}");
            assert_eq!(done.code, if was_killed { 137 } else { 0 }, "{at}: {done:?}");
            within += usize::from((1..FILES.len()).contains(&used.left().len()));

            // The next command, whichever it is, finishes what was begun, or nothing was.
            let answer = used.subject().guestprep(&["runs"]);
            assert_eq!(answer.code, 0, "{at}: {answer:?}");
            let left = used.left();
            assert!(left.is_empty() || left.len() == FILES.len(), "{at}: {left:?} are left");
            used.is_finished_by_another(&at);
            if !was_killed {
                break;
            }
            times += 1;
        }
    }
    println!("killed {times} times, {within} of them between the first file and the last");
    assert!(times > 40 && within > 5, "strace did not see the calls");
}

#[test]
fn taking_away_refused_at_any_call() {
    let Some(used) = Used::new() else { return };
    let faults = [Fault::Once("ENOSPC"), Fault::Once("EIO"), Fault::Always("EIO")];
    let mut times = 0;
    for call in CALLS {
        for n in 1.. {
            assert!(n < MOST, "it makes more than {MOST} calls of {call}");
            used.fill();
            let fault = faults[n % faults.len()];
            let (done, was_refused) = used.subject().faulty(&PREPARE, call, fault, n);
            let at = format!("{fault:?} at {call} {n}");
            // What is said to be done is: all of it, or what is left is told.
            let is_told = done.code != 0 || used.left().is_empty();
            assert!(is_told, "{at}: {:?} are left: {done:?}", used.left());
            used.is_finished_by_another(&at);
            if !was_refused {
                assert_eq!(done.code, 0, "{at}: {done:?}");
                break;
            }
            times += 1;
        }
    }
    println!("refused {times} times");
    assert!(times > 40, "strace did not see the calls");
}
