//! From a plan to a guest that is changed by it: what stands in the way, the question, the steps.

use std::path::Path;

use super::exit::{Exit, Trouble};
use super::plan::{refused, render_steps};
use super::setup;
use super::target::rollback_command;
use crate::change::{
    Failure, Interrupt, ObstacleKind, Phase2, Prepared, RunKind, Store, compose, execute, lockout,
    preflight,
};
use crate::guest::Guest;
use crate::model::{CheckId, Edit, Plan, Policy, Step};
use crate::sys;

/// One change that an operator asks for by name, such as `swap off`.
pub struct Change<'a> {
    /// The command as it is typed, without `guestprep`.
    pub command: &'a str,
    /// The guest's tree; none for this machine. Absolute.
    pub root: Option<&'a Path>,
    /// Where the journal lies. Absolute.
    pub state_dir: Option<&'a Path>,
    /// What is wanted of the guest.
    pub policy: Policy,
    /// Whether it is to be done without a question.
    pub yes: bool,
}

/// Carry out one change: its edits become a plan, which is shown, asked for, taken and journalled
/// as `prepare` does it, so that `rollback` undoes it. `edits` is asked on the guest as it is once
/// whatever a killed run left is undone. Gives what was done in a sentence, `None` when there was
/// nothing to do.
///
/// # Errors
/// As `prepare`: nothing is changed, or everything is undone, or what is left is listed.
pub fn carry_out(
    change: &Change,
    edits: impl FnOnce(&Guest) -> Result<Vec<(CheckId, Edit)>, Trouble>,
) -> Result<Option<String>, Trouble> {
    setup::require_root(change.command)?;
    let again = format!("run `guestprep {} --yes`", change.command);
    can_ask(change.yes, &again)?;
    let guest = setup::guest(change.root, change.policy.clone())?;
    let (store, _lock) = setup::store(&guest, change.state_dir)?;
    setup::finish_interrupted_in(&guest, &store)?;

    let guest = setup::guest(change.root, change.policy.clone())?;
    let plan = compose(&guest, "clone", &edits(&guest)?).map_err(refused)?;
    refuse_obstacles(&guest, &plan, Phase2::Now)?;
    let style = setup::style(super::args::Color::Auto, false);
    sys::print(render_steps(&plan, style).as_bytes())?;
    ask(&plan, change.yes)?;
    let undone_by = rollback_command(change.root, None, change.state_dir);
    let kind = RunKind::Command;
    let taken = take_asked(&guest, &store, &plan, kind, Phase2::Now, &undone_by)?;
    Ok(taken.map(|taken| taken.text))
}

/// Without `--yes` there has to be somebody to ask.
pub fn can_ask(yes: bool, hint: &str) -> Result<(), Trouble> {
    if yes || sys::is_terminal_in() {
        return Ok(());
    }
    Err(Trouble::usage("there is no terminal to ask on; nothing was changed").hint(hint))
}

/// Ask whether the steps of a plan are to be taken, where there are any.
pub fn ask(plan: &Plan, yes: bool) -> Result<(), Trouble> {
    let lasting = plan.steps.iter().filter(|step| !step.reversible).count();
    let warning = match lasting {
        0 => String::new(),
        1 => " One of them cannot be undone.".to_owned(),
        n => format!(" {n} of them cannot be undone."),
    };
    if yes
        || plan.steps.is_empty()
        || sys::ask(&format!("Take {}?{warning}", count(plan.steps.len())))
    {
        return Ok(());
    }
    Err(Trouble::usage("nothing was changed"))
}

/// What was taken of a plan.
pub struct Taken {
    /// In a sentence.
    pub text: String,
    /// What phase 2 could not take away.
    pub failures: Vec<sys::Error>,
}

