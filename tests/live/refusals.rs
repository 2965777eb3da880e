//! What cannot or may not be done is said, and nothing is lost.

use std::fs;

use crate::common::command::run;
use crate::common::live::{Disk, GUESTPREP, Live, alone, has_filesystem};
use crate::common::state::assert_same;

#[test]
fn a_clone_is_not_rolled_back() {
    alone(&[], |live| {
        live.data();
        fs::create_dir_all(live.at("/var/lib/cloud/data")).expect("a directory");
        fs::write(live.at("/var/lib/cloud/data/instance-id"), "i-source\n").expect("an id");
        live.guestprep(&["prepare", "--yes"]).exits(0);
        fs::write(live.at("/var/lib/cloud/data/instance-id"), "i-clone\n").expect("an id");
        let before = live.state();
        live.guestprep(&["rollback", "--yes"]).exits(2).says("i-source").says("clone");
        live.guestprep(&["runs"]).exits(0).says("prepared");
        assert_same(&before, &live.state(), "a refused rollback changed the clone");
        fs::write(live.at("/var/lib/cloud/data/instance-id"), "i-source\n").expect("an id");
        live.guestprep(&["rollback", "--yes"]).exits(0);
    });
}

#[test]
fn what_may_be_a_clone_is_rolled_back_by_who_knows_alone() {
    alone(&[], |live| {
        live.nameless();
        live.data();
        let original = live.fstab();
        let args = ["capture", "--", "sh", "-c", "kill -9 $PPID"];
        live.guestprep(&args).exits(137);
        live.boots_anew();
        let before = live.state();
        for command in ["audit", "runs", "plan"] {
            let done = live.guestprep(&[command]);
            assert!(
                done.err.contains("a capture that was killed, and is left as it is"),
                "{done:?}"
            );
            assert_same(&before, &live.state(), "a clone was put back to what its source was");
        }
        let done = live.guestprep(&["rollback", "--yes"]).exits(0);
        assert!(done.err.contains("neither a DMI product UUID nor an instance id"), "{done:?}");
        assert_eq!(live.fstab(), original);
        assert!(live.mounts().contains("mount /data/ of "), "{}", live.mounts());
    });
}

#[test]
fn what_somebody_wrote_after_the_run_is_kept() {
    alone(&[], |live| {
        live.data();
        let original = live.fstab();
        live.guestprep(&["prepare", "--yes"]).exits(0);
        live.append_fstab("# theirs\n");
        let edited = live.fstab();
        let done = live.guestprep(&["rollback", "--yes"]).exits(5).says("/etc/fstab");
        assert_eq!(live.fstab(), edited, "their edit is kept");
        assert!(live.mounts().contains("/data"), "what could be undone is");
        let kept = done.err.split_whitespace().find(|word| word.contains("/saved-"));
        let kept = kept.expect("the original is named").trim_end_matches([';', ',', ')']);
        assert_eq!(fs::read_to_string(live.at(kept)).expect("the original"), original);
        // Mended as told, the rest of the rollback is done.
        fs::write(live.at("/etc/fstab"), original).expect("fstab");
        live.guestprep(&["rollback", "--yes"]).exits(0);
        live.guestprep(&["runs"]).exits(0).says("rolled back");
    });
}

#[test]
fn an_immutable_fstab_is_left_alone_unless_asked() {
    alone(&["chattr", "lsattr"], |live| {
        live.data();
        live.chattr("+i", "/etc/fstab");
        let before = live.state();
        live.guestprep(&["prepare", "--yes"]).exits(4).says("immutable").says("lsattr");
        assert_same(&before, &live.state(), "a refused prepare changed the guest");

        fs::write(live.at("/run/config.toml"), "[mounts]\nclear-flags = true\n").expect("a file");
        live.guestprep(&["prepare", "--yes", "--config", "/run/config.toml"]).exits(0);
        assert!(live.fstab().contains("#guestprep[fstab-data-disk]"));
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "the flag is not back");

        live.chattr("-i", "/etc/fstab");
        live.chattr("+a", "/etc/fstab");
        live.guestprep(&["prepare", "--yes"]).exits(4).says("append-only");
    });
}

#[test]
fn a_read_only_etc_is_said_before_anything_is_touched() {
    alone(&[], |live| {
        live.data();
        run(&["mount", "--bind", &live.at("/etc"), &live.at("/etc")]);
        run(&["mount", "-o", "remount,bind,ro", &live.at("/etc")]);
        let before = live.state();
        live.guestprep(&["prepare", "--yes"]).exits(4).says("read-only").says("/etc/fstab");
        assert_same(&before, &live.state(), "a refused prepare changed the guest");
    });
}

