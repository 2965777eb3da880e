//! Phase 2 on a tree full of traps: nothing outside is touched, what fails is named, the rest is done,
//! and what was cut short is finished.
//!
//! Mounts and inode flags need root; without it they are left out, and it is said. A million files:
//! `GUESTPREP_FILES=1000000 cargo test --test erase`.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use guestprep::change::{
    Interrupt, Phase2, Prepared, Recovered, RunKind, Store, compose, execute, recover, roll_back,
};
use guestprep::guest::Guest;
use guestprep::model::{CheckId, Edit, Policy};

/// The checks whose lists the tree has something of.
const CHECKS: [&str; 4] = ["tmp-files", "log-files", "shell-history", "cloud-init-state"];

struct Tree {
    // Removed with all in it when the test ends.
    _dir: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
    state: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let tree = Tree { root: at("root"), outside: at("outside"), state: at("state"), _dir: dir };
        for name in ["etc", "tmp", "var/tmp", "var/log", "var/lib/cloud/data", "root", "srv/deploy"]
        {
            fs::create_dir_all(tree.root.join(name)).expect("a directory");
        }
        fs::create_dir_all(&tree.outside).expect("a directory");
        tree.put(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\ndeploy:x:1000:1000::/srv/deploy:/bin/sh\n",
        );
        tree.put("etc/os-release", "ID=debian\nVERSION_ID=12\n");
        tree
    }

    fn put(&self, path: impl AsRef<Path>, text: &str) {
        fs::write(self.root.join(path), text).expect("a file");
    }

    fn guest(&self) -> Guest {
        Guest::tree(&self.root, Policy::default()).expect("a guest")
    }

    fn store(&self) -> Store {
        Store::create(&self.guest(), Some(&self.state)).expect("a state directory")
    }

    /// Everything that the checks would take away now.
    fn edits(&self) -> Vec<(CheckId, Edit)> {
        let guest = self.guest();
        let left = |id: &&str| guest.leftovers(id).expect("a census").expect("a list").clone();
        CHECKS
            .iter()
            .map(|id| (*id, left(id)))
            .filter(|(_, left)| left.census.files > 0)
            .map(|(id, left)| (CheckId::from(id), Edit::Erase { targets: left.targets }))
            .collect()
    }

    fn prepare(&self) -> Prepared {
        let guest = self.guest();
        let plan = compose(&guest, "share", &self.edits()).expect("a plan");
        assert!(plan.steps.iter().all(|step| !step.reversible && step.phase == 2), "{plan:?}");
        let quiet = &mut |_: &_| {};
        execute(
            &guest,
            &self.store(),
            &plan,
            RunKind::Prepare,
            Phase2::Now,
            &Interrupt::default(),
            quiet,
        )
        .expect("phase 2 does not fail as a whole")
    }

    fn below(&self, path: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut waiting = vec![self.root.join(path)];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let entry = entry.expect("an entry");
                if entry.file_type().expect("a type").is_dir() {
                    waiting.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found
    }
}

