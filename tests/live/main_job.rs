//! Audit, plan, prepare, rollback of a guest with a data disk in fstab.

use std::fs;

use serde_json::{Value, json};

use crate::common::command::run;
use crate::common::live::{Live, alone};
use crate::common::state::assert_same;

/// Give fstab everything that a file can have, so that rollback can lose it.
fn adorn(live: &Live) {
    let fstab = live.at("/etc/fstab");
    run(&["chown", "0:42", &fstab]);
    run(&["chmod", "0640", &fstab]);
    run(&["setfacl", "-m", "u:1000:r", &fstab]);
    run(&["setfattr", "-n", "user.note", "-v", "kept", &fstab]);
    run(&["setfattr", "-n", "security.selinux", "-v", "system_u:object_r:etc_t:s0", &fstab]);
    run(&["chattr", "+d", &fstab]);
    run(&["touch", "-d", "2020-02-02 02:02:02.123456789", &fstab]);
    run(&["touch", "-d", "2020-03-03 03:03:03.987654321", &live.at("/etc")]);
}

fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["id"] == id).expect("the check")
}

#[test]
fn a_data_disk_in_fstab_is_found_put_away_and_put_back() {
    alone(&["setfacl", "setfattr", "chattr"], |live| {
        let disk = live.data();
        adorn(live);
        let before = live.state();
        let line = format!("UUID={}  /data ext4 defaults,noatime 0 2", disk.uuid);

        let report = live.guestprep(&["audit", "--format", "json"]).exits(1).json();
        assert_eq!(report["verdict"], "not-ready");
        let found = &check(&report, "fstab-data-disk")["findings"][0];
        assert_eq!(found["subject"], json!({"path": "/etc/fstab", "line": 3}));
        assert_eq!(found["impact"], "stops-boot");
        assert_eq!(found["severity"], "blocker");
        live.guestprep(&["audit", "--verbose"])
            .exits(1)
            .says("stops boot")
            .says("/etc/fstab:3")
            .says(&line);

        live.guestprep(&["plan"])
            .exits(0)
            .says(&format!("-{line}\n"))
            .says(&format!("+#guestprep[fstab-data-disk] {line}\n"))
            .says("unmount /data");
        let plan = live.guestprep(&["plan", "--format", "json"]).exits(0).json();
        assert_eq!(plan["schema"], "guestprep.plan/1");
        let actions: Vec<&Value> =
            plan["steps"].as_array().expect("steps").iter().map(|step| &step["action"]).collect();
        assert_eq!(actions, ["unmount", "edit-file"]);
        assert_same(&before, &live.state(), "looking changed the guest");

        live.guestprep(&["prepare", "--yes"]).exits(0).says("READY");
        assert!(!live.mounts().contains("/data"), "{}", live.mounts());
        let commented = format!("{}#guestprep[fstab-data-disk] {line}\n", live.root_line());
        assert_eq!(live.fstab(), commented);
        live.guestprep(&["audit"]).exits(0).says("READY");
        live.guestprep(&["prepare", "--yes"]).exits(0).says("Nothing to do");

        live.guestprep(&["rollback", "--yes"]).exits(0).says("2 steps undone and verified");
        assert_same(&before, &live.state(), "rollback did not give the guest back");
        live.guestprep(&["rollback", "--yes"]).exits(2).says("no run to roll back");
        live.guestprep(&["audit"]).exits(1);
    });
}

#[test]
fn a_bind_mount_and_a_swap_file_on_the_data_disk_go_with_it() {
    alone(&["mkswap"], |live| {
        live.data();
        live.append_fstab("/data/www /srv none bind,nosuid 0 0\n/data/swap none swap sw,pri=7 0 0");
        fs::create_dir(live.at("/data/www")).expect("www");
        live.chroot(&["mount", "--bind", "/data/www", "/srv"]).exits(0);
        live.chroot(&["mount", "-o", "remount,bind,nosuid,noatime", "/srv"]).exits(0);
        run(&["dd", "if=/dev/zero", &format!("of={}", live.at("/data/swap")), "bs=1M", "count=8"]);
        run(&["chmod", "600", &live.at("/data/swap")]);
        run(&["mkswap", &live.at("/data/swap")]);
        live.chroot(&["swapon", "-p", "7", "/data/swap"]).exits(0);
        let before = live.state();
        assert!(before.contains("swap /data/swap"), "{before}");

        live.guestprep(&["prepare", "--yes"]).exits(0).says("READY");
        let prepared = live.state();
        assert!(!prepared.contains("swap /data/swap") && !prepared.contains("mount /srv"));
        live.guestprep(&["rollback", "--yes"]).exits(0).says("4 steps undone");
        assert_same(&before, &live.state(), "rollback did not give the guest back");
    });
}

#[test]
fn what_is_mounted_inside_the_data_mount_goes_first() {
    alone(&[], |live| {
        live.data();
        let inner = live.disk("inner", "32M", &["mkfs.ext4", "-q", "-F"]);
        live.append_fstab(&format!("UUID={} /data/inner ext4 ro 0 0\n", inner.uuid));
        fs::create_dir(live.at("/data/inner")).expect("a directory");
        live.chroot(&["mount", "-o", "ro", &inner.device, "/data/inner"]).exits(0);
        let before = live.state();

        live.guestprep(&["prepare", "--yes"]).exits(0);
        assert!(!live.mounts().contains("/data"), "{}", live.mounts());
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback did not give the guest back");
    });
}

#[test]
fn umount_takes_a_directory_or_a_device() {
    alone(&[], |live| {
        let disk = live.data();
        let inner = live.disk("inner", "32M", &["mkfs.ext4", "-q", "-F"]);
        fs::create_dir(live.at("/data/inner")).expect("a directory");
        let mounted = live.mounts();
        live.chroot(&["mount", &inner.device, "/data/inner"]).exits(0);
        live.guestprep(&["umount", &inner.device]).exits(0).says("unmounted /data/inner");
        assert_same(&mounted, &live.mounts(), "more than the device was unmounted");

        live.chroot(&["mount", &inner.device, "/data/inner"]).exits(0);
        let holder = live.start(&["sh", "-c", "cd /data/inner; exec sleep 60"]);
        crate::common::command::until("it holds", || {
            fs::read_link(format!("/proc/{}/cwd", holder.pid()))
                .is_ok_and(|cwd| cwd.ends_with("data/inner"))
        });
        let before = live.state();
        live.guestprep(&["umount", "/data"])
            .exits(1)
            .says(&format!("pid {}", holder.pid()))
            .says("sleep 60")
            .says("/data/inner");
        assert_same(&before, &live.state(), "a refused umount changed the guest");
        drop(holder);
        live.guestprep(&["umount", "/data"]).exits(0).says(&disk.device);
        assert!(!live.mounts().contains("/data"), "{}", live.mounts());
        live.guestprep(&["umount", "/data"]).exits(2).says("is not mounted");
        live.guestprep(&["umount", "/"]).exits(2).says("part of the system");
    });
}
