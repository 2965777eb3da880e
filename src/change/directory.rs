//! Giving a directory its times back.
//!
//! A run changes the modification time of every directory in which it replaces or links a name.
//! Rollback gives back the one from before the run's first step there, in whatever order its steps
//! could be undone, and only where nobody else has changed the directory meanwhile.

use super::journal::{Journal, Open, Record};
use super::step::Undo;
use crate::model::GuestPath;
use crate::sys::write::{RootMut, Spot};
use crate::sys::{Result, Time};

/// The name that a step changes and its directory's times before, where it changes a directory.
fn of_step(undo: &Undo) -> Option<(&GuestPath, (Time, Time))> {
    match undo {
        Undo::File { path, directory, .. } | Undo::Unit { path, directory, .. } => {
            Some((path, *directory))
        }
        Undo::Flags { .. } | Undo::Mount { .. } | Undo::Swap { .. } => None,
    }
}

/// Whether the directory of a step is as the run left it, or as it was before; `None` where the
/// step changes no directory. To be asked before the step is undone.
///
/// # Errors
/// What the system says.
pub fn is_ours(root: &RootMut, journal: &Journal, open: &Open) -> Result<Option<bool>> {
    let Some((path, _)) = of_step(&open.undo) else { return Ok(None) };
    // Cut short in the step: that the directory is not as before is most likely our doing.
    if open.after.is_none() {
        return Ok(Some(true));
    }
    let now = root.spot(path)?.dir.times()?.1;
    let mut steps = Vec::new();
    let mut ours = Vec::new();
    for record in &journal.records {
        match record {
            Record::Intent { step, how } => {
                if let Some((_, times)) = of_step(how).filter(|(p, _)| p.parent() == path.parent())
                {
                    steps.push(step);
                    ours.push(times.1);
                }
            }
            Record::Done { step, after } if steps.contains(&step) => {
                ours.extend(after.directory_modified);
            }
            // Undoing another step there has begun, and changed it again.
            Record::Undoing { step, ours: true } if steps.contains(&step) => return Ok(Some(true)),
            _ => {}
        }
    }
    Ok(Some(ours.contains(&now)))
}

/// Set the directory's times after a step in it was undone, or could not be: to those before the
/// run, or to those on entering.
///
/// # Errors
/// What the system says.
pub fn give_back(
    spot: &Spot,
    journal: &Journal,
    open: &Open,
    entered: (Time, Time),
    undone: bool,
) -> Result<()> {
    let first = journal.records.iter().find_map(|record| match record {
        Record::Intent { how, .. } => {
            of_step(how).filter(|(path, _)| path.parent() == spot.path.parent())
        }
        _ => None,
    });
    let times = match (undone, open.ours, first) {
        (true, Some(true), Some((_, first))) => first,
        // Somebody else changed it, and so did undoing: its time is the present.
        (true, ..) => return Ok(()),
        // A new file that could not take the old one's place came and went.
        (false, ..) => entered,
    };
    spot.dir.set_times(times.0, times.1)
}
