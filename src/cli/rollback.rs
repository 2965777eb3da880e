//! `guestprep rollback`

use super::args::{Cli, RollbackArgs};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use crate::change::{RunState, Store, roll_back};
use crate::model::Policy;
use crate::sys;

pub fn run(_cli: &Cli, args: &RollbackArgs) -> Outcome {
    setup::require_root("rollback")?;
    let (root, state_dir) = setup::absolute(&args.target)?;
    sys::leave_directory()?;
    let guest = setup::guest(root.as_deref(), Policy::default())?;
    let nothing =
        || Trouble::usage("there is no run to roll back").hint("`guestprep runs` lists them");
    let store = Store::open(&guest, state_dir.as_deref())
        .map_err(setup::nothing_changed)?
        .ok_or_else(nothing)?;
    let _lock = store.lock().map_err(setup::nothing_changed)?;
    let mut runs = store.runs()?;
    let last = runs.iter().rposition(|run| run.state() != RunState::RolledBack);
    let at = match &args.run {
        None => last.ok_or_else(nothing)?,
        Some(id) => runs.iter().position(|run| run.header.id == *id).ok_or_else(|| {
            Trouble::usage(format!("there is no run {id}")).hint("`guestprep runs` lists them")
        })?,
    };
    let run = &mut runs[at];
    let id = run.header.id.clone();
    if run.state() == RunState::RolledBack {
        sys::tell(&format!("Run {id} is rolled back already."));
        return Ok(Exit::Done);
    }
    if last != Some(at) {
        let newer = last.map(|last| runs[last].header.id.clone()).unwrap_or_default();
        return Err(Trouble::usage(format!(
            "run {newer} was made after run {id} and is not rolled back"
        ))
        .hint(format!("roll back {newer} first")));
    }
    if !args.yes {
        if !sys::is_terminal_in() {
            return Err(Trouble::usage("there is no terminal to ask on; nothing was changed")
                .hint("run `guestprep rollback --yes`"));
        }
        for step in run.header.plan.steps.iter().rev() {
            sys::tell(&format!("  undo: {}", step.summary));
        }
        if !sys::ask(&format!("Roll back run {id}?")) {
            return Err(Trouble::usage("nothing was changed"));
        }
    }
    // A signal is noted and the rollback finished: half a rollback helps nobody.
    super::change::interrupt()?;
    let result = roll_back(&guest, run).map_err(Trouble::usage)?;
    if !result.left.is_empty() {
        return Err(setup::incomplete(&result, "is rolled back in part"));
    }
    let count = match result.undone {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    sys::tell(&format!("Run {id} is rolled back: {count} undone and verified."));
    Ok(Exit::Done)
}
