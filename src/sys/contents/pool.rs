//! The directories that are still to be listed, shared by the threads.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::locked;
use super::node::Node;

/// A stack of directories. The last one in is the first out, so that a deep tree keeps few
/// directories open.
#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    wakes: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    /// Threads that list a directory now, and may yet push more.
    busy: usize,
    is_over: bool,
}

impl Pool {
    pub(super) fn push(&self, node: Node) {
        locked(&self.state).nodes.push(node);
        self.wakes.notify_one();
    }

    /// The next directory; `None` when all has been listed.
    pub(super) fn pop(&self) -> Option<Node> {
        let mut state = locked(&self.state);
        loop {
            if let Some(node) = state.nodes.pop() {
                state.busy += 1;
                return Some(node);
            }
            if state.busy == 0 {
                state.is_over = true;
                self.wakes.notify_all();
                self.ended.notify_all();
                return None;
            }
            state = self.wakes.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A directory that was popped is listed.
    pub(super) fn done(&self) {
        let mut state = locked(&self.state);
        state.busy -= 1;
        if state.busy == 0 && state.nodes.is_empty() {
            self.wakes.notify_all();
        }
    }

    /// Wait until all is listed, or for so long.
    pub(super) fn wait_for_end(&self, limit: Duration) {
        let state = locked(&self.state);
        if !state.is_over {
            drop(self.ended.wait_timeout(state, limit));
        }
    }
}
