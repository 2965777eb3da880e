//! The log: transactions one behind another, in a ring of blocks (do_one_pass of the kernel's fs/jbd2/recovery.c).
//!
//! A transaction counts once its commit block is there. What a crash left behind the last commit is no damage, and
//! neither are blocks of an earlier round, which the sequence number tells apart.

use super::superblock::{Checksums, Incompat};
use super::tags::{HEADER, TAIL, Tag, revoked, tags};
use super::{Journal, MAGIC, MAX_BLOCKS, MAX_BYTES, MAX_REVOKED};
use crate::parse::ext::bytes::{ReadAt, piece};
use crate::parse::ext::checksum::crc32_be;
use crate::parse::ext::error::{ExtError, Place, Result};
use crate::parse::field::{be32, be64};

/// Types of blocks.
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOKE: u32 = 5;
/// The number of crc32 among the algorithms of the first checksums, and the bytes of its result.
const CRC32: [u8; 2] = [1, 4];
/// Bytes of a commit block that mean something (struct commit_header).
const COMMIT_FIELDS: usize = 0x40;

/// A copy of a block in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copy {
    /// The block of the filesystem that it is of.
    pub block: u64,
    /// Where it is in the journal's file.
    pub index: u32,
    pub escaped: bool,
    pub checksum: u32,
}

/// What was committed together.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub sequence: u32,
    pub copies: Vec<Copy>,
    pub revoked: Vec<u64>,
}

/// What was found.
pub(super) struct Log {
    pub transactions: Vec<Transaction>,
    /// The number of the transaction that would have followed.
    pub next: u32,
}

/// The fields of a commit block.
struct Commit {
    /// Algorithm and length of the first checksums.
    kind: [u8; 2],
    checksum: u32,
    seconds: u64,
}

