//! guestprep killed while it works on an image: nothing is left on this machine, and the next
//! command finishes or undoes what was begun.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::command::Done;
use crate::common::fixture::Fixture;
use crate::host::{directory_in_memory, has};
use crate::program::{assert_nothing_left, fingerprint, guestprep, wrapped};
use crate::shell::sh;

/// Everything that a rollback has to give back of the tree on a disk, a line each.
const DIGEST: &str = r#"
mkdir -p on; mount -o ro,loop "$disk" on; cd on
find . -printf '%p %y %m %U:%G %T@ %l ' \( -type d -printf '\n' -o -printf '%n %s\n' \) | sort
find . -type f -print0 | sort -z | xargs -0 sha256sum
getfattr -R -h -d -m - . 2>/dev/null
lsattr -R . 2>/dev/null | sort
"#;

/// The calls at which guestprep is killed, each when it enters it for the Nth time.
const CALLS: [&str; 7] = [
    "fsync",
    "renameat,renameat2,linkat",
    "ioctl",
    "mount",
    "umount2",
    "openat2",
    "clone,clone3,fork,vfork",
];

/// Which of the calls of a kind: more of them where one call is like the next.
const TIMES: [usize; 8] = [1, 2, 3, 6, 11, 20, 40, 80];

/// An image, and what it was.
pub struct Victim {
    /// Where it lies.
    pub directory: TempDir,
    /// Its path.
    pub disk: PathBuf,
    before: String,
}

impl Victim {
    /// An image with what `prepare` changes: lines of fstab and crypttab, a unit, a file to go.
    pub fn new() -> Self {
        let directory = directory_in_memory();
        let root = directory.path().join("root");
        let fixture = Fixture::distro_in_memory("debian-12");
        crate::common::fixture::copy_tree(&fixture.root, &root);
        let disk = directory.path().join("disk.raw");
        let script = r"new 24
            echo '/dev/vdz1 /data ext4 defaults 0 2' >>root/etc/fstab
            echo 'data /dev/vdz3 none luks' >>root/etc/crypttab
            setfattr -n user.note -v kept root/etc/fstab; chmod 640 root/etc/fstab
            mkdir -p root/etc/systemd/system/multi-user.target.wants
            printf '[Mount]\nWhat=/dev/vdz2\nWhere=/srv\n[Install]\nWantedBy=multi-user.target\n' \
                >root/etc/systemd/system/srv.mount
            ln -s ../srv.mount root/etc/systemd/system/multi-user.target.wants/srv.mount
            echo 'by hand' >root/etc/cloud/cloud-init.disabled
            uuid=$(sed -n 's/^UUID=\([^ ]*\) .*/\1/p' root/etc/fstab | head -1)
            ext4 0 24 root -U $uuid; rm -r root";
        sh(directory.path(), &disk, script);
        let before = sh(directory.path(), &disk, DIGEST);
        assert!(before.contains("user.note=") && before.lines().count() > 300, "{before}");
        Self { directory, disk, before }
    }

    /// The tree on the disk is the one from before.
    #[track_caller]
    pub fn assert_as_before(&self, at: &str) {
        let now = sh(self.directory.path(), &self.disk, DIGEST);
        let changed = similar::TextDiff::from_lines(&self.before, &now);
        assert!(now == self.before, "{at}:\n{}", changed.unified_diff().context_radius(0));
    }

    /// What lies beside the image, but for the directory that the disk is mounted on.
    fn beside(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).expect("the directory");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("an entry").file_name().into_string().expect("UTF-8")
        };
        let mut names: Vec<String> =
            entries.map(name).filter(|name| name != "on" && name != "strace.log").collect();
        names.sort();
        names
    }

    /// Kill guestprep, not what it starts, at the Nth call; and whether there were so many.
    fn killed(&self, args: &[&str], call: &str, n: usize) -> (Done, bool) {
        self.under_strace(&[], args, call, n)
    }

    fn under_strace(&self, more: &[&str], args: &[&str], call: &str, n: usize) -> (Done, bool) {
        let log = self.directory.path().join("strace.log");
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=SIGKILL:when={n}");
        let own = ["-qq", "-e", &trace, "-e", &inject, "-o", log.to_str().expect("UTF-8")];
        let done = wrapped(&[&["strace"], more, &own].concat(), args, &self.disk);
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        (done, text.contains("killed by SIGKILL"))
    }

    /// A series of kills of one command, each followed by what has to hold.
    fn series(&self, args: &[&str], first: &dyn Fn(), then: &dyn Fn(&str, bool)) {
        let mut times = 0;
        for call in CALLS {
            for n in TIMES {
                first();
                let (done, was_killed) = self.killed(args, call, n);
                let at = format!("{args:?} killed at {call} {n}");
                let expected = [137].iter().chain(&[0, 1, 3]).skip(usize::from(!was_killed));
                assert!(expected.clone().any(|code| *code == done.code), "{at}: {done:?}");
                assert_nothing_left(self.directory.path(), &at);
                then(&at, was_killed);
                if !was_killed {
                    break;
                }
                times += 1;
            }
        }
        println!("{args:?}: killed {times} times");
        assert!(times > 10, "{args:?} was killed {times} times: strace did not see the calls");
    }
}

