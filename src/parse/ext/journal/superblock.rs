//! The journal's superblock (struct journal_superblock_s of include/linux/jbd2.h).

use super::MAGIC;
use crate::parse::ext::checksum::Seed;
use crate::parse::ext::error::{ExtError, Place, Result};
use crate::parse::field::{array16, be32};
use crate::parse::superblock::bits::bit_set;

const LENGTH: usize = 1024;
/// Types of the block: a superblock without and with features.
const VERSION_1: u32 = 3;
const VERSION_2: u32 = 4;

bit_set! {
    /// Features without which a journal cannot be read; names as debugfs prints them.
    Incompat, "FEATURE_I", {
        REVOKE = 0x1, "journal_incompat_revoke";
        BIT64 = 0x2, "journal_64bit";
        ASYNC_COMMIT = 0x4, "journal_async_commit";
        CSUM_V2 = 0x8, "journal_checksum_v2";
        CSUM_V3 = 0x10, "journal_checksum_v3";
        FAST_COMMIT = 0x20, "fast_commit";
    }
}

/// The compatible feature that the first checksums are (JBD2_FEATURE_COMPAT_CHECKSUM).
const COMPAT_CHECKSUM: u32 = 1;
/// Blocks for fast commits if the superblock names no number (JBD2_DEFAULT_FAST_COMMIT_BLOCKS), and the blocks that
/// must be left (JBD2_MIN_JOURNAL_BLOCKS).
const FAST_COMMIT_BLOCKS: u32 = 256;
const MIN_BLOCKS: u32 = 1024;

/// How the journal's blocks are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksums {
    /// Not at all.
    None,
    /// One crc32 of all blocks of a transaction, in its commit block.
    V1,
    /// crc32c of each block; of a copied block 16 bits.
    V2,
    /// crc32c of each block.
    V3,
}

/// What the journal's superblock says. Blocks are counted in the journal's file.
#[derive(Debug, Clone)]
pub(super) struct Superblock {
    /// The first block of the log.
    pub first: u32,
    /// The block behind the log.
    pub end: u32,
    /// The first transaction that may not have been written back.
    pub sequence: u32,
    /// Where it begins; 0 if there is none.
    pub start: u32,
    /// The first block for fast commits, if there are any.
    pub fast_commits: Option<u32>,
    pub incompat: Incompat,
    compat: u32,
    pub uuid: [u8; 16],
}

impl Superblock {
    pub(super) fn checksums(&self) -> Checksums {
        if self.incompat.contains(Incompat::CSUM_V3) {
            Checksums::V3
        } else if self.incompat.contains(Incompat::CSUM_V2) {
            Checksums::V2
        } else if self.compat & COMPAT_CHECKSUM != 0 {
            Checksums::V1
        } else {
            Checksums::None
        }
    }
}

/// Reads the first block of the journal's file, which has `blocks` blocks of `block_size` bytes.
pub(super) fn parse(bytes: &[u8], block_size: u32, blocks: u64) -> Result<Superblock> {
    let place = Place::JournalSuperblock;
    let sb = bytes.first_chunk::<LENGTH>().ok_or_else(|| place.damaged("it is cut off"))?;
    place.holds(be32(sb, 0) == MAGIC, "its magic number is missing")?;
    let features = match be32(sb, 4) {
        VERSION_1 => [0; 3],
        VERSION_2 => [be32(sb, 0x24), be32(sb, 0x28), be32(sb, 0x2c)],
        _ => return Err(place.damaged("it is of a type that there is not")),
    };
    let [compat, incompat, ro_compat] = features;
    let incompat = Incompat(incompat);
    let read = Incompat::REVOKE.0
        | Incompat::BIT64.0
        | Incompat::ASYNC_COMMIT.0
        | Incompat::CSUM_V2.0
        | Incompat::CSUM_V3.0
        | Incompat::FAST_COMMIT.0;
    let unread = Incompat(incompat.0 & !read).names();
    if !unread.is_empty() || ro_compat != 0 {
        let names = if unread.is_empty() { format!("{ro_compat:#x}") } else { unread.join(", ") };
        return Err(ExtError::Features(format!("{names} (of the journal)")));
    }
    let new = [Incompat::CSUM_V2, Incompat::CSUM_V3].map(|version| incompat.contains(version));
    place.holds(
        new != [true; 2] && (new == [false; 2] || compat & COMPAT_CHECKSUM == 0),
        "it has checksums of two versions",
    )?;
    if new != [false; 2] {
        if sb[0x50] != 4 {
            let algorithm = format!("checksum algorithm {} (of the journal)", sb[0x50]);
            return Err(ExtError::Features(algorithm));
        }
        let sum = Seed(!0).and(&sb[..0xfc]).and(&[0; 4]).and(&sb[0x100..]);
        place.matches(sum.0 == be32(sb, 0xfc))?;
    }
    place.holds(be32(sb, 0x0c) == block_size, "its blocks are not those of the filesystem")?;
    let (length, first, start) = (be32(sb, 0x10), be32(sb, 0x14), be32(sb, 0x1c));
    place.holds(u64::from(length) <= blocks, "it is longer than its file")?;
    let (mut end, mut fast_commits) = (length, None);
    if incompat.contains(Incompat::FAST_COMMIT) {
        let wanted = match be32(sb, 0x54) {
            0 => FAST_COMMIT_BLOCKS,
            count => count,
        };
        if let Some(left) = length.checked_sub(wanted).filter(|left| *left >= MIN_BLOCKS) {
            // The kernel begins one block behind the end of the log (j_fc_first of fs/jbd2/journal.c).
            (end, fast_commits) = (left, Some(left + 1));
        }
    }
    place.holds(first > 0 && first < end, "its log has no beginning")?;
    place.holds(start == 0 || (first..end).contains(&start), "its log begins outside it")?;
    Ok(Superblock {
        first,
        end,
        sequence: be32(sb, 0x18),
        start,
        fast_commits,
        incompat,
        compat,
        uuid: array16(sb, 0x30),
    })
}
