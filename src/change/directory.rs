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

/// The names that a step changes, each with its directory's times before.
fn of_step(undo: &Undo) -> Vec<(&GuestPath, (Time, Time))> {
    match undo {
        Undo::File { path, directory, .. } => vec![(path, *directory)],
        Undo::SwapFile { path, directory } => vec![(path, *directory)],
        Undo::Name(name) => vec![(&name.path, name.directory)],
        Undo::Command { names, .. } => {
            names.iter().map(|name| (&name.path, name.directory)).collect()
        }
        Undo::Flags { .. }
        | Undo::Mount { .. }
        | Undo::Swap { .. }
        | Undo::SwapOn { .. }
        | Undo::Mounted { .. }
        | Undo::Started { .. } => Vec::new(),
    }
}

/// Whether the directories of a step are as the run left them, or as they were before; `None`
/// where the step changes no directory. To be asked before the step is undone.
///
/// # Errors
/// What the system says.
pub fn is_ours(root: &RootMut, journal: &Journal, open: &Open) -> Result<Option<bool>> {
    let names = of_step(&open.undo);
    if names.is_empty() {
        return Ok(None);
    }
    // Cut short in the step: that the directory is not as before is most likely our doing.
    if open.after.is_none() {
        return Ok(Some(true));
    }
    for (path, _) in names {
        let now = root.spot(path)?.dir.times()?.1;
        if !is_known(journal, &path.parent(), now) {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}

/// Whether a directory's time is one that this run has seen or made.
fn is_known(journal: &Journal, directory: &GuestPath, now: Time) -> bool {
    let mut steps = Vec::new();
    for record in &journal.records {
        match record {
            Record::Intent { step, how } => {
                for (_, times) in of_step(how).iter().filter(|(p, _)| p.parent() == *directory) {
                    steps.push(step);
                    if times.1 == now {
                        return true;
                    }
                }
            }
            Record::Done { after, .. }
                if after.directories.iter().any(|(p, time)| p == directory && *time == now) =>
            {
                return true;
            }
            // Undoing another step there has begun, and changed it again.
            Record::Undoing { step, ours: true } if steps.contains(&step) => return true,
            _ => {}
        }
    }
    false
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
            of_step(how).into_iter().find(|(path, _)| path.parent() == spot.path.parent())
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