/// Take the steps of a plan that was asked for. `undone_by` is the command that undoes them. `None`
/// for a plan without steps.
pub fn take_asked(
    guest: &Guest,
    store: &Store,
    plan: &Plan,
    kind: RunKind,
    phase_2: Phase2,
    undone_by: &str,
) -> Result<Option<Taken>, Trouble> {
    if plan.steps.is_empty() {
        return Ok(None);
    }
    let prepared = take(guest, store, plan, kind, phase_2, &interrupt()?)?;
    let id = &prepared.run.header.id;
    let lasting = plan.steps.iter().filter(|step| step.phase == 2).count();
    let text = match (phase_2, lasting) {
        (_, 0) => format!("{} done as run {id}; `{undone_by}` undoes it", count(plan.steps.len())),
        (Phase2::Now, _) => format!(
            "{} done as run {id}; `{undone_by}` undoes it, but for what was taken away for good",
            count(plan.steps.len())
        ),
        (Phase2::AtShutdown, _) => format!(
            "{} done as run {id}, {lasting} to be taken for good when this boot ends with a \
             power-off; `{undone_by}` undoes the ones and calls the others off",
            count(plan.steps.len() - lasting)
        ),
    };
    sys::say(&text);
    Ok(Some(Taken { text, failures: prepared.failures }))
}

/// A cell that a signal leaves its number in.
pub fn interrupt() -> Result<Interrupt, Trouble> {
    let interrupt = Interrupt::default();
    sys::note_signals(&interrupt.cell())?;
    Ok(interrupt)
}

/// Say what stands in the way, before anything is touched.
pub fn refuse_obstacles(guest: &Guest, plan: &Plan, phase_2: Phase2) -> Result<(), Trouble> {
    let mut obstacles = preflight(guest, plan)?;
    if phase_2 == Phase2::Now {
        obstacles.extend(lockout(guest, plan)?);
    }
    let Some(first) = obstacles.first() else { return Ok(()) };
    let exit = match first.kind {
        ObstacleKind::Busy => Exit::NotReady,
        ObstacleKind::Moved => Exit::Usage,
        ObstacleKind::Blocked => Exit::Failed,
    };
    let lines: Vec<&str> = obstacles.iter().map(|o| o.message.as_str()).collect();
    Err(Trouble::new(exit, format!("nothing was changed: {}", lines.join("\n  ")))
        .hint("mend what is named and run the command again"))
}

/// Take the steps of a plan, saying each.
pub fn take(
    guest: &Guest,
    store: &Store,
    plan: &Plan,
    kind: RunKind,
    phase_2: Phase2,
    interrupt: &Interrupt,
) -> Result<Prepared, Trouble> {
    let mut say = |step: &Step| sys::say(&format!("{}  {}", step.id, step.summary));
    let prepared =
        execute(guest, store, plan, kind, phase_2, interrupt, &mut say).map_err(trouble)?;
    for remark in &prepared.remarks {
        sys::say(remark);
    }
    for failure in &prepared.failures {
        sys::say(&format!("not taken away: {failure}"));
    }
    Ok(prepared)
}

fn trouble(failure: Failure) -> Trouble {
    let Failure { error, left, lost, run } = failure;
    if left.is_empty() {
        let undone = format!("{error}; everything done before it is undone");
        if lost.is_empty() {
            return Trouble::new(Exit::Failed, undone);
        }
        let lost = lost.join("\n  ");
        let message = format!("{undone}, but for what was taken away for good:\n  {lost}");
        return Trouble::new(Exit::Incomplete, message);
    }
    let lines: Vec<String> = left.iter().map(|l| format!("  {}: {}", l.step, l.reason)).collect();
    Trouble::new(
        Exit::Incomplete,
        format!("{error}; and not all of what was done could be undone:\n{}", lines.join("\n")),
    )
    .hint(format!("mend what is named, then `guestprep rollback {}`", run.unwrap_or_default()))
}

/// Steps, counted in words.
fn count(steps: usize) -> String {
    match steps {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    }
}