#[test]
fn a_full_root_filesystem_loses_nothing() {
    alone(&[], |live| {
        live.data();
        fill(&live.at("/var/full"));
        let before = live.state();
        // The journal has room, so that it is fstab that cannot be written.
        live.guestprep(&["prepare", "--yes", "--state-dir", "/run/state"])
            .exits(4)
            .says("cannot replace /etc/fstab: No space left on device")
            .says("undone");
        assert_same(&before, &live.state(), "a failed prepare changed the guest");
    });
}

#[test]
fn a_full_state_directory_loses_nothing() {
    alone(&[], |live| {
        live.data();
        fs::create_dir(live.at("/run/state")).expect("a directory");
        run(&["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "state", &live.at("/run/state")]);
        fill(&live.at("/run/state/full"));
        let before = live.state();
        let args = ["prepare", "--yes", "--state-dir", "/run/state"];
        live.guestprep(&args).exits(4).says("No space left on device").says("/run/state");
        assert_same(&before, &live.state(), "a failed prepare changed the guest");
        fs::remove_file(live.at("/run/state/full")).expect("the filler");
        live.guestprep(&args).exits(0);
        fill(&live.at("/run/state/full"));
        // Undone all the same: what the journal cannot take, the next command sees is done.
        live.guestprep(&["rollback", "--yes", "--state-dir", "/run/state"]).exits(0);
        assert_same(&before, &live.state(), "rollback did not give the guest back");
        fs::remove_file(live.at("/run/state/full")).expect("the filler");
        live.guestprep(&["runs", "--state-dir", "/run/state"]).exits(0);
        assert_same(&before, &live.state(), "the next command changed the guest");
    });
}

#[test]
fn without_root_it_judges_what_it_can_and_changes_nothing() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        let nobody = |args: &[&str]| {
            let user = ["--userspec=65534:65534", "--groups="];
            let root = live.root.to_str().expect("UTF-8");
            let argv = [&user[..], &[root, GUESTPREP], args].concat();
            std::process::Command::new("chroot").args(argv).output().expect("chroot")
        };
        let audit = nobody(&["audit", "--format", "json"]);
        assert_eq!(audit.status.code(), Some(1), "{audit:?}");
        let report: serde_json::Value = serde_json::from_slice(&audit.stdout).expect("a report");
        let verdict = |id: &str| {
            let checks = report["checks"].as_array().expect("checks");
            checks.iter().find(|c| c["id"] == id).expect("the check")["verdict"].clone()
        };
        assert_eq!(verdict("fstab-data-disk"), "fail");
        // It may not read /etc/shadow.
        assert_eq!(verdict("root-account-missing"), "unknown");
        for args in [&["prepare", "--yes"][..], &["rollback", "--yes"], &["umount", "/data"]] {
            let done = nobody(args);
            assert_eq!(done.status.code(), Some(2), "{done:?}");
            assert!(String::from_utf8_lossy(&done.stderr).contains("needs root"), "{done:?}");
        }
        assert_same(&before, &live.state(), "an ordinary user changed the guest");
    });
}

/// A part of a data disk on /srv, whose whole is mounted nowhere any more.
fn part_of_a_disk(live: &mut Live) -> Disk {
    let disk = live.data();
    fs::create_dir(live.at("/data/www")).expect("www");
    live.chroot(&["mount", "--bind", "/data/www", "/srv"]).exits(0);
    live.chroot(&["umount", "/data"]).exits(0);
    disk
}

#[test]
fn what_could_not_be_mounted_again_is_not_unmounted() {
    alone(&[], |live| {
        let disk = part_of_a_disk(live);
        let before = live.state();
        live.guestprep(&["prepare", "--yes"])
            .exits(4)
            .says("/srv")
            .says("no more of it is mounted");
        assert_same(&before, &live.state(), "a refused prepare changed the guest");
        live.chroot(&["mount", "-o", "noatime", &disk.device, "/data"]).exits(0);
        let before = live.state();
        live.guestprep(&["prepare", "--yes"]).exits(0);
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback did not give the guest back");

        // A directory that has been removed is there in the mount alone.
        run(&["rmdir", &live.at("/data/www")]);
        live.guestprep(&["prepare", "--yes"]).exits(4).says("has been removed");
        live.guestprep(&["umount", "/srv"]).exits(0);
        live.guestprep(&["prepare", "--yes"]).exits(0);
    });
}

