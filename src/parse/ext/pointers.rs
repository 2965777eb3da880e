//! Pointers to blocks, as ext2 and ext3 have them: twelve in the inode, then trees of one, two and three levels.

use super::Ext;
use super::bytes::{ReadAt, length, word};
use super::cache::Use;
use super::error::{Place, Result};
use super::inode::Inode;
use super::map::Run;

/// Pointers in the inode that point to content.
const DIRECT: u64 = 12;

impl<S: ReadAt> Ext<S> {
    pub(super) fn map_pointers(&self, inode: &Inode, logical: u64) -> Result<Run> {
        if logical < DIRECT {
            return self.run(inode.place(), &inode.pointers[..48], logical);
        }
        let per_block = u64::from(self.geometry.block_size / 4);
        let mut rest = logical - DIRECT;
        // Blocks below one pointer of the inode: a block's worth of pointers, each level as many times as many.
        let mut span = per_block;
        for level in 1..=3 {
            if rest < span {
                return self.descend(inode, level, span, rest);
            }
            rest -= span;
            span *= per_block;
        }
        Ok(Run { start: None, blocks: u64::MAX - logical })
    }

    /// The run at `rest` in the tree of `level` levels over `span` blocks.
    fn descend(&self, inode: &Inode, level: u32, mut span: u64, mut rest: u64) -> Result<Run> {
        let per_block = u64::from(self.geometry.block_size / 4);
        let mut place = inode.place();
        let root = 4 * (11 + length(level.into()));
        let mut pointer = word(&inode.pointers, root).unwrap_or(0);
        for below in (0..level).rev() {
            if pointer == 0 {
                return Ok(Run { start: None, blocks: span - rest });
            }
            let number = u64::from(pointer);
            place.holds(self.geometry.has(number, 1), "it points outside the filesystem")?;
            place = Place::PointerBlock(inode.number, number);
            let block = self.device.block(number, Use::Pointers, |_| Ok(()))?;
            if below == 0 {
                return self.run(place, &block, rest);
            }
            span /= per_block;
            pointer = word(&block, 4 * length(rest / span)).unwrap_or(0);
            rest %= span;
        }
        Err(place.damaged("its pointers have no end"))
    }

    /// The run that begins with the pointer `index`: as long as the pointers count up, or are all zero.
    fn run(&self, place: Place, pointers: &[u8], index: u64) -> Result<Run> {
        let (pointers, _) = pointers.as_chunks::<4>();
        let mut pointers =
            pointers.iter().skip(length(index)).map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
        let first = pointers.next().unwrap_or(0);
        let step = u64::from(first != 0);
        let alike = (1..).zip(pointers).take_while(|(n, next)| *next == first + n * step).count();
        let blocks = 1 + alike as u64;
        if first == 0 {
            return Ok(Run { start: None, blocks });
        }
        place.holds(self.geometry.has(first, blocks), "it points outside the filesystem")?;
        Ok(Run { start: Some(first), blocks })
    }
}
