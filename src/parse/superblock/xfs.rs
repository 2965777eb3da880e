//! XFS.
//!
//! Layout: struct xfs_dsb of xfs/xfs_format.h (xfsprogs), big endian, at the start of the device.

use super::bits::bit_set;
use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::crc;
use crate::parse::field::{array16, be16, be32, be64, label, le32, uuid};
use crate::parse::window::{Unread, Window};

/// The fields end at 264; the checksum covers the whole sector.
const LENGTH: usize = 512;
const CHECKSUM: usize = 0xe0;

bit_set! {
    /// sb_features_incompat of version 5; names as `mkfs.xfs` and `xfs_db -c version` use them.
    Incompat, "FEATURE_I", {
        FTYPE = 0x1, "ftype";
        SPARSE_INODES = 0x2, "sparse";
        /// The identifier that users see was changed; the metadata keep the old one.
        META_UUID = 0x4, "meta_uuid";
        BIGTIME = 0x8, "bigtime";
        /// xfs_repair must run; the kernel refuses to mount until it did.
        NEEDS_REPAIR = 0x10, "needsrepair";
        NREXT64 = 0x20, "nrext64";
        EXCHANGE = 0x40, "exchange";
        PARENT = 0x80, "parent";
        METADIR = 0x100, "metadir";
    }
}

bit_set! {
    /// sb_features_ro_compat of version 5; names as `mkfs.xfs` uses them.
    RoCompat, "FEATURE_R", {
        FINOBT = 0x1, "finobt";
        RMAPBT = 0x2, "rmapbt";
        REFLINK = 0x4, "reflink";
        INOBTCOUNT = 0x8, "inobtcount";
    }
}

/// The fields of an XFS superblock that a verdict can depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xfs {
    /// Version of the superblock: 4, or 5 with checksums. Kernels drop version 4 from 2025 on.
    pub sb_version: u16,
    /// Features of version 5 without which a kernel must not mount; none in version 4.
    pub incompat: Incompat,
    /// Features of version 5 without which a kernel may only read; none in version 4.
    pub ro_compat: RoCompat,
    /// The identifier in the metadata, if it is not the one that users see.
    pub meta_uuid: Option<String>,
    /// Size of a block in bytes.
    pub block_size: u32,
    /// Size of a sector in bytes: the device must not have larger ones.
    pub sector_size: u16,
    /// Blocks of the data section.
    pub blocks: u64,
    /// Free blocks; the kernel keeps this up to date only at unmount.
    pub free_blocks: u64,
    /// mkfs has not finished, or repair has not.
    pub in_progress: bool,
    /// The log is on another device.
    pub external_log: bool,
}

impl Xfs {
    /// Whether the kernel refuses to mount it until xfs_repair has run.
    pub fn needs_repair(&self) -> bool {
        self.incompat.contains(Incompat::NEEDS_REPAIR)
    }
}

/// # Errors
/// [`Unread`] if the window lacks the superblock.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(sb) = window.array::<LENGTH>(0)? else {
        return Ok(None);
    };
    if !sb.starts_with(b"XFSB") || !is_plausible(sb) {
        return Ok(None);
    }
    let xfs = fields(sb);
    let checksum = if xfs.sb_version == 5 {
        match window.get(0, xfs.sector_size.into())? {
            Some(sector) => checksum(sector),
            None => Checksum::Bad,
        }
    } else {
        Checksum::Absent
    };
    Ok(Some(Superblock {
        kind: Kind::Xfs,
        uuid: uuid(array16(sb, 0x20)),
        uuid_sub: None,
        label: label(&sb[0x6c..0x78]),
        version: None,
        block_size: Some(xfs.sector_size.into()),
        checksum,
        detail: Detail::Xfs(xfs),
    }))
}

/// The sizes that the kernel demands before it looks further (xfs_validate_sb_common): powers of two that agree with
/// their logarithms, and some space.
fn is_plausible(sb: &[u8; LENGTH]) -> bool {
    let size_is = |size: u32, log: u8, bounds: std::ops::RangeInclusive<u32>| {
        bounds.contains(&size) && size.checked_ilog2() == Some(log.into()) && size.is_power_of_two()
    };
    size_is(be32(sb, 0x04), sb[0x78], 512..=65536) // block
        && size_is(be16(sb, 0x66).into(), sb[0x79], 512..=32768) // sector
        && size_is(be16(sb, 0x68).into(), sb[0x7a], 256..=2048) // inode
        && be32(sb, 0x58) > 0 // allocation groups
        && be64(sb, 0x08) > 0 // blocks
}

fn checksum(sector: &[u8]) -> Checksum {
    let state = crc::castagnoli_raw(!0, &sector[..CHECKSUM]);
    let state = crc::castagnoli_raw(state, &[0; 4]);
    let state = crc::castagnoli_raw(state, &sector[CHECKSUM + 4..]);
    // The one field that is little endian.
    Checksum::of(le32(sector, CHECKSUM) == !state)
}

fn fields(sb: &[u8; LENGTH]) -> Xfs {
    let sb_version = be16(sb, 0x64) & 0xf;
    let of_v5 = |at: usize| if sb_version == 5 { be32(sb, at) } else { 0 };
    let incompat = Incompat(of_v5(0xd8));
    Xfs {
        sb_version,
        incompat,
        ro_compat: RoCompat(of_v5(0xd4)),
        meta_uuid: incompat
            .contains(Incompat::META_UUID)
            .then(|| uuid(array16(sb, 0xf8)))
            .flatten(),
        block_size: be32(sb, 0x04),
        sector_size: be16(sb, 0x66),
        blocks: be64(sb, 0x08),
        free_blocks: be64(sb, 0x90),
        in_progress: sb[0x7e] != 0,
        external_log: be64(sb, 0x30) == 0,
    }
}
