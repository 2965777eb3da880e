//! The blocks of the filesystem as they will be once the journal is replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::{ReadAt, length};
use super::cache::{Cache, Use};
use super::error::{ExtError, Result};

/// Where the journal keeps the newest content of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Logged {
    /// The block, in the journal, that has it.
    pub block: u64,
    /// Its first four bytes are the journal's magic number and stand as zeros in the log.
    pub escaped: bool,
}

/// The source, with the journal's blocks in front of it.
pub(super) struct Device<S> {
    source: S,
    size: u64,
    block_size: u32,
    logged: BTreeMap<u64, Logged>,
    cache: Cache,
}

impl<S: ReadAt> Device<S> {
    /// A source of `size` bytes in blocks of `block_size`.
    pub(super) fn new(source: S, size: u64, block_size: u32) -> Self {
        Self { source, size, block_size, logged: BTreeMap::new(), cache: Cache::default() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Lets the journal's blocks stand for those that they will replace.
    pub(super) fn replay(&mut self, logged: BTreeMap<u64, Logged>) {
        self.logged = logged;
        self.cache.clear();
    }

    /// Fills the buffer from a byte offset.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let size = u64::from(self.block_size);
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size);
        let Some(end) = end else {
            let cause = format!("the filesystem ends at {}", self.size);
            return Err(ExtError::Read { offset, length: buffer.len(), cause });
        };
        let mut at = offset;
        let part = |from: u64, to: u64| length(from - offset)..length(to - offset);
        for (block, logged) in self.logged.range(offset / size..end.div_ceil(size)) {
            let start = (block * size).max(offset);
            let stop = ((block + 1) * size).min(end);
            self.plain(at, &mut buffer[part(at, start)])?;
            let inside = start - block * size;
            let piece = &mut buffer[part(start, stop)];
            self.plain(logged.block * size + inside, piece)?;
            if logged.escaped {
                let magic = super::journal::MAGIC.to_be_bytes();
                for (byte, original) in piece.iter_mut().zip(magic.iter().skip(length(inside))) {
                    *byte = *original;
                }
            }
            at = stop;
        }
        self.plain(at, &mut buffer[part(at, end)])
    }

    /// A whole block of metadata; `verify` judges it when it is read, not when it is still known.
    pub(super) fn block(
        &self,
        number: u64,
        as_what: Use,
        verify: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<Arc<[u8]>> {
        if let Some(block) = self.cache.get(number, as_what) {
            return Ok(block);
        }
        let block = self.uncached(number)?;
        verify(&block)?;
        let block: Arc<[u8]> = block.into();
        self.cache.put(number, as_what, Arc::clone(&block));
        Ok(block)
    }

    /// A whole block that will not be asked for again.
    pub(super) fn uncached(&self, number: u64) -> Result<Vec<u8>> {
        let mut block = vec![0; length(self.block_size.into())];
        self.read(number.saturating_mul(self.block_size.into()), &mut block)?;
        Ok(block)
    }

    fn plain(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.source.read_at(offset, buffer).map_err(|error| ExtError::Read {
            offset,
            length: buffer.len(),
            cause: error.to_string(),
        })
    }
}
