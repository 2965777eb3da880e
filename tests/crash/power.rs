//! The power fails: what was not synced is gone.
//!
//! The guest's filesystem lies in a file, behind a loop device. A command is killed at a call and
//! the file copied: what the kernel had not yet written is not in the copy, since nothing but
//! fsync(2) writes within the few milliseconds (the filesystem commits by itself every ten
//! minutes, and the kernel writes back what is older than half a minute). The copy is mounted in
//! the place of the original, its filesystem's journal is replayed, and the next command has to
//! make the guest whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::PoisonError;
use std::time::Duration;

use crate::common::command::{left_out, run};
use crate::common::live::has_filesystem;
use crate::every::{PREPARE, Point, judge, points, report, trials};
use crate::subject::{CALLS, Fault, States, Subject};
use crate::tree::tree;

/// How many points a sample has.
const SAMPLE: usize = 20;

/// More calls of a name than a command makes.
const NEVER: usize = 10_000;

/// A kind of filesystem.
struct Kind {
    name: &'static str,
    mkfs: &'static [&'static str],
    options: &'static str,
    size: &'static str,
}

const EXT4: Kind = Kind {
    name: "ext4",
    mkfs: &["mkfs.ext4", "-q", "-F", "-m", "0"],
    options: "loop,commit=600",
    size: "32M",
};

/// No smaller one is made by mkfs.xfs(8).
const XFS: Kind =
    Kind { name: "xfs", mkfs: &["mkfs.xfs", "-q", "-f"], options: "loop", size: "300M" };

/// A filesystem in a file, and where it is mounted.
struct Disk {
    kind: &'static Kind,
    work: tempfile::TempDir,
}

impl Disk {
    /// A new one, with a guest on it.
    fn new(kind: &'static Kind) -> Option<Self> {
        let fixture = tree()?;
        // In memory where that can be had: it is copied at every point.
        let work = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let disk = Self { kind, work: work.expect("a temporary directory") };
        fs::create_dir(disk.root()).expect("the root");
        fs::create_dir(disk.work.path().join("state")).expect("the state directory");
        run(&["truncate", "-s", kind.size, shown(&disk.file("found"))]);
        run(&[kind.mkfs, &[shown(&disk.file("found"))]].concat());
        disk.mount("found");
        run(&["cp", "-a", &format!("{}/.", shown(&fixture.root)), shown(&disk.root())]);
        disk.umount();
        Some(disk)
    }

    fn root(&self) -> PathBuf {
        self.work.path().join("root")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn mount(&self, name: &str) {
        let (file, root) = (self.file(name), self.root());
        let Kind { name, options, .. } = self.kind;
        let argv = ["-t", name, "-o", options, shown(&file), shown(&root)];
        // Between finding a free loop device and taking it, another test may take it.
        in_the_end("mount", &argv);
    }

    fn umount(&self) {
        // A process that another test starts has what is open here too, until it has its own program.
        in_the_end("umount", &[shown(&self.root())]);
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.file(from), self.file(to));
        run(&["cp", "--sparse=always", shown(&from), shown(&to)]);
    }

    /// Copy it as it is at one moment: what the kernel had under way may end while it is copied, and
    /// of a disk no earlier part is from before it and a later one from after.
    fn copy_at_rest(&self, from: &str, to: &str) {
        let (one, other) = (self.file(from), self.file(to));
        for _ in 0..50 {
            self.copy(from, to);
            let same = Command::new("cmp").arg("-s").args([&one, &other]).status().expect("cmp");
            if same.success() {
                return;
            }
        }
        panic!("{} does not come to rest", one.display());
    }
}

