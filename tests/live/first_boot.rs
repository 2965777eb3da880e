//! What a clone is given back at its boot, and what it is not.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::command::{left_out, run};
use crate::common::live::{Disk, GUESTPREP, Live, alone, missing};
use crate::common::state::assert_same;

const STATE: &str = "/var/lib/guestprep";

/// Prepared on the source, and booted as a clone, with its disks still there.
fn cloned(live: &Live) {
    live.instance("i-source");
    live.guestprep(&["prepare", "--yes"]).exits(0);
    live.instance("i-clone");
}

fn is_mounted(live: &Live, target: &str) -> bool {
    live.mounts().contains(&format!("mount {target}/ of "))
}

fn report(live: &Live) -> Value {
    let text = fs::read(live.at(&format!("{STATE}/firstboot.json"))).expect("the report");
    serde_json::from_slice(&text).expect("JSON")
}

fn names(live: &Live, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(live.at(directory)).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// A swap file and a bind mount that lie on the data disk, and a mount below it.
fn depend_on_it(live: &Live) {
    live.append_fstab(
        "tmpfs /data/cache tmpfs size=1m 0 0\n/data/www /srv none bind 0 0\n/data/swap none swap sw 0 0\n",
    );
    for directory in ["/data/www", "/data/cache"] {
        fs::create_dir(live.at(directory)).expect("a directory");
    }
    let swap = live.at("/data/swap");
    run(&["dd", "if=/dev/zero", &format!("of={swap}"), "bs=1M", "count=2"]);
    run(&["chmod", "600", &swap]);
    run(&["mkswap", &swap]);
    live.chroot(&["mount", "--bind", "/data/www", "/srv"]).exits(0);
    live.chroot(&["swapon", "/data/swap"]).exits(0);
}

#[test]
fn a_clone_with_its_disk_has_everything_back_and_nothing_of_its_source() {
    alone(&["mkswap"], |live| {
        live.data();
        depend_on_it(live);
        let fstab = live.fstab();
        cloned(live);
        assert!(!is_mounted(live, "/data"), "{}", live.mounts());
        assert_eq!(live.fstab().matches("#guestprep[").count(), 4, "{}", live.fstab());

        live.guestprep(&["firstboot"]).exits(0).says("This is a clone").says("back: /etc/fstab:3");
        assert_eq!(live.fstab(), fstab);
        for target in ["/data", "/data/cache", "/srv"] {
            assert!(is_mounted(live, target), "{target} in {}", live.mounts());
        }
        let swaps = live.chroot(&["cat", "/proc/swaps"]).out;
        assert!(swaps.contains("/data/swap"), "{swaps}");
        assert_eq!(names(live, STATE), ["clone.json", "firstboot.json", "lock", "runs"]);
        assert_eq!(names(live, &format!("{STATE}/runs")), [""; 0]);
        let report = report(live);
        assert_eq!(report["role"], "clone");
        assert_eq!(report["back"].as_array().map(Vec::len), Some(4));
        assert_eq!(report["parked"].as_array().map(Vec::len), Some(0));

        let before = live.state();
        live.guestprep(&["firstboot"]).exits(0).says("known for a clone before");
        assert_same(&before, &live.state(), "the second boot changed the clone");
        live.guestprep(&["rollback", "--yes"]).exits(2).says("no run to roll back");
    });
}

#[test]
fn the_source_is_left_alone() {
    alone(&[], |live| {
        live.data();
        live.instance("i-source");
        live.guestprep(&["prepare", "--yes"]).exits(0);
        live.guestprep(&["firstboot"]).exits(0).says("This is no clone");
        live.boots_anew();
        let says = |code: i32, words: &str| {
            let (before, kept) = (live.state(), names(live, STATE));
            live.guestprep(&["firstboot"]).exits(code).says(words).says("Nothing was done");
            assert_same(&before, &live.state(), "firstboot changed the source");
            assert_eq!(names(live, STATE), kept);
        };
        // cloud-init has not asked yet at this boot.
        says(3, "cannot be told");
        fs::create_dir_all(live.at("/run/cloud-init")).expect("a directory");
        fs::write(live.at("/run/cloud-init/instance-data.json"), "{}").expect("a file");
        says(0, "This is no clone");
        fs::remove_dir_all(live.at("/run/cloud-init")).expect("the directory");
        fs::remove_file(live.at("/var/lib/cloud/data/instance-id")).expect("the id");
        says(3, "neither a DMI product UUID nor an instance id");
        live.instance("i-source");
        live.guestprep(&["rollback", "--yes"]).exits(0);
        live.guestprep(&["firstboot"]).exits(3);
    });
}

#[test]
fn without_any_run_there_is_nothing_to_tell_by() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        live.guestprep(&["firstboot"]).exits(3).says("no run of guestprep was made here");
        assert_same(&before, &live.state(), "firstboot changed a guest that it knows nothing of");
    });
}

