//! The journal (jbd2): which blocks a replay would write, and what.
//!
//! Reads as fs/jbd2/recovery.c of the kernel does. All numbers in the journal are big endian.

mod log;
mod superblock;
mod tags;

use std::collections::{BTreeMap, HashMap};

use super::Ext;
use super::bytes::ReadAt;
use super::checksum::Seed;
use super::device::Logged;
use super::error::{ExtError, Place, Result};
use super::inode::{FileType, Inode};
use super::map::Run;
use crate::parse::field::{le16, le32};
use log::Transaction;
use superblock::Superblock;

/// What every block of the journal that is not a copy of another begins with.
pub(super) const MAGIC: u32 = 0xc03b_3998;
/// The most blocks, and bytes, that are read of a log: mke2fs by itself makes none over 262,144 blocks and 1 GiB, and
/// what a log lists is kept in memory.
const MAX_BLOCKS: u32 = 1 << 20;
const MAX_BYTES: u64 = 4 << 30;
/// The most blocks that a log may revoke; a gigabyte of files of one block, removed one by one, is 2^18.
const MAX_REVOKED: usize = 1 << 20;

/// What the journal holds.
pub(super) struct Replay {
    /// The blocks that it would write, and where their content is.
    pub blocks: BTreeMap<u64, Logged>,
    /// Transactions that were committed and not yet written back.
    pub transactions: u32,
}

/// The journal in its file.
struct Journal<'a, S> {
    ext: &'a Ext<S>,
    inode: Inode,
    superblock: Superblock,
    seed: Seed,
}

/// Reads the journal of a filesystem that needs recovery, whose blocks nothing stands in front of yet.
pub(super) fn read<S: ReadAt>(ext: &Ext<S>) -> Result<Replay> {
    let number = ext.geometry.journal;
    if number == 0 {
        return Err(ExtError::Journal("it is on another device".to_owned()));
    }
    let inode = ext.inode(number.into())?;
    inode.is(FileType::Regular, "journal")?;
    let block_size = ext.geometry.block_size;
    let bytes = block(ext, &inode, 0)?.1;
    let superblock = superblock::parse(&bytes, block_size, inode.size / u64::from(block_size))?;
    let seed = Seed::of_uuid(&superblock.uuid);
    let journal = Journal { ext, inode, superblock, seed };
    if journal.superblock.start == 0 {
        // Nothing was logged since the last checkpoint; fast commits need a full one before them.
        return Ok(Replay { blocks: BTreeMap::new(), transactions: 0 });
    }
    let log = journal.scan()?;
    journal.refuse_fast_commits(log.next)?;
    journal.replay(&log.transactions)
}

/// A block of the journal's file and where it is on the disk.
fn block<S: ReadAt>(ext: &Ext<S>, inode: &Inode, index: u32) -> Result<(u64, Vec<u8>)> {
    match ext.map(inode, index.into())? {
        Run { start: Some(number), .. } => Ok((number, ext.device.uncached(number)?)),
        Run { start: None, .. } => Err(inode.place().damaged("there is a hole in the journal")),
    }
}

impl<S: ReadAt> Journal<'_, S> {
    fn block(&self, index: u32) -> Result<(u64, Vec<u8>)> {
        block(self.ext, &self.inode, index)
    }

    /// The newest copy of each block, unless a later transaction revoked it.
    fn replay(&self, transactions: &[Transaction]) -> Result<Replay> {
        let mut revoked: HashMap<u64, u32> = HashMap::new();
        for transaction in transactions {
            for block in &transaction.revoked {
                // Sequence numbers grow along the log.
                revoked.insert(*block, transaction.sequence);
            }
        }
        let blocks = self.ext.device.size() / u64::from(self.ext.geometry.block_size);
        let mut replay = BTreeMap::new();
        for Transaction { sequence, copies, .. } in transactions {
            let place = Place::Transaction(*sequence);
            for copy in copies {
                if revoked.get(&copy.block).is_some_and(|last| !is_later(*sequence, *last)) {
                    continue;
                }
                place.holds(copy.block < blocks, "it writes outside the filesystem")?;
                let (block, bytes) = self.block(copy.index)?;
                place.matches(self.copy_matches(*sequence, copy.checksum, &bytes))?;
                replay.insert(copy.block, Logged { block, escaped: copy.escaped });
            }
        }
        let transactions = u32::try_from(transactions.len()).unwrap_or(u32::MAX);
        Ok(Replay { blocks: replay, transactions })
    }

    fn copy_matches(&self, sequence: u32, stored: u32, bytes: &[u8]) -> bool {
        let sum = || self.seed.and(&sequence.to_be_bytes()).and(bytes).0;
        match self.superblock.checksums() {
            superblock::Checksums::V3 => sum() == stored,
            superblock::Checksums::V2 => sum() & 0xffff == stored,
            superblock::Checksums::V1 | superblock::Checksums::None => true,
        }
    }

    /// Fast commits are changes told in ext4's own words, not blocks. `next` is the transaction that they would follow
    /// the log as.
    fn refuse_fast_commits(&self, next: u32) -> Result<()> {
        let Some(first) = self.superblock.fast_commits else {
            return Ok(());
        };
        let (_, bytes) = self.block(first)?;
        // struct ext4_fc_tl and ext4_fc_head, both little endian: tag 9 begins a commit that follows transaction `tid`.
        let head = bytes.first_chunk::<12>().map(|head| (le16(head, 0), le32(head, 8)));
        if head == Some((9, next)) {
            let why = "its fast commits are read by the kernel alone".to_owned();
            return Err(ExtError::Journal(why));
        }
        Ok(())
    }
}

/// Whether one sequence number is later than another; they wrap around.
fn is_later(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() > 0
}
