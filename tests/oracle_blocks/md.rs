//! md against mdadm --examine and blkid, on superblocks built here.

use crate::tools::{Image, agree, blkid, have, identify, run, run_with};
use guestprep::parse::superblock::{Checksum, Detail, Kind, md};

/// A superblock of version 1 as md_p.h and the kernel's super_1_validate have it. No kernel here has md, without which
/// mdadm makes none; mdadm --examine and blkid judge it.
pub fn md_v1(offset: u64, roles: usize) -> Vec<u8> {
    let mut sb = vec![0; 256 + 2 * roles];
    let mut put = |at: usize, bytes: &[u8]| sb[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efcu32.to_le_bytes());
    put(4, &1u32.to_le_bytes());
    put(16, &std::array::from_fn::<u8, 16, _>(|index| index as u8 * 3 + 1));
    put(32, b"host:array");
    put(64, &1_700_000_000u64.to_le_bytes());
    put(72, &1u32.to_le_bytes());
    put(80, &16384u64.to_le_bytes());
    put(92, &2u32.to_le_bytes());
    put(128, &(if offset == 0 || offset == 4096 { 2048u64 } else { 0 }).to_le_bytes());
    put(136, &16384u64.to_le_bytes());
    put(144, &(offset / 512).to_le_bytes());
    put(168, &std::array::from_fn::<u8, 16, _>(|index| 200 - index as u8));
    put(192, &1_700_000_001u64.to_le_bytes());
    put(208, &u64::MAX.to_le_bytes());
    put(220, &(roles as u32).to_le_bytes());
    for role in 0..roles {
        put(256 + 2 * role, &(if role < 2 { role as u16 } else { 0xffff }).to_le_bytes());
    }
    let words: u64 = sb
        .chunks(4)
        .map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        .sum();
    let sum = (words as u32).wrapping_add((words >> 32) as u32);
    sb[216..220].copy_from_slice(&sum.to_le_bytes());
    sb
}

pub fn md_v090(swapped: bool) -> Vec<u8> {
    let mut words = vec![0u32; 1024];
    for (at, value) in [
        (0, 0xa92b_4efc),
        (2, 90),
        (4, 992),
        (5, 0x0123_4567),
        (6, 1_700_000_000),
        (7, 1),
        (8, 65472),
        (9, 2),
        (10, 2),
        (13, 0x89ab_cdef),
        (14, 0x1122_3344),
        (15, 0x5566_7788),
        (32, 1_700_000_001),
        (33, 1),
        (34, 2),
        (35, 2),
    ] {
        words[at] = value;
    }
    // The device's own descriptor, and those of both.
    for (at, number) in [(128, 0), (160, 1), (992, 0)] {
        words[at] = number;
        words[at + 3] = number;
        words[at + 4] = 0x6;
    }
    let sum: u64 = words.iter().map(|word| u64::from(*word)).sum();
    words[38] = (sum as u32).wrapping_add((sum >> 32) as u32);
    words
        .iter()
        .flat_map(|word| if swapped { word.to_be_bytes() } else { word.to_le_bytes() })
        .collect()
}

fn examine(image: &Image) -> impl Fn(&str) -> String {
    let text = run("mdadm", &["--examine", &image.arg()]);
    move |key| {
        let value = text
            .lines()
            .find_map(|line| line.split_once(" : ").filter(|(name, _)| name.trim() == key));
        value.unwrap_or_else(|| panic!("{key}: {text}")).1.trim().to_owned()
    }
}

