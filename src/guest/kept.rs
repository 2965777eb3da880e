//! Facts that are worked out once and kept, with the questions that each rests on.
//!
//! A fact is asked for by several checks and worked out for the first of them. So that the others
//! are known to rest on the same files, what it asked is kept beside it and counts again for
//! whoever uses it ([`trace`]). Where nobody noted what was asked when a fact was made, nothing is
//! known of what it rests on: who wants to know begins to note with a guest that nobody has asked.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use crate::sys::trace::{self, Inputs};

/// One fact.
pub(super) struct Kept<T> {
    value: OnceCell<T>,
    inputs: OnceCell<Inputs>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: OnceCell::new(), inputs: OnceCell::new() }
    }
}

impl<T> Kept<T> {
    /// The fact, made where it is asked for the first time.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        match (self.value.get(), self.inputs.get()) {
            (Some(_), Some(inputs)) => trace::again(inputs),
            (None, _) if trace::is_noting() => {
                let (value, inputs) = trace::note(make);
                let _ = self.inputs.set(inputs);
                return self.value.get_or_init(|| value);
            }
            _ => {}
        }
        self.value.get_or_init(make)
    }
}

/// Facts by what they are about.
#[derive(Debug)]
pub(super) struct KeptBy<K, T>(RefCell<BTreeMap<K, (T, Inputs)>>);

impl<K, T> Default for KeptBy<K, T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Ord, T: Clone> KeptBy<K, T> {
    /// The fact about `key`, where it was asked for before.
    pub fn known<Q: Ord + ?Sized>(&self, key: &Q) -> Option<T>
    where
        K: std::borrow::Borrow<Q>,
    {
        let known = self.0.borrow();
        let (value, inputs) = known.get(key)?;
        trace::again(inputs);
        Some(value.clone())
    }

    /// The fact about `key`, made where it is asked for the first time.
    pub fn get_or_init(&self, key: K, make: impl FnOnce(&K) -> T) -> T {
        if let Some(known) = self.known(&key) {
            return known;
        }
        let (value, inputs) = match trace::is_noting() {
            true => trace::note(|| make(&key)),
            false => (make(&key), Inputs::default()),
        };
        self.0.borrow_mut().insert(key, (value.clone(), inputs));
        value
    }
}
