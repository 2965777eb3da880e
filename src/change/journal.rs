//! What a run writes about itself, and how it is read back.
//!
//! `run.json` is written and synced before the first step. `journal` is a list of records, one
//! JSON object a line, each synced before what follows it: an intent before its step, `done` after
//! it. A record that a crash or a full disk cut short is no record; by the order of things its
//! step has then not been taken, or is known by its intent. Whatever else is not understood is an
//! error: to pass over it would be to call a step undone that is not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::clone::Carried;
use super::step::{After, Undo};
use crate::guest::ChangedFile;
use crate::model::Plan;
use crate::sys::Erased;

/// `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Always `guestprep.run/1`.
    pub schema: String,
    /// The run's id: its start and a number, sortable.
    pub id: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// The version of guestprep that made it.
    pub version: String,
    /// Why it was made.
    pub kind: RunKind,
    /// Where on the machine the guest's root was; `/` for a live guest.
    pub root: String,
    /// The DMI product UUID of a live guest.
    pub dmi_uuid: Option<String>,
    /// cloud-init's instance id of a live guest.
    pub cloud_id: Option<String>,
    /// The boot that it was made in, as /proc/sys/kernel/random/boot_id has it, of a live guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// When it is to be rolled back by itself, in seconds since 1970; never where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
    /// Of a disk image: the file that is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ChangedFile>,
    /// What was to be done.
    pub plan: Plan,
    /// What was under the lines that it parks and the units that it masks: for a clone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<Carried>,
}

impl Header {
    /// The schema that this version writes and reads.
    pub const SCHEMA: &'static str = "guestprep.run/1";
}

/// Why a run was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// `prepare`: stays until `rollback`.
    Prepare,
    /// `capture`: rolled back when its command ends, or by the next command when it was killed.
    Capture,
    /// One change that the operator asked for by name: `swap off`, `dns fix`. Stays until
    /// `rollback`.
    Command,
    /// `firstboot`: one thing that a clone is given back. Gone as soon as it is done.
    FirstBoot,
}

/// One line of `journal`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// A step is about to be taken.
    Intent {
        /// Its id.
        step: String,
        /// How it is undone.
        how: Box<Undo>,
    },
    /// The step was taken and verified.
    Done {
        /// Its id.
        step: String,
        /// What the guest is after it.
        after: After,
    },
    /// Phase 2 is to be taken when the machine powers off, and at no other time. Written before
    /// `Prepared`, so that nobody takes phase 2 for one that was cut short.
    Armed {
        /// The boot that ends then, as /proc/sys/kernel/random/boot_id has it.
        boot: String,
    },
    /// The boot that was armed ended otherwise, or phase 2 was called off.
    Disarmed {
        /// How it ended.
        why: String,
    },
    /// Every step that can be undone was taken: phase 1 is over.
    Prepared,
    /// A step of phase 2, which nothing undoes, is about to be taken.
    Erasing {
        /// Its id.
        step: String,
    },
    /// A step of phase 2 was taken.
    Erased {
        /// Its id.
        step: String,
        /// What is gone, and what could not be taken away.
        what: Erased,
    },
    /// Undoing begins.
    RollingBack,
    /// A step that changed a directory is about to be undone.
    Undoing {
        /// Its id.
        step: String,
        /// Whether nobody but this run has changed the directory, so that its times are given
        /// back. Once undoing has begun it can no longer be told.
        ours: bool,
    },
    /// The step is undone and verified.
    Undone {
        /// Its id.
        step: String,
    },
    /// Every step is undone.
    RolledBack,
    /// Some steps could not be undone.
    Incomplete {
        /// Their ids and why.
        left: BTreeMap<String, String>,
    },
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It was cut short while taking steps.
    Interrupted,
    /// All steps that can be undone are taken.
    Prepared,
    /// It was cut short while undoing steps.
    RollbackInterrupted,
    /// Every step is undone.
    RolledBack,
    /// Some steps could not be undone.
    Incomplete,
}

/// A journal as read back.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// The records that are whole, in order.
    pub records: Vec<Record>,
}

/// A step that was, or may have been, taken and is not undone.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its id.
    pub step: String,
    /// How it is undone.
    pub undo: Undo,
    /// What the guest was after it; none when the run was cut short in it.
    pub after: Option<After>,
    /// Whether nobody else had changed its directory when undoing began; none before that.
    pub ours: Option<bool>,
}

impl Journal {
    /// Read the file; a line that was cut short is passed over.
    ///
    /// # Errors
    /// The number of a line and why: it is whole and no record that this version knows, or it tells
    /// of a step whose intent is not there.
    pub fn parse(text: &[u8]) -> Result<Self, (usize, String)> {
        let mut records = Vec::new();
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
            let record = Record::deserialize(value).map_err(|e| (index + 1, e.to_string()))?;
            records.push((index + 1, record));
        }
        let mut begun = BTreeSet::new();
        for (number, record) in &records {
            match record {
                Record::Intent { step, .. } => {
                    begun.insert(step);
                }
                Record::Done { step, .. }
                | Record::Undoing { step, .. }
                | Record::Undone { step }
                    if !begun.contains(step) =>
                {
                    return Err((*number, format!("how step {step} is undone is lost")));
                }
                _ => {}
            }
        }
        Ok(Self { records: records.into_iter().map(|(_, record)| record).collect() })
    }

    /// A record as it is appended. It begins with a newline, so that a record that was cut short
    /// before it does not swallow it.
    ///
    /// # Errors
    /// When it has no form.
    pub fn line(record: &Record) -> serde_json::Result<Vec<u8>> {
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        Ok(line)
    }

    /// How far the run is.
    pub fn state(&self) -> RunState {
        let mut state = RunState::Interrupted;
        for record in &self.records {
            match record {
                Record::Prepared => state = RunState::Prepared,
                Record::RollingBack => state = RunState::RollbackInterrupted,
                Record::RolledBack => state = RunState::RolledBack,
                Record::Incomplete { .. } => state = RunState::Incomplete,
                Record::Intent { .. }
                | Record::Done { .. }
                | Record::Armed { .. }
                | Record::Disarmed { .. }
                | Record::Erasing { .. }
                | Record::Erased { .. }
                | Record::Undoing { .. }
                | Record::Undone { .. } => {}
            }
        }
        state
    }

    /// The steps that are still to be undone, the last first.
    pub fn open(&self) -> Vec<Open> {
        let mut open: Vec<Open> = Vec::new();
        for record in &self.records {
            match record {
                Record::Intent { step, how } => {
                    open.push(Open {
                        step: step.clone(),
                        undo: (**how).clone(),
                        after: None,
                        ours: None,
                    });
                }
                Record::Done { step, after } => {
                    if let Some(known) = open.iter_mut().find(|o| o.step == *step) {
                        known.after = Some(after.clone());
                    }
                }
                Record::Undoing { step, ours } => {
                    if let Some(known) = open.iter_mut().find(|o| o.step == *step) {
                        known.ours = Some(*ours);
                    }
                }
                Record::Undone { step } => open.retain(|o| o.step != *step),
                Record::Armed { .. }
                | Record::Disarmed { .. }
                | Record::Prepared
                | Record::Erasing { .. }
                | Record::Erased { .. }
                | Record::RollingBack
                | Record::RolledBack
                | Record::Incomplete { .. } => {}
            }
        }
        open.reverse();
        open
    }
}
