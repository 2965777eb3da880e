//! `guestprep prepare`

use std::path::Path;

use super::args::{Cli, Format, PrepareArgs};
use super::exit::{Exit, Outcome, Trouble};
use super::plan::{make, render};
use super::setup::{self, Choice};
use crate::change::{
    Failure, Interrupt, ObstacleKind, Prepared, RunKind, Store, check_replay, execute, preflight,
};
use crate::engine;
use crate::guest::Guest;
use crate::model::{Plan, Step};
use crate::sys;

/// No plan is larger than this.
const MAX_PLAN: u64 = 64 << 20;

pub fn run(cli: &Cli, args: &PrepareArgs) -> Outcome {
    setup::require_root("prepare")?;
    let choice = Choice::read(cli, &args.select)?;
    if !args.yes && !sys::is_terminal_in() {
        return Err(Trouble::usage("there is no terminal to ask on; nothing was changed")
            .hint("look with `guestprep plan`, then run `guestprep prepare --yes`"));
    }
    let (root, state_dir) = setup::absolute(&args.target)?;
    let policy = || choice.policy(args.target.system_disk.as_deref());
    let reviewed = args.plan.as_deref().map(read_plan).transpose()?;
    let output = args.output.output.as_deref().map(sys::absolute).transpose()?;
    sys::leave_directory()?;

    let guest = setup::guest(root.as_deref(), policy())?;
    let (store, _lock) = setup::store(&guest, state_dir.as_deref())?;
    setup::finish_interrupted_in(&guest, &store)?;

    // Anew: recovery may just have changed what the first look saw.
    let guest = setup::guest(root.as_deref(), policy())?;
    let plan = match reviewed {
        Some(plan) => {
            check_replay(&guest, &plan).map_err(Trouble::usage)?;
            plan
        }
        None => {
            let (audit, plan) = make(&guest, &choice)?;
            if !args.output.quiet && args.output.format != Some(Format::Json) {
                let style = setup::style(args.output.color, false);
                sys::print(render(&plan, &audit.report, style).as_bytes())?;
            }
            plan
        }
    };
    refuse_obstacles(&guest, &plan)?;
    let mut done = None;
    if !plan.steps.is_empty() {
        if !args.yes && !sys::ask(&format!("Take {}?", count(&plan))) {
            return Err(Trouble::usage("nothing was changed"));
        }
        let prepared = take(&guest, &store, &plan, RunKind::Prepare, &interrupt()?)?;
        let id = &prepared.run.header.id;
        let text = format!("{} done as run {id}; `guestprep rollback` undoes it", count(&plan));
        sys::say(&text);
        done = Some(text);
    }

    let guest = setup::guest(root.as_deref(), policy())?;
    let audit = engine::audit(&guest, &choice.settings());
    let mut wanted = args.output.clone();
    wanted.output = output;
    // Not exit code 4, whatever the cause: the steps are taken and stay.
    setup::deliver_report(cli, &wanted, &audit.report).map_err(|trouble| match done {
        Some(done) => Trouble::usage(format!("{trouble}; {done}")),
        None => trouble,
    })?;
    Ok(audit.report.verdict.into())
}

/// A cell that a signal leaves its number in.
pub fn interrupt() -> Result<Interrupt, Trouble> {
    let interrupt = Interrupt::default();
    sys::note_signals(&interrupt.cell())?;
    Ok(interrupt)
}

/// Say what stands in the way, before anything is touched.
pub fn refuse_obstacles(guest: &Guest, plan: &Plan) -> Result<(), Trouble> {
    let obstacles = preflight(guest, plan)?;
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
    interrupt: &Interrupt,
) -> Result<Prepared, Trouble> {
    let mut say = |step: &Step| sys::say(&format!("{}  {}", step.id, step.summary));
    let prepared = execute(guest, store, plan, kind, interrupt, &mut say).map_err(trouble)?;
    for remark in &prepared.remarks {
        sys::say(remark);
    }
    Ok(prepared)
}

fn trouble(failure: Failure) -> Trouble {
    let Failure { error, left, run } = failure;
    if left.is_empty() {
        return Trouble::new(Exit::Failed, format!("{error}; everything done before it is undone"));
    }
    let lines: Vec<String> = left.iter().map(|l| format!("  {}: {}", l.step, l.reason)).collect();
    Trouble::new(
        Exit::Incomplete,
        format!("{error}; and not all of what was done could be undone:\n{}", lines.join("\n")),
    )
    .hint(format!("mend what is named, then `guestprep rollback {}`", run.unwrap_or_default()))
}

fn count(plan: &Plan) -> String {
    match plan.steps.len() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    }
}

fn read_plan(path: &Path) -> Result<Plan, Trouble> {
    let bytes = sys::read_named(path, MAX_PLAN)?.ok_or_else(|| {
        Trouble::usage(format!("cannot read {}: there is no such file", path.display()))
    })?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Trouble::usage(format!("{}: it is no plan: {e}", path.display()))
            .hint("`guestprep plan -o FILE` writes one")
    })
}
