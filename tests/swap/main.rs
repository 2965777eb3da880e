//! `guestprep swap` on real swap: files on ext3, ext4, xfs and btrfs, loop devices, a killed run.
//!
//! A program of its own, and one test at a time: every process of a machine swaps to the same
//! swaps. It needs what `tests/live` needs, and mkswap.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common"]
#[allow(dead_code)]
mod common {
    pub mod command;
    pub mod fixture;
    pub mod initramfs;
    pub mod live;
    pub mod state;
}

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::command::{left_out, run};
use common::live::{GUESTPREP, Live, alone, has_filesystem};
use common::state::assert_same;

/// One guest at a time, on a machine that swaps to nothing.
fn swapping(tools: &[&str], test: impl FnOnce(&mut Live) + Send) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() != 1 {
        return left_out("this machine swaps, or its kernel cannot");
    }
    alone(&[&["mkswap", "swapon"], tools].concat(), |live| {
        let _end = TurnOff(["/swapfile", "/other/swap"].map(|path| live.at(path)).into());
        test(live);
    });
}

/// What a test leaves on is turned off with it; nothing else is, which may be another's.
struct TurnOff(Vec<String>);

impl Drop for TurnOff {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::process::Command::new("swapoff").arg(path).output();
        }
    }
}

fn is_on(live: &Live, path: &str) -> bool {
    live.chroot(&["cat", "/proc/swaps"])
        .out
        .lines()
        .any(|line| line.starts_with(&format!("{path} ")))
}

fn status(live: &Live) -> Vec<serde_json::Value> {
    let status = live.guestprep(&["swap", "status", "--format", "json"]).exits(0).json();
    status["swaps"].as_array().expect("a list").clone()
}

/// A mounted data disk that fstab does not name, so that a file on it is like one on the root.
fn mounted(live: &mut Live, fstype: &str, size: &str) {
    let mkfs = format!("mkfs.{fstype}");
    let force = if fstype.starts_with("ext") { "-F" } else { "-f" };
    let disk = live.disk(fstype, size, &[&mkfs, "-q", force]);
    fs::create_dir(live.root.join("other")).expect("/other");
    live.chroot(&["mount", "-t", fstype, &disk.device, "/other"]).exits(0);
}

#[test]
fn a_file_on_the_root() {
    swapping(&[], |live| {
        let before = live.state();
        live.guestprep(&["swap", "status"]).exits(0).says("Nothing swaps");
        live.guestprep(&["swap", "size", "16MiB"]).exits(2).says("no terminal to ask");
        assert_same(&before, &live.state(), "a command that could not ask changed the guest");
        live.guestprep(&["swap", "size", "16MiB", "--yes"]).exits(0).says("swap to it");
        assert!(is_on(live, "/swapfile"));
        let file = fs::metadata(live.at("/swapfile")).expect("the file");
        assert_eq!((file.mode() & 0o7777, file.len()), (0o600, 16 << 20));
        assert!(live.fstab().ends_with("\n/swapfile none swap sw 0 0\n"), "{}", live.fstab());
        let rows = status(live);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["active"], true);
        assert_eq!(rows[0]["from"], "/etc/fstab:3");
        assert_eq!(rows[0]["new_instance"], "has");
        live.guestprep(&["audit", "--check", "swap-enabled"])
            .says("fstab turns on swap on /swapfile");
        live.guestprep(&["swap", "size", "16MiB", "--yes"]).exits(4).says("it is there already");
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert!(!is_on(live, "/swapfile"));
        assert_same(&before, &live.state(), "rollback left the guest otherwise");
    });
}

#[test]
fn what_the_configuration_wants() {
    swapping(&[], |live| {
        let before = live.state();
        let config = "[swap]\nwant = { size = \"8MiB\" }\n";
        fs::write(live.at("/run/config.toml"), config).expect("a file");
        let only = ["--check", "swap-enabled", "--config", "/run/config.toml"];
        live.guestprep(&[&["prepare", "--yes"], &only[..]].concat()).exits(0);
        assert!(is_on(live, "/swapfile"));
        live.guestprep(&[&["audit", "--fail-on", "warning"], &only[..]].concat()).exits(0);
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback left the guest otherwise");
    });
}

