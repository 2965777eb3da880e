//! The lists in the blocks of the log: which blocks are copied, which are revoked.

use super::superblock::{Checksums, Incompat, Superblock};
use crate::parse::ext::bytes::piece;
use crate::parse::field::{be16, be32};

/// Bytes that every block of the log begins with: magic number, type, sequence number.
pub(super) const HEADER: usize = 12;
/// Bytes at the end of a descriptor or revoke block with a checksum.
pub(super) const TAIL: usize = 4;

const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST: u32 = 8;

/// What a descriptor says of one block behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// The block of the filesystem that is written.
    pub block: u64,
    pub escaped: bool,
    /// Of the copy: 32 bits, or 16, or of no meaning.
    pub checksum: u32,
}

/// The tags of a descriptor block.
pub(super) fn tags(superblock: &Superblock, block: &[u8]) -> Vec<Tag> {
    let wide = superblock.incompat.contains(Incompat::BIT64);
    let checksums = superblock.checksums();
    // journal_tag_bytes of the kernel. Version 2 has two bytes that it does not use.
    let size = match (checksums, wide) {
        (Checksums::V3, _) => 16,
        (Checksums::V2, true) => 14,
        (Checksums::V2, false) => 10,
        (Checksums::V1 | Checksums::None, true) => 12,
        (Checksums::V1 | Checksums::None, false) => 8,
    };
    let end = block.len().saturating_sub(tail(superblock));
    let mut tags = Vec::new();
    let mut at = HEADER;
    while at + size <= end {
        let high =
            |at| if wide { piece::<4>(block, at).map_or(0, |high| be32(high, 0)) } else { 0 };
        let Some(head) = piece::<8>(block, at) else {
            break;
        };
        let low = be32(head, 0);
        let (flags, checksum) = match checksums {
            Checksums::V3 => {
                (be32(head, 4), piece::<4>(block, at + 12).map_or(0, |sum| be32(sum, 0)))
            }
            _ => (be16(head, 6).into(), be16(head, 4).into()),
        };
        tags.push(Tag {
            block: u64::from(low) | u64::from(high(at + 8)) << 32,
            escaped: flags & ESCAPED != 0,
            checksum,
        });
        at += size + if flags & SAME_UUID == 0 { 16 } else { 0 };
        if flags & LAST != 0 {
            break;
        }
    }
    tags
}

/// The blocks that a revoke block names. None if its length makes no sense.
pub(super) fn revoked(superblock: &Superblock, block: &[u8]) -> Option<Vec<u64>> {
    let used = be32(piece::<4>(block, HEADER)?, 0);
    let used = usize::try_from(used).ok().filter(|used| *used <= block.len() - tail(superblock))?;
    let list = block.get(HEADER + 4..used)?;
    Some(if superblock.incompat.contains(Incompat::BIT64) {
        list.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect()
    } else {
        list.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes).into()).collect()
    })
}

/// Bytes that the checksum of a descriptor or revoke block takes.
pub(super) fn tail(superblock: &Superblock) -> usize {
    match superblock.checksums() {
        Checksums::V2 | Checksums::V3 => TAIL,
        Checksums::V1 | Checksums::None => 0,
    }
}
