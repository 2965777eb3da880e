//! Blocks of metadata that were read, up to a limit.
//!
//! A guest's /etc is a few hundred inodes and directories that lie close together: the second question about a block
//! must not read it, nor compute its checksum, again. What is evicted is the block that went longest without a use
//! since its last turn ("second chance"), which needs no order to be kept at a hit.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Enough for the metadata that an audit touches (3 MiB on a generic image of Debian), and little for a machine.
const LIMIT: usize = 16 << 20;

/// What a block was read as. A block is verified as what it is read as: one that an evil image offers as two things is
/// verified as both.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Use {
    /// Group descriptors.
    Descriptors,
    /// Inodes; each is verified by itself.
    Inodes,
    /// Pointers to blocks; they have no checksum.
    Pointers,
    /// A block of the extent tree of this inode.
    Extents(u64),
    /// A block of the directory with this inode.
    Directory(u64),
    /// Extended attributes.
    Attributes,
}

type Key = (u64, Use);

#[derive(Default)]
pub(super) struct Cache(Mutex<State>);

#[derive(Default)]
struct State {
    slots: HashMap<Key, Slot>,
    turns: VecDeque<Key>,
    bytes: usize,
}

struct Slot {
    block: Arc<[u8]>,
    used: bool,
}

impl Cache {
    pub(super) fn get(&self, block: u64, as_what: Use) -> Option<Arc<[u8]>> {
        let mut state = self.state();
        let slot = state.slots.get_mut(&(block, as_what))?;
        slot.used = true;
        Some(Arc::clone(&slot.block))
    }

    pub(super) fn put(&self, number: u64, as_what: Use, block: Arc<[u8]>) {
        let key = (number, as_what);
        let mut state = self.state();
        let length = block.len();
        if state.slots.insert(key, Slot { block, used: false }).is_some() {
            // Another thread read the same block meanwhile.
            return;
        }
        state.bytes += length;
        state.turns.push_back(key);
        state.evict();
    }

    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }

    /// A thread that panicked between two statements above leaves a count that is off, and no wrong block.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn evict(&mut self) {
        while self.bytes > LIMIT {
            let Some(key) = self.turns.pop_front() else {
                return;
            };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.turns.push_back(key);
                }
                _ => {
                    let gone = self.slots.remove(&key);
                    self.bytes -= gone.map_or(0, |slot| slot.block.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_used_blocks_stay() {
        let cache = Cache::default();
        let block: Arc<[u8]> = vec![0; 65536].into();
        for number in 0..1000 {
            cache.put(number, Use::Inodes, Arc::clone(&block));
            assert!(cache.get(0, Use::Inodes).is_some(), "at {number}");
        }
        assert!(cache.state().bytes <= LIMIT);
        assert_eq!(cache.state().slots.len(), LIMIT / 65536);
        assert!(cache.get(1, Use::Inodes).is_none());
        assert!(cache.get(0, Use::Attributes).is_none());
        cache.clear();
        assert!(cache.get(0, Use::Inodes).is_none());
    }
}
