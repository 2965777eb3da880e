//! What all checks want of a guest, sorted by what it is wanted of.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::compose::ComposeError;
use super::line::Wishes;
use crate::model::{ByteString, CheckId, Edit, Erasure, ErasureKind, GuestPath, MountRecord};

/// What is wanted, sorted by what it is wanted of.
#[derive(Default)]
pub struct Wanted {
    pub files: BTreeMap<GuestPath, FileWishes>,
    pub whole: BTreeMap<GuestPath, WholeFile>,
    pub removed: BTreeMap<GuestPath, Vec<CheckId>>,
    pub flags: BTreeMap<GuestPath, Vec<CheckId>>,
    pub mounts: Vec<(CheckId, MountRecord)>,
    pub swaps: Vec<(CheckId, GuestPath, i32)>,
    pub swaps_on: BTreeMap<GuestPath, Vec<CheckId>>,
    pub swap_files: BTreeMap<GuestPath, (CheckId, u64)>,
    pub mounted: BTreeMap<GuestPath, Vec<CheckId>>,
    pub started: BTreeMap<String, (bool, Vec<CheckId>)>,
    pub units: BTreeMap<String, Vec<CheckId>>,
    pub services: BTreeMap<String, (bool, Vec<CheckId>)>,
    pub tools: Vec<Tool>,
    pub dropped: BTreeMap<String, Vec<CheckId>>,
    pub erased: Vec<(CheckId, Erased)>,
}

/// What one check wants taken away for good.
#[derive(Default)]
pub struct Erased {
    pub removed: Vec<Erasure>,
    pub emptied: Vec<Erasure>,
}

/// What is wanted of the lines of one file.
#[derive(Default)]
pub struct FileWishes {
    pub lines: BTreeMap<usize, (ByteString, Wishes)>,
    pub append: Vec<ByteString>,
    pub appended_by: Vec<CheckId>,
}

/// All of a file's content, and who wants it.
pub struct WholeFile {
    pub content: ByteString,
    pub mode: u32,
    pub checks: Vec<CheckId>,
}

/// A tool of the guest that is to run.
pub struct Tool {
    pub argv: Vec<String>,
    pub writes: Vec<GuestPath>,
    pub undo: Vec<String>,
    pub checks: Vec<CheckId>,
}

/// Sort the edits of all checks by what they are of, and see that no two contradict each other.
///
/// # Errors
/// The contradiction. What is wanted of single lines is compared where the lines are made.
pub fn sort(edits: &[(CheckId, Edit)]) -> Result<Wanted, ComposeError> {
    let mut wanted = Wanted::default();
    for (check, edit) in edits {
        match edit.clone() {
            Edit::Line { path, line, original, change } => {
                let (_, wishes) = wanted
                    .files
                    .entry(path)
                    .or_default()
                    .lines
                    .entry(line)
                    .or_insert_with(|| (original, Vec::new()));
                wishes.push((check.clone(), change));
            }
            Edit::Append { path, lines } => {
                let file = wanted.files.entry(path).or_default();
                push_new(&mut file.appended_by, check);
                for line in lines {
                    if !file.append.contains(&line) {
                        file.append.push(line);
                    }
                }
            }
            Edit::WriteFile { path, content, mode } => match wanted.whole.entry(path) {
                Entry::Vacant(new) => {
                    new.insert(WholeFile { content, mode, checks: vec![check.clone()] });
                }
                Entry::Occupied(known) if known.get().content != content => {
                    return Err(ComposeError::FileConflict {
                        path: known.key().clone(),
                        first: known.get().checks.first().cloned().unwrap_or_else(|| check.clone()),
                        second: check.clone(),
                    });
                }
                Entry::Occupied(mut known) => push_new(&mut known.get_mut().checks, check),
            },
            Edit::Remove { path } => push_new(wanted.removed.entry(path).or_default(), check),
            Edit::ClearFlags { path } => push_new(wanted.flags.entry(path).or_default(), check),
            Edit::MaskUnit { unit } => push_new(wanted.units.entry(unit).or_default(), check),
            Edit::Unmount(mount) => {
                if !wanted.mounts.iter().any(|(_, known)| known.id == mount.id) {
                    wanted.mounts.push((check.clone(), mount));
                }
            }
            Edit::SwapOff { device, priority } => {
                if !wanted.swaps.iter().any(|(_, known, _)| *known == device) {
                    wanted.swaps.push((check.clone(), device, priority));
                }
            }
            Edit::SwapOn { device } => push_new(wanted.swaps_on.entry(device).or_default(), check),
            Edit::Mount { target } => push_new(wanted.mounted.entry(target).or_default(), check),
            Edit::Start { unit, wait } => {
                let (waits, checks) = wanted.started.entry(unit).or_default();
                *waits |= wait;
                push_new(checks, check);
            }
            Edit::SwapFile { path, size } => {
                wanted.swap_files.entry(path).or_insert_with(|| (check.clone(), size));
            }
            Edit::Run { argv, writes, undo } => {
                match wanted.tools.iter_mut().find(|tool| tool.argv == argv) {
                    Some(tool) => push_new(&mut tool.checks, check),
                    None => {
                        wanted.tools.push(Tool { argv, writes, undo, checks: vec![check.clone()] });
                    }
                }
            }
            Edit::Service { service, enable } => match wanted.services.entry(service) {
                Entry::Vacant(new) => {
                    new.insert((enable, vec![check.clone()]));
                }
                Entry::Occupied(known) if known.get().0 != enable => {
                    return Err(ComposeError::ServiceConflict {
                        service: known.key().clone(),
                        first: known.get().1.first().cloned().unwrap_or_else(|| check.clone()),
                        second: check.clone(),
                    });
                }
                Entry::Occupied(mut known) => push_new(&mut known.get_mut().1, check),
            },
            Edit::DropAccount { user } => push_new(wanted.dropped.entry(user).or_default(), check),
            Edit::Erase { targets } => erase(&mut wanted.erased, check, targets),
            Edit::KernelArguments { .. } => {}
        }
    }
    Ok(wanted)
}

/// One check's wishes stay together and in their order, so that each of its two steps says what
/// that check was about.
fn erase(erased: &mut Vec<(CheckId, Erased)>, check: &CheckId, targets: Vec<Erasure>) {
    let at = erased.iter().position(|(known, _)| known == check).unwrap_or_else(|| {
        erased.push((check.clone(), Erased::default()));
        erased.len() - 1
    });
    let wanted = &mut erased[at].1;
    for target in targets {
        let list = match target.how {
            ErasureKind::Truncate | ErasureKind::Rewrite { .. } => &mut wanted.emptied,
            _ => &mut wanted.removed,
        };
        if !list.contains(&target) {
            list.push(target);
        }
    }
}

/// Add a check once.
pub fn push_new(checks: &mut Vec<CheckId>, check: &CheckId) {
    if !checks.contains(check) {
        checks.push(check.clone());
    }
}
