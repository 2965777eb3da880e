//! Looking at a guest again and again: what stands of it, and the watch over what that rests on.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::{Audit, Settings, Standing};
use crate::guest::Guest;
use crate::sys::trace::{Inputs, Question};
use crate::sys::watch::{Changes, Told, Waker, Watch, told};
use crate::sys::{Result, Root};

/// A check may ask new questions when it is judged again, and their answers may have changed
/// before they were watched. A guest that is still not at rest after so many looks is looked at
/// again when its events come in.
const ROUNDS: usize = 4;

/// What stands of a guest, and what would change it.
pub struct Looking {
    watch: Watch,
    standing: Standing,
    /// What is watched beside what the checks ask.
    beside: Inputs,
}

impl Looking {
    /// Begin to look at the guest whose files these are; nothing is judged yet.
    ///
    /// # Errors
    /// When the system gives no inotify.
    pub fn new(root: &Root, waker: Waker) -> Result<Self> {
        let watch = Watch::new(root, waker)?;
        Ok(Self { watch, standing: Standing::default(), beside: Inputs::default() })
    }

    /// What cannot be listened to here, one sentence each.
    pub fn deaf_to(&self) -> &[String] {
        self.watch.deaf_to()
    }

    /// Why not every file can be watched, where that is so.
    pub fn limit(&self) -> Option<&str> {
        self.watch.limit()
    }

    /// How many inodes are watched.
    pub fn watched(&self) -> usize {
        self.watch.watched()
    }

    /// Watch these too.
    pub fn watch_beside(&mut self, inputs: Inputs) {
        self.beside = inputs;
    }

    /// Forget what stands: the next look judges everything.
    pub fn forget(&mut self) {
        self.standing = Standing::default();
    }

    /// Wait until something happens, the waker is heard, or the time is over (`None`: never).
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<Changes> {
        self.watch.wait(limit)
    }

    /// Judge what has no answer, what may have changed, and what no event tells of. `open` gives
    /// the guest with none of its facts known.
    ///
    /// # Errors
    /// When the guest cannot be opened.
    pub fn look(
        &mut self,
        open: &dyn Fn() -> Result<Guest>,
        settings: &Settings,
        changes: &Changes,
    ) -> Result<Audit> {
        if changes.moves_paths() {
            // What is known to be asked is watched before it is judged.
            self.watch.start_over()?;
            self.watch_inputs();
        }
        let mut new: BTreeSet<Rc<Question>> = BTreeSet::new();
        let mut round = 0;
        loop {
            // The facts of one round are not those of the next.
            let guest = open()?;
            let watch = &self.watch;
            let is_stale = |question: &Question| match round {
                0 => {
                    changes.concern(question)
                        || told(question) == Told::Never
                        || watch.is_unwatched(question)
                }
                _ => new.contains(question),
            };
            self.standing.judge(&guest, settings, is_stale);
            new = self.watch_inputs();
            round += 1;
            if new.is_empty() || round == ROUNDS {
                return Ok(self.standing.audit(&guest, settings));
            }
        }
    }

    /// Watch all that the answers rest on; gives what was not watched before.
    fn watch_inputs(&mut self) -> BTreeSet<Rc<Question>> {
        self.watch.set(self.standing.inputs().chain([&self.beside]).flat_map(Inputs::iter))
    }
}
