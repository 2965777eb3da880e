//! Inodes.

use super::Ext;
use super::bytes::{ReadAt, length, piece};
use super::cache::Use;
use super::checksum::Seed;
use super::error::{ExtError, Place, Result};
use super::geometry::Geometry;
use crate::parse::field::{le16, le32};
use crate::parse::superblock::ext::Incompat;

/// Bytes of an inode that every version has.
const CORE: usize = 128;
/// Bytes of the field that points to the content, or is the content.
pub(super) const POINTERS: usize = 60;

/// The bits of i_flags that change how an inode is read.
pub(super) mod flag {
    pub(in super::super) const ENCRYPT: u32 = 0x800;
    pub(in super::super) const INDEX: u32 = 0x1000;
    pub(in super::super) const EXTENTS: u32 = 0x8_0000;
    pub(in super::super) const EA_INODE: u32 = 0x20_0000;
    pub(in super::super) const INLINE_DATA: u32 = 0x1000_0000;
}

/// What an inode is (S_IFMT of its mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

/// A moment: seconds since 1970, negative before, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Seconds; the 128 byte inode ends in 2038, a larger one in 2446.
    pub seconds: i64,
    /// Nanoseconds, as stored: 0 to 999,999,999 if a kernel wrote them, 0 in the 128 byte inode.
    pub nanoseconds: u32,
}

/// An inode.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Its number.
    pub number: u64,
    /// Type and permissions, as st_mode has them.
    pub mode: u32,
    /// What it is.
    pub kind: FileType,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; for a link the length of its target.
    pub size: u64,
    /// Last access.
    pub accessed: Time,
    /// Last change of content.
    pub modified: Time,
    /// Last change of the inode.
    pub changed: Time,
    /// Hard links. 1 for a directory that has more than the format can count (dir_nlink).
    pub links: u32,
    /// i_flags as stored. The kernel shows some of them by FS_IOC_GETFLAGS: 0x10 is immutable, 0x20 append-only.
    pub flags: u32,
    /// The checksums of its blocks start from this.
    pub(super) seed: Seed,
    /// i_blocks, in whichever unit: what matters is whether there are any.
    pub(super) blocks: u64,
    /// i_block: pointers, the root of the extent tree, a link's target or the start of the content.
    pub(super) pointers: [u8; POINTERS],
    /// The block with its extended attributes; 0 if there is none.
    pub(super) attribute_block: u64,
    /// The bytes behind the fields: attributes, if there is room for any.
    pub(super) body: Vec<u8>,
}

impl Inode {
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn place(&self) -> Place {
        Place::Inode(self.number)
    }

    /// Its content, names or target can be read.
    pub(super) fn readable(&self) -> Result<()> {
        if self.has(flag::ENCRYPT) { Err(ExtError::Encrypted(self.number)) } else { Ok(()) }
    }

    /// It is of this kind.
    pub(super) fn is(&self, kind: FileType, wanted: &'static str) -> Result<()> {
        if self.kind == kind { Ok(()) } else { Err(ExtError::Kind { inode: self.number, wanted }) }
    }
}

impl<S: ReadAt> Ext<S> {
    /// An inode by its number, counted from 1.
    ///
    /// # Errors
    /// There is no such inode, it is not in use, or it is damaged.
    pub fn inode(&self, number: u64) -> Result<Inode> {
        let place = Place::Inode(number);
        let geometry = &self.geometry;
        let small = u32::try_from(number).ok().filter(|n| (1..=geometry.inodes).contains(n));
        let small = small.ok_or_else(|| place.damaged("there is no inode with this number"))?;
        let group = self.group((small - 1) / geometry.inodes_per_group)?;
        let offset =
            u64::from((small - 1) % geometry.inodes_per_group) * u64::from(geometry.inode_size);
        let block_size = u64::from(geometry.block_size);
        let block = group.inodes + offset / block_size;
        let block = self.device.block(block, Use::Inodes, |_| Ok(()))?;
        // An inode is a power of two, and so is a block: it is never split.
        let at = length(offset % block_size);
        let bytes = block.get(at..at + length(geometry.inode_size.into()));
        parse(geometry, small, bytes.unwrap_or_default())
    }
}

