//! Checks on real filesystems: made by mkfs, mounted as a guest's tree, and measured by df(1).
//!
//! Each test runs itself again in a mount namespace of its own, so that a mount and its loop
//! device go when the test ends, however it ends. It needs root, loop devices and the kernel's
//! driver, and says what it left out without them.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "common"]
mod common {
    #[allow(dead_code)]
    pub mod command;
    pub mod own_mounts;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::own_mounts::in_own_mounts;
use guestprep::guest::Guest;
use guestprep::model::{Finding, Policy, Verdict};
use guestprep::probe;
use tempfile::TempDir;

/// A filesystem in a file, mounted through a loop device.
struct Mounted {
    at: PathBuf,
    _temp: TempDir,
}

/// Make and mount a filesystem; `None`, and said, where this machine cannot.
fn mounted(mebibytes: u64, mkfs: &[&str]) -> Option<Mounted> {
    changed_and_mounted(mebibytes, mkfs, &[], "loop")
}

/// As [`mounted`], with commands that are given the image before it is mounted, and with options.
fn changed_and_mounted(
    mebibytes: u64,
    mkfs: &[&str],
    changes: &[&[&str]],
    options: &str,
) -> Option<Mounted> {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let (image, at) = (temp.path().join("image"), temp.path().join("tree"));
    fs::create_dir(&at).expect("a mount point");
    let file = fs::File::create(&image).expect("an image");
    file.set_len(mebibytes << 20).expect("its size");
    let ran = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !ran(Command::new(mkfs[0]).args(&mkfs[1..]).arg(&image)) {
        println!("left out: {mkfs:?} cannot be run");
        return None;
    }
    for change in changes {
        assert!(ran(Command::new(change[0]).args(&change[1..]).arg(&image)), "{change:?}");
    }
    if !ran(Command::new("mount").args(["-o", options]).arg(&image).arg(&at)) {
        println!("left out: what {mkfs:?} made cannot be mounted here");
        return None;
    }
    Some(Mounted { at, _temp: temp })
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn findings(check: &str, tree: &Path) -> Vec<Finding> {
    let guest = Guest::tree(tree, Policy::default()).expect("a guest that opens");
    let probe = probe::find(check).expect("a probe of that name");
    match (probe.judge)(&guest).expect("a verdict") {
        Verdict::Pass => Vec::new(),
        Verdict::Fail(findings) => findings,
        other => panic!("{check} answers {other:?}"),
    }
}

fn keys(check: &str, tree: &Path) -> Vec<&'static str> {
    findings(check, tree).iter().map(|finding| finding.key).collect()
}

#[test]
fn features_are_those_that_mkfs_was_told() {
    in_own_mounts("features_are_those_that_mkfs_was_told", || {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["mkfs.ext4", "-q", "-O", "^64bit"], &[]),
            (&["mkfs.ext4", "-q", "-O", "64bit"], &["ext4-64bit"]),
            (&["mkfs.ext4", "-q", "-O", "^64bit,project,quota"], &["project-and-quota"]),
            (&["mkfs.ext4", "-q", "-O", "64bit,quota"], &["ext4-64bit"]),
            (&["mkfs.xfs", "-q"], &[]),
            (&["mkfs.btrfs", "-q"], &["unusual-type"]),
        ];
        let mut tried = 0;
        for (mkfs, wanted) in cases {
            if let Some(mounted) = mounted(512, mkfs) {
                assert_eq!(keys("filesystem-features", &mounted.at), wanted, "{mkfs:?}");
                tried += 1;
            }
        }
        assert!(tried >= 2, "not even ext4 could be mounted");
    });
}

#[test]
fn a_mounted_tree_has_the_size_of_its_disk() {
    in_own_mounts("a_mounted_tree_has_the_size_of_its_disk", || {
        // The file is sparse.
        for (gibibytes, wanted) in [(39, &["too-small"][..]), (40, &[]), (501, &["too-large"])] {
            let Some(mounted) = mounted(gibibytes << 10, &["mkfs.ext4", "-q", "-E", "nodiscard"])
            else {
                continue;
            };
            assert_eq!(keys("image-size", &mounted.at), wanted, "{gibibytes} GiB");
            assert_eq!(keys("root-multi-disk", &mounted.at), [""; 0]);
        }
    });
}

/// Space and inodes in use, in percent as df(1) prints them.
fn df(path: &Path) -> [u64; 2] {
    let output =
        Command::new("df").arg("--output=pcent,ipcent").arg(path).output().expect("df runs");
    let text = String::from_utf8(output.stdout).expect("df's output");
    let last = text.lines().last().expect("df's second line");
    let numbers: Vec<u64> =
        last.split_whitespace().map(|n| n.trim_end_matches('%').parse().unwrap_or(0)).collect();
    numbers.try_into().expect("two numbers")
}

