//! ext2, ext3 and ext4, with their journal replayed in memory.

use std::io;

use super::Bytes;
use crate::parse::ext::{Ext, ExtError, FileType, Inode, ReadAt, Time as ExtTime};
use crate::sys::{Answer, Attributes, FileKind, Filesystem, FsUse, InodeFlags, Time};

/// EXT4_IMMUTABLE_FL and EXT4_APPEND_FL of fs/ext4/ext4.h.
const IMMUTABLE: u32 = 0x10;
const APPEND: u32 = 0x20;

/// An ext filesystem of an image.
#[derive(Debug)]
pub struct View {
    ext: Ext<Bytes>,
}

impl View {
    /// Read its superblock, its group descriptors and what its journal holds.
    ///
    /// # Errors
    /// What is damaged or not understood.
    pub fn open(bytes: Bytes) -> Answer<Self> {
        let size = bytes.size();
        Ok(Self { ext: Ext::open(bytes, size).map_err(say)? })
    }

    fn inode(&self, number: u64) -> Answer<Inode> {
        self.ext.inode(number).map_err(say)
    }
}

#[allow(clippy::needless_pass_by_value)] // It is what map_err gives.
fn say(error: ExtError) -> String {
    error.to_string()
}

impl ReadAt for Bytes {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.fill(offset, buffer)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn time(time: ExtTime) -> Time {
    Time { seconds: time.seconds, nanoseconds: time.nanoseconds.into() }
}

impl Filesystem for View {
    fn root(&self) -> u64 {
        Ext::<Bytes>::ROOT
    }

    fn child(&self, directory: u64, name: &[u8]) -> Answer<Option<u64>> {
        self.ext.lookup(&self.inode(directory)?, name).map_err(say)
    }

    fn names(&self, directory: u64, limit: usize) -> Answer<Vec<Vec<u8>>> {
        let entries = self.ext.entries(&self.inode(directory)?, limit).map_err(say)?;
        Ok(entries.into_iter().map(|(name, _)| name).collect())
    }

    fn attributes(&self, inode: u64) -> Answer<Attributes> {
        let found = self.inode(inode)?;
        let kind = match found.kind {
            FileType::Regular => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        };
        Ok(Attributes {
            kind,
            mode: found.mode & 0o7777,
            uid: found.uid,
            gid: found.gid,
            size: found.size,
            accessed: time(found.accessed),
            modified: time(found.modified),
            links: found.links.into(),
            device: 0,
            inode,
            xattrs: None,
            flags: None,
        })
    }

    fn link(&self, inode: u64) -> Answer<Vec<u8>> {
        self.ext.link(&self.inode(inode)?).map_err(say)
    }

    fn read(&self, inode: u64, offset: u64, length: usize) -> Answer<Vec<u8>> {
        let mut content = vec![0; length];
        let read = self.ext.read(&self.inode(inode)?, offset, &mut content).map_err(say)?;
        content.truncate(read);
        Ok(content)
    }

    fn flags(&self, inode: u64) -> Answer<InodeFlags> {
        let flags = self.inode(inode)?.flags;
        Ok(InodeFlags { immutable: flags & IMMUTABLE != 0, append_only: flags & APPEND != 0 })
    }

    fn xattr(&self, inode: u64, name: &str) -> Answer<Option<Vec<u8>>> {
        self.ext.xattr(&self.inode(inode)?, name).map_err(say)
    }

    fn usage(&self) -> FsUse {
        let usage = self.ext.usage();
        let bytes = |blocks: u64| blocks.saturating_mul(usage.block_size.into());
        FsUse {
            size: bytes(usage.blocks),
            available: bytes(usage.available_blocks),
            free: bytes(usage.free_blocks),
            inodes: usage.inodes,
            inodes_free: usage.free_inodes,
            read_only: false,
            id: 0,
        }
    }
}
