//! Members of a Linux software RAID (md), superblocks 0.90, 1.0, 1.1 and 1.2.
//!
//! Layout: linux/raid/md_p.h. Version 0.90 is in the byte order of the machine that made it and lies in the last whole
//! 64 KiB but one; 1.0 lies 8 KiB before the end, 1.1 at the start, 1.2 at 4 KiB, all little endian.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::{array16, label, le16, le32, le64, uuid};
use crate::parse::partition_table;
use crate::parse::window::{Unread, Window};

const MAGIC: u32 = 0xa92b_4efc;
const RESERVED: u64 = 64 << 10;
/// A superblock 0.90; also as much as one of version 1 can have.
const LENGTH: u64 = 4096;
/// A superblock of version 1 without the roles of the devices.
const V1_LENGTH: u64 = 256;
/// As many roles as fit in 4 KiB; the kernel takes no more.
const V1_MAX_ROLES: u64 = (LENGTH - V1_LENGTH) / 2;

/// The fields of an md superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The array's identifier as mdadm prints it: four words of eight digits, with colons.
    pub array_uuid: String,
    /// RAID level: 0, 1, 4, 5, 6, 10; -1 linear, -4 multipath.
    pub level: i32,
    /// Devices of a complete array.
    pub raid_disks: u32,
    /// Bytes of this device that the array uses.
    pub size: u64,
    /// Where the data begin on this device, in bytes.
    pub data_offset: u64,
}

/// Where superblocks at the end of a device of `size` bytes lie: offset and length, 0.90 first.
pub(super) fn tail(size: u64) -> impl Iterator<Item = (u64, u64)> {
    [offset_090(size), offset_10(size)].into_iter().flatten().map(|offset| (offset, LENGTH))
}

fn offset_090(size: u64) -> Option<u64> {
    (size > RESERVED).then(|| (size & !(RESERVED - 1)) - RESERVED)
}

fn offset_10(size: u64) -> Option<u64> {
    (size > RESERVED).then(|| (size & !(LENGTH - 1)) - 2 * LENGTH)
}

/// # Errors
/// [`Unread`] if the window lacks one of the four places.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    let size = window.size();
    if let Some(offset) = offset_090(size)
        && let Some(found) = version_090(window, offset)?
    {
        return Ok(Some(found));
    }
    for (version, offset) in [("1.0", offset_10(size)), ("1.1", Some(0)), ("1.2", Some(LENGTH))] {
        if let Some(offset) = offset
            && let Some(found) = version_1(window, offset, version)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn version_1(window: &Window, offset: u64, version: &str) -> Result<Option<Superblock>, Unread> {
    let Some(sb) = window.array::<{ V1_LENGTH as usize }>(offset)? else {
        return Ok(None);
    };
    // super_offset tells this device's superblock from that of a partition which ends where the device does.
    let ours = le32(sb, 0) == MAGIC && le32(sb, 4) == 1 && le64(sb, 144) == offset / 512;
    if !ours {
        return Ok(None);
    }
    let array = array16(sb, 16);
    Ok(Some(Superblock {
        kind: Kind::LinuxRaid,
        uuid: uuid(array),
        uuid_sub: uuid(array16(sb, 168)),
        label: label(&sb[32..64]),
        version: Some(version.to_owned()),
        block_size: None,
        checksum: checksum_1(window, offset, sb)?,
        detail: Detail::Md(Member {
            array_uuid: mdadm_uuid(array),
            level: le32(sb, 72).cast_signed(),
            raid_disks: le32(sb, 92),
            size: le64(sb, 80).saturating_mul(512),
            data_offset: le64(sb, 128).saturating_mul(512),
        }),
    }))
}

/// The sum of all words, the roles of the devices with them, and what it carried.
fn checksum_1(
    window: &Window,
    offset: u64,
    sb: &[u8; V1_LENGTH as usize],
) -> Result<Checksum, Unread> {
    let roles = u64::from(le32(sb, 220));
    if roles > V1_MAX_ROLES {
        return Ok(Checksum::Bad);
    }
    let Some(bytes) = window.get(offset, V1_LENGTH + 2 * roles)? else {
        return Ok(Checksum::Bad);
    };
    let (words, rest) = bytes.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_le_bytes(*word))).sum();
    let rest = if rest.len() == 2 { u64::from(le16(rest, 0)) } else { 0 };
    let stored = le32(sb, 216);
    Ok(Checksum::of(stored == folded(sum + rest - u64::from(stored))))
}

fn version_090(window: &Window, offset: u64) -> Result<Option<Superblock>, Unread> {
    let Some(sb) = window.array::<{ LENGTH as usize }>(offset)? else {
        return Ok(None);
    };
    let swapped = le32(sb, 0).swap_bytes() == MAGIC;
    if le32(sb, 0) != MAGIC && !swapped {
        return Ok(None);
    }
    let word = |index: usize| {
        let word = le32(sb, index * 4);
        if swapped { word.swap_bytes() } else { word }
    };
    // The size is in KiB. A superblock whose data do not fit before it belongs to something else; so does one within
    // a partition, which names no place that would tell.
    let size = u64::from(word(8)) << 10;
    if offset < size || partition_table::covers(window, offset - size..offset + RESERVED)? {
        return Ok(None);
    }
    // Before minor version 90 the identifier had one word.
    let words =
        if word(2) >= 90 { [word(5), word(13), word(14), word(15)] } else { [word(5), 0, 0, 0] };
    let mut array = [0; 16];
    for (bytes, word) in array.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    let sum: u64 = (0..LENGTH as usize / 4).map(|index| u64::from(word(index))).sum();
    let stored = word(38);
    Ok(Some(Superblock {
        kind: Kind::LinuxRaid,
        uuid: uuid(array),
        uuid_sub: None,
        label: None,
        version: Some(format!("{}.{}.{}", word(1), word(2), word(3))),
        block_size: None,
        checksum: Checksum::of(stored == folded(sum - u64::from(stored))),
        detail: Detail::Md(Member {
            array_uuid: mdadm_uuid(array),
            level: word(7).cast_signed(),
            raid_disks: word(10),
            size,
            data_offset: 0,
        }),
    }))
}

fn folded(sum: u64) -> u32 {
    (sum as u32).wrapping_add((sum >> 32) as u32)
}

fn mdadm_uuid(bytes: [u8; 16]) -> String {
    let words: Vec<_> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| format!("{:08x}", u32::from_be_bytes(*word)))
        .collect();
    words.join(":")
}