#[test]
fn audit_killed_leaves_nothing() {
    if !has(&["mke2fs", "strace", "setfattr"]) {
        return;
    }
    let victim = Victim::new();
    let before = fingerprint(&victim.disk);
    victim.series(&["audit"], &|| {}, &|at, _| {
        assert_eq!(before, fingerprint(&victim.disk), "{at}: the image was changed");
        assert_eq!(victim.beside(), ["disk.raw"], "{at}");
    });
    // What guestprep starts is killed in its stead: it says so, and leaves nothing either.
    for call in ["ioctl", "mount", "openat"] {
        for n in TIMES {
            let (done, was_killed) = victim.under_strace(&["-f"], &["audit"], call, n);
            let at = format!("a child killed at {call} {n}");
            assert!([0, 1, 3, 137].contains(&done.code), "{at}: {done:?}");
            assert_nothing_left(victim.directory.path(), &at);
            assert_eq!(before, fingerprint(&victim.disk), "{at}: the image was changed");
            if !was_killed {
                break;
            }
        }
    }
}

#[test]
fn prepare_of_a_copy_killed_is_done_by_the_next() {
    if !has(&["mke2fs", "strace", "setfattr"]) {
        return;
    }
    let victim = Victim::new();
    let before = fingerprint(&victim.disk);
    victim.series(&["prepare", "--yes"], &|| {}, &|at, was_killed| {
        let is_done = victim.beside().contains(&"disk.prepared.raw".to_owned());
        let known = ["disk.raw", "disk.raw.guestprep", "disk.prepared.raw"];
        for name in victim.beside() {
            let is_known = known.contains(&&*name) || name == "disk.prepared.raw.partial";
            assert!(is_known, "{at}: {name} is left");
        }
        let again = guestprep(&["prepare", "--yes"], &victim.disk);
        let expected = if is_done { 2 } else { 0 };
        assert!(was_killed || is_done, "{at}: nothing was made");
        assert_eq!(again.code, expected, "{at}: then {again:?}");
        let audited = guestprep(&["audit"], &victim.directory.path().join("disk.prepared.raw"));
        assert_eq!(audited.code, 0, "{at}: the copy is not ready: {audited:?}");
        let undone = guestprep(&["rollback", "--yes"], &victim.disk);
        assert_eq!(undone.code, 0, "{at}: {undone:?}");
        assert_eq!(victim.beside(), ["disk.raw", "disk.raw.guestprep"], "{at}");
        assert_eq!(before, fingerprint(&victim.disk), "{at}: the image was changed");
        std::fs::remove_dir_all(victim.directory.path().join("disk.raw.guestprep")).expect("runs");
    });
    victim.assert_as_before("at the end");
}

/// Undo whatever there is, and see the tree as it was.
fn undo(victim: &Victim, at: &str) {
    let undone = guestprep(&["rollback", "--yes"], &victim.disk);
    // 2: there is no run to roll back.
    assert!([0, 2].contains(&undone.code), "{at}: {undone:?}");
    victim.assert_as_before(at);
    assert_nothing_left(victim.directory.path(), at);
    for name in victim.beside() {
        assert!(["disk.raw", "disk.raw.guestprep"].contains(&&*name), "{at}: {name} is left");
    }
    let _ = std::fs::remove_dir_all(victim.directory.path().join("disk.raw.guestprep"));
}

#[test]
fn prepare_in_place_killed_is_undone_by_rollback() {
    if !has(&["mke2fs", "strace", "setfattr"]) {
        return;
    }
    let victim = Victim::new();
    victim.series(&["prepare", "--in-place", "--yes"], &|| {}, &|at, _| {
        let runs = guestprep(&["runs"], &victim.disk).exits(0);
        let is_cut_short = runs.out.contains("interrupted");
        let audited = guestprep(&["audit"], &victim.disk);
        assert_eq!(audited.err.contains("was cut short"), is_cut_short, "{at}: {audited:?}");
        undo(&victim, at);
    });
}

#[test]
fn prepare_in_place_killed_is_finished_by_the_next() {
    if !has(&["mke2fs", "strace", "setfattr"]) {
        return;
    }
    let victim = Victim::new();
    for n in [8, 16, 24] {
        let (done, was_killed) = victim.killed(&["prepare", "--in-place", "--yes"], "fsync", n);
        assert!(was_killed, "{n}: {done:?}");
        guestprep(&["prepare", "--in-place", "--yes"], &victim.disk).exits(0);
        guestprep(&["audit"], &victim.disk).exits(0);
        undo(&victim, &format!("prepared again after a kill at {n}"));
    }
}

#[test]
fn rollback_killed_is_finished_by_the_next() {
    if !has(&["mke2fs", "strace", "setfattr"]) {
        return;
    }
    let victim = Victim::new();
    let prepare = || {
        guestprep(&["prepare", "--in-place", "--yes"], &victim.disk).exits(0);
    };
    victim.series(&["rollback", "--yes"], &prepare, &|at, _| undo(&victim, at));
}

#[test]
fn rollback_of_a_copy_takes_the_copy_away() {
    if !has(&["mke2fs", "strace", "setfattr"]) {
        return;
    }
    let victim = Victim::new();
    let before = fingerprint(&victim.disk);
    guestprep(&["prepare", "--yes"], &victim.disk).exits(0);
    assert_eq!(victim.beside(), ["disk.prepared.raw", "disk.raw", "disk.raw.guestprep"]);
    let digest = sh(victim.directory.path(), &victim.disk, DIGEST);
    assert_eq!(digest, victim.before, "the image was changed");
    guestprep(&["rollback", "--yes"], &victim.disk).exits(0).says("is removed");
    assert_eq!(victim.beside(), ["disk.raw", "disk.raw.guestprep"]);
    assert_eq!(before, fingerprint(&victim.disk));
}
