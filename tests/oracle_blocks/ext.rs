//! ext2, ext3, ext4 and jbd against mke2fs, tune2fs, debugfs, dumpe2fs and blkid.

use crate::tools::{Image, agree, attempt, have, identify, run};
use guestprep::parse::superblock::ext::{Compat, Ext, Incompat, OnError, RoCompat};
use guestprep::parse::superblock::{Checksum, Detail, Kind, Superblock};
use std::collections::BTreeMap;

const TOOLS: [&str; 4] = ["mke2fs", "dumpe2fs", "debugfs", "blkid"];

fn ext(superblock: &Superblock) -> &Ext {
    match &superblock.detail {
        Detail::Ext(ext) => ext,
        other => panic!("{other:?}"),
    }
}

fn dumpe2fs(image: &Image) -> BTreeMap<String, String> {
    let text = run("dumpe2fs", &["-h", &image.arg()]);
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

fn features(ext: &Ext) -> String {
    [ext.compat.names(), ext.incompat.names(), ext.ro_compat.names()].concat().join(" ")
}

#[test]
fn every_variant() {
    if !have(&TOOLS) {
        return;
    }
    let cases: &[(&[&str], Kind)] = &[
        (&["-t", "ext2"], Kind::Ext2),
        (&["-t", "ext2", "-b", "1024", "-L", "sixteen bytes ok"], Kind::Ext2),
        (&["-t", "ext2", "-r", "0"], Kind::Ext2),
        (&["-t", "ext3", "-L", "  a b "], Kind::Ext3),
        (&["-t", "ext3", "-O", "extent"], Kind::Ext4),
        (&["-t", "ext2", "-O", "extent"], Kind::Ext4),
        (&["-t", "ext4"], Kind::Ext4),
        (&["-t", "ext4", "-O", "^has_journal"], Kind::Ext4),
        (&["-t", "ext4", "-O", "^metadata_csum,^64bit"], Kind::Ext4),
        (&["-t", "ext4", "-O", "quota,project", "-I", "256"], Kind::Ext4),
        (&["-t", "ext4", "-O", "encrypt,verity,casefold,ea_inode,large_dir"], Kind::Ext4),
        (
            &["-t", "ext4", "-O", "metadata_csum_seed,inline_data,mmp,bigalloc,^resize_inode"],
            Kind::Ext4,
        ),
        (
            &[
                "-t",
                "ext4",
                "-O",
                "sparse_super2,fast_commit,orphan_file,stable_inodes,meta_bg,^resize_inode",
            ],
            Kind::Ext4,
        ),
        (&["-t", "ext4", "-b", "65536"], Kind::Ext4),
        (&["-t", "ext4", "-e", "remount-ro"], Kind::Ext4),
        (&["-t", "ext4", "-e", "panic", "-M", "/srv/data"], Kind::Ext4),
        (&["-O", "journal_dev", "-b", "4096", "-L", "journal"], Kind::Jbd),
        (&["-O", "journal_dev", "-b", "1024"], Kind::Jbd),
    ];
    for (args, kind) in cases {
        let image = Image::new(64);
        image.make("mke2fs", &[&["-q", "-F"], *args].concat());
        let found = agree(&image);
        assert_eq!(found.kind, *kind, "{args:?}");
        let ext = ext(&found);
        let dump = dumpe2fs(&image);
        let value = |key: &str| dump.get(key).cloned().unwrap_or_default();
        if value("Filesystem features") != "(none)" {
            assert_eq!(features(ext), value("Filesystem features"), "{args:?}");
        }
        let has_checksum = features(ext).split(' ').any(|name| name == "metadata_csum");
        assert_eq!(
            found.checksum,
            if has_checksum { Checksum::Good } else { Checksum::Absent },
            "{args:?}"
        );
        if *kind == Kind::Jbd {
            continue;
        }
        assert_eq!(ext.blocks.to_string(), value("Block count"));
        assert_eq!(ext.free_blocks.to_string(), value("Free blocks"));
        assert_eq!(ext.block_size.to_string(), value("Block size"));
        assert_eq!(ext.mount_count.to_string(), value("Mount count"));
        assert_eq!(ext.max_mount_count.to_string(), value("Maximum mount count"));
        assert_eq!(
            value("Check interval").split(' ').next(),
            Some(ext.check_interval.to_string().as_str())
        );
        let on_error = match ext.on_error {
            OnError::Continue => "Continue",
            OnError::RemountReadOnly => "Remount read-only",
            OnError::Panic => "Panic",
            OnError::Unknown(_) => "Unknown",
        };
        assert_eq!(on_error, value("Errors behavior"));
        let last = String::from_utf8(ext.last_mounted.clone()).unwrap();
        assert_eq!(
            if last.is_empty() { "<not available>" } else { &last },
            value("Last mounted on")
        );
        assert!(ext.state.clean() && !ext.state.errors() && !ext.needs_recovery());
    }
}

/// tune2fs, debugfs and e2fsck agree about when a check is due.
#[test]
fn errors_and_checks() {
    if !have(&TOOLS) {
        return;
    }
    let image = Image::new(16);
    image.make("mke2fs", &["-q", "-F", "-t", "ext4"]);
    image.make("tune2fs", &["-c", "5", "-C", "5", "-i", "7d", "-T", "20300101000000"]);
    let path = image.arg();
    for request in [
        "ssv state 2",
        "ssv error_count 3",
        "ssv first_error_time 20250102030405",
        "ssv last_error_time 20250102030405",
        "ssv mtime 20240506070809",
        "feature needs_recovery",
    ] {
        run("debugfs", &["-w", "-R", request, &path]);
    }
    // After 2106: the eight bits that the times got later, which this debugfs does not set; -n lets it mend the checksum.
    image.write(1024 + 0x279, &[1]);
    run("debugfs", &["-w", "-n", "-R", "ssv kbytes_written 1", &path]);
    let found = agree(&image);
    let ext = ext(&found);
    assert_eq!(found.checksum, Checksum::Good);
    assert!(ext.state.errors() && !ext.state.clean() && ext.needs_recovery());
    assert_eq!(ext.error_count, 3);
    let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second() as u64;
    assert_eq!(ext.last_check, second("2030-01-01T00:00:00Z"));
    assert_eq!(ext.first_error_at, second("2025-01-02T03:04:05Z"));
    assert_eq!(ext.last_error_at, second("2025-01-02T03:04:05Z") + (1 << 32));
    assert_eq!(ext.mounted_at, second("2024-05-06T07:08:09Z"));
    assert!(ext.check_due_by_count());
    assert!(!ext.check_due_by_time(second("2030-01-07T23:59:59Z")));
    assert!(ext.check_due_by_time(second("2030-01-08T00:00:00Z")));

    // The upper half of a count, as of a filesystem of more than 16 TiB.
    image.write(1024 + 0x158, &[3]);
    run("debugfs", &["-w", "-n", "-R", "ssv kbytes_written 2", &path]);
    let free = self::ext(&agree(&image)).free_blocks;
    assert_eq!(dumpe2fs(&image)["Free blocks"], free.to_string());
    assert_eq!(free >> 32, 3);
    image.write(1024 + 0x158, &[0]);
    run("debugfs", &["-w", "-n", "-R", "ssv kbytes_written 3", &path]);

    image.make("tune2fs", &["-c", "-1", "-i", "0"]);
    let found = agree(&image);
    let ext = self::ext(&found);
    assert_eq!(ext.max_mount_count, -1);
    assert!(!ext.check_due_by_count() && !ext.check_due_by_time(u64::MAX));
}

/// After a crash an ext3 has the one feature that ext2 drivers lack, and is still ext3.
#[test]
fn ext3_that_needs_recovery() {
    if !have(&TOOLS) {
        return;
    }
    let image = Image::new(16);
    image.make("mke2fs", &["-q", "-F", "-t", "ext3"]);
    run("debugfs", &["-w", "-R", "feature needs_recovery", &image.arg()]);
    let found = agree(&image);
    assert!(found.kind == Kind::Ext3 && ext(&found).needs_recovery());
}

/// Each bit has the name that dumpe2fs gives it; one without a name, its number.
#[test]
fn names_of_all_bits() {
    if !have(&TOOLS) {
        return;
    }
    let image = Image::new(4);
    image.make("mke2fs", &["-q", "-F", "-t", "ext2"]);
    for bit in 0..32 {
        for (at, names) in [
            (0x5c, Compat(1 << bit).names()),
            (0x60, Incompat(1 << bit).names()),
            (0x64, RoCompat(1 << bit).names()),
        ] {
            let mut masks = [0; 12];
            masks[at - 0x5c + bit / 8] = 1 << (bit % 8);
            image.write(1024 + 0x5c, &masks);
            // 64bit needs a size of the group descriptors.
            image.write(1024 + 0xfe, &[64, 0]);
            // -f shows features that e2fsprogs does not know.
            // It fails after the line where a feature names more that is not there.
            let (_, text, _) = attempt("dumpe2fs", &["-f", "-h", &image.arg()], "");
            let line = text.lines().find_map(|line| line.strip_prefix("Filesystem features:"));
            assert_eq!(line.unwrap().trim(), names.join(" "), "{at:#x} bit {bit}");
        }
    }
}

/// A byte of the superblock that changes shows in the checksum. libblkid would not see the filesystem at all.
#[test]
fn a_wrong_checksum_is_said() {
    if !have(&TOOLS) {
        return;
    }
    let image = Image::new(16);
    image.make("mke2fs", &["-q", "-F", "-t", "ext4"]);
    image.write(1024 + 0x3f0, &[1]);
    let found = identify(&image.path()).unwrap().unwrap();
    assert_eq!((found.kind, found.checksum), (Kind::Ext4, Checksum::Bad));
}
