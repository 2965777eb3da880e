//! Looking at an image changes not a byte of it, whatever state its filesystems are in.

use std::path::Path;

use crate::common::fixture::Fixture;
use crate::host::{directory_in_memory, has};
use crate::program::{assert_nothing_left, fingerprint, guestprep, wrapped};
use crate::shell::sh;

/// Filesystems whose image was taken while they were mounted and written to, so that their journal
/// has to be replayed: what makes each in `part`, and its size in MiB.
const DIRTY: &[(&str, u32, &str)] = &[
    ("ext3", 48, "mkfs.ext3 -q -F part"),
    ("ext4", 48, "mkfs.ext4 -q -F part"),
    ("xfs", 300, "mkfs.xfs -q part"),
    ("btrfs", 120, "mkfs.btrfs -q part"),
];

/// Writes to the mounted filesystem, and copies it while its journal has what its place has not.
const PULL_THE_PLUG: &str = r#"
truncate -s "${size}M" part; eval "$mkfs"
mkdir -p on; mount -o loop part on; cp -a root/. on/; sync -f on
for n in 1 2 3 4; do echo "$n" >"on/etc/late-$n"; sync -d "on/etc/late-$n"; sync "on/etc"; done
rm on/etc/late-1 on/etc/hostname; echo late >on/etc/hostname; sync -d on/etc/hostname; sync on/etc
cp --sparse=always part "$disk"
umount on; rm part
"#;

fn tree(directory: &Path) {
    let fixture = Fixture::distro_in_memory("debian-12");
    crate::common::fixture::copy_tree(&fixture.root, &directory.join("root"));
}

#[test]
fn a_look_leaves_every_byte_as_it_is() {
    if !has(&["mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"]) {
        return;
    }
    for (name, size, mkfs) in DIRTY {
        let directory = directory_in_memory();
        let disk = directory.path().join("disk.raw");
        tree(directory.path());
        sh(directory.path(), &disk, &format!("size={size} mkfs='{mkfs}'\n{PULL_THE_PLUG}"));
        let before = fingerprint(&disk);
        for command in ["audit", "plan"] {
            let done = guestprep(&[command], &disk);
            assert!([0, 1, 3].contains(&done.code), "{name}: {done:?}");
            assert_eq!(before, fingerprint(&disk), "{name}: {command} changed the image");
            // `audit` tells what it did not see.
            assert!(
                *name != "btrfs"
                    || command == "plan"
                    || format!("{}{}", done.out, done.err).contains("is not replayed"),
                "{name}: {command} does not say that the journal is left as it is: {done:?}"
            );
        }
        // The journal of ext3 and ext4 is replayed in memory, so that the look sees what boot would.
        if name.starts_with("ext") {
            let report = guestprep(&["audit", "--format", "json"], &disk).json();
            assert_eq!(report["guest"]["image"]["reader"], "user-space", "{name}");
            assert_eq!(report["guest"]["hostname"], "late", "{name}: its journal is not replayed");
        }
        // What is copied is prepared with its journal replayed, and the image stays.
        let done = guestprep(&["prepare", "--yes"], &disk);
        assert!([0, 1, 3].contains(&done.code), "{name}: {done:?}");
        assert_eq!(before, fingerprint(&disk), "{name}: prepare changed the image");
        assert_nothing_left(directory.path(), name);
    }
}

#[test]
fn a_look_opens_the_image_for_reading_alone() {
    if !has(&["mke2fs", "strace"]) {
        return;
    }
    let directory = directory_in_memory();
    let disk = directory.path().join("disk.raw");
    tree(directory.path());
    sh(directory.path(), &disk, "new 24; ext4 0 24 root");
    for command in ["audit", "plan", "runs"] {
        let log = directory.path().join("strace.log");
        let log = log.to_str().expect("UTF-8");
        let strace =
            ["strace", "-f", "-qq", "-y", "-e", "trace=%file,ioctl,write,pwrite64", "-o", log];
        let done = wrapped(&strace, &[command], &disk);
        assert!([0, 1, 3].contains(&done.code), "{command}: {done:?}");
        let text = std::fs::read_to_string(log).expect("what strace saw");
        let named: Vec<&str> = text.lines().filter(|line| line.contains("disk.raw")).collect();
        assert!(!named.is_empty() || command == "runs", "strace did not see the image");
        let writing = named.iter().find(|line| {
            line.contains("O_RDWR") || line.contains("O_WRONLY") || line.contains("O_CREAT")
        });
        assert!(writing.is_none(), "{command}: {writing:?}");
        let written = named.iter().find(|line| line.contains("write"));
        assert!(written.is_none(), "{command}: {written:?}");
    }
}
