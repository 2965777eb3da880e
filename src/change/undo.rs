//! Putting back what a run changed, and proving that it is back.
//!
//! Every undo can be done twice: it looks first whether it is done already, so that a rollback
//! that was killed is simply begun again. It never overwrites what somebody else wrote after the
//! run: that step is listed as not undone, with where the original is kept.

use std::collections::BTreeMap;

use super::directory;
use super::erase;
use super::execute::reload;
use super::journal::{Open, Record};
use super::kin::{self, RollbackRefused};
use super::name::{self, NameUndo, Standing};
use super::step::{self, Undo, read_whole};
use super::store::Run;
use super::torn::is_torn;
use super::{remount, start, swap};
use crate::guest::Guest;
use crate::model::{GuestPath, sha256_hex};
use crate::sys::write::{MAX_FILE, RootMut, Spot};
use crate::sys::{Attributes, Error, ErrorKind, Result};

/// A step that could not be undone, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUndone {
    /// The step's id.
    pub step: String,
    /// Why, and what can be done.
    pub reason: String,
}

/// What a rollback came to.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// The run.
    pub id: String,
    /// How many steps are undone.
    pub undone: usize,
    /// What could not be undone.
    pub left: Vec<NotUndone>,
    /// What was taken away for good, a sentence a step.
    pub lost: Vec<String>,
}

/// Undo every step of a run that is not undone yet, the last first, and verify each: somebody asks for
/// it.
///
/// # Errors
/// [`RollbackRefused`] before anything is touched. What could not be undone is in the answer.
pub fn roll_back(guest: &Guest, run: &mut Run) -> std::result::Result<RolledBack, RollbackRefused> {
    kin::asked(guest, &run.header)?;
    Ok(carry_out(guest, run))
}

/// As [`roll_back`], where nobody is there who knows which machine this is.
///
/// # Errors
/// As [`roll_back`], and where it is not certain that this guest is the run's own.
pub fn roll_back_unasked(
    guest: &Guest,
    run: &mut Run,
) -> std::result::Result<RolledBack, RollbackRefused> {
    kin::unasked(guest, &run.header)?;
    Ok(carry_out(guest, run))
}

fn carry_out(guest: &Guest, run: &mut Run) -> RolledBack {
    let open = run.journal.open().len();
    let left = undo_all(guest, run);
    let lost = erase::lost(run);
    RolledBack { id: run.header.id.clone(), undone: open - left.len(), left, lost }
}

/// Note that a run is undone because what it changed, a copy of its own, is gone.
///
/// # Errors
/// What the system says of the journal.
pub fn forget(run: &mut Run) -> crate::sys::Result<()> {
    run.record(Record::RolledBack)
}

/// Undo every open step. What the journal cannot take is undone all the same: the next command
/// finds the run open and sees, step by step, that it is done.
pub(super) fn undo_all(guest: &Guest, run: &mut Run) -> Vec<NotUndone> {
    let root = RootMut::new(guest.root());
    let mut left = Vec::new();
    note(run, Record::RollingBack);
    let mut reloaded = false;
    for mut open in run.journal.open() {
        // Files come back before mounts: systemd has to know them, to set up what a mount needs.
        if matches!(open.undo, Undo::Mount { .. } | Undo::Swap { .. }) && !reloaded {
            tell_systemd(guest, run);
            reloaded = true;
        }
        let result = begin(&root, run, &mut open).and_then(|()| undo(guest, &root, run, &open));
        match result {
            Ok(()) => note(run, Record::Undone { step: open.step }),
            Err(error) => left.push(NotUndone { step: open.step, reason: error.to_string() }),
        }
    }
    if !reloaded {
        tell_systemd(guest, run);
    }
    if left.is_empty() {
        note(run, Record::RolledBack);
    } else {
        let reasons: BTreeMap<String, String> =
            left.iter().map(|l| (l.step.clone(), l.reason.clone())).collect();
        note(run, Record::Incomplete { left: reasons });
    }
    left
}

fn tell_systemd(guest: &Guest, run: &Run) {
    for remark in reload(guest, &run.header.plan) {
        tracing::warn!("{remark}");
    }
}

/// Journal, before the first attempt, whether the directory's times are to be given back: an
/// attempt that is cut short leaves them changed by ourselves.
fn begin(root: &RootMut, run: &mut Run, open: &mut Open) -> Result<()> {
    if open.ours.is_some() {
        return Ok(());
    }
    open.ours = directory::is_ours(root, &run.journal, open)?;
    if let Some(ours) = open.ours {
        note(run, Record::Undoing { step: open.step.clone(), ours });
    }
    Ok(())
}

fn note(run: &mut Run, record: Record) {
    if let Err(error) = run.record(record.clone()) {
        tracing::warn!("{error}");
        // What undoes the next step goes by it all the same.
        run.journal.records.push(record);
    }
}

