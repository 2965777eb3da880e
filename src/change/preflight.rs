//! What stands in a plan's way, asked before anything is touched.

use std::collections::BTreeSet;

use super::going::Going;
use super::remount;
use super::step::{edited, moved};
use super::swap;
use crate::guest::{FileKind, Guest, Unknown};
use crate::model::{Action, GuestPath, MountRecord, Plan, Step, sha256_hex};
use crate::sys::write::RootMut;
use crate::sys::{ErrorKind, available_memory};

/// Something that a plan cannot get past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Of what kind it is.
    pub kind: ObstacleKind,
    /// One sentence.
    pub message: String,
}

/// The kinds of obstacle that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObstacleKind {
    /// Something is in use; the message says by whom.
    Busy,
    /// The guest is not what the plan was made for.
    Moved,
    /// A change would fail.
    Blocked,
}

/// Everything that stands in a plan's way, in the order of its steps; empty when nothing does. What
/// phase 2 would take from those who are at work is no part of it: [`super::lockout`] has that.
///
/// # Errors
/// A fact that could not be had.
pub fn preflight(guest: &Guest, plan: &Plan) -> Result<Vec<Obstacle>, Unknown> {
    let mut obstacles = Vec::new();
    let cleared: BTreeSet<&GuestPath> = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::SetFlags { .. }))
        .filter_map(|step| step.path.as_ref())
        .collect();
    let going: Vec<&MountRecord> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Unmount { mount } => Some(mount),
            _ => None,
        })
        .collect();
    let stopping: Vec<&GuestPath> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::SwapOff { device, .. } => Some(device),
            _ => None,
        })
        .collect();
    let mut unmounting = None;
    for step in &plan.steps {
        match &step.action {
            Action::EditFile { edits, append, result_sha256 } => {
                let Some(path) = &step.path else { continue };
                obstacles.extend(file(guest, path, step, cleared.contains(path))?);
                let content = guest.file(path)?.unwrap_or_default();
                let result = edited(&content, edits, append).map(|result| sha256_hex(&result));
                if result.as_deref() != Some(result_sha256) {
                    obstacles.push(Obstacle {
                        kind: ObstacleKind::Moved,
                        message: moved(path).to_string(),
                    });
                }
            }
            Action::SetFlags { .. } => {
                if let Some(path) = &step.path {
                    obstacles.extend(read_only(guest, path)?);
                }
            }
            Action::Unmount { mount } => {
                let going = match &unmounting {
                    Some(going) => going,
                    None => unmounting.insert(Going::new(guest, &going, &stopping)?),
                };
                obstacles.extend(going.obstacles(mount)?);
                obstacles.extend(remount::obstacle(guest, mount));
            }
            Action::SwapOff { device, .. } => obstacles.extend(swap_off(guest, device, &stopping)?),
            Action::SwapOn { .. } => {}
            Action::SwapFile { size } => obstacles.extend(swap::obstacles(guest, step, *size)?),
            Action::WriteFile { .. } if step.expects.absent.is_none() => {
                let Some(path) = &step.path else { continue };
                obstacles.extend(file(guest, path, step, cleared.contains(path))?);
            }
            // Looked up when it is taken.
            Action::Remove { targets } if !targets.is_empty() => {}
            Action::WriteFile { .. }
            | Action::MakeDir
            | Action::Remove { .. }
            | Action::Unit { .. } => {
                let Some(path) = &step.path else { continue };
                obstacles.extend(name(guest, path, step)?);
            }
            Action::Truncate { .. } | Action::DropAccount { .. } => {}
            Action::Run { .. } | Action::Mount | Action::Start { .. } => {
                if !guest.is_running_here() {
                    obstacles.push(Obstacle {
                        kind: ObstacleKind::Blocked,
                        message: format!("cannot {}: the guest does not run", step.summary),
                    });
                }
            }
        }
    }
    obstacles.dedup();
    Ok(obstacles)
}

/// What stands in the way of unmounting these mounts and nothing else.
///
/// # Errors
/// A fact that could not be had.
pub fn unmount_only(guest: &Guest, mounts: &[MountRecord]) -> Result<Vec<Obstacle>, Unknown> {
    let going: Vec<&MountRecord> = mounts.iter().collect();
    let going = Going::new(guest, &going, &[])?;
    let mut obstacles = Vec::new();
    for mount in mounts {
        obstacles.extend(going.obstacles(mount)?);
    }
    Ok(obstacles)
}