#[test]
fn a_file_that_somebody_else_made_is_left() {
    swapping(&[], |live| {
        live.guestprep(&["swap", "size", "8MiB", "--yes"]).exits(0);
        let swap = live.at("/swapfile");
        let ours = live.at("/ours");
        run(&["swapoff", &swap]);
        fs::rename(&swap, &ours).expect("ours");
        fs::write(&swap, "theirs").expect("theirs");
        let rollback =
            || live.guestprep(&["rollback", "--yes"]).exits(5).says("it was changed after the run");
        rollback();
        assert_eq!(fs::read_to_string(&swap).expect("it is left"), "theirs");

        // One of the same kind and size, which is swapped to.
        fs::remove_file(&swap).expect("theirs");
        run(&["dd", "if=/dev/zero", &format!("of={swap}"), "bs=1M", "count=8"]);
        run(&["chmod", "600", &swap]);
        run(&["mkswap", &swap]);
        live.chroot(&["swapon", "/swapfile"]).exits(0);
        rollback();
        assert!(is_on(live, "/swapfile"), "it is swapped to");

        run(&["swapoff", &swap]);
        fs::rename(&ours, &swap).expect("ours");
        live.chroot(&["swapon", "/swapfile"]).exits(0);
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert!(!is_on(live, "/swapfile"));
        assert!(!fs::exists(&swap).expect("the root"));
    });
}

/// Make the run one that was killed before it had noted what it made.
fn forget_what_was_made(live: &Live) {
    let runs = fs::read_dir(live.at("/var/lib/guestprep/runs")).expect("the runs");
    let journal = runs.map(|run| run.expect("a run").path().join("journal")).max();
    let journal = journal.expect("a journal");
    let text = fs::read_to_string(&journal).expect("the journal");
    let swap = text.lines().find(|line| line.contains("swap-file")).expect("the file's intent");
    let (to_it, _) = text.split_once(swap).expect("the intent");
    fs::write(&journal, format!("{to_it}{swap}\n")).expect("the journal");
}

#[test]
fn what_a_killed_run_cannot_have_made_is_left() {
    swapping(&[], |live| {
        live.guestprep(&["swap", "size", "8MiB", "--yes"]).exits(0);
        let swap = live.at("/swapfile");
        run(&["swapoff", &swap]);
        fs::write(&swap, "theirs").expect("theirs");
        let fstab = live.fstab();
        forget_what_was_made(live);
        live.guestprep(&["runs"]).exits(5).says("it was changed after the run");
        assert_eq!(fs::read_to_string(&swap).expect("it is left"), "theirs");
        assert_eq!(live.fstab(), fstab);
        // What mkswap(8) had not come to.
        fs::write(&swap, [0; 4096]).expect("zeros");
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert!(!fs::exists(&swap).expect("the root"));
    });
}

#[test]
fn off_and_on_again() {
    swapping(&[], |live| {
        live.guestprep(&["swap", "size", "8MiB", "--yes"]).exits(0);
        let with_swap = live.state();
        live.guestprep(&["swap", "off", "--yes"]).exits(0);
        assert!(!is_on(live, "/swapfile"));
        assert!(live.fstab().contains("#guestprep[swap-enabled] /swapfile none swap sw 0 0\n"));
        assert!(fs::exists(live.at("/swapfile")).expect("the root"), "the file stays");
        live.guestprep(&["swap", "off", "--yes"]).exits(0).says("nothing swaps");
        live.guestprep(&["audit", "--check", "swap-enabled", "--fail-on", "warning"]).exits(0);
        live.guestprep(&["swap", "on", "--yes"]).exits(0);
        assert!(is_on(live, "/swapfile"));
        assert!(live.fstab().ends_with("\n/swapfile none swap sw 0 0\n"));
        live.guestprep(&["swap", "on", "--yes"])
            .exits(0)
            .says("every swap that is configured is on");
        // Back over both runs: to what it was with swap.
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert!(!is_on(live, "/swapfile"));
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&with_swap, &live.state(), "two rollbacks left the guest otherwise");
    });
}

#[test]
fn a_file_on_xfs() {
    swapping(&["mkfs.xfs"], |live| {
        if has_filesystem("xfs") {
            on_another_filesystem(live, "xfs", "320M");
        }
    });
}

#[test]
fn a_file_on_btrfs_is_not_copied_on_write() {
    swapping(&["mkfs.btrfs", "lsattr"], |live| {
        if has_filesystem("btrfs") {
            on_another_filesystem(live, "btrfs", "256M");
        }
    });
}

