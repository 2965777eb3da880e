//! Finishing what a killed run left, before anything else is done.

use super::journal::{RunKind, RunState};
use super::store::{Run, Store};
use super::undo::{RolledBack, roll_back, same_guest};
use crate::guest::Guest;
use crate::sys::Result;

/// A run that was cut short and has been undone.
#[derive(Debug)]
pub struct Recovered {
    /// Why it had to be.
    pub what: &'static str,
    /// What the rollback came to.
    pub result: RolledBack,
}

/// Undo every run of this guest that was cut short, the newest first. The caller holds the lock,
/// so none of them is still at work.
///
/// A run of another guest, or of the guest that this one is a clone of, is left alone.
///
/// # Errors
/// When the runs cannot be read.
pub fn recover(guest: &Guest, store: &Store) -> Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for mut run in store.runs()?.into_iter().rev() {
        let Some(what) = unfinished(&run) else { continue };
        if same_guest(guest, &run).is_err() {
            continue;
        }
        if let Ok(result) = roll_back(guest, &mut run) {
            recovered.push(Recovered { what, result });
        }
    }
    Ok(recovered)
}

fn unfinished(run: &Run) -> Option<&'static str> {
    match (run.state(), run.header.kind) {
        (RunState::Interrupted, _) => Some("was cut short"),
        (RunState::RollbackInterrupted, _) => Some("was cut short while it was rolled back"),
        (RunState::Prepared, RunKind::Capture) => Some("belonged to a capture that was killed"),
        (RunState::Prepared | RunState::RolledBack | RunState::Incomplete, _) => None,
    }
}
