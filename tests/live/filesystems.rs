//! Data disks of other filesystems and by other names.

use std::fs;

use crate::common::command::run;
use crate::common::live::{Live, alone, has_filesystem};
use crate::common::state::assert_same;

/// Prepare and roll back; the mount has to go and to come back as it was.
fn round_trip(live: &Live, line: &str, mounts: &[&[&str]]) {
    live.append_fstab(line);
    for mount in mounts {
        live.chroot(mount).exits(0);
    }
    let before = live.state();
    live.guestprep(&["audit"]).exits(1).says("stops boot");
    live.guestprep(&["prepare", "--yes"]).exits(0).says("READY");
    assert!(!live.mounts().contains("/data"), "{}", live.mounts());
    assert!(!live.fstab().contains(&format!("\n{line}")), "{}", live.fstab());
    live.guestprep(&["rollback", "--yes"]).exits(0);
    assert_same(&before, &live.state(), "rollback did not give the guest back");
}

#[test]
fn xfs_by_label() {
    alone(&["mkfs.xfs"], |live| {
        if !has_filesystem("xfs") {
            return;
        }
        let disk = live.disk("xfs", "320M", &["mkfs.xfs", "-q", "-L", "DATA"]);
        fs::create_dir(live.at("/data")).expect("/data");
        round_trip(
            live,
            "LABEL=DATA /data xfs defaults,nodev 0 0\n",
            &[&["mount", "-o", "nodev", &disk.device, "/data"]],
        );
    });
}

#[test]
fn two_subvolumes_of_btrfs() {
    alone(&["mkfs.btrfs", "btrfs"], |live| {
        if !has_filesystem("btrfs") {
            return;
        }
        let disk = live.disk("btrfs", "256M", &["mkfs.btrfs", "-q", "-f"]);
        for dir in ["data", "mnt", "data2"] {
            fs::create_dir_all(live.at(dir)).expect("a directory");
        }
        run(&["mount", &disk.device, &live.at("/mnt")]);
        run(&["btrfs", "subvolume", "create", &live.at("/mnt/one")]);
        run(&["btrfs", "subvolume", "create", &live.at("/mnt/two")]);
        run(&["umount", &live.at("/mnt")]);
        let source = format!("UUID={}", disk.uuid);
        round_trip(
            live,
            &format!(
                "{source} /data btrfs subvol=one,compress=zstd:1 0 0\n\
                 {source} /data2 btrfs subvol=two,noatime 0 0\n"
            ),
            &[
                &["mount", "-o", "subvol=one,compress=zstd:1", &disk.device, "/data"],
                &["mount", "-o", "subvol=two,noatime", &disk.device, "/data2"],
            ],
        );
    });
}

#[test]
fn by_kernel_name() {
    alone(&[], |live| {
        let disk = live.disk("data", "64M", &["mkfs.ext4", "-q", "-F"]);
        fs::create_dir(live.at("/data")).expect("/data");
        round_trip(
            live,
            &format!("{}\t/data\text4\tdefaults,errors=remount-ro\t0\t2", disk.device),
            &[&["mount", "-o", "errors=remount-ro", &disk.device, "/data"]],
        );
    });
}

#[test]
fn options_that_are_not_the_default() {
    alone(&[], |live| {
        let disk = live.disk("data", "64M", &["mkfs.ext4", "-q", "-F"]);
        fs::create_dir(live.at("/data")).expect("/data");
        let options = "ro,nosuid,nodev,noexec,data=journal,commit=17,stripe=4,sync";
        round_trip(
            live,
            &format!("UUID={} /data ext4 {options} 0 2\n", disk.uuid),
            &[&["mount", "-o", options, &disk.device, "/data"]],
        );
    });
}

#[test]
fn a_mount_point_with_a_space_and_a_newline() {
    alone(&[], |live| {
        let disk = live.disk("data", "64M", &["mkfs.ext4", "-q", "-F"]);
        fs::create_dir(live.at("/data")).expect("/data");
        fs::create_dir(live.at("/data\n a")).expect("a directory");
        round_trip(
            live,
            &format!("UUID={} /data\\012\\040a ext4 defaults 0 2\n", disk.uuid),
            &[&["mount", &disk.device, "/data\n a"]],
        );
    });
}

#[test]
fn a_loop_mount_of_a_file_on_the_data_disk() {
    alone(&[], |live| {
        live.data();
        let image = live.image("inner", "16M", &["mkfs.ext4", "-q", "-F"]);
        fs::copy(image, live.at("/data/inner.img")).expect("a copy");
        fs::create_dir(live.at("/mnt/loop")).expect("a directory");
        live.append_fstab("/data/inner.img /mnt/loop ext4 loop 0 0\n");
        live.chroot(&["mount", "-o", "loop", "/data/inner.img", "/mnt/loop"]).exits(0);
        // The number of the loop device may be another one afterwards: it is freed meanwhile.
        let number = |text: &str| {
            let words = text
                .split(' ')
                .map(|word| if word.starts_with("/dev/loop") { "/dev/loopN" } else { word });
            words.collect::<Vec<_>>().join(" ")
        };
        let before = number(&live.state());
        live.guestprep(&["prepare", "--yes"]).exits(0).says("READY");
        assert!(!live.mounts().contains("/mnt/loop"), "{}", live.mounts());
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &number(&live.state()), "rollback did not give the guest back");
    });
}
