//! Killed while it changes a tree.

use std::fs;
use std::os::unix::fs::symlink;

use crate::common::command::left_out;
use crate::common::fixture::Fixture;
use crate::subject::{CALLS, States, Subject, kill_everywhere};

/// A tree with a step of every kind that trees have: two files are edited, one with attributes to
/// lose, two units are masked, where a file of the name stands and where a link does, and a file
/// is removed.
pub fn tree() -> Option<Fixture> {
    if !may_be_tried() {
        return None;
    }
    let fixture = Fixture::distro("debian-12");
    let etc = fixture.root.join("etc");
    let append = |file: &str, line: &str| {
        let path = etc.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        fs::write(path, text + line).expect("a file");
    };
    append("fstab", "/dev/vdz1 /data ext4 defaults 0 2\n");
    append("crypttab", "data /dev/vdz3 none luks\n");
    let units = etc.join("systemd/system");
    fs::create_dir_all(units.join("multi-user.target.wants")).expect("a directory");
    let unit = "[Mount]\nWhat=/dev/vdz2\nWhere=/srv\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(units.join("srv.mount"), unit).expect("a unit");
    symlink("../srv.mount", units.join("multi-user.target.wants/srv.mount")).expect("a link");
    let linked = fixture.root.join("opt/units");
    fs::create_dir_all(&linked).expect("a directory");
    let unit = "[Mount]\nWhat=/dev/vdz4\nWhere=/mnt\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(linked.join("mnt.mount"), unit).expect("a unit");
    for name in ["mnt.mount", "multi-user.target.wants/mnt.mount"] {
        symlink("/opt/units/mnt.mount", units.join(name)).expect("a link");
    }
    // A file of two names, which is written in place: it has to stay one file.
    fs::hard_link(etc.join("crypttab"), etc.join("crypttab.kept")).expect("a link");
    // A name that goes.
    fs::write(etc.join("cloud/cloud-init.disabled"), "by hand\n").expect("a file");
    let bear = |path: &str, name: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(etc.join(path), name, b"kept", flags).expect("an attribute");
    };
    bear("fstab", b"user.note");
    bear("fstab", b"user.\xff");
    // Root alone gives a link any (xattr(7)).
    bear("systemd/system/mnt.mount", b"trusted.\xff");
    fs::create_dir_all(fixture.root.join("var/lib/guestprep")).expect("the state directory");
    Some(fixture)
}

/// Whether this machine has what that takes; what it has not is said.
pub fn may_be_tried() -> bool {
    if !rustix::process::geteuid().is_root() {
        left_out("changing a tree needs root");
        return false;
    }
    if std::process::Command::new("strace").arg("--version").output().is_err() {
        left_out("there is no strace");
        return false;
    }
    true
}

fn killed(victim: &str) {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let states = States::of(&subject);
    let mut times = 0;
    for call in CALLS {
        let at_call = kill_everywhere(&subject, &states, victim, call);
        println!("{victim}: killed at {at_call} calls of {call}");
        times += at_call;
    }
    assert!(times > 40, "killed {times} times: strace did not see the calls");
}

#[test]
fn prepare_killed_at_any_call() {
    killed("prepare");
}

#[test]
fn rollback_killed_at_any_call() {
    killed("rollback");
}
