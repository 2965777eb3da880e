//! What of an image cannot be seen: a filesystem that cannot be mounted, directories without an end.
//! Nothing is said of what lies there.

use std::process::Command;

use serde_json::Value;

use crate::assembly::Workshop;
use crate::common::command::Done;
use crate::host::has;
use crate::program::guestprep;
use crate::shell::sh;

/// A root and a /home of their own; the second is damaged but for its superblock.
const MAKE: &str = "new 64; table <<<'label: dos
        1: start=2048,size=49152,type=83,bootable
        2: start=51200,size=16384,type=83'
    fstab <<<'/dev/vda1 / ext4 defaults 0 1
        /dev/vda2 /home ext4 defaults 0 2'
    ext4 1 24 root; ext4 25 8 home";
const DAMAGE: &str =
    "dd if=/dev/zero of=$disk bs=4096 seek=$((25 * 256 + 1)) count=400 conv=notrunc status=none";

/// The checks that look for something wherever it may lie.
const EVERYWHERE: &str = "secret-in-file,ssh-user-keys,shell-history,machine-id";

fn verdicts(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().map(|check| check["verdict"].as_str().expect("a verdict")).collect()
}

#[test]
fn nothing_found_is_no_pass_where_not_all_was_seen() {
    if !has(&["mke2fs", "sfdisk"]) {
        return;
    }
    let workshop = Workshop::new();
    sh(workshop.directory.path(), &workshop.disk, MAKE);
    let audit = ["audit", "--profile", "share", "--check", EVERYWHERE, "--format", "json"];
    let scan = ["scan", "--format", "json"];
    let whole = guestprep(&audit, &workshop.disk).json();
    assert!(!verdicts(&whole).contains(&"unknown"), "{whole:#}");
    guestprep(&scan, &workshop.disk).exits(0);

    sh(workshop.directory.path(), &workshop.disk, DAMAGE);
    let damaged = guestprep(&audit, &workshop.disk);
    assert_eq!(damaged.code, if verdicts(&whole).contains(&"fail") { 1 } else { 3 });
    let report = damaged.json();
    assert!(!verdicts(&report).contains(&"pass"), "{report:#}");
    assert!(damaged.out.contains("/home is not mounted"), "{}", damaged.out);
    let scanned = guestprep(&scan, &workshop.disk).exits(3).json();
    let unread = scanned["unread"].to_string();
    assert!(unread.contains("/home is not mounted"), "{unread}");
}

/// A directory has one name. With two, one of them in itself, there are more paths than can be walked.
#[test]
fn directories_that_lead_back_to_themselves_end() {
    if !has(&["mke2fs", "debugfs", "setpriv"]) {
        return;
    }
    let workshop = Workshop::new();
    let folder = workshop.directory.path();
    let make = "new 24; mkdir -p root/var/log/loop; echo x >root/var/log/loop/y.log
        fstab <<<'LABEL=whole / ext4 defaults 0 1'; ext4 0 24 root -L whole
        for name in a b c d; do debugfs -w -R \"ln /var/log/loop /var/log/loop/$name\" $disk; done 2>/dev/null
        chmod 755 .; chmod 644 $disk";
    sh(folder, &workshop.disk, make);
    // The kernel sees to it that a directory has one name; without root its filesystem is read here.
    let program = folder.join("guestprep");
    std::fs::copy(env!("CARGO_BIN_EXE_guestprep"), &program).expect("a copy");
    let done = Command::new("timeout")
        .args(["-s", "KILL", "60", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["audit", "--check", "log-files", "--format", "json", "--image"])
        .arg(&workshop.disk)
        .output();
    let done = Done::of(done.expect("timeout"));
    let report = done.json();
    assert_eq!(report["guest"]["image"]["reader"], "user-space", "{report:#}");
    let check = &report["checks"][0];
    assert_eq!(check["verdict"], "unknown", "{check:#}");
    assert!(check["reason"].to_string().contains("has another name too"), "{check:#}");
}
