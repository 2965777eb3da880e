//! A reader of ext2, ext3 and ext4 that needs no kernel and no rights: for the disks of guests that do not run.
//!
//! [`Ext::open`] takes a source of bytes at offsets ([`ReadAt`]); nothing here does I/O by itself, and nothing writes.
//! A journal that holds changes is replayed in memory, because the next boot will see the filesystem with them: every
//! block that it would write is read from the journal instead. What orphans' deletion would free stays counted as
//! used.
//!
//! The layout is that of the kernel's fs/ext4 and fs/jbd2, and where the two differ this reads as the kernel does, not
//! as e2fsck would mend. Checksums are verified where the filesystem has them (superblock, group descriptors, inodes,
//! extents, directories, attributes, journal). The bytes come from strangers: each offset is judged before it is
//! used, each walk has a limit of depth or length, and memory is bounded by a few MiB, what the caller asked for, and
//! what the journal lists.
//!
//! What is read by its name only: encrypted files (their inodes are read, names and content are an error that says
//! so), names in case-insensitive directories (compared as bytes). What is refused: features that no mainline kernel
//! reads, a journal on another device that must be replayed, and changes in the journal's fast commits.

mod acl;
mod bytes;
mod cache;
mod checksum;
mod device;
mod directory;
mod error;
mod extents;
mod geometry;
mod groups;
mod inline;
mod inode;
mod journal;
mod map;
mod pointers;
mod xattr;

pub use bytes::ReadAt;
pub use error::{ExtError, Place};
pub use inode::{FileType, Inode, Time};

use crate::parse::superblock::ext::Incompat;
use bytes::length;
use device::Device;
use error::Result;
use geometry::Geometry;
use inode::{POINTERS, flag};

/// The longest target of a link: PATH_MAX, with the NUL that the disk need not have.
const MAX_LINK: u64 = 4096;

/// What a filesystem has and what is free, as statvfs(3) shows it after a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of a block; the other counts of blocks are in this unit.
    pub block_size: u32,
    /// Blocks that files could have (f_blocks): all but what the filesystem keeps for itself.
    pub blocks: u64,
    /// Free blocks (f_bfree).
    pub free_blocks: u64,
    /// Blocks that only root may take, of the free ones (tune2fs -r).
    pub reserved_blocks: u64,
    /// Free blocks for others than root (f_bavail).
    pub available_blocks: u64,
    /// Inodes (f_files).
    pub inodes: u64,
    /// Free inodes (f_ffree).
    pub free_inodes: u64,
}

/// An ext2, ext3 or ext4 filesystem.
pub struct Ext<S> {
    device: Device<S>,
    geometry: Geometry,
    usage: Usage,
    replayed: Option<u32>,
}

impl<S: ReadAt> Ext<S> {
    /// The inode of the root directory.
    pub const ROOT: u64 = 2;

    /// Reads superblock, group descriptors and, where it must be replayed, the journal of a filesystem that begins at
    /// offset 0 of a source of `size` bytes.
    ///
    /// # Errors
    /// There is no ext filesystem, or one that cannot be read whole: see [`ExtError`].
    pub fn open(source: S, size: u64) -> Result<Self> {
        let geometry = Geometry::of_source(&source, size)?;
        let device = Device::new(source, size, geometry.block_size);
        let mut ext = Self { device, geometry, usage: Usage::default(), replayed: None };
        if ext.geometry.incompat.contains(Incompat::NEEDS_RECOVERY) {
            let replay = journal::read(&ext)?;
            ext.device.replay(replay.blocks);
            ext.replayed = Some(replay.transactions);
            // The superblock and the descriptors are in the journal like everything else.
            let block_size = ext.geometry.block_size;
            ext.geometry = Geometry::read(size, |at, buffer| ext.device.read(at, buffer))?;
            let same = ext.geometry.block_size == block_size;
            Place::Superblock.holds(same, "the journal changes the size of a block")?;
        }
        ext.usage = ext.count()?;
        Ok(ext)
    }

    /// What it has and what is free.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The number of transactions of the journal that were replayed in memory. None if the filesystem was clean.
    pub fn replayed(&self) -> Option<u32> {
        self.replayed
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// It is no link, it is encrypted, or it is damaged.
    pub fn link(&self, inode: &Inode) -> Result<Vec<u8>> {
        inode.is(FileType::Symlink, "symbolic link")?;
        inode.readable()?;
        let place = inode.place();
        place.holds(inode.size > 0 && inode.size < MAX_LINK, "its target is empty or too long")?;
        let size = length(inode.size);
        let target = if self.is_fast(inode) {
            let target = inode.pointers.get(..size);
            target.ok_or_else(|| place.damaged("its target does not fit in it"))?.to_vec()
        } else {
            let mut target = vec![0; size];
            self.content(inode, 0, &mut target)?;
            target
        };
        place.holds(!target.contains(&0), "its target has a NUL in it")?;
        Ok(target)
    }

    /// Reads a regular file from a byte offset into the buffer, and gives how many bytes there were: fewer than the
    /// buffer only at the end of the file. Holes and blocks that were never written are zeros.
    ///
    /// # Errors
    /// It is no regular file, it is encrypted, it is damaged, or the source failed.
    pub fn read(&self, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        inode.is(FileType::Regular, "regular file")?;
        inode.readable()?;
        self.content(inode, offset, buffer)
    }

    /// Whether a link's target stands in place of pointers (ext4_inode_is_fast_symlink of the kernel).
    fn is_fast(&self, link: &Inode) -> bool {
        if link.has(flag::INLINE_DATA) {
            return false;
        }
        if self.geometry.incompat.contains(Incompat::EA_INODE) {
            // Blocks of attributes' values count as the link's here, so that only its length tells.
            return link.size < POINTERS as u64;
        }
        let sectors = u64::from(self.geometry.block_size) * u64::from(self.geometry.cluster) / 512;
        link.blocks == if link.attribute_block == 0 { 0 } else { sectors }
    }
}

impl<S> std::fmt::Debug for Ext<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ext").field("geometry", &self.geometry).field("usage", &self.usage).finish()
    }
}
