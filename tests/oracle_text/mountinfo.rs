//! mountinfo against findmnt(8).

use super::{Row, check, findmnt, row};
use guestprep::parse::mountinfo::{Mount, Mountinfo};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fs;

const MOUNT_COLUMNS: &str = "ID,FSROOT,TARGET,VFS-OPTIONS,PROPAGATION,FSTYPE,SOURCE,FS-OPTIONS";
/// findmnt knows these of the running kernel's table alone, not of one in a file.
const KERNEL_COLUMNS: &str = "ID,PARENT,MAJ:MIN";

fn mount_row(mount: &Mount) -> Row {
    let has =
        |tag: &str| mount.optional.iter().any(|field| field.value.starts_with(tag.as_bytes()));
    let mut propagation = vec![if has("shared:") { "shared" } else { "private" }];
    if has("master:") {
        propagation.push("slave");
    }
    if has("unbindable") {
        propagation.push("unbindable");
    }
    row([
        mount.id.to_string().as_bytes(),
        &mount.root.value,
        &mount.mount_point.value,
        &mount.options.value,
        propagation.join(",").as_bytes(),
        &mount.fstype.value,
        &mount.source.value,
        &mount.super_options.value,
    ])
}

/// findmnt goes through the tree of mounts, we through the file.
fn by_id(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

#[test]
fn mounts_are_those_of_findmnt() {
    let info = Mountinfo::parse(&fs::read("/proc/self/mountinfo").unwrap());
    assert_eq!(info.errors, []);
    let ours: Vec<Row> = info.mounts.iter().map(mount_row).collect();
    assert!(!ours.is_empty());
    assert_eq!(by_id(ours), by_id(findmnt(MOUNT_COLUMNS, &[OsStr::new("--kernel")])));
    let ours = info.mounts.iter().map(|mount| {
        let device = format!("{}:{}", mount.device.0, mount.device.1);
        vec![mount.id.to_string(), mount.parent.to_string(), device]
    });
    assert_eq!(by_id(ours.collect()), by_id(findmnt(KERNEL_COLUMNS, &[OsStr::new("--kernel")])));
}

#[test]
fn random_mountinfo_is_read_as_findmnt_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mountinfo");
    let name = "(/[a-z#]{1,3}(\\\\040|\\\\011|\\\\012|\\\\134|\\\\043)?){1,3}";
    let line = (
        (1u32..1000, 0u32..1000, 0u32..300, 0u32..300),
        (name, name, "(ro|rw)(,noatime)?"),
        ("( (shared:1|master:2|unbindable)){0,2}", "(ext4|fuse\\.s|tmpfs)", "(/dev/[a-z]{1,3}|none|a\\\\040b|)"),
        "rw(,a=b)?",
    )
        .prop_map(|((id, parent, major, minor), (root, target, options), (optional, fstype, source), superblock)| {
            format!("{id} {parent} {major}:{minor} {root} {target} {options}{optional} - {fstype} {source} {superblock}\n")
        });
    check(prop::collection::vec(line, 1..5), |lines| {
        fs::write(&path, lines.concat()).unwrap();
        let info = Mountinfo::parse(&fs::read(&path).unwrap());
        prop_assert_eq!(&info.errors, &[]);
        let ours: Vec<Row> = info.mounts.iter().map(mount_row).collect();
        let theirs = findmnt(MOUNT_COLUMNS, &[OsStr::new("--tab-file"), path.as_os_str()]);
        prop_assert_eq!(by_id(ours), by_id(theirs), "{}", lines.concat());
        Ok(())
    });
}
