//! What a block device holds, judged by its superblock: a filesystem, swap, a member of a RAID or of LVM, a LUKS volume.
//!
//! For `guest`, which reads the ranges. Nothing here reads, and nothing here decides what is wrong: a superblock with a
//! bad checksum or an error flag is returned with that said. Identifiers, labels and type names are those that blkid(8)
//! prints, because fstab and udev use them.
//!
//! The rules for several signatures on one device are libblkid's: a RAID member or an encrypted volume hides what else
//! is there (a RAID1 member looks like the filesystem inside it), the first such signature wins, and two filesystems
//! are ambivalent, unless both are of the kind that tolerates company. Unlike libblkid this holds for devices of every
//! size, floppies too.

pub(super) mod bits;
pub mod btrfs;
pub mod ext;
mod iso9660;
pub mod luks;
pub mod lvm;
pub mod md;
mod squashfs;
pub mod swap;
pub mod vfat;
pub mod xfs;

use super::window::{self, Unread, Window};
use std::fmt;
use std::ops::Range;

/// The start of a device up to the end of the superblock of btrfs, in bytes. All formats but the two old ones of md
/// have theirs in it.
const HEAD: u64 = btrfs::OFFSET + btrfs::LENGTH;

/// The ranges that [`identify`] looks at first on a device of `size` bytes: ascending, not touching, within the device.
///
/// One read at the start, at most 68 KiB, and two of 4 KiB near the end, where md keeps its superblocks 0.90 and 1.0.
/// The end cannot be spared: a member of such a RAID1 begins with the superblock of the filesystem that it carries.
pub fn wanted(size: u64) -> Vec<Range<u64>> {
    let tail = md::tail(size).map(|(offset, length)| offset..offset + length);
    let ranges = std::iter::once(0..HEAD).chain(tail).collect();
    window::merged(ranges, size)
}

/// The format of a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// btrfs
    Btrfs,
    /// LUKS, version 1 or 2.
    Luks,
    /// ext2: no journal and no feature that the ext2 driver lacks.
    Ext2,
    /// ext3: a journal and no feature that the ext3 driver lacks.
    Ext3,
    /// ext4
    Ext4,
    /// ISO 9660
    Iso9660,
    /// The journal of an ext3 or ext4 on a device of its own.
    Jbd,
    /// A member of a Linux software RAID.
    LinuxRaid,
    /// A physical volume of LVM2.
    Lvm2,
    /// SquashFS 4
    Squashfs,
    /// Swap space.
    Swap,
    /// Swap space that holds a hibernated system.
    Swsuspend,
    /// FAT12, FAT16 or FAT32.
    Vfat,
    /// XFS
    Xfs,
}

impl Kind {
    /// The name as in the TYPE of blkid(8).
    pub fn name(self) -> &'static str {
        match self {
            Kind::Btrfs => "btrfs",
            Kind::Luks => "crypto_LUKS",
            Kind::Ext2 => "ext2",
            Kind::Ext3 => "ext3",
            Kind::Ext4 => "ext4",
            Kind::Iso9660 => "iso9660",
            Kind::Jbd => "jbd",
            Kind::LinuxRaid => "linux_raid_member",
            Kind::Lvm2 => "LVM2_member",
            Kind::Squashfs => "squashfs",
            Kind::Swap => "swap",
            Kind::Swsuspend => "swsuspend",
            Kind::Vfat => "vfat",
            Kind::Xfs => "xfs",
        }
    }

    /// Whether this format hides the signatures of others on the device (RAID and encryption in libblkid).
    fn hides_others(self) -> bool {
        matches!(self, Kind::LinuxRaid | Kind::Lvm2 | Kind::Luks)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the checksum of a superblock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The format, or this version of it, has none.
    Absent,
    /// It is right.
    Good,
    /// It is wrong. On a mounted filesystem this can also be a superblock caught half written: read again.
    Bad,
    /// It is of an algorithm, or covers a range, that is not computed here.
    NotChecked,
}

impl Checksum {
    fn of(good: bool) -> Self {
        if good { Checksum::Good } else { Checksum::Bad }
    }
}

/// A superblock: what every format has, and the rest in `detail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The format.
    pub kind: Kind,
    /// UUID of blkid(8); for vfat the serial number (`1234-ABCD`), for LVM2 `xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx`, for
    /// iso9660 the time of the image. For md and btrfs the array's and the filesystem's, shared by all their devices.
    pub uuid: Option<String>,
    /// UUID_SUB of blkid(8): this device's own identifier within an array (md) or a filesystem (btrfs).
    pub uuid_sub: Option<String>,
    /// LABEL of blkid(8): bytes without the white space at their end; of no encoding in particular.
    pub label: Option<Vec<u8>>,
    /// VERSION of blkid(8).
    pub version: Option<String>,
    /// BLOCK_SIZE of blkid(8) in bytes: the smallest unit of access, which for XFS is the sector, not the block.
    pub block_size: Option<u32>,
    /// What its checksum says.
    pub checksum: Checksum,
    /// What only this format has.
    pub detail: Detail,
}

/// What only one format has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// btrfs
    Btrfs(btrfs::Btrfs),
    /// ext2, ext3, ext4, jbd
    Ext(Box<ext::Ext>),
    /// crypto_LUKS
    Luks(luks::Luks),
    /// LVM2_member
    Lvm(lvm::PhysicalVolume),
    /// linux_raid_member
    Md(md::Member),
    /// swap, swsuspend
    Swap(swap::Swap),
    /// vfat
    Vfat(vfat::Vfat),
    /// xfs
    Xfs(xfs::Xfs),
    /// iso9660, squashfs
    None,
}

/// Why it could not be told what a device holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// Superblocks of several formats are on the device; the kernel would mount either.
    #[error("superblocks of several formats are on the device: {}", names(.0))]
    Ambiguous(Vec<Kind>),
    /// More must be read first.
    #[error(transparent)]
    Unread(#[from] Unread),
}

fn names(kinds: &[Kind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}

/// The superblock on a device, or None if it has none of the formats of [`Kind`]: it may still hold another.
///
/// # Errors
/// [`Unidentified::Ambiguous`] if several formats claim the device, [`Unidentified::Unread`] if the window lacks bytes
/// that the answer depends on. Neither may be taken for "nothing there".
pub fn identify(window: &Window) -> Result<Option<Superblock>, Unidentified> {
    // libblkid's order: who hides the others comes first.
    let hiding: [Parser; 3] = [md::parse, lvm::parse, luks::parse];
    let open: [Parser; 7] = [
        vfat::parse,
        swap::parse,
        xfs::parse,
        ext::parse,
        iso9660::parse,
        squashfs::parse,
        btrfs::parse,
    ];
    for parse in hiding {
        if let Some(found) = parse(window)? {
            debug_assert!(found.kind.hides_others());
            return Ok(Some(found));
        }
    }
    let mut found = Vec::new();
    for parse in open {
        found.extend(parse(window)?);
    }
    if found.len() > 1 {
        return Err(Unidentified::Ambiguous(found.iter().map(|one| one.kind).collect()));
    }
    Ok(found.pop())
}

type Parser = fn(&Window) -> Result<Option<Superblock>, Unread>;
