//! Extents: a tree of runs of blocks, its root in the inode.

use super::Ext;
use super::bytes::{ReadAt, length, piece, word};
use super::cache::Use;
use super::error::{Place, Result};
use super::inode::Inode;
use super::map::Run;
use crate::parse::field::{le16, le32};

const MAGIC: u16 = 0xf30a;
/// Bytes of a node's header, and of each of its entries.
const ENTRY: usize = 12;
/// The kernel's limit (EXT4_MAX_EXTENT_DEPTH).
const MAX_DEPTH: u16 = 5;
/// An extent longer than this is allocated and not written; the rest is its length (EXT_INIT_MAX_LEN).
const MAX_WRITTEN: u16 = 32768;
/// A file has at most 2^32 blocks.
const END: u64 = 1 << 32;

impl<S: ReadAt> Ext<S> {
    pub(super) fn map_extents(&self, inode: &Inode, logical: u64) -> Result<Run> {
        if logical >= END {
            return Ok(Run { start: None, blocks: u64::MAX - logical });
        }
        let mut place = inode.place();
        let mut depth = judged_depth(place, &inode.pointers)?;
        place.holds(depth <= MAX_DEPTH, "its extent tree is deeper than any")?;
        let mut end = END;
        let mut block;
        let mut node: &[u8] = &inode.pointers;
        // Each turn goes one level down, so that a tree that points to itself ends.
        while depth > 0 {
            let (child, until) = match child(place, node, logical)? {
                (Some(child), until) => (child, until),
                (None, until) => return Ok(hole(logical, end.min(until))),
            };
            end = end.min(until);
            place = Place::ExtentBlock(inode.number, child);
            place.holds(self.geometry.has(child, 1), "it lies outside the filesystem")?;
            block = self.device.block(child, Use::Extents(inode.number), |block| {
                if self.geometry.checksums() {
                    place.matches(matches(inode, block))?;
                }
                Ok(())
            })?;
            node = &block;
            depth -= 1;
            place.holds(judged_depth(place, node)? == depth, "it is of the wrong depth")?;
        }
        self.leaf(place, node, logical, end)
    }

    /// The run at `logical` in a leaf that ends before block `end` of the file.
    fn leaf(&self, place: Place, node: &[u8], logical: u64, end: u64) -> Result<Run> {
        let mut after = 0;
        for entry in entries(node) {
            let first = u64::from(le32(entry, 0));
            place.holds(first >= after, "its extents overlap")?;
            if first > logical {
                return Ok(hole(logical, end.min(first)));
            }
            let (count, written) = match le16(entry, 4) {
                count @ 0..=MAX_WRITTEN => (count, true),
                count => (count - MAX_WRITTEN, false),
            };
            let start = u64::from(le32(entry, 8)) | u64::from(le16(entry, 6)) << 32;
            place.holds(
                count > 0 && self.geometry.has(start, count.into()),
                "an extent lies outside the filesystem",
            )?;
            after = first + u64::from(count);
            if logical < after {
                let inside = logical - first;
                let blocks = after.min(end) - logical;
                return Ok(Run { start: written.then_some(start + inside), blocks });
            }
        }
        Ok(hole(logical, end))
    }
}

/// No blocks from `logical` up to `end`, which is beyond it.
fn hole(logical: u64, end: u64) -> Run {
    Run { start: None, blocks: end.saturating_sub(logical).max(1) }
}

/// The depth of a node whose header makes sense: 0 for a leaf.
fn judged_depth(place: Place, node: &[u8]) -> Result<u16> {
    let header = piece::<ENTRY>(node, 0).ok_or_else(|| place.damaged("it is cut off"))?;
    place.holds(le16(header, 0) == MAGIC, "it has no extents where they should be")?;
    let (used, room) = (le16(header, 2), le16(header, 4));
    place.holds(
        used <= room && (usize::from(room) + 1) * ENTRY <= node.len(),
        "it has more extents than room for them",
    )?;
    Ok(le16(header, 6))
}

/// The entries that the header, which was judged, counts.
fn entries(node: &[u8]) -> impl Iterator<Item = &[u8; ENTRY]> {
    let used = piece(node, 2).map_or(0, |count| u16::from_le_bytes(*count));
    let (entries, _) = node.as_chunks::<ENTRY>();
    entries.iter().skip(1).take(used.into())
}

/// In an inner node, the block of the child that has `logical`, if any can, and where in the file the next begins.
fn child(place: Place, node: &[u8], logical: u64) -> Result<(Option<u64>, u64)> {
    let mut found = None;
    let mut before = None;
    for entry in entries(node) {
        let first = u64::from(le32(entry, 0));
        place.holds(before < Some(first), "its children are out of order")?;
        before = Some(first);
        if first > logical {
            return Ok((found, first));
        }
        found = Some(u64::from(le32(entry, 4)) | u64::from(le16(entry, 8)) << 32);
    }
    Ok((found, END))
}

/// Whether the checksum behind the entries that the block has room for is right.
fn matches(inode: &Inode, block: &[u8]) -> bool {
    let room = piece(block, 4).map_or(0, |room| u16::from_le_bytes(*room));
    let end = ENTRY + ENTRY * length(room.into());
    match (block.get(..end), word(block, end)) {
        (Some(covered), Some(stored)) => inode.seed.and(covered).0 == stored,
        _ => false,
    }
}