fn run(program: &str, arguments: &[&OsStr]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn nothing_outside_is_touched_and_the_rest_is_done() {
    let tree = Tree::new();
    let outside = |name: &str| tree.outside.join(name);
    for name in ["secret.gz", "shared", "shared.log"] {
        fs::write(outside(name), "not ours").expect("a file");
    }
    symlink(&tree.outside, tree.root.join("tmp/absolute")).expect("a link");
    symlink("../../outside", tree.root.join("tmp/relative")).expect("a link");
    symlink("../../../outside", tree.root.join("var/log/evil")).expect("a link");
    symlink("/dev/null", tree.root.join("root/.bash_history")).expect("a link");
    fs::hard_link(outside("shared"), tree.root.join("tmp/hard")).expect("a hard link");
    fs::hard_link(outside("shared.log"), tree.root.join("var/log/hard.log")).expect("a hard link");
    tree.put("var/log/syslog", "a line");
    tree.put("var/log/syslog.2.gz", "rotated");
    tree.put("srv/deploy/.bash_history", "mysql -psecret");
    for name in [&b"two\nlines"[..], b"\xff\xfe", b"*", b"-rf"] {
        tree.put(Path::new("tmp").join(OsStr::from_bytes(name)), "odd");
    }
    assert!(run("mkfifo", &[tree.root.join("tmp/fifo").as_os_str()]));
    let _socket = UnixListener::bind(tree.root.join("tmp/socket")).expect("a socket");
    fs::create_dir_all(tree.root.join("tmp/a/b/c")).expect("directories");
    tree.put("tmp/a/b/c/file", "deep");

    let locked = tree.root.join("tmp/locked");
    fs::write(&locked, "immutable").expect("a file");
    let has_flags = run("chattr", &["+i".as_ref(), locked.as_os_str()]);
    if !has_flags {
        println!("left out: immutable files: chattr is refused here");
        fs::remove_file(&locked).expect("a file");
    }
    let mounted = tree.root.join("tmp/mounted");
    fs::create_dir(&mounted).expect("a directory");
    let has_mounts = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).is_ok()
        && run("mount", &["--make-rprivate".as_ref(), "/".as_ref()])
        && run("mount", &["--bind".as_ref(), tree.outside.as_os_str(), mounted.as_os_str()]);
    if !has_mounts {
        println!("left out: mounts: they need root");
    }

    let done = tree.prepare();
    if has_flags {
        run("chattr", &["-i".as_ref(), locked.as_os_str()]);
    }
    if has_mounts {
        assert!(run("umount", &[mounted.as_os_str()]));
    }
    for name in ["secret.gz", "shared", "shared.log"] {
        assert_eq!(fs::read(outside(name)).expect("a file"), b"not ours", "{name}");
    }
    let left: Vec<PathBuf> = tree.below("tmp");
    let allowed = |path: &PathBuf| *path == locked || *path == mounted;
    assert!(left.iter().all(allowed), "{left:?}");
    assert_eq!(fs::read(tree.root.join("var/log/syslog")).expect("a file"), b"");
    assert!(!tree.root.join("var/log/syslog.2.gz").exists());
    assert!(!tree.root.join("srv/deploy/.bash_history").exists());
    assert!(tree.root.join("root/.bash_history").is_symlink(), "it is switched off");
    let said: Vec<String> = done.failures.iter().map(ToString::to_string).collect();
    let names = |path: &str, why: &str| said.iter().any(|s| s.contains(path) && s.contains(why));
    assert!(names("/var/log/hard.log", "2 names"), "{said:?}");
    assert_eq!(names("/tmp/locked", "immutable"), has_flags, "{said:?}");
    assert_eq!(said.len(), 1 + usize::from(has_flags), "{said:?}");
}

#[test]
fn a_second_run_has_nothing_to_do_and_rollback_says_what_is_lost() {
    let tree = Tree::new();
    tree.put("tmp/file", "text");
    tree.put("var/lib/cloud/data/instance-id", "i-source");
    let done = tree.prepare();
    assert!(done.failures.is_empty());
    assert!(tree.edits().is_empty());
    let mut run = done.run;
    let result = roll_back(&tree.guest(), &mut run).expect("a rollback");
    assert!(result.left.is_empty() && result.lost.len() == 2, "{result:?}");
    assert!(result.lost.iter().any(|lost| lost.contains("/tmp/file")), "{result:?}");
}

#[test]
fn what_was_cut_short_at_any_record_is_finished() {
    let fill = |tree: &Tree| {
        tree.put("tmp/file", "text");
        fs::create_dir_all(tree.root.join("var/lib/cloud/data")).expect("a directory");
        tree.put("var/lib/cloud/data/instance-id", "i-source");
    };
    let tree = Tree::new();
    fill(&tree);
    let id = tree.prepare().run.header.id;
    let journal = tree.state.join("runs").join(id).join("journal");
    let whole = fs::read_to_string(&journal).expect("a journal");
    let records: Vec<&str> = whole.lines().filter(|line| !line.is_empty()).collect();
    // Prepared, then two for each of two steps.
    assert_eq!(records.len(), 5, "{whole}");
    for cut in 1..records.len() {
        fill(&tree);
        fs::write(&journal, records[..cut].join("\n") + "\n{\"record\":\"era").expect("a journal");
        let recovered = recover(&tree.guest(), &tree.store()).expect("a recovery");
        let is_finished = matches!(recovered.as_slice(), [Recovered::Finished { failures, .. }]
            if failures.is_empty());
        assert!(is_finished, "cut after {cut}: {recovered:?}");
        // A step that was noted as done is not done again; the others are.
        let steps_done = (cut - 1) / 2;
        assert_eq!(tree.edits().len(), steps_done, "cut after {cut}");
        assert!(recover(&tree.guest(), &tree.store()).expect("a recovery").is_empty());
    }
}

#[test]
fn memory_is_flat() {
    let files: usize = std::env::var("GUESTPREP_FILES")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(20_000);
    let prepare = |files: usize| {
        let tree = Tree::new();
        for number in 0..files {
            tree.put(format!("tmp/file-with-a-long-name-as-temporary-files-have-{number:08}"), "x");
        }
        let done = tree.prepare();
        assert!(done.failures.is_empty() && tree.below("tmp").is_empty());
        peak()
    };
    // What a few files take is the program itself.
    let before = prepare(10);
    let grown = prepare(files) - before;
    println!("{files} files, {grown} KiB more than ten");
    assert!(grown < 1024, "{grown} KiB");
}