/// Take a disk away from the guest.
fn detach(disk: &Disk) {
    run(&["losetup", "-d", &disk.device]);
    let gone = run(&["losetup", "-n", "-l", "-O", "NAME"]);
    assert!(!gone.lines().any(|name| name == disk.device), "{gone}");
}

#[test]
fn what_lacks_its_disk_stays_parked_until_a_boot_with_it() {
    alone(&[], |live| {
        let disk = live.data();
        let fstab = live.fstab();
        cloned(live);
        let parked = live.fstab();
        let image = image_of(&disk);
        detach(&disk);
        live.guestprep(&["firstboot"]).exits(0).says("stays parked: /etc/fstab:3: /data: ");
        assert_eq!(live.fstab(), parked);
        assert_eq!(names(live, &format!("{STATE}/runs")), [""; 0]);

        // An empty disk in its place.
        let empty = live.work_image("empty", "64M");
        run(&["losetup", &disk.device, &empty]);
        live.guestprep(&["firstboot"]).exits(0).says("stays parked: /etc/fstab:3: /data: ");
        assert_eq!(live.fstab(), parked);
        detach(&disk);

        run(&["losetup", &disk.device, &image]);
        live.guestprep(&["firstboot"]).exits(0).says("back: /etc/fstab:3");
        assert_eq!(live.fstab(), fstab);
        assert!(is_mounted(live, "/data"), "{}", live.mounts());
    });
}

/// The file behind a disk.
fn image_of(disk: &Disk) -> String {
    run(&["losetup", "-n", "-O", "BACK-FILE", &disk.device])
}

#[test]
fn a_filesystem_that_only_has_the_name_is_not_mounted() {
    alone(&[], |live| {
        let by_label = live.disk("label", "16M", &["mkfs.ext4", "-q", "-F", "-L", "backup"]);
        let by_name = live.disk("name", "16M", &["mkfs.ext4", "-q", "-F"]);
        live.append_fstab(&format!(
            "LABEL=backup /backup ext4 defaults 0 2\n{} /mnt ext4 defaults 0 2\n",
            by_name.device
        ));
        fs::create_dir_all(live.at("/backup")).expect("a directory");
        cloned(live);
        let parked = live.fstab();
        assert_eq!(parked.matches("#guestprep[").count(), 2, "{parked}");
        // Somebody formats both anew: the label and the kernel's name are what they were.
        run(&["mkfs.ext4", "-q", "-F", "-L", "backup", &by_label.device]);
        run(&["mkfs.ext4", "-q", "-F", &by_name.device]);
        let done = live.guestprep(&["firstboot"]).exits(0);
        assert_eq!(done.out.matches("not the source's ext4").count(), 2, "{}", done.out);
        assert_eq!(live.fstab(), parked);
        // The source's own are.
        run(&["mkfs.ext4", "-q", "-F", "-L", "backup", "-U", &by_label.uuid, &by_label.device]);
        run(&["mkfs.ext4", "-q", "-F", "-U", &by_name.uuid, &by_name.device]);
        live.guestprep(&["firstboot"]).exits(0).says("on /backup").says("on /mnt");
    });
}

