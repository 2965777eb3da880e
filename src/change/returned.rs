//! What is there again after it was taken away for good, and who keeps writing it.

use std::fmt;

use crate::guest::Guest;
use crate::model::{GuestPath, Plan};
use crate::sys::{Error, Opener, Result};

/// A file that has content again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Which.
    pub path: GuestPath,
    /// The processes that have it open now. Who wrote it and closed it again cannot be told.
    pub openers: Vec<Opener>,
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is there again: ", self.path)?;
        if self.openers.is_empty() {
            return f.write_str("whoever wrote it does not have it open any more");
        }
        let openers: Vec<String> = self.openers.iter().map(ToString::to_string).collect();
        write!(f, "{} has it open", openers.join(", "))
    }
}

/// Of each step of phase 2 that was taken on this running machine, the first files that are there
/// with content, but for those that could not be taken away.
///
/// # Errors
/// What the system says of the guest's files.
pub fn returned(guest: &Guest, plan: &Plan, failures: &[Error]) -> Result<Vec<Returned>> {
    if !guest.is_running_here() {
        return Ok(Vec::new());
    }
    let steps = plan.steps.iter().filter(|step| step.phase == 2);
    let lists: Vec<_> =
        steps.map(|step| step.action.erases()).filter(|targets| !targets.is_empty()).collect();
    let found = guest.root().census(&lists, &guest.reach())?;
    let mut paths: Vec<GuestPath> = found.into_iter().flat_map(|census| census.first).collect();
    paths.retain(|path| failures.iter().all(|failure| failure.path() != path.to_string()));
    paths.sort();
    paths.dedup();
    let openers = Opener::of_files(&paths);
    Ok(paths.into_iter().zip(openers).map(|(path, openers)| Returned { path, openers }).collect())
}