fn parse(geometry: &Geometry, number: u32, bytes: &[u8]) -> Result<Inode> {
    let place = Place::Inode(number.into());
    let core = bytes.first_chunk::<CORE>().ok_or_else(|| place.damaged("it is cut off"))?;
    let (mode, links) = (le16(core, 0x00), le16(core, 0x1a));
    place.holds(mode != 0 || links != 0, "it is not in use, and something points to it")?;

    // An inode that is larger than 128 bytes says how far its fields go. 0: they end at 128, and so does the inode.
    let extra = match piece::<2>(bytes, CORE).map_or(0, |field| u16::from_le_bytes(*field)) {
        0 => 0,
        extra => {
            let end = CORE + usize::from(extra);
            place
                .holds(extra % 4 == 0 && end <= bytes.len(), "its fields are longer than itself")?;
            usize::from(extra)
        }
    };
    let seed = geometry.seed.and(&number.to_le_bytes()).and(&core[0x64..0x68]);
    if geometry.checksums() && geometry.made_by_linux {
        place.matches(matches(seed, bytes, extra))?;
    }
    let field = |at: usize| {
        piece::<4>(bytes, at)
            .filter(|_| at + 4 <= CORE + extra)
            .map(|field| u32::from_le_bytes(*field))
    };
    let time = |low: usize, more: usize| {
        let more = field(more).unwrap_or(0);
        Time {
            seconds: i64::from(le32(core, low).cast_signed()) + (i64::from(more & 3) << 32),
            nanoseconds: more >> 2,
        }
    };
    let kind = match mode >> 12 {
        0o01 => FileType::Fifo,
        0o02 => FileType::CharacterDevice,
        0o04 => FileType::Directory,
        0o06 => FileType::BlockDevice,
        0o10 => FileType::Regular,
        0o12 => FileType::Symlink,
        0o14 => FileType::Socket,
        _ => return Err(place.damaged("its type is none that there is")),
    };
    // The field of a directory's size was something else's before large_dir.
    let long = kind == FileType::Regular || geometry.incompat.contains(Incompat::LARGE_DIR);
    let size =
        u64::from(le32(core, 0x04)) | u64::from(if long { le32(core, 0x6c) } else { 0 }) << 32;
    place.holds(size <= i64::MAX as u64, "its size is negative")?;
    let wide = geometry.incompat.contains(Incompat::BIT64);
    let attribute_high = if wide { u64::from(le16(core, 0x76)) << 32 } else { 0 };
    Ok(Inode {
        number: number.into(),
        mode: mode.into(),
        kind,
        uid: u32::from(le16(core, 0x02)) | u32::from(le16(core, 0x78)) << 16,
        gid: u32::from(le16(core, 0x18)) | u32::from(le16(core, 0x7a)) << 16,
        size,
        accessed: time(0x08, 0x8c),
        modified: time(0x10, 0x88),
        changed: time(0x0c, 0x84),
        links: links.into(),
        flags: le32(core, 0x20),
        seed,
        blocks: u64::from(le32(core, 0x1c)) | u64::from(le16(core, 0x74)) << 32,
        pointers: *piece(core, 0x28).ok_or_else(|| place.damaged("it is cut off"))?,
        attribute_block: u64::from(le32(core, 0x68)) | attribute_high,
        body: if extra == 0 { Vec::new() } else { bytes[CORE + extra..].to_vec() },
    })
}

/// Whether the checksum is right: over the whole inode with the checksum's own two halves as zeros.
fn matches(seed: Seed, bytes: &[u8], extra: usize) -> bool {
    let stored =
        |at: usize| piece(bytes, at).map_or(0, |half| u32::from(u16::from_le_bytes(*half)));
    let low = seed.and(&bytes[..0x7c]).and(&[0; 2]).and(&bytes[0x7e..CORE]);
    // The upper half lies behind extra_isize, where there is room for it.
    if bytes.len() > CORE && extra >= 4 {
        let sum = low.and(&bytes[CORE..0x82]).and(&[0; 2]).and(&bytes[0x84..]);
        sum.0 == stored(0x7c) | stored(0x82) << 16
    } else {
        low.and(&bytes[CORE..]).0 & 0xffff == stored(0x7c)
    }
}