#[test]
fn a_filesystem_is_as_full_as_df_says() {
    in_own_mounts("a_filesystem_is_as_full_as_df_says", || {
        // 1 MiB more each time, through both limits: more than 1 % a step, of what df counts.
        let Some(space) = mounted(64, &["mkfs.ext4", "-q", "-m", "5"]) else { return };
        let mut seen = Vec::new();
        for step in 0..60 {
            let Ok(()) = fs::write(space.at.join(format!("f{step}")), vec![1; 1 << 20]) else {
                break;
            };
            agrees_with_df(&space.at, &mut seen);
        }
        assert_eq!(seen, ["space-low", "space-full"]);
        drop(space);

        let Some(inodes) = mounted(64, &["mkfs.ext4", "-q", "-N", "160"]) else { return };
        let mut seen = Vec::new();
        for step in 0..160 {
            if fs::write(inodes.at.join(format!("f{step}")), "").is_err() {
                break;
            }
            agrees_with_df(&inodes.at, &mut seen);
        }
        assert_eq!(seen, ["inodes-low", "inodes-full"]);
    });
}

/// Compare the findings with df's numbers, and note each key that is new.
fn agrees_with_df(path: &Path, seen: &mut Vec<&'static str>) {
    rustix::fs::sync();
    let numbers = df(path);
    let wanted: Vec<(String, String)> = ["space", "inodes"]
        .iter()
        .zip(numbers)
        .filter(|(_, percent)| *percent >= 80)
        .map(|(what, percent)| {
            let level = if percent >= 95 { "full" } else { "low" };
            (format!("{what}-{level}"), percent.to_string())
        })
        .collect();
    let found = findings("disk-full", path);
    let got: Vec<(String, String)> =
        found.iter().map(|f| (f.key.to_owned(), f.values["percent"].clone())).collect();
    assert_eq!(got, wanted, "df says {numbers:?}");
    for finding in found {
        if !seen.contains(&finding.key) {
            seen.push(finding.key);
        }
    }
}

#[test]
fn errors_are_those_that_the_tools_of_ext4_wrote() {
    in_own_mounts("errors_are_those_that_the_tools_of_ext4_wrote", || {
        let ext4 = ["mkfs.ext4", "-q"];
        let set = |value| ["debugfs", "-w", "-R", value];
        let state = set("set_super_value state 3");
        let count = set("set_super_value error_count 5");
        let by_number = ["tune2fs", "-C", "30", "-c", "20"];
        let not_yet = ["tune2fs", "-C", "3", "-c", "20"];
        let by_time = ["tune2fs", "-T", "20200101", "-i", "30d"];
        let cases: [(&[&str], &[&str]); 6] = [
            (&["true"], &[]),
            (&state, &["error-flag"]),
            (&count, &["errors-counted"]),
            (&by_number, &["check-due"]),
            (&not_yet, &[]),
            (&by_time, &["check-due"]),
        ];
        for (change, wanted) in cases {
            let Some(mounted) = changed_and_mounted(64, &ext4, &[change], "loop") else { return };
            fs::create_dir(mounted.at.join("etc")).expect("etc");
            let fstab = |passno| {
                let line = format!("UUID=1 / ext4 defaults 0 {passno}\n");
                fs::write(mounted.at.join("etc/fstab"), line).expect("an fstab");
            };
            fstab(1);
            assert_eq!(keys("filesystem-errors", &mounted.at), wanted, "{change:?}");
            // Boot checks nothing whose sixth field is 0.
            fstab(0);
            let left: Vec<_> = wanted.iter().copied().filter(|key| *key != "check-due").collect();
            assert_eq!(keys("filesystem-errors", &mounted.at), left, "{change:?}");
        }
    });
}

#[test]
fn a_journal_is_to_be_replayed_after_a_crash() {
    in_own_mounts("a_journal_is_to_be_replayed_after_a_crash", || {
        let Some(crashed) = mounted(64, &["mkfs.ext4", "-q"]) else { return };
        fs::write(crashed.at.join("file"), "text").expect("a file");
        rustix::fs::sync();
        assert!(keys("filesystem-errors", &crashed.at).is_empty(), "it is mounted for writing");
        // What a power cut leaves: the device as it is while the filesystem is mounted.
        let image = crashed.at.with_file_name("image");
        let copy = ["cp", "--sparse=always", image.to_str().expect("a path")];
        let Some(left) = changed_and_mounted(64, &["true"], &[&copy], "loop,ro,noload") else {
            return;
        };
        assert_eq!(keys("filesystem-errors", &left.at), ["journal-not-replayed"]);
    });
}
