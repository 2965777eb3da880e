//! Where the blocks of an inode are, and its bytes.

use super::Ext;
use super::bytes::{ReadAt, length};
use super::error::Result;
use super::inode::{Inode, flag};

/// Blocks that follow each other both in the file and on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The first of them on the disk. None for a hole and for blocks that were allocated and never written.
    pub start: Option<u64>,
    /// How many; at least one.
    pub blocks: u64,
}

impl<S: ReadAt> Ext<S> {
    /// The run that begins with block `logical` of the file. Blocks of a run with a start lie in the filesystem.
    pub(super) fn map(&self, inode: &Inode, logical: u64) -> Result<Run> {
        if inode.has(flag::EXTENTS) {
            self.map_extents(inode, logical)
        } else {
            self.map_pointers(inode, logical)
        }
    }

    /// Reads content from a byte offset, up to the end of the file, of whatever kind it is.
    pub(super) fn content(&self, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let left = length(inode.size.saturating_sub(offset));
        let wanted = left.min(buffer.len());
        let buffer = &mut buffer[..wanted];
        if inode.has(flag::INLINE_DATA) {
            let content = self.inline(inode)?;
            let there = content.get(length(offset)..).unwrap_or_default();
            let there = &there[..there.len().min(wanted)];
            buffer[..there.len()].copy_from_slice(there);
            // A file that was made longer without a write.
            buffer[there.len()..].fill(0);
            return Ok(wanted);
        }
        let block_size = u64::from(self.geometry.block_size);
        let mut at = 0;
        while at < wanted {
            let position = offset + at as u64;
            let (logical, inside) = (position / block_size, position % block_size);
            let run = self.map(inode, logical)?;
            let bytes = run.blocks.saturating_mul(block_size) - inside;
            let piece = &mut buffer[at..wanted.min(at.saturating_add(length(bytes)))];
            at += piece.len();
            match run.start {
                Some(start) => self.device.read(start * block_size + inside, piece)?,
                None => piece.fill(0),
            }
        }
        Ok(wanted)
    }
}
