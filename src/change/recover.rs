//! Finishing what a killed run left, before anything else is done.

use super::erase;
use super::journal::{RunKind, RunState};
use super::store::{Run, Store};
use super::undo::{RolledBack, roll_back, same_guest};
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
}

/// Undo every run of this guest that was cut short, the newest first, or finish it where it had
/// come to phase 2. The caller holds the lock, so none of them is still at work.
///
/// A run of another guest, or of the guest that this one is a clone of, is left alone.
///
/// # Errors
/// When the runs cannot be read.
pub fn recover(guest: &Guest, store: &Store) -> Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for mut run in store.runs()?.into_iter().rev() {
        let what = unfinished(&run);
        if what.is_none() && !is_cut_short_in_phase_2(&run) {
            continue;
        }
        if same_guest(guest, &run).is_err() {
            continue;
        }
        match what {
            None => {
                let failures = erase::finish(guest, &mut run, &mut |_| {})?;
                recovered.push(Recovered::Finished { id: run.header.id, failures });
            }
            Some(what) => {
                if let Ok(result) = roll_back(guest, &mut run) {
                    recovered.push(Recovered::RolledBack { what, result });
                }
            }
        }
    }
    Ok(recovered)
}

fn is_cut_short_in_phase_2(run: &Run) -> bool {
    // What was armed is taken at a power-off or not at all: after one that was cut short the guest
    // has made itself a new identity, which nobody asked to be taken away.
    run.state() == RunState::Prepared && run.armed().is_none() && !erase::left(run).is_empty()
}

fn unfinished(run: &Run) -> Option<&'static str> {
    match (run.state(), run.header.kind) {
        (RunState::Interrupted, _) => Some("was cut short"),
        (RunState::RollbackInterrupted, _) => Some("was cut short while it was rolled back"),
        (RunState::Prepared, RunKind::Capture) => Some("belonged to a capture that was killed"),
        (RunState::Prepared | RunState::RolledBack | RunState::Incomplete, _) => None,
    }
}