#[test]
fn what_cannot_be_mounted_is_parked_again_and_the_rest_comes_back() {
    alone(&[], |live| {
        live.data();
        let lost = live.disk("lost", "16M", &["mkfs.ext4", "-q", "-F"]);
        live.append_fstab(&format!("UUID={} /lost ext4 defaults 0 2\n", lost.uuid));
        cloned(live);
        let parked = live.fstab();
        assert!(parked.contains("#guestprep[fstab-data-disk] UUID="), "{parked}");
        // Its mount point is not in the image.
        let done = live.guestprep(&["firstboot"]).exits(0).says("back: /etc/fstab:3");
        assert!(
            done.out.contains("stays parked: /etc/fstab:4: /lost: cannot mount /lost"),
            "{}",
            done.out
        );
        assert!(live.fstab().contains("#guestprep[fstab-data-disk] UUID="), "{}", live.fstab());
        assert!(is_mounted(live, "/data") && !is_mounted(live, "/lost"));
        assert_eq!(names(live, &format!("{STATE}/runs")), [""; 0]);
    });
}

#[test]
fn a_clone_that_is_made_an_image_of_keeps_its_own_run() {
    alone(&[], |live| {
        live.data();
        cloned(live);
        live.guestprep(&["firstboot"]).exits(0);
        // This clone becomes a source: what it parks stays parked on it, at every boot.
        live.guestprep(&["prepare", "--yes"]).exits(0);
        fs::create_dir_all(live.at("/run/cloud-init")).expect("a directory");
        fs::write(live.at("/run/cloud-init/instance-data.json"), "{}").expect("a file");
        let before = live.state();
        live.guestprep(&["firstboot"]).exits(0).says("was made on this instance");
        assert_same(&before, &live.state(), "firstboot changed a source");
        live.instance("i-clone-of-clone");
        live.guestprep(&["firstboot"]).exits(0).says("back: /etc/fstab:3");
        assert!(is_mounted(live, "/data"), "{}", live.mounts());
    });
}

#[test]
fn killed_at_any_call_the_next_boot_finishes_it() {
    if let Some(why) = missing(&["strace"]) {
        return left_out(&why);
    }
    alone(&["strace"], |live| {
        live.data();
        let fstab = live.fstab();
        cloned(live);
        let parked = live.fstab();
        let saved = live.at("/run/source");
        run(&["cp", "-a", &live.at(STATE), &saved]);
        for call in ["fsync", "renameat", "unlinkat", "clone,clone3,fork,vfork", "wait4,waitid"] {
            let mut times = 0;
            loop {
                let inject = format!("inject={call}:signal=KILL:when={}", times + 1);
                let root = live.root.to_str().expect("UTF-8");
                let program = ["strace", "-f", "-q", "-o", "/dev/null", "-e", &inject];
                let victim = ["chroot", root, GUESTPREP, "firstboot"];
                let killed = std::process::Command::new(program[0])
                    .args(&program[1..])
                    .args(victim)
                    .output()
                    .expect("strace");
                if killed.status.success() {
                    break;
                }
                times += 1;
                live.guestprep(&["firstboot"]).exits(0);
                assert_eq!(live.fstab(), fstab, "killed at call {times} of {call}");
                assert!(is_mounted(live, "/data"), "killed at call {times} of {call}");
                assert_eq!(names(live, &format!("{STATE}/runs")), [""; 0]);
                again(live, &parked, &saved);
            }
            assert!(times > 0, "firstboot makes no call of {call}");
            println!("killed at {times} calls of {call}");
            again(live, &parked, &saved);
        }
    });
}

/// The clone as it was before its first boot.
fn again(live: &Live, parked: &str, saved: &str) {
    live.chroot(&["umount", "/data"]).exits(0);
    fs::write(live.at("/etc/fstab"), parked).expect("fstab");
    for entry in fs::read_dir(live.at(STATE)).expect("the state directory") {
        run(&["rm", "-rf", entry.expect("an entry").path().to_str().expect("UTF-8")]);
    }
    for name in fs::read_dir(Path::new(saved)).expect("the copy") {
        let path = name.expect("a name").path();
        run(&["cp", "-a", path.to_str().expect("UTF-8"), &live.at(STATE)]);
    }
}
