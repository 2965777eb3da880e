//! What the journal says is on the disk before it says so, whatever the filesystem does by itself.
//!
//! A filesystem's own journal may bring along what nobody synced, so that no cut of the power shows that a
//! sync is missing. Here the calls are read in their order: whenever a record is written, each name, content,
//! mode, flag and time that was changed before it has been synced.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::command::{left_out, run};
use crate::common::fixture::Fixture;
use crate::subject::Subject;
use crate::tree::may_be_tried;

const PREPARE: [&str; 10] = [
    "prepare",
    "--yes",
    "--check",
    "fstab-data-disk",
    "--check",
    "fstab-locked",
    "--check",
    "mount-unit-data-disk",
    "--check",
    "dns-no-single-request-reopen",
];

const CONFIG: &str = "[mounts]\nclear-flags = true\n[dns]\nsingle-request-reopen = \"on\"\n";

/// resolvconf(8) puts it together with what interfaces bring; its directory is still to be made.
const TAIL: &str = "etc/resolvconf/resolv.conf.d/tail";

/// What changes what a descriptor is open on; `ioctl` where it sets flags, `utimensat` without a name.
const OF_THE_FILE: [&str; 6] = ["write", "ftruncate", "fchmod", "fchown", "fsetxattr", "ioctl"];

/// What changes the names of a directory.
const OF_NAMES: [&str; 5] = ["mkdirat", "unlinkat", "renameat", "renameat2", "symlinkat"];

/// What changes the file of a name.
const BY_NAME: [&str; 4] = ["fchmodat", "fchmodat2", "fchownat", "utimensat"];

/// A guest with a locked file, a unit to be masked, and a file in a directory that is still to be made, as
/// the state directory is.
fn guest() -> Option<Fixture> {
    if !may_be_tried() {
        return None;
    }
    let fixture = Fixture::distro("debian-12");
    let at = |path: &str| fixture.root.join(path);
    let _ = fs::remove_dir_all(at("var/lib/guestprep"));
    let units = at("etc/systemd/system");
    let unit = "[Mount]\nWhat=/dev/vdz2\nWhere=/srv\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(units.join("srv.mount"), unit).expect("a unit");
    symlink("../srv.mount", units.join("multi-user.target.wants/srv.mount")).expect("a link");
    fs::create_dir_all(at("run/resolvconf")).expect("a directory");
    fs::write(at("run/resolvconf/resolv.conf"), "nameserver 100.100.2.136\n").expect("a resolver");
    let _ = fs::remove_file(at("etc/resolv.conf"));
    symlink("/run/resolvconf/resolv.conf", at("etc/resolv.conf")).expect("a link");
    fs::write(fixture.root.with_file_name("config.toml"), CONFIG).expect("a configuration");
    let fstab = fs::read_to_string(at("etc/fstab")).expect("fstab");
    fs::write(at("etc/fstab"), fstab + "/dev/vdz1 /data ext4 defaults 0 2\n").expect("fstab");
    Some(fixture)
}

/// The paths of the descriptors in a call, as `strace --decode-fds=path` shows them.
fn paths(call: &str) -> Vec<&str> {
    call.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(path, _)| path).collect()
}

/// The first string of a call.
fn name(call: &str) -> Option<&str> {
    call.split('"').nth(1)
}

/// Run a command, and hold what it syncs against what it notes. Gives how many records it wrote.
fn notes_what_is_synced(subject: &Subject, root: &Path, args: &[&str]) -> usize {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let strace = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o"];
    let path = log.path().to_str().expect("UTF-8");
    let done = subject.wrapped(&[&strace[..], &[path]].concat(), args);
    assert_eq!(done.code, 0, "{done:?}");
    let text = fs::read_to_string(log.path()).expect("what strace saw");
    let root = root.to_str().expect("UTF-8");
    let mut unsynced: BTreeSet<String> = BTreeSet::new();
    let mut records = 0;
    for line in text.lines().filter(|line| !line.contains(" = -1 ")) {
        let Some((call, rest)) = line.split_once('(') else { continue };
        let call = call.split_whitespace().last().unwrap_or_default();
        let paths: Vec<&str> = paths(rest).into_iter().filter(|p| p.starts_with(root)).collect();
        let Some(first) = paths.first() else { continue };
        let named = name(rest).map(|name| format!("{first}/{name}"));
        let is_of_the_file = OF_THE_FILE.contains(&call)
            && (call != "ioctl" || rest.contains("SETFLAGS"))
            || call == "utimensat" && rest.contains(", NULL, ");
        match call {
            "syncfs" => unsynced.clear(),
            "fsync" | "fdatasync" => _ = unsynced.remove(*first),
            "write" if first.ends_with("/journal") => {
                assert!(unsynced.is_empty(), "{args:?}: not synced: {unsynced:?}\nat {line}");
                records += 1;
                unsynced.insert((*first).to_owned());
            }
            _ if is_of_the_file => _ = unsynced.insert((*first).to_owned()),
            _ if OF_NAMES.contains(&call) => {
                unsynced.extend(paths.iter().map(|&path| path.to_owned()));
                if call == "unlinkat" {
                    named.map(|gone| unsynced.remove(&gone));
                }
            }
            _ if BY_NAME.contains(&call) => unsynced.extend(named),
            _ => {}
        }
    }
    assert!(unsynced.is_empty(), "{args:?}: not synced at the end: {unsynced:?}");
    records
}

#[test]
fn nothing_is_noted_that_the_disk_does_not_have() {
    let Some(fixture) = guest() else { return };
    let fstab = fixture.root.join("etc/fstab");
    let lock = |sign: &str| {
        let argv =
            ["chattr", &format!("{sign}i"), fstab.to_str().expect("UTF-8")].map(str::to_owned);
        std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .output()
            .expect("chattr")
            .status
            .success()
    };
    if !lock("+") {
        return left_out("this filesystem has no flags");
    }
    let subject = Subject::Tree(&fixture.root, None);
    let config = fixture.root.with_file_name("config.toml");
    let prepare = [&PREPARE[..], &["--config", config.to_str().expect("UTF-8")]].concat();
    let noted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let prepared = notes_what_is_synced(&subject, &fixture.root, &prepare);
        assert!(fixture.root.join("etc/systemd/system/srv.mount").is_symlink(), "it is not masked");
        assert!(fixture.root.join(TAIL).is_file(), "it is not written");
        let flags = run(&["lsattr", fstab.to_str().expect("UTF-8")]);
        assert!(!flags[..20].contains('i'), "{flags}");
        let undone = notes_what_is_synced(&subject, &fixture.root, &["rollback", "--yes"]);
        let flags = run(&["lsattr", fstab.to_str().expect("UTF-8")]);
        assert!(flags[..20].contains('i'), "{flags}");
        (prepared, undone)
    }));
    lock("-");
    let (prepared, undone) = noted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    println!("{prepared} records of prepare, {undone} of rollback, each after what it says");
    // An intent and an end of each of six steps, and of the whole; and as many to undo them.
    assert!(prepared >= 13 && undone >= 13, "{prepared}, {undone}");
}
