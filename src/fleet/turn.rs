//! A value that several threads work on, one after the other in the order of their tickets.

use std::sync::{Condvar, Mutex, PoisonError};

/// The value, and whose turn it is.
#[derive(Debug)]
pub(super) struct Turn<T> {
    state: Mutex<(u64, T)>,
    moved: Condvar,
}

impl<T> Turn<T> {
    /// The turn of ticket 0.
    pub(super) fn new(value: T) -> Self {
        Self { state: Mutex::new((0, value)), moved: Condvar::new() }
    }

    /// The ticket of that number. It is given back when it is dropped, so that a thread that panics holds nobody up.
    pub(super) fn ticket(&self, number: u64) -> Ticket<'_, T> {
        Ticket { turn: self, number, is_used: false }
    }

    /// The value, when everybody had their turn.
    pub(super) fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// A place in the order.
#[derive(Debug)]
pub(super) struct Ticket<'t, T> {
    turn: &'t Turn<T>,
    number: u64,
    is_used: bool,
}

impl<T> Ticket<'_, T> {
    /// Wait for the turn, and have it.
    pub(super) fn then(mut self, work: impl FnOnce(&mut T)) {
        self.have(work);
    }

    fn have(&mut self, work: impl FnOnce(&mut T)) {
        self.is_used = true;
        let state = self.turn.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self
            .turn
            .moved
            .wait_while(state, |(now, _)| *now != self.number)
            .unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        work(&mut state.1);
        drop(state);
        self.turn.moved.notify_all();
    }
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if !self.is_used {
            self.have(|_| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_first_waits_for_his_turn() {
        let turn = Turn::new(Vec::new());
        std::thread::scope(|scope| {
            for number in (0..20).rev() {
                let ticket = turn.ticket(number);
                scope.spawn(move || match number % 5 {
                    // Given back unused.
                    3 => drop(ticket),
                    _ => ticket.then(|order| order.push(number)),
                });
            }
        });
        let expected: Vec<u64> = (0..20).filter(|number| number % 5 != 3).collect();
        assert_eq!(turn.into_inner(), expected);
    }
}
