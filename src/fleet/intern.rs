//! Values that many hosts share, kept once and named by a number.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

/// Values by number and numbers by value. The table holds numbers alone, so that a value lies in memory once.
#[derive(Debug)]
pub(super) struct Interned<T> {
    values: Vec<T>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), table: HashTable::new(), hasher: RandomState::new() }
    }
}

impl<T: Eq + Hash> Interned<T> {
    /// The number of a value, which is made of what was asked for where it is new.
    pub(super) fn number<Q>(&mut self, wanted: &Q) -> u32
    where
        Q: Hash + ?Sized,
        T: std::borrow::Borrow<Q> + for<'q> From<&'q Q>,
        Q: Eq,
    {
        let Self { values, table, hasher } = self;
        let hash = hasher.hash_one(wanted);
        let is_it = |number: &u32| values[*number as usize].borrow() == wanted;
        if let Some(number) = table.find(hash, is_it) {
            return *number;
        }
        let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
        values.push(T::from(wanted));
        table.insert_unique(hash, number, |number| {
            hasher.hash_one(values[*number as usize].borrow())
        });
        number
    }

    /// The value of a number that was given out.
    pub(super) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    /// All, by number.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }
}
