//! What was read of a device: its size and some ranges of its bytes.
//!
//! The parsers of on-disk formats do no input, so they say which bytes they want. A reader preads the ranges that the
//! parser's `wanted` names into a `Window` and calls the parser. A parser that meets a pointer out of the window
//! answers [`Unread`] with the range: the reader adds it and calls again, at most [`MAX_READS`] times. What lies
//! beyond the end of the device is absent, which is an answer; what was not read is not.

use std::cell::RefCell;
use std::ops::Range;

/// No parser asks for more ranges than this, whatever the bytes say. A reader stops there.
pub const MAX_READS: usize = 512;

/// No parser asks for a longer range than this, in bytes, whatever the bytes say.
pub const MAX_RANGE: u64 = 4 << 20;

/// The bytes of a device that were read, by offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    size: u64,
    pieces: Vec<(u64, Vec<u8>)>,
    /// What parsers were given of it.
    used: RefCell<Vec<Range<u64>>>,
}

/// A parser needs these bytes of the device, which the window does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bytes {} to {} of the device were not read", .0.start, .0.end)]
pub struct Unread(pub Range<u64>);

impl Window {
    /// A window on a device of `size` bytes, of which nothing was read yet.
    pub fn new(size: u64) -> Self {
        Self { size, ..Self::default() }
    }

    /// A window that holds a whole device, for one that is already in memory.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, pieces: vec![(0, bytes)], ..Self::default() }
    }

    /// Adds what was read at `offset`. What lies beyond the end of the device is dropped. Of two reads of the same
    /// bytes the parsers see the first that holds all they ask for.
    pub fn insert(&mut self, offset: u64, mut bytes: Vec<u8>) {
        let room = self.size.saturating_sub(offset);
        bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        self.pieces.push((offset, bytes));
    }

    /// The size of the device in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// `length` bytes at `offset`, or None if the device ends before them.
    ///
    /// # Errors
    /// [`Unread`] if the device has them and the window does not.
    pub fn get(&self, offset: u64, length: u64) -> Result<Option<&[u8]>, Unread> {
        let Some(end) = offset.checked_add(length).filter(|end| *end <= self.size) else {
            return Ok(None);
        };
        if length == 0 {
            return Ok(Some(&[]));
        }
        let found = self.find(&(offset..end)).ok_or(Unread(offset..end))?;
        self.used.borrow_mut().push(offset..end);
        Ok(Some(found))
    }

    fn find(&self, range: &Range<u64>) -> Option<&[u8]> {
        self.pieces.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
            bytes.get(from..to)
        })
    }

    /// The bytes that parsers were given, by offset: all that their answers rest on. Ranges that
    /// touch are one.
    pub fn used(&self) -> Vec<(u64, &[u8])> {
        let ranges = self.used.borrow();
        let whole = merged(ranges.clone(), self.size);
        let is_in_one_piece = whole.iter().all(|range| self.find(range).is_some());
        let ranges = if is_in_one_piece { &whole } else { &*ranges };
        ranges.iter().filter_map(|range| Some((range.start, self.find(range)?))).collect()
    }

    /// `N` bytes at `offset`, as [`Window::get`].
    ///
    /// # Errors
    /// [`Unread`] if the device has them and the window does not.
    pub fn array<const N: usize>(&self, offset: u64) -> Result<Option<&[u8; N]>, Unread> {
        let bytes = self.get(offset, N as u64)?;
        Ok(bytes.and_then(|bytes| bytes.first_chunk()))
    }
}

/// Puts ranges in ascending order, joins those that touch, and cuts them at `size`.
pub(super) fn merged(mut ranges: Vec<Range<u64>>, size: u64) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        let range = range.start..range.end.min(size);
        if range.is_empty() {
            continue;
        }
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn absent_is_not_unread() {
        let mut window = Window::new(10);
        window.insert(4, vec![4, 5, 6]);
        assert_eq!(window.get(4, 3), Ok(Some(&[4, 5, 6][..])));
        assert_eq!(window.array(5), Ok(Some(&[5, 6])));
        assert_eq!(window.get(5, 3), Err(Unread(5..8)));
        assert_eq!(window.get(8, 3), Ok(None));
        assert_eq!(window.get(u64::MAX, 2), Ok(None));
        assert_eq!(window.get(10, 0), Ok(Some(&[][..])));
    }

    #[test]
    fn nothing_beyond_the_end_is_held() {
        let mut window = Window::new(3);
        window.insert(2, vec![2, 3, 4]);
        window.insert(5, vec![5]);
        assert_eq!(window.get(2, 1), Ok(Some(&[2][..])));
        assert_eq!(window.get(2, 2), Ok(None));
    }

    proptest! {
        #[test]
        fn merging_keeps_every_byte_once_and_in_order(
            ranges in prop::collection::vec((0u64..40, 0u64..20), 0..8), size in 0u64..50,
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();
            let merged = merged(ranges.clone(), size);
            for byte in 0..70 {
                let wanted = byte < size && ranges.iter().any(|range| range.contains(&byte));
                prop_assert_eq!(merged.iter().filter(|range| range.contains(&byte)).count(), usize::from(wanted));
            }
            prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
