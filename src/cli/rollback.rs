//! `guestprep rollback`

use super::args::{Cli, RollbackArgs};
use super::exit::{Exit, Outcome, Trouble};
use super::image;
use super::setup;
use crate::change::{Kin, Run, RunState, Store, kin, roll_back};
use crate::guest::Guest;
use crate::model::Policy;
use crate::sys;

pub fn run(_cli: &Cli, args: &RollbackArgs) -> Outcome {
    setup::require_root("rollback")?;
    if let Some(path) = &args.image.image {
        return image::rollback(args, path);
    }
    let (root, state_dir) = setup::absolute(&args.target)?;
    sys::leave_directory()?;
    let guest = setup::guest(root.as_deref(), Policy::default())?;
    let store = Store::open(&guest, state_dir.as_deref())
        .map_err(setup::nothing_changed)?
        .ok_or_else(nothing)?;
    let _lock = store.lock().map_err(setup::nothing_changed)?;
    let mut runs = store.runs()?;
    match choose(&runs, args.run.as_deref())? {
        Chosen::Done => Ok(Exit::Done),
        Chosen::Run(at) => {
            if let Kin::Untold(why) = kin(&guest, &runs[at].header) {
                sys::say(&format!("{why}: on a clone of its machine it is not to be rolled back"));
            }
            ask(&runs[at], args.yes)?;
            carry_out(&guest, &mut runs[at])
        }
    }
}

/// Which run is to be rolled back.
pub enum Chosen {
    /// This one, by its index.
    Run(usize),
    /// The one that was named, which is rolled back already, as the operator was told.
    Done,
}

/// There is no run that could be rolled back.
pub fn nothing() -> Trouble {
    Trouble::usage("there is no run to roll back").hint("`guestprep runs` lists them")
}

/// Choose the run that was named, or the last one that is not rolled back.
pub fn choose(runs: &[Run], named: Option<&str>) -> Result<Chosen, Trouble> {
    let last = runs.iter().rposition(|run| run.state() != RunState::RolledBack);
    let at = match named {
        None => last.ok_or_else(nothing)?,
        Some(id) => runs.iter().position(|run| run.header.id == *id).ok_or_else(|| {
            Trouble::usage(format!("there is no run {id}")).hint("`guestprep runs` lists them")
        })?,
    };
    let id = &runs[at].header.id;
    if runs[at].state() == RunState::RolledBack {
        sys::tell(&format!("Run {id} is rolled back already."));
        return Ok(Chosen::Done);
    }
    if last != Some(at) {
        let newer = last.map(|last| runs[last].header.id.clone()).unwrap_or_default();
        return Err(Trouble::usage(format!(
            "run {newer} was made after run {id} and is not rolled back"
        ))
        .hint(format!("roll back {newer} first")));
    }
    Ok(Chosen::Run(at))
}

/// Ask whether a run is to be rolled back.
pub fn ask(run: &Run, yes: bool) -> Result<(), Trouble> {
    if yes {
        return Ok(());
    }
    if !sys::is_terminal_in() {
        return Err(Trouble::usage("there is no terminal to ask on; nothing was changed")
            .hint("run `guestprep rollback --yes`"));
    }
    for step in run.header.plan.steps.iter().rev() {
        let what = if step.reversible { "undo" } else { "cannot be undone" };
        sys::tell(&format!("  {what}: {}", step.summary));
    }
    if sys::ask(&format!("Roll back run {}?", run.header.id)) {
        return Ok(());
    }
    Err(Trouble::usage("nothing was changed"))
}

/// Roll a run back and say what came of it.
pub fn carry_out(guest: &Guest, run: &mut Run) -> Outcome {
    // A signal is noted and the rollback finished: half a rollback helps nobody.
    super::change::interrupt()?;
    let result = roll_back(guest, run).map_err(Trouble::usage)?;
    if !result.left.is_empty() {
        return Err(setup::incomplete(&result, "is rolled back in part"));
    }
    let count = match result.undone {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    sys::tell(&format!("Run {} is rolled back: {count} undone and verified.", result.id));
    if !result.lost.is_empty() {
        let lost = result.lost.join("\n  ");
        sys::tell(&format!("What was taken away for good cannot come back:\n  {lost}"));
    }
    Ok(Exit::Done)
}
