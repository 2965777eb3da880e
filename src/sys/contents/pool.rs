//! What is still to be listed or read, shared by the threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::locked;
use super::node::Work;

/// A stack of directories. The last one in is the first out, so that a deep tree keeps few
/// directories open.
#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Threads that have nothing to do.
    waiting: AtomicUsize,
    wakes: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    works: Vec<Work>,
    /// Threads that do some of it now, and may yet push more.
    busy: usize,
    is_over: bool,
}

impl Pool {
    pub(super) fn push(&self, work: Work) {
        locked(&self.state).works.push(work);
        self.wakes.notify_one();
    }

    /// Whether a thread has nothing to do. It is a hint: by the time of the answer it may have.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// What comes next; `None` when all has been done.
    pub(super) fn pop(&self) -> Option<Work> {
        let mut state = locked(&self.state);
        loop {
            if let Some(work) = state.works.pop() {
                state.busy += 1;
                return Some(work);
            }
            if state.busy == 0 {
                state.is_over = true;
                self.wakes.notify_all();
                self.ended.notify_all();
                return None;
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            state = self.wakes.wait(state).unwrap_or_else(PoisonError::into_inner);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What was popped is done.
    pub(super) fn done(&self) {
        let mut state = locked(&self.state);
        state.busy -= 1;
        if state.busy == 0 && state.works.is_empty() {
            self.wakes.notify_all();
        }
    }

    /// Wait until all is done, or for so long.
    pub(super) fn wait_for_end(&self, limit: Duration) {
        let state = locked(&self.state);
        if !state.is_over {
            drop(self.ended.wait_timeout(state, limit));
        }
    }
}
