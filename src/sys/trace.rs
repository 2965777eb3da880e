//! What is asked of a guest while something about it is worked out, without the answers.
//!
//! Every door of this module says what it is asked ([`asked`]); whoever works something out inside
//! [`note`] learns what the result rests on, and so what would change it. A result that is kept and
//! used again brings its own questions along ([`again`]). Nothing is noted outside of [`note`].
//!
//! What is noted belongs to the thread: a guest never leaves the one that opened it, and the facts
//! that are worked out deep inside another need no handle to say so.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::Space;
use crate::model::GuestPath;

/// One thing that a guest was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// What a path is, or holds.
    File(Space, GuestPath),
    /// The names in a directory.
    Names(Space, GuestPath),
    /// What lies in many directories, and when it changed.
    Census,
    /// Space and inodes of the filesystem that a path lies on.
    FreeSpace(GuestPath),
    /// What a block device holds, by its kernel name.
    Device(String),
    /// The addresses of the network interfaces.
    Addresses,
    /// What the cloud's metadata service says.
    Metadata,
    /// What the processes of this machine are and have open.
    Processes,
    /// What a program says.
    Command(String),
    /// What time it is.
    Time,
}

/// Questions, each once, in order. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs(Rc<[Rc<Question>]>);

impl Default for Inputs {
    fn default() -> Self {
        Self(Rc::from([]))
    }
}

impl Inputs {
    /// Questions that nobody asked yet, and that an answer shall rest on all the same.
    pub fn of(questions: impl IntoIterator<Item = Question>) -> Self {
        let questions: BTreeSet<Rc<Question>> = questions.into_iter().map(Rc::new).collect();
        Self(questions.into_iter().collect())
    }

    /// Each question.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Question>> {
        self.0.iter()
    }
}

#[derive(Default)]
struct Trace {
    /// Every question that something noted rests on: one copy serves all.
    known: BTreeSet<Rc<Question>>,
    open: Vec<Frame>,
}

#[derive(Default)]
struct Frame {
    asked: BTreeSet<Rc<Question>>,
    /// Where the questions of kept results lie that are among them already.
    seen: BTreeSet<usize>,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
}

/// Work something out, and learn what was asked for it.
pub fn note<T>(work: impl FnOnce() -> T) -> (T, Inputs) {
    TRACE.with_borrow_mut(|trace| trace.open.push(Frame::default()));
    let open = Open;
    let result = work();
    let inputs = open.close();
    (result, inputs)
}

/// Whether anybody wants to know what is asked.
pub fn is_noting() -> bool {
    TRACE.with_borrow(|trace| !trace.open.is_empty())
}

/// Something is asked.
pub(super) fn asked(question: impl FnOnce() -> Question) {
    TRACE.with_borrow_mut(|trace| {
        if trace.open.is_empty() {
            return;
        }
        let question = Rc::new(question());
        let question = match trace.known.get(&question) {
            Some(known) => Rc::clone(known),
            None => {
                trace.known.insert(Rc::clone(&question));
                question
            }
        };
        if let Some(frame) = trace.open.last_mut() {
            frame.asked.insert(question);
        }
    });
}

/// The time of day is asked.
pub fn asked_time() {
    asked(|| Question::Time);
}

/// A guest's file that was opened before is asked again.
pub fn asked_file(path: &GuestPath) {
    asked(|| Question::File(Space::Root, path.clone()));
}

/// A result that was worked out before is used again.
pub fn again(inputs: &Inputs) {
    TRACE.with_borrow_mut(|trace| {
        let Some(frame) = trace.open.last_mut() else { return };
        // The slice lives as long as the result, which outlives what is being worked out.
        if frame.seen.insert(inputs.0.as_ptr().addr()) {
            frame.asked.extend(inputs.iter().cloned());
        }
    });
}

/// An open frame, which a panic closes too.
struct Open;

impl Open {
    fn close(self) -> Inputs {
        let inputs = TRACE.with_borrow_mut(|trace| {
            let asked = trace.open.last_mut().map(|frame| std::mem::take(&mut frame.asked));
            let inputs = Inputs(asked.unwrap_or_default().into_iter().collect());
            // What was asked for a part was asked for the whole.
            if let Some(above) =
                trace.open.len().checked_sub(2).and_then(|at| trace.open.get_mut(at))
            {
                above.asked.extend(inputs.iter().cloned());
            }
            inputs
        });
        drop(self);
        inputs
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        TRACE.with_borrow_mut(|trace| {
            trace.open.pop();
            if trace.open.is_empty() {
                // Nothing that is still kept rests on the others.
                trace.known.retain(|question| Rc::strong_count(question) > 1);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Question {
        Question::File(Space::Root, GuestPath::from(path))
    }

    fn shown(inputs: &Inputs) -> Vec<Question> {
        inputs.iter().map(|question| (**question).clone()).collect()
    }

    #[test]
    fn what_a_part_asks_the_whole_asks() {
        let ((_, part), whole) = note(|| {
            asked(|| file("/a"));
            note(|| asked(|| file("/b")))
        });
        assert_eq!(shown(&part), [file("/b")]);
        assert_eq!(shown(&whole), [file("/a"), file("/b")]);
    }

    #[test]
    fn a_kept_result_brings_its_questions_along() {
        let (_, kept) = note(|| asked(|| file("/a")));
        let (_, later) = note(|| {
            again(&kept);
            again(&kept);
        });
        assert_eq!(shown(&later), [file("/a")]);
    }

    #[test]
    fn a_panic_closes_what_it_leaves() {
        let (_, whole) = note(|| {
            let broken = std::panic::catch_unwind(|| note(|| panic!("on purpose")));
            assert!(broken.is_err());
            asked(|| file("/after"));
        });
        assert_eq!(shown(&whole), [file("/after")]);
        assert!(!is_noting());
        asked(|| panic!("nobody wants to know"));
    }

    #[test]
    fn what_nothing_rests_on_is_forgotten() {
        for number in 0..100 {
            let _ = note(|| asked(|| file(&format!("/proc/{number}"))));
        }
        // The last one's own was still held when its frame was closed.
        assert_eq!(TRACE.with_borrow(|trace| trace.known.len()), 1);
    }
}