#[test]
fn md_version_1() {
    if !have(&["mdadm", "blkid"]) {
        return;
    }
    for roles in [2, 3, 128] {
        for (version, offset) in [("1.0", (64 << 20) - 8192), ("1.1", 0), ("1.2", 4096)] {
            let image = Image::new(64);
            image.write(offset, &md_v1(offset, roles));
            let found = agree(&image);
            assert_eq!((found.kind, found.checksum), (Kind::LinuxRaid, Checksum::Good));
            let Detail::Md(md::Member { array_uuid, level, raid_disks, data_offset, size }) =
                found.detail
            else {
                panic!()
            };
            let examined = examine(&image);
            assert!(examined("Version").starts_with(version.split('.').next().unwrap()));
            assert_eq!(examined("Array UUID"), array_uuid);
            assert_eq!(examined("Raid Level"), format!("raid{level}"));
            assert_eq!(examined("Raid Devices"), raid_disks.to_string());
            assert_eq!(
                examined("Name").split(' ').next().unwrap().as_bytes(),
                found.label.unwrap()
            );
            assert!(examined("Checksum").ends_with("correct"), "{}", examined("Checksum"));
            assert!(examined("Avail Dev Size").starts_with(&(size / 512).to_string()));
            assert_eq!(data_offset, if version == "1.0" { 0 } else { 1 << 20 });
            image.write(offset + 200, &[1]);
            assert_eq!(agree(&image).checksum, Checksum::Bad);
            assert!(!examine(&image)("Checksum").ends_with(" correct"));
        }
    }
}

#[test]
fn md_version_090() {
    if !have(&["mdadm", "blkid", "sfdisk"]) {
        return;
    }
    for swapped in [false, true] {
        let image = Image::new(64);
        image.set_size(image.size() + 12345);
        let offset = (64 << 20) - 65536;
        image.write(offset, &md_v090(swapped));
        let found = agree(&image);
        assert_eq!((found.kind, found.checksum), (Kind::LinuxRaid, Checksum::Good));
        let Detail::Md(member) = &found.detail else { panic!() };
        assert_eq!((member.level, member.raid_disks, member.size), (1, 2, 65472 << 10));
        if !swapped {
            let examined = examine(&image);
            assert_eq!(examined("UUID").split(' ').next(), Some(member.array_uuid.as_str()));
            assert!(examined("Checksum").ends_with("correct"));
        }
        image.write(offset + 200, &[1]);
        assert_eq!(agree(&image).checksum, Checksum::Bad);
        // The size says more than there is before it.
        image.write(offset + 32, &[0xff; 4]);
        assert_eq!(identify(&image.path()), Ok(None));
        assert_eq!(blkid(&image.path()).get("TYPE"), None);
    }
}

/// A superblock 0.90 at the end of the last partition is also at its place of the whole disk, and not the disk's.
#[test]
fn md_version_090_of_a_partition() {
    if !have(&["mdadm", "blkid", "sfdisk"]) {
        return;
    }
    let image = Image::new(64);
    run_with("sfdisk", &["-q", &image.arg()], "label: dos\n2048,,fd\n");
    let mut sb = md_v090(false);
    sb[32..36].copy_from_slice(&((64u32 << 10) - 1024 - 64).to_le_bytes());
    image.write((64 << 20) - 65536, &sb);
    assert_eq!(identify(&image.path()), Ok(None));
    assert_eq!(blkid(&image.path()).get("TYPE"), None);
    run_with("sfdisk", &["-q", &image.arg()], "label: dos\n2048,4096,fd\n");
    assert_eq!(agree(&image).kind, Kind::LinuxRaid);
}

/// A RAID1 member looks like its filesystem at the start, a physical volume may too: the member wins.
#[test]
fn a_member_hides_a_filesystem() {
    if !have(&["mke2fs", "blkid", "mdadm"]) {
        return;
    }
    let image = Image::new(64);
    image.make("mke2fs", &["-q", "-F", "-t", "ext4"]);
    let offset = (64 << 20) - 8192;
    image.write(offset, &md_v1(offset, 2));
    assert_eq!(agree(&image).kind, Kind::LinuxRaid);
}

/// A superblock of version 1 names its place, so that one which is elsewhere is that of a partition or a copy.
#[test]
fn md_version_1_of_another_place() {
    if !have(&["blkid"]) {
        return;
    }
    for offset in [(64 << 20) - 8192, 0, 4096] {
        let image = Image::new(64);
        image.write(offset, &md_v1(12288, 2));
        assert_eq!(identify(&image.path()), Ok(None));
        assert_eq!(blkid(&image.path()).get("TYPE"), None);
    }
}