#[test]
fn a_file_on_ext3_is_written_with_zeros() {
    swapping(&["mkfs.ext3"], |live| {
        if has_filesystem("ext3") {
            on_another_filesystem(live, "ext3", "64M");
        }
    });
}

fn on_another_filesystem(live: &mut Live, fstype: &str, size: &str) {
    mounted(live, fstype, size);
    let before = live.state();
    live.guestprep(&["swap", "size", "16MiB", "--file", "/other/swap", "--yes"]).exits(0);
    assert!(is_on(live, "/other/swap"));
    if fstype == "btrfs" {
        let attributes = run(&["lsattr", &live.at("/other/swap")]);
        assert!(attributes.split_whitespace().next().expect("flags").contains('C'), "{attributes}");
    }
    live.guestprep(&["rollback", "--yes"]).exits(0);
    assert!(!is_on(live, "/other/swap"));
    assert!(!fs::exists(live.at("/other/swap")).expect("/other"));
    assert_same(&before, &live.state(), "rollback left the guest otherwise");
}

#[test]
fn what_cannot_be_made_is_refused_and_changes_nothing() {
    swapping(&[], |live| {
        let before = live.state();
        live.guestprep(&["swap", "size", "10GiB", "--yes"]).exits(4).says("MiB are free in /");
        live.guestprep(&["swap", "size", "1MiB", "--file", "/run/swap", "--yes"])
            .exits(4)
            .says("the kernel swaps to no file of a tmpfs filesystem");
        live.guestprep(&["swap", "size", "some", "--yes"]).exits(2).says("some is no size");
        live.guestprep(&["swap", "size", "1KiB", "--yes"]).exits(2).says("too little");
        live.guestprep(&["swap", "size", "1MiB", "--file", "/a b", "--yes"]).exits(2);
        live.guestprep(&["swap", "on", "--yes"]).exits(1).says("no swap is configured");
        assert_same(&before, &live.state(), "a refused command changed the guest");
    });
}

#[test]
fn a_device_of_a_data_disk() {
    swapping(&[], |live| {
        let disk = live.disk("swap", "16M", &["mkswap"]);
        let _end = TurnOff(vec![disk.device.clone()]);
        live.append_fstab(&format!("UUID={} none swap sw,nofail 0 0\n", disk.uuid));
        live.guestprep(&["swap", "on", "--yes"]).exits(0);
        assert!(is_on(live, &disk.device));
        let rows = status(live);
        assert_eq!(rows[0]["new_instance"], "lacks");
        assert_eq!(rows[0]["impact"], "delays-boot");
        live.guestprep(&["swap", "status"]).exits(0).says("lacks it: boot waits 90 s");
        let before = live.state();
        live.guestprep(&["swap", "off", "--yes"]).exits(0);
        assert!(!is_on(live, &disk.device));
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert!(is_on(live, &disk.device));
        assert_same(&before, &live.state(), "rollback left the guest otherwise");
        // prepare parks the line by two checks' wish, once.
        live.guestprep(&[
            "prepare",
            "--yes",
            "--check",
            "swap-enabled,fstab-data-disk,data-disk-mounted",
        ])
        .exits(0);
        assert_eq!(live.fstab().matches("#guestprep[").count(), 1, "{}", live.fstab());
        assert!(!is_on(live, &disk.device));
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback left the guest otherwise");
    });
}

#[test]
fn a_run_that_is_killed_in_the_file_leaves_nothing() {
    swapping(&["mkfs.ext3"], |live| {
        if !has_filesystem("ext3") {
            return;
        }
        mounted(live, "ext3", "1200M");
        let before = live.state();
        for _ in 0..3 {
            let run = live.start(&[
                GUESTPREP,
                "swap",
                "size",
                "900MiB",
                "--file",
                "/other/swap",
                "--yes",
            ]);
            let end = Instant::now() + Duration::from_secs(60);
            let begun = || fs::metadata(live.at("/other/swap")).is_ok_and(|f| f.len() > 8 << 20);
            while !begun() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            run.signal("KILL");
            assert_eq!(run.wait().code, 128 + 9, "it ended before it was killed");
            assert!(fs::exists(live.at("/other/swap")).expect("/other"), "it was not in the file");
            // The next command puts it right, whatever it is about.
            live.guestprep(&["disks"]).says("rolled back now");
            assert!(!fs::exists(live.at("/other/swap")).expect("/other"));
            assert_same(&before, &live.state(), "what was left of a killed run");
        }
    });
}