/// Run a command that another test may be in the way of, for a moment.
fn in_the_end(program: &str, arguments: &[&str]) {
    for last in [false; 50].into_iter().chain([true]) {
        let done = Command::new(program).args(arguments).output().expect(program);
        if done.status.success() {
            return;
        }
        assert!(!last, "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn power_fails(victim: &str, disk: &Disk, state_dir: Option<&Path>) {
    let root = disk.root();
    let subject = Subject::Tree(&root, state_dir);
    let args: &[&str] = if victim == "prepare" { &PREPARE } else { &["rollback", "--yes"] };
    disk.mount("found");
    let states = States::by(&subject, &PREPARE);
    if victim == "rollback" {
        subject.guestprep(&PREPARE).exits(0);
    }
    disk.umount();
    // What the command finds: an own copy for every trial.
    disk.copy("found", "start");
    let runs = state_dir.map(|dir| (dir.join("runs"), disk.work.path().join("runs-at-start")));
    if let Some((runs, start)) = &runs {
        fs::create_dir_all(runs).expect("no runs");
        run(&["cp", "-a", shown(runs), shown(start)]);
    }
    let begin = || {
        disk.copy("start", "disk");
        if let Some((runs, start)) = &runs {
            subject.forget();
            run(&["cp", "-a", shown(start), shown(runs)]);
        }
        disk.mount("disk");
    };
    begin();
    let mut points = points(&subject, args);
    disk.umount();
    // Between two calls that change something the disk stays as it is.
    points.retain(|point| CALLS.contains(&point.call.as_str()));
    let mut trials = trials(&points, &[Fault::Kill], SAMPLE);
    // And when the command has said that it is done.
    trials.push((Point { call: "fsync".to_owned(), number: NEVER }, Fault::Kill));
    let title = format!(
        "the power fails during {victim} on {}, journal {}",
        disk.kind.name,
        if state_dir.is_some() { "apart" } else { "on it" }
    );
    report(&title, points.len(), trials, |point, fault, at| {
        begin();
        let (done, _) = subject.faulty(args, &point.call, fault, point.number);
        disk.copy_at_rest("disk", "left");
        disk.umount();
        disk.mount("left");
        let judged = judge(&subject, &states, victim, &done, at);
        disk.umount();
        judged
    });
}

/// In a mount namespace of its own, which takes the mounts with it however the test ends.
fn on_disk(kind: &'static Kind, test: impl Fn(&Disk) + Send + Sync) {
    if !rustix::process::geteuid().is_root() {
        return left_out("mounting needs root");
    }
    if !has_filesystem(kind.name) {
        return;
    }
    let _alone = crate::DISKS.write().unwrap_or_else(PoisonError::into_inner);
    let ended = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
                return left_out(&format!("no mount namespace: {error}"));
            }
            run(&["mount", "--make-rprivate", "/"]);
            if let Some(disk) = Disk::new(kind) {
                test(&disk);
            }
        });
        thread.join()
    });
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn at_every_change(kind: &'static Kind) {
    for victim in ["prepare", "rollback"] {
        on_disk(kind, |disk| power_fails(victim, disk, None));
        // A journal on another disk, which loses nothing: nothing that it says may be ahead of what
        // the guest's own disk has.
        on_disk(kind, |disk| power_fails(victim, disk, Some(&disk.work.path().join("state"))));
    }
}

#[test]
fn what_is_taken_away_for_good_stays_away() {
    on_disk(&XFS, |disk| {
        let (root, state_dir) = (disk.root(), disk.work.path().join("state"));
        let subject = Subject::Tree(&root, Some(&state_dir));
        let history = root.join("root/.bash_history");
        disk.mount("found");
        fs::create_dir_all(root.join("root")).expect("a directory");
        fs::write(&history, "secret\n").expect("a history");
        disk.umount();
        disk.mount("found");
        let share = ["prepare", "--yes", "--profile", "share", "--check", "shell-history"];
        let done = subject.guestprep(&share);
        assert!(!history.exists(), "{done:?}");
        disk.copy_at_rest("found", "left");
        disk.umount();
        disk.mount("left");
        assert!(!history.exists(), "it is back: {done:?}");
        disk.umount();
    });
}

#[test]
fn on_ext4() {
    at_every_change(&EXT4);
}

#[test]
fn on_xfs() {
    at_every_change(&XFS);
}
