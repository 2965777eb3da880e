//! What stands at a name of the guest, before a step and after it.
//!
//! A step that makes, removes or replaces a name (a new file, a unit's link, whatever a command
//! writes) is undone by putting back what stood there, whatever kind of thing that was.

use serde::{Deserialize, Serialize};

use super::step::moved;
use crate::model::{ByteString, Expects, GuestPath};
use crate::sys::write::Spot;
use crate::sys::{Attributes, Dir, Error, ErrorKind, FileKind, Result, Time};

/// How a name is given back what stood there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameUndo {
    /// The name.
    pub path: GuestPath,
    /// What stood there.
    pub before: Before,
    /// What stands there after the step.
    pub after: Standing,
    /// The directory's times before the step.
    pub directory: (Time, Time),
}

/// What stood at a name before a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing.
    Absent,
    /// A link.
    Link {
        /// Where it points.
        target: ByteString,
        /// What it was.
        attributes: Attributes,
    },
    /// A regular file.
    File {
        /// SHA-256 of its content.
        sha256: String,
        /// What it was.
        attributes: Attributes,
    },
}

impl Before {
    /// Whether it is what the plan was made for.
    pub fn is_expected(&self, expects: &Expects) -> bool {
        match self {
            Before::Absent => expects.absent.is_some(),
            Before::Link { target, .. } => expects.link.as_ref() == Some(target),
            Before::File { sha256, .. } => expects.sha256.as_ref() == Some(sha256),
        }
    }
}

/// What stands at a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing.
    Absent,
    /// A link.
    Link {
        /// Where it points.
        target: ByteString,
    },
    /// A regular file.
    File {
        /// SHA-256 of its content.
        sha256: String,
    },
    /// A directory.
    Directory,
    /// Whatever a command makes of it, which nobody knows before.
    Unforeseen,
}

/// What stands at a name now.
///
/// # Errors
/// What the system says; a device, FIFO or socket is refused.
pub fn standing(spot: &Spot) -> Result<Standing> {
    let Some(attributes) = spot.dir.lstat(&spot.name)? else { return Ok(Standing::Absent) };
    match attributes.kind {
        FileKind::Directory => Ok(Standing::Directory),
        FileKind::Symlink => {
            let target = spot.link_target()?.ok_or_else(|| moved(&spot.path))?;
            Ok(Standing::Link { target: ByteString::from(target) })
        }
        FileKind::Regular => Ok(Standing::File { sha256: spot.sha256()? }),
        FileKind::Special => {
            let cause = "it is a device, FIFO or socket";
            Err(Error::new("look at", &spot.path, ErrorKind::NotRegular, cause))
        }
    }
}

/// Under what name a run keeps what stood at a name of the guest; `key` is the step's id, with a
/// number where the step has several names.
pub fn saved(key: &str) -> String {
    format!("saved-{key}")
}

/// Look at a name and save what stands there, so that it can be put back. Changes nothing of the
/// guest.
///
/// # Errors
/// What the system says; a directory is refused, and a file that has other names.
pub fn save(spot: &Spot, run: &Dir, key: &str, after: Standing) -> Result<NameUndo> {
    let before = match spot.attributes()? {
        None => Before::Absent,
        Some(attributes) if attributes.kind == FileKind::Symlink => Before::Link {
            target: ByteString::from(spot.link_target()?.unwrap_or_default()),
            attributes,
        },
        Some(attributes) if attributes.links > 1 && attributes.kind == FileKind::Regular => {
            let cause = "it has other hard links, which could not be given back";
            return Err(Error::new("save", &spot.path, ErrorKind::Other, cause));
        }
        Some(attributes) => {
            let saved = saved(key);
            run.remove(saved.as_bytes())?;
            let sha256 = spot.copy_to(run, &saved)?;
            Before::File { sha256, attributes }
        }
    };
    let directory = spot.dir.times()?;
    Ok(NameUndo { path: spot.path.clone(), before, after, directory })
}

/// Put back what stood at a name, which was saved by `key`, and see that it is back. `left` is what
/// the step left there, where that is known only afterwards. What somebody else put there since is
/// left alone.
///
/// # Errors
/// What the system says, and [`ErrorKind::Changed`].
pub fn undo(
    spot: &Spot,
    run: &Dir,
    key: &str,
    temporary: &str,
    undo: &NameUndo,
    left: Option<&Standing>,
) -> Result<()> {
    spot.dir.remove(temporary.as_bytes())?;
    let now = standing(spot)?;
    if !stands_again(spot, &undo.before, &now)? {
        let after = left.unwrap_or(&undo.after);
        // Absent: cut short between taking away what the step left and putting back the original.
        if now != *after && now != Standing::Absent && *after != Standing::Unforeseen {
            let cause = "it was changed after the run, and is left as it is";
            return Err(Error::new("restore", &spot.path, ErrorKind::Changed, cause));
        }
        match (&undo.before, &now) {
            (Before::File { sha256, attributes }, _) => {
                spot.put_from(run, &saved(key), sha256, temporary, attributes)?;
            }
            (_, Standing::Directory) => spot.remove_dir()?,
            _ => spot.remove()?,
        }
        if let Before::Link { target, .. } = &undo.before {
            spot.link_to(target.as_bytes())?;
        }
    }
    // Also where the link is right: a rollback may have been killed between the two.
    if let Before::Link { attributes, .. } = &undo.before {
        spot.set_link_attributes(attributes)?;
    }
    let now = standing(spot)?;
    if is_back(spot, &undo.before, &now)? {
        return Ok(());
    }
    let cause = "it is not byte for byte and attribute for attribute what it was";
    Err(Error::new("restore", &spot.path, ErrorKind::Other, cause))
}

/// Whether what stood there is back, a link's attributes apart: those are set once it is.
fn stands_again(spot: &Spot, before: &Before, now: &Standing) -> Result<bool> {
    match (before, now) {
        (Before::Link { target, .. }, Standing::Link { target: now }) => Ok(target == now),
        _ => is_back(spot, before, now),
    }
}

/// Whether what stood there is back, with everything that it was.
fn is_back(spot: &Spot, before: &Before, now: &Standing) -> Result<bool> {
    let restores = |was: &Attributes| -> Result<bool> {
        Ok(spot.attributes()?.is_some_and(|now| now.restores(was)))
    };
    Ok(match (before, now) {
        (Before::Absent, Standing::Absent) => true,
        (Before::Link { target, attributes }, Standing::Link { target: now }) => {
            target == now && restores(attributes)?
        }
        (Before::File { sha256, attributes }, Standing::File { sha256: now }) => {
            sha256 == now && restores(attributes)?
        }
        _ => false,
    })
}