#[test]
fn a_directory_in_a_subvolume_is_mounted_again_as_it_was() {
    alone(&["mkfs.btrfs", "btrfs"], |live| {
        if !has_filesystem("btrfs") {
            return;
        }
        let disk = live.disk("btrfs", "256M", &["mkfs.btrfs", "-q", "-f"]);
        fs::create_dir(live.at("/data")).expect("/data");
        live.chroot(&["mount", "-t", "btrfs", &disk.device, "/data"]).exits(0);
        run(&["btrfs", "subvolume", "create", &live.at("/data/one")]);
        fs::create_dir(live.at("/data/one/www")).expect("www");
        live.chroot(&["umount", "/data"]).exits(0);
        live.chroot(&["mount", "-t", "btrfs", "-o", "subvol=one", &disk.device, "/data"]).exits(0);
        live.append_fstab(&format!("UUID={} /data btrfs subvol=one 0 0\n", disk.uuid));
        live.chroot(&["mount", "--bind", "/data/www", "/srv"]).exits(0);
        let before = live.state();
        live.guestprep(&["prepare", "--yes"]).exits(0);
        assert!(!live.mounts().contains("mount /srv/ of "), "{}", live.mounts());
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback did not give the guest back");
    });
}

#[test]
fn what_was_mounted_instead_is_unmounted() {
    alone(&[], |live| {
        let disk = part_of_a_disk(live);
        live.chroot(&["mount", "-o", "noatime", &disk.device, "/data"]).exits(0);
        live.guestprep(&["prepare", "--yes"]).exits(0);
        // As an earlier version left it.
        let runs = fs::read_dir(live.at("/var/lib/guestprep/runs")).expect("the runs");
        let journal = runs.map(|run| run.expect("a run").path().join("journal")).next();
        let journal = journal.expect("a journal");
        let text = fs::read_to_string(&journal).expect("the journal");
        let known = "\"origin\":\"/data/www\"";
        assert!(text.contains(known), "{text}");
        fs::write(&journal, text.replace(known, "\"origin\":null")).expect("the journal");
        live.guestprep(&["rollback", "--yes"]).exits(5).says("/srv");
        let mounts = live.mounts();
        assert!(mounts.contains("mount /data/ of / "), "{mounts}");
        assert!(!mounts.contains("mount /srv/ of "), "{mounts}");
    });
}

/// Fill a filesystem with a file.
fn fill(path: &str) {
    let mut file = fs::File::create(path).expect("a file");
    let mut size = 65_536;
    while size > 0 {
        let written = std::io::Write::write_all(&mut file, &vec![1; size]);
        if written.is_err() {
            size /= 2;
        }
    }
}

/// Every disk would be a data disk where none is the system's.
#[test]
fn a_root_that_is_no_mount_point_is_not_judged_without_a_word() {
    alone(&[], |live| {
        live.data();
        live.bring("chroot");
        let chroot = live.at("/srv/chroot");
        fs::create_dir_all(&chroot).expect("a directory");
        for name in ["bin", "boot", "etc", "lib", "lib64", "sbin", "var"] {
            if fs::symlink_metadata(live.at(name)).is_ok() {
                run(&["cp", "-a", &live.at(name), &chroot]);
            }
        }
        for name in ["dev", "opt", "proc", "run", "sys", "usr"] {
            let to = format!("{chroot}/{name}");
            fs::create_dir(&to).expect("a directory");
            run(&["mount", "--bind", &live.at(name), &to]);
        }
        let fstab = format!("{chroot}/etc/fstab");
        let text = live.fstab() + &format!("UUID={} /home ext4 defaults 0 2\n", live.uuid);
        fs::write(&fstab, &text).expect("fstab");
        let guestprep =
            |args: &[&str]| live.chroot(&[&["chroot", "/srv/chroot", GUESTPREP], args].concat());
        let check = ["--check", "fstab-data-disk"];
        guestprep(&[&["audit"], &check[..]].concat()).exits(3).says("/ is no mount point");
        guestprep(&["disks"]).exits(3).says("--system-disk");
        let before = live.mounts();
        guestprep(&[&["prepare", "--yes"], &check[..]].concat());
        assert_eq!(fs::read_to_string(&fstab).expect("fstab"), text, "nothing is parked");
        assert_eq!(live.mounts(), before, "nothing is unmounted");
        // With the word, the system's line stays and the data disk's is found.
        let system = format!("UUID={}", live.uuid);
        let told = guestprep(&[&["audit", "--system-disk", &system], &check[..]].concat()).exits(1);
        assert!(told.out.contains("/data") && !told.out.contains("/home"), "{}", told.out);
    });
}
