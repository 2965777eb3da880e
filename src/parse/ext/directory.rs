//! Directories: names and the inodes that they name.
//!
//! A hashed directory (htree) is read as a list, which the format allows on purpose: the inner nodes of its tree look
//! like blocks with one unused entry. No damaged hash can hide a file from an audit so.
//!
//! Names are bytes and are compared as bytes, in case-insensitive directories (casefold) too.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Ext;
use super::bytes::{ReadAt, length, piece, word};
use super::cache::Use;
use super::error::{ExtError, Place, Result};
use super::inode::{FileType, Inode, flag};
use crate::parse::field::{le16, le32};
use crate::parse::superblock::ext::Compat;

/// The largest directory that is read: some four million names.
const LIMIT: u64 = 256 << 20;
/// Bytes of an entry before its name.
const HEAD: usize = 8;
/// Bytes of the entry without a name at the end of a block that has the checksum.
const TAIL: usize = 12;
/// What that entry has in place of a file type.
const TAIL_TYPE: u8 = 0xde;

/// A stretch of a directory that entries fill to its end.
pub(super) struct Block {
    pub place: Place,
    pub bytes: Arc<[u8]>,
}

impl<S: ReadAt> Ext<S> {
    /// The inode of a name in a directory; `.` and `..` are names too. None if there is no such name.
    ///
    /// # Errors
    /// It is no directory, its names are encrypted, or it is damaged before the name is found.
    pub fn lookup(&self, directory: &Inode, name: &[u8]) -> Result<Option<u64>> {
        if directory.has(flag::INLINE_DATA) && matches!(name, b"." | b"..") {
            self.names_of(directory)?;
            let parent = word(&directory.pointers, 0).unwrap_or(0);
            return Ok(Some(if name == b"." { directory.number } else { parent.into() }));
        }
        let mut found = None;
        self.each(directory, |entry, inode| {
            if entry == name {
                found = Some(inode);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The names of a directory with their inodes, in the order of the disk, without `.` and `..`.
    ///
    /// # Errors
    /// It is no directory, its names are encrypted, it is damaged, or it has more than `max` names.
    pub fn entries(&self, directory: &Inode, max: usize) -> Result<Vec<(Vec<u8>, u64)>> {
        let mut entries = Vec::new();
        let mut full = false;
        self.each(directory, |name, inode| {
            if matches!(name, b"." | b"..") {
                return ControlFlow::Continue(());
            }
            full = entries.len() == max;
            if full {
                return ControlFlow::Break(());
            }
            entries.push((name.to_vec(), inode));
            ControlFlow::Continue(())
        })?;
        if full {
            let place = directory.place();
            return Err(ExtError::TooLarge { place, limit: max as u64, unit: "names" });
        }
        Ok(entries)
    }

    fn names_of(&self, directory: &Inode) -> Result<()> {
        directory.is(FileType::Directory, "directory")?;
        directory.readable()
    }

    /// Shows each entry that is in use, until told to stop.
    fn each(
        &self,
        directory: &Inode,
        mut visit: impl FnMut(&[u8], u64) -> ControlFlow<()>,
    ) -> Result<()> {
        self.names_of(directory)?;
        if directory.has(flag::INLINE_DATA) {
            for block in self.inline_blocks(directory)? {
                if self.each_in(&block, &mut visit)?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        let block_size = u64::from(self.geometry.block_size);
        let place = directory.place();
        place
            .holds(directory.size.is_multiple_of(block_size), "its size is not in whole blocks")?;
        if directory.size > LIMIT {
            return Err(ExtError::TooLarge { place, limit: LIMIT, unit: "bytes" });
        }
        let blocks = directory.size / block_size;
        let mut logical = 0;
        while logical < blocks {
            let run = self.map(directory, logical)?;
            let start =
                run.start.ok_or_else(|| place.damaged("there is a hole in the directory"))?;
            let end = blocks.min(logical.saturating_add(run.blocks));
            for number in (start..).take(length(end - logical)) {
                let block = self.directory_block(directory, number)?;
                if self.each_in(&block, &mut visit)?.is_break() {
                    return Ok(());
                }
            }
            logical = end;
        }
        Ok(())
    }

    fn directory_block(&self, directory: &Inode, number: u64) -> Result<Block> {
        let place = Place::DirectoryBlock(directory.number, number);
        let bytes = self.device.block(number, Use::Directory(directory.number), |bytes| {
            if self.geometry.checksums() {
                let indexed =
                    directory.has(flag::INDEX) && self.geometry.compat.contains(Compat::DIR_INDEX);
                let root = indexed.then(|| index_at(bytes)).flatten();
                place.matches(match root {
                    Some(at) => index_matches(directory, bytes, at),
                    None => leaf_matches(directory, bytes),
                })?;
            }
            Ok(())
        })?;
        Ok(Block { place, bytes })
    }

    fn each_in(
        &self,
        block: &Block,
        visit: &mut impl FnMut(&[u8], u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (place, bytes) = (block.place, &block.bytes);
        let mut at = 0;
        while at < bytes.len() {
            let head = piece::<HEAD>(bytes, at);
            let head = head.ok_or_else(|| place.damaged("an entry is cut off"))?;
            let (inode, name_length) = (le32(head, 0), usize::from(head[6]));
            let end = at + entry_length(le16(head, 4), bytes.len());
            place.holds(
                end >= at + (HEAD + name_length).next_multiple_of(4)
                    && end > at + HEAD
                    && end % 4 == at % 4
                    && end <= bytes.len(),
                "an entry's length makes no sense",
            )?;
            if inode != 0 {
                let name = bytes.get(at + HEAD..at + HEAD + name_length).unwrap_or_default();
                place.holds(
                    inode <= self.geometry.inodes,
                    "an entry names an inode that is not there",
                )?;
                place.holds(
                    !name.is_empty() && !name.contains(&b'/') && !name.contains(&0),
                    "an entry's name is none that a file can have",
                )?;
                if visit(name, inode.into()).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            at = end;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The length of an entry. 64 KiB does not fit in the field: there the two lowest bits, which are not used, are the
/// highest, and 65535 and 0 are the whole block (ext4_rec_len_from_disk of the kernel).
fn entry_length(stored: u16, block: usize) -> usize {
    match stored {
        0 | u16::MAX if block == 65536 => block,
        stored if block == 65536 => usize::from(stored & !3) | usize::from(stored & 3) << 16,
        stored => stored.into(),
    }
}

/// Where in a block of a hashed directory the entries of the index begin; None if it is a block with names
/// (get_dx_countlimit of the kernel).
fn index_at(bytes: &[u8]) -> Option<usize> {
    let length = |at: usize| {
        let field = piece::<2>(bytes, at + 4)?;
        Some(entry_length(u16::from_le_bytes(*field), bytes.len()))
    };
    if length(0)? == bytes.len() {
        return Some(8);
    }
    // The root begins with the entries of `.` and `..` and eight bytes about itself.
    let root = length(0)? == 12
        && length(12)? == bytes.len() - 12
        && word(bytes, 24)? == 0
        && *bytes.get(29)? == 8;
    root.then_some(32)
}

/// Whether the checksum of an inner node of the hash tree is right.
fn index_matches(directory: &Inode, bytes: &[u8], at: usize) -> bool {
    let half = |at: usize| piece(bytes, at).map(|half| usize::from(u16::from_le_bytes(*half)));
    let (Some(limit), Some(count)) = (half(at), half(at + 2)) else {
        return false;
    };
    let tail = at + limit * 8;
    let (Some(covered), Some(reserved), Some(stored)) =
        (bytes.get(..at + count * 8), piece::<4>(bytes, tail), word(bytes, tail + 4))
    else {
        return false;
    };
    count <= limit && directory.seed.and(covered).and(reserved).and(&[0; 4]).0 == stored
}

/// Whether the checksum at the end of a block with names is right.
fn leaf_matches(directory: &Inode, bytes: &[u8]) -> bool {
    let Some((covered, tail)) = bytes.split_last_chunk::<TAIL>() else {
        return false;
    };
    let is_tail = le32(tail, 0) == 0
        && usize::from(le16(tail, 4)) == TAIL
        && tail[6] == 0
        && tail[7] == TAIL_TYPE;
    is_tail && directory.seed.and(covered).0 == le32(tail, 8)
}