impl<S: ReadAt> Journal<'_, S> {
    /// Finds the committed transactions.
    pub(super) fn scan(&self) -> Result<Log> {
        let mut log = Log { transactions: Vec::new(), next: self.superblock.sequence };
        let mut open = Transaction { sequence: log.next, ..Transaction::default() };
        let mut index = self.superblock.start;
        let ring = self.superblock.end - self.superblock.first;
        // A log that is longer than this is read as far, and must end by then.
        let most = MAX_BYTES / u64::from(self.ext.geometry.block_size);
        let most = ring.min(MAX_BLOCKS).min(u32::try_from(most).unwrap_or(MAX_BLOCKS));
        let mut left = most;
        let mut revocable = MAX_REVOKED;
        // The first checksums go on over all blocks of a transaction.
        let mut sum = !0;
        // A block whose checksum is wrong may be left from an earlier round: the time of the commit tells.
        let mut doubtful = false;
        let mut last_commit = 0;
        while left > 0 {
            let (_, block) = self.block(index)?;
            let Some(header) = block.first_chunk::<HEADER>() else {
                break;
            };
            if be32(header, 0) != MAGIC || be32(header, 8) != log.next {
                break;
            }
            index = self.after(index, 1);
            left -= 1;
            let place = Place::Transaction(log.next);
            match be32(header, 4) {
                DESCRIPTOR => {
                    doubtful |= !self.tail_matches(&block);
                    let tags = tags(&self.superblock, &block);
                    let count = u32::try_from(tags.len()).unwrap_or(u32::MAX);
                    if count > left {
                        // It would overtake its own beginning.
                        left = 0;
                        break;
                    }
                    sum = self.note(&mut open, &block, tags, index, sum)?;
                    index = self.after(index, count);
                    left -= count;
                }
                REVOKE => {
                    doubtful |= !self.tail_matches(&block);
                    match revoked(&self.superblock, &block) {
                        Some(blocks) => {
                            let rest = revocable.checked_sub(blocks.len());
                            revocable = rest.ok_or(ExtError::TooLarge {
                                place,
                                limit: MAX_REVOKED as u64,
                                unit: "revoked blocks before it",
                            })?;
                            open.revoked.extend(blocks);
                        }
                        None => place.holds(doubtful, "a list of revoked blocks makes no sense")?,
                    }
                }
                COMMIT => {
                    let commit = commit(&block);
                    if doubtful {
                        place.matches(commit.seconds < last_commit)?;
                        break;
                    }
                    if !self.commit_matches(&block, &commit, sum) {
                        // An asynchronous commit may be torn; another may be from an earlier round.
                        let asynchronous =
                            self.superblock.incompat.contains(Incompat::ASYNC_COMMIT);
                        place.matches(asynchronous || commit.seconds < last_commit)?;
                        break;
                    }
                    sum = !0;
                    last_commit = commit.seconds;
                    log.next = log.next.wrapping_add(1);
                    let next = Transaction { sequence: log.next, ..Transaction::default() };
                    log.transactions.push(std::mem::replace(&mut open, next));
                }
                _ => break,
            }
        }
        if left == 0 && most < ring {
            let (place, limit) = (Place::Transaction(log.next), most.into());
            return Err(ExtError::TooLarge { place, limit, unit: "blocks of log before it" });
        }
        Ok(log)
    }

    /// Notes the copies that a descriptor block announces, which begin at `index`, and continues the first checksums
    /// where the journal has these.
    fn note(
        &self,
        open: &mut Transaction,
        descriptor: &[u8],
        tags: Vec<Tag>,
        index: u32,
        mut sum: u32,
    ) -> Result<u32> {
        let summed = self.superblock.checksums() == Checksums::V1;
        if summed {
            sum = crc32_be(sum, descriptor);
        }
        for (tag, offset) in tags.into_iter().zip(0..) {
            let index = self.after(index, offset);
            if summed {
                sum = crc32_be(sum, &self.block(index)?.1);
            }
            let Tag { block, escaped, checksum } = tag;
            open.copies.push(Copy { block, index, escaped, checksum });
        }
        Ok(sum)
    }

    /// The block `count` behind another in the ring; `count` is less than the ring is long.
    fn after(&self, index: u32, count: u32) -> u32 {
        let (first, end) = (self.superblock.first, self.superblock.end);
        let behind = u64::from(index) + u64::from(count);
        let behind = if behind >= end.into() { behind - u64::from(end - first) } else { behind };
        u32::try_from(behind).unwrap_or(first)
    }

    /// Whether the checksum at the end of a descriptor or revoke block is right, or there is none.
    fn tail_matches(&self, block: &[u8]) -> bool {
        match (self.superblock.checksums(), block.split_last_chunk::<TAIL>()) {
            (Checksums::None | Checksums::V1, _) => true,
            (_, Some((covered, tail))) => {
                self.seed.and(covered).and(&[0; TAIL]).0 == u32::from_be_bytes(*tail)
            }
            (_, None) => false,
        }
    }

    /// Whether the checksum of a commit block is right, or there is none.
    fn commit_matches(&self, block: &[u8], commit: &Commit, sum: u32) -> bool {
        match self.superblock.checksums() {
            Checksums::None => true,
            Checksums::V1 => {
                (commit.kind == CRC32 && commit.checksum == sum)
                    || (commit.kind == [0; 2] && commit.checksum == 0)
            }
            Checksums::V2 | Checksums::V3 => {
                let Some((fields, rest)) = block.split_first_chunk::<COMMIT_FIELDS>() else {
                    return false;
                };
                let fields = self.seed.and(&fields[..0x10]).and(&[0; 4]).and(&fields[0x14..]);
                // What follows the fields is zeros, of which a crash may have written a part only.
                fields.and(rest).0 == commit.checksum
                    || fields.and(&vec![0; rest.len()]).0 == commit.checksum
            }
        }
    }
}

fn commit(block: &[u8]) -> Commit {
    let fields = piece(block, 0).unwrap_or(&[0; COMMIT_FIELDS]);
    Commit {
        kind: [fields[0x0c], fields[0x0d]],
        checksum: be32(fields, 0x10),
        seconds: be64(fields, 0x30),
    }
}
