//! `guestprep prepare`

use std::path::Path;

use super::args::{Cli, Format, PrepareArgs};
use super::change::{ask_and_take, can_ask, refuse_obstacles};
use super::exit::{Outcome, Trouble};
use super::plan::{make, render};
use super::setup::{self, Choice};
use crate::change::{RunKind, check_replay};
use crate::engine;
use crate::model::Plan;
use crate::sys;

/// No plan is larger than this.
const MAX_PLAN: u64 = 64 << 20;

pub fn run(cli: &Cli, args: &PrepareArgs) -> Outcome {
    setup::require_root("prepare")?;
    let choice = Choice::read(cli, &args.select)?;
    can_ask(args.yes, "look with `guestprep plan`, then run `guestprep prepare --yes`")?;
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
    let done = ask_and_take(&guest, &store, &plan, RunKind::Prepare, args.yes)?;

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

fn read_plan(path: &Path) -> Result<Plan, Trouble> {
    let bytes = sys::read_named(path, MAX_PLAN)?.ok_or_else(|| {
        Trouble::usage(format!("cannot read {}: there is no such file", path.display()))
    })?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Trouble::usage(format!("{}: it is no plan: {e}", path.display()))
            .hint("`guestprep plan -o FILE` writes one")
    })
}
