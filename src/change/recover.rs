//! Finishing what a killed run left, before anything else is done.

use super::erase;
use super::journal::{RunKind, RunState};
use super::kin::{Kin, kin};
use super::store::{Run, Store};
use super::undo::{RolledBack, roll_back};
use crate::guest::Guest;
use crate::sys::{Error, Result};

/// A run that was cut short, and what has become of it.
#[derive(Debug)]
pub enum Recovered {
    /// It has been undone.
    RolledBack {
        /// Why it had to be.
        what: &'static str,
        /// What the rollback came to.
        result: RolledBack,
    },
    /// It was cut short in phase 2, which nothing undoes, and has been finished.
    Finished {
        /// Its id.
        id: String,
        /// What could not be taken away.
        failures: Vec<Error>,
    },
    /// Whether it is this guest's cannot be told, and an image may have been made of what it came to:
    /// it is as it was.
    Left {
        /// Its id.
        id: String,
        /// What was to be ended.
        what: &'static str,
        /// Why it cannot be told.
        why: String,
    },
}

/// Undo every run of this guest that was cut short, the newest first, or finish it where it had
/// come to phase 2. The caller holds the lock, so none of them is still at work.
///
/// A run of another guest, or of the guest that this one is a clone of, is left alone. So is one that
/// had come to where an image is made, unless it is certain that this is the guest that it was made on:
/// undone on a clone it would keep it from booting.
///
/// # Errors
/// When the runs cannot be read.
pub fn recover(guest: &Guest, store: &Store) -> Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for mut run in store.runs()?.into_iter().rev() {
        let Some(what) = unfinished(&run) else { continue };
        match kin(guest, &run.header) {
            Kin::Source { .. } | Kin::Elsewhere => continue,
            // What was cut short before that is no image's: it is undone wherever it is found.
            Kin::Untold(why) if run.state() == RunState::Prepared => {
                recovered.push(Recovered::Left { id: run.header.id, what, why });
                continue;
            }
            Kin::Own | Kin::Untold(_) => {}
        }
        if is_cut_short_in_phase_2(&run) {
            let failures = erase::finish(guest, &mut run, &mut |_| {})?;
            recovered.push(Recovered::Finished { id: run.header.id, failures });
        } else if let Ok(result) = roll_back(guest, &mut run) {
            recovered.push(Recovered::RolledBack { what, result });
        }
    }
    Ok(recovered)
}

fn is_cut_short_in_phase_2(run: &Run) -> bool {
    // A capture is undone as a whole. What was armed is taken at a power-off or not at all: after one
    // that was cut short the guest has made itself a new identity, which nobody asked to be taken away.
    run.state() == RunState::Prepared
        && run.header.kind != RunKind::Capture
        && run.armed().is_none()
        && !erase::left(run).is_empty()
}

fn unfinished(run: &Run) -> Option<&'static str> {
    match (run.state(), run.header.kind) {
        (RunState::Interrupted, _) => Some("was cut short"),
        (RunState::RollbackInterrupted, _) => Some("was cut short while it was rolled back"),
        (RunState::Prepared, RunKind::Capture) => Some("belonged to a capture that was killed"),
        (RunState::Prepared, _) => {
            is_cut_short_in_phase_2(run).then_some("was cut short in phase 2")
        }
        (RunState::RolledBack | RunState::Incomplete, _) => None,
    }
}
