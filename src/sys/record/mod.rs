//! Notes of what a guest answers, and answers from notes.
//!
//! A [`Recorder`] stands behind every door to a guest (its files, its kernel, commands, devices),
//! asks the machine and notes question and answer; the same doors answer from [`Notes`] alone on a
//! machine that never saw the guest. A question that was not asked then is an error
//! ([`super::ErrorKind::NotHeld`]), never "there is no such thing". What is noted of a content
//! goes through the recorder's [`Reduce`] first; what the caller gets does not.
//!
//! Nothing here opens a file, reads an archive or writes one.

mod files;
mod notes;

use std::cell::RefCell;
use std::rc::Rc;

pub(super) use files::{Recording, Replay};
pub use notes::{
    CommandNotes, DeviceNotes, FileNotes, KernelNotes, Noted, Notes, OutputNotes, Space, Stored,
    Whose, entry_name,
};

use super::{Error, ErrorKind, Holder, MountKey, Output, Result};
use crate::model::{ByteString, GuestPath};

/// Takes the secrets out of what a path holds: what is left, and how many they were.
pub type Reduce = fn(&GuestPath, &[u8]) -> (Vec<u8>, usize);

/// Notes what is asked and answered. A clone writes to the same notes.
#[derive(Clone, Debug)]
pub struct Recorder {
    notes: Rc<RefCell<Notes>>,
    reduce: Reduce,
}

impl Recorder {
    /// Begin to note.
    pub fn new(reduce: Reduce) -> Self {
        let notes = Notes { now: super::seconds_since_1970(), ..Notes::default() };
        Self { notes: Rc::new(RefCell::new(notes)), reduce }
    }

    /// When the noting began, in seconds since 1970: the time of day for every question.
    pub fn now(&self) -> u64 {
        self.notes.borrow().now
    }

    /// What was noted so far.
    pub fn notes(&self) -> Notes {
        self.notes.borrow().clone()
    }

    /// Change the notes.
    pub fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.notes.borrow_mut());
    }

    /// The text of an answer without its secrets.
    pub(super) fn reduced(&self, text: &[u8]) -> Vec<u8> {
        (self.reduce)(&GuestPath::from("/"), text).0
    }

    /// Keep a file's content, without its secrets.
    fn store(&self, space: Space, path: &GuestPath, content: &[u8]) -> Stored {
        let (bytes, reduced) = (self.reduce)(path, content);
        let name = entry_name(space.as_str(), path.as_bytes());
        let entry = self.notes.borrow_mut().keep(name, bytes);
        Stored { entry, size: content.len() as u64, reduced }
    }

    /// Note that ranges of a block device were read.
    pub fn note_asked(&self, whose: Whose, name: &str, ranges: &[std::ops::Range<u64>]) {
        self.note(|notes| {
            let kernel = notes.kernels.entry(whose).or_default();
            let device = kernel.devices.entry(name.to_owned()).or_default();
            device.asked.extend(ranges.iter().map(|range| (range.start, range.end)));
        });
    }

    /// Keep a piece of a block device that an answer rests on.
    pub fn note_device(&self, whose: Whose, name: &str, offset: u64, bytes: &[u8]) {
        let (bytes, _) = (self.reduce)(&GuestPath::from(&format!("/dev/{name}")), bytes);
        let shown = format!("/{name}/{offset}-{}", offset + bytes.len() as u64);
        self.note(|notes| {
            let known = |notes: &Notes| {
                let device = notes.kernels.get(&whose)?.devices.get(name)?;
                notes.contents.get(device.pieces.get(&offset)?).map(Vec::len)
            };
            // Two parsers look at the beginning of a disk; one sees more of it.
            if known(notes).is_some_and(|length| length >= bytes.len()) {
                return;
            }
            let directory = if whose == Whose::Image { "image" } else { "dev" };
            let entry = notes.keep(entry_name(directory, shown.as_bytes()), bytes);
            let device = notes.kernels.entry(whose).or_default();
            device.devices.entry(name.to_owned()).or_default().pieces.insert(offset, entry);
        });
    }
}

/// Where the answers of a door go, or where they come from.
#[derive(Clone, Debug)]
pub enum Record {
    /// The machine is asked, and the recorder notes what it answers.
    Written(Recorder),
    /// The notes are asked.
    Read(Rc<Notes>),
}