fn file(
    guest: &Guest,
    path: &GuestPath,
    step: &Step,
    cleared: bool,
) -> Result<Vec<Obstacle>, Unknown> {
    let mut obstacles = read_only(guest, path)?;
    let spot = RootMut::new(guest.root()).spot_of_file(path)?;
    let content = match spot.read() {
        Ok(content) => content.unwrap_or_default(),
        Err(error) => {
            obstacles.push(Obstacle { kind: ObstacleKind::Blocked, message: error.to_string() });
            return Ok(obstacles);
        }
    };
    if step.expects.sha256.as_deref() != Some(sha256_hex(&content).as_str()) {
        obstacles.push(Obstacle { kind: ObstacleKind::Moved, message: moved(path).to_string() });
    }
    let flags = guest.flags(path)?.unwrap_or_default();
    if flags.any() && !cleared {
        let letter = if flags.immutable { 'i' } else { 'a' };
        obstacles.push(Obstacle {
            kind: ObstacleKind::Blocked,
            message: format!(
                "cannot replace {path}: the file is {}; lsattr shows the {letter} flag. `chattr \
                 -{letter} {path}` clears it, as does [mounts] clear-flags = true in the configuration",
                flags.names().join(" and ")
            ),
        });
    }
    Ok(obstacles)
}

/// A name that is to be made, removed or replaced.
fn name(guest: &Guest, path: &GuestPath, step: &Step) -> Result<Vec<Obstacle>, Unknown> {
    // A directory that an earlier step makes is not there yet.
    let mut above = path.parent();
    while guest.stat(&above)?.is_none() && above != above.parent() {
        above = above.parent();
    }
    let mut obstacles = read_only(guest, &above)?;
    let now = guest.root().lstat(path)?;
    let moved_now = match (&now, &step.expects.absent) {
        (None, expected) => expected.is_none(),
        (Some(_), Some(_)) => true,
        (Some(_), None) => match (&step.expects.link, &step.expects.sha256) {
            (Some(link), _) => guest.root().read_link(path)?.as_deref() != Some(link.as_bytes()),
            (None, sha256) => guest.file(path)?.map(|c| sha256_hex(&c)) != *sha256,
        },
    };
    if moved_now {
        obstacles.push(Obstacle { kind: ObstacleKind::Moved, message: moved(path).to_string() });
    }
    let is_file = |now: &crate::guest::Attributes| now.kind == FileKind::Regular;
    if let Some(now) = now.filter(is_file) {
        if now.links > 1 {
            obstacles.push(Obstacle {
                kind: ObstacleKind::Blocked,
                message: format!(
                    "cannot replace {path}: it has other hard links, which rollback could not give back"
                ),
            });
        }
        let flags = guest.flags(path)?.unwrap_or_default();
        if flags.any() {
            obstacles.push(Obstacle {
                kind: ObstacleKind::Blocked,
                message: format!(
                    "cannot remove {path}: the file is {}; `chattr -ia {path}` clears that",
                    flags.names().join(" and ")
                ),
            });
        }
    }
    Ok(obstacles)
}

fn read_only(guest: &Guest, path: &GuestPath) -> Result<Vec<Obstacle>, Unknown> {
    let read_only = guest.fs_use(path)?.is_some_and(|fs| fs.read_only);
    Ok(read_only
        .then(|| Obstacle {
            kind: ObstacleKind::Blocked,
            message: format!("cannot change {path}: its filesystem is mounted read-only"),
        })
        .into_iter()
        .collect())
}

fn swap_off(
    guest: &Guest,
    device: &GuestPath,
    stopping: &[&GuestPath],
) -> Result<Vec<Obstacle>, Unknown> {
    let swaps = &guest.mounts()?.swaps;
    let Some(swap) = swaps.iter().find(|swap| swap.path == device.as_bytes()) else {
        return Ok(vec![Obstacle {
            kind: ObstacleKind::Moved,
            message: format!("{device} is not swapped to any more"),
        }]);
    };
    // A tenth is left for what the guest does meanwhile.
    let available = available_memory().unwrap_or(0);
    let mib = |kib: u64| kib >> 10;
    let used_kib = |path: &GuestPath| {
        swaps.iter().find(|swap| swap.path == path.as_bytes()).map_or(0, |swap| swap.used_kib)
    };
    // Memory has to hold what all of them hold, not each.
    let all: u64 = stopping.iter().map(|path| used_kib(path)).sum();
    if swap.used_kib > 0 && all.saturating_mul(1024) > available / 10 * 9 {
        return Ok(vec![Obstacle {
            kind: ObstacleKind::Busy,
            message: format!(
                "{device} holds {} MiB; memory, with {} MiB available, would not hold the {} MiB \
                 that are swapped out: stop what uses it first",
                mib(swap.used_kib),
                available >> 20,
                mib(all)
            ),
        }]);
    }
    Ok(Vec::new())
}

impl From<&crate::sys::Error> for Obstacle {
    fn from(error: &crate::sys::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Busy => ObstacleKind::Busy,
            ErrorKind::Changed => ObstacleKind::Moved,
            _ => ObstacleKind::Blocked,
        };
        Obstacle { kind, message: error.to_string() }
    }
}