fn undo(guest: &Guest, root: &RootMut, run: &Run, open: &Open) -> Result<()> {
    match &open.undo {
        Undo::File { path, .. } => {
            in_directory(root, run, open, path, |spot| undo_file(spot, run, open))
        }
        Undo::Flags { path, flags } => {
            let spot = root.spot(path)?;
            if spot.flags()? != *flags {
                spot.set_flags(*flags)?;
            }
            Ok(())
        }
        Undo::Mount { mount, origin } => remount::again(guest, mount, origin.as_ref()),
        Undo::Swap { device, priority } => swap::turn_on_at(guest, device, Some(*priority)),
        Undo::SwapOn { device } => swap::turn_off(guest, device),
        Undo::Mounted { target } => start::unmount(guest, target),
        Undo::Started { unit } => start::stop(guest, unit),
        Undo::SwapFile { path, .. } => {
            let made = open.after.as_ref().and_then(|after| after.swap_file.as_ref());
            in_directory(root, run, open, path, |spot| swap::remove_file(guest, spot, made))
        }
        Undo::Name(name) => undo_name(root, run, open, &open.step, name, None),
        Undo::Command { names, then } => {
            for (at, name) in names.iter().enumerate().rev() {
                let left = open.after.as_ref().and_then(|after| after.written.get(at));
                undo_name(root, run, open, &step::key(&open.step, at), name, left)?;
            }
            if then.is_empty() { Ok(()) } else { step::run_tool(guest, then) }
        }
    }
}

/// Undo a step that changed a directory, and set the directory's times as its end demands.
fn in_directory(
    root: &RootMut,
    run: &Run,
    open: &Open,
    path: &GuestPath,
    undo: impl Fn(&Spot) -> Result<()>,
) -> Result<()> {
    let spot = root.spot(path)?;
    let entered = spot.dir.times()?;
    let result = undo(&spot);
    let set = directory::give_back(&spot, &run.journal, open, entered, result.is_ok());
    result.and(set)
}

fn undo_file(spot: &Spot, run: &Run, open: &Open) -> Result<()> {
    let Undo::File { path, attributes, before, after, .. } = &open.undo else { return Ok(()) };
    let (saved, temporary) = (&name::saved(&open.step), &run.temporary(&open.step));
    let is_known = |content: &[u8]| [before, after].contains(&&sha256_hex(content));
    spot.settle(temporary, is_known)?;
    let kept = run.dir()?.shown(saved);
    let theirs = || {
        let cause = format!(
            "it was changed after the run, and is left as it is; the original is kept as {kept}"
        );
        Error::new("restore", path, ErrorKind::Changed, cause)
    };
    let (content, now) = match read_whole(spot) {
        // A link, or more than is ever edited: no run and no undoing makes such a thing.
        Err(e) if matches!(e.kind(), ErrorKind::NotRegular | ErrorKind::TooLarge) => {
            return Err(theirs());
        }
        read => read?,
    };
    let found = sha256_hex(&content);
    let is_torn = || {
        let original = saved_content(run, saved, before);
        original.is_ok_and(|original| is_torn(run, &open.step, &content, &original))
    };
    if !is_known(&content) && !is_torn() {
        return Err(theirs());
    }
    if found != *before || !now.restores(attributes) {
        let original = saved_content(run, saved, before)?;
        spot.replace(temporary, &content, &original, attributes, true)?;
        verify(spot, &original, attributes)?;
    }
    Ok(())
}

/// The kept original, proven to be what was saved.
fn saved_content(run: &Run, saved: &str, sha256: &str) -> Result<Vec<u8>> {
    let dir = run.dir()?;
    let shown = dir.shown(saved);
    let content = dir
        .read(saved.as_bytes(), MAX_FILE)?
        .ok_or_else(|| Error::new("read", &shown, ErrorKind::NotFound, "it is gone"))?;
    if sha256_hex(&content) != sha256 {
        let cause = "it is not what was saved";
        return Err(Error::new("read", shown, ErrorKind::Changed, cause));
    }
    Ok(content)
}

fn verify(spot: &Spot, content: &[u8], attributes: &Attributes) -> Result<()> {
    let (restored, now) = read_whole(spot)?;
    if restored != content || !now.restores(attributes) {
        let cause = "it is not byte for byte and attribute for attribute what it was";
        return Err(Error::new("restore", &spot.path, ErrorKind::Other, cause));
    }
    Ok(())
}

fn undo_name(
    root: &RootMut,
    run: &Run,
    open: &Open,
    key: &str,
    name: &NameUndo,
    left: Option<&Standing>,
) -> Result<()> {
    let temporary = run.temporary(&open.step);
    in_directory(root, run, open, &name.path, |spot| {
        name::undo(spot, &run.dir()?, key, &temporary, name, left)
    })
}