impl Record {
    /// A command's answer.
    pub(super) fn run(
        &self,
        argv: &[ByteString],
        run: impl FnOnce() -> Result<Output>,
    ) -> Result<Output> {
        match self {
            Record::Written(recorder) => {
                let answer = run();
                let noted = Noted::of(answer.clone().map(Some)).map(|output| OutputNotes {
                    code: output.code,
                    stdout: recorder.reduced(&output.stdout).into(),
                    stderr: recorder.reduced(&output.stderr).into(),
                });
                recorder.note(|notes| {
                    if !notes.commands.iter().any(|known| known.argv == argv) {
                        notes.commands.push(CommandNotes { argv: argv.to_vec(), answer: noted });
                    }
                });
                answer
            }
            Record::Read(notes) => {
                let known = notes.commands.iter().find(|known| known.argv == argv);
                let shown = || argv.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let output = match known {
                    Some(known) => known.answer.clone().answer()?,
                    None => None,
                };
                let output = output.ok_or_else(|| Notes::not_held("run", shown()))?;
                Ok(Output {
                    code: output.code,
                    stdout: output.stdout.into_bytes(),
                    stderr: output.stderr.into_bytes(),
                })
            }
        }
    }

    /// One answer of a kernel, noted in a field of its own.
    pub(super) fn answer<T: Clone>(
        &self,
        whose: Whose,
        what: &'static str,
        field: impl Fn(&mut KernelNotes) -> &mut Option<Noted<T>>,
        ask: impl FnOnce() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        match self {
            Record::Written(recorder) => {
                let answer = ask();
                recorder.note(|notes| {
                    let kernel = notes.kernels.entry(whose).or_default();
                    field(kernel).get_or_insert_with(|| Noted::of(answer.clone()));
                });
                answer
            }
            Record::Read(notes) => {
                let mut kernel = notes.kernels.get(&whose).cloned().unwrap_or_default();
                match field(&mut kernel).take() {
                    Some(noted) => noted.answer(),
                    None => Err(Notes::not_held("ask for", what)),
                }
            }
        }
    }

    /// The processes that keep each of these mounts busy.
    pub(super) fn holders(
        &self,
        mounts: &[MountKey],
        ask: impl FnOnce() -> Vec<Vec<Holder>>,
    ) -> Vec<Vec<Holder>> {
        match self {
            Record::Written(recorder) => {
                let found = ask();
                let reduced = |holder: &Holder| {
                    let command = recorder.reduced(holder.command.as_bytes());
                    let command = String::from_utf8_lossy(&command).into_owned();
                    Holder { command, ..holder.clone() }
                };
                for ((_, id), found) in mounts.iter().zip(&found) {
                    let noted = found.iter().map(reduced).collect();
                    recorder.note(|notes| {
                        let kernel = notes.kernels.entry(Whose::Guest).or_default();
                        kernel.holders.entry(*id).or_insert(noted);
                    });
                }
                found
            }
            Record::Read(notes) => {
                let kernel = notes.kernels.get(&Whose::Guest);
                let noted = |id| kernel.and_then(|kernel| kernel.holders.get(id)).cloned();
                mounts.iter().map(|(_, id)| noted(id).unwrap_or_default()).collect()
            }
        }
    }

    /// The pieces of a device that lie in a range.
    pub(super) fn pieces(
        notes: &Notes,
        whose: Whose,
        name: &str,
        range: &std::ops::Range<u64>,
    ) -> Result<Vec<(u64, Vec<u8>)>> {
        let shown = format!("/dev/{name}");
        let device = notes.kernels.get(&whose).and_then(|kernel| kernel.devices.get(name));
        let Some(device) = device else { return Err(Notes::not_held("read", shown)) };
        if let Some(error) = &device.failed {
            return Err(error.clone());
        }
        let mut found = Vec::new();
        let mut is_whole = false;
        for (offset, entry) in device.pieces.range(..range.end) {
            let bytes = notes.contents.get(entry).ok_or_else(|| {
                let cause = format!("{entry} is not in the bundle");
                Error::new("read", &shown, ErrorKind::Other, cause)
            })?;
            let end = offset.saturating_add(bytes.len() as u64);
            is_whole |= *offset <= range.start && end >= range.end;
            if end > range.start {
                found.push((*offset, bytes.clone()));
            }
        }
        // Of a range that was read then, the rest was not looked at.
        if !is_whole && !device.asked.contains(&(range.start, range.end)) {
            let what = format!("bytes {} to {} of {shown}", range.start, range.end);
            return Err(Notes::not_held("read", what));
        }
        Ok(found)
    }
}
