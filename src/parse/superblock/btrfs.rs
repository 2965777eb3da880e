//! btrfs.
//!
//! Layout: struct btrfs_super_block of btrfs/ctree.h (libbtrfs), little endian. The copies at 64 MiB and 256 GiB are
//! not looked at: the kernel mounts by the first only.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::crc;
use crate::parse::field::{array16, label, le16, le32, le64, uuid};
use crate::parse::window::{Unread, Window};

pub(super) const OFFSET: u64 = 64 << 10;
pub(super) const LENGTH: u64 = 4096;

/// The algorithm of all checksums of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumType {
    /// crc32c
    Crc32c,
    /// xxhash64
    Xxhash,
    /// SHA-256
    Sha256,
    /// BLAKE2b-256
    Blake2,
    /// A number that is none of these.
    Unknown(u16),
}

/// The fields of a btrfs superblock that a verdict can depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Btrfs {
    /// Devices of the filesystem: with more than one, all of them are needed to mount.
    pub devices: u64,
    /// The number of this device in the filesystem.
    pub device_id: u64,
    /// Bytes of all devices.
    pub total_bytes: u64,
    /// Bytes in use.
    pub bytes_used: u64,
    /// Bytes of this device.
    pub device_bytes: u64,
    /// Size of a sector in bytes.
    pub sector_size: u32,
    /// Size of a node in bytes.
    pub node_size: u32,
    /// The algorithm of the checksums.
    pub checksum_type: ChecksumType,
    /// incompat_flags
    pub incompat: u64,
    /// The identifier in the metadata, if it is not the one that users see (btrfstune -m).
    pub metadata_uuid: Option<String>,
    /// There is a log tree to be replayed: the sign of a crash after an fsync.
    pub has_log: bool,
}

/// BTRFS_FEATURE_INCOMPAT_METADATA_UUID
const METADATA_UUID: u64 = 1 << 10;

/// # Errors
/// [`Unread`] if the window lacks the superblock.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(sb) = window.array::<{ LENGTH as usize }>(OFFSET)? else {
        return Ok(None);
    };
    if &sb[0x40..0x48] != b"_BHRfS_M" {
        return Ok(None);
    }
    let btrfs = fields(sb);
    Ok(Some(Superblock {
        kind: Kind::Btrfs,
        uuid: uuid(array16(sb, 0x20)),
        uuid_sub: uuid(array16(sb, 0xc9 + 0x42)),
        label: label(&sb[0x12b..0x22b]),
        version: None,
        block_size: Some(btrfs.sector_size),
        checksum: match btrfs.checksum_type {
            ChecksumType::Crc32c => {
                Checksum::of(le32(sb, 0) == !crc::castagnoli_raw(!0, &sb[0x20..]))
            }
            _ => Checksum::NotChecked,
        },
        detail: Detail::Btrfs(btrfs),
    }))
}

fn fields(sb: &[u8; LENGTH as usize]) -> Btrfs {
    // dev_item, a packed struct, is at 0xc9; the label follows it.
    let device = &sb[0xc9..0x12b];
    let incompat = le64(sb, 0xbc);
    Btrfs {
        devices: le64(sb, 0x88),
        device_id: le64(device, 0),
        total_bytes: le64(sb, 0x70),
        bytes_used: le64(sb, 0x78),
        device_bytes: le64(device, 8),
        sector_size: le32(sb, 0x90),
        node_size: le32(sb, 0x94),
        checksum_type: match le16(sb, 0xc4) {
            0 => ChecksumType::Crc32c,
            1 => ChecksumType::Xxhash,
            2 => ChecksumType::Sha256,
            3 => ChecksumType::Blake2,
            other => ChecksumType::Unknown(other),
        },
        incompat,
        metadata_uuid: if incompat & METADATA_UUID != 0 { uuid(array16(sb, 0x23b)) } else { None },
        has_log: le64(sb, 0x60) != 0,
    }
}
