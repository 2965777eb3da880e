//! `guestprep prepare`

use std::path::{Path, PathBuf};

use super::args::{Cli, PrepareArgs, ReportFormat};
use super::change::{Taken, ask, can_ask, refuse_obstacles, take_asked};
use super::deliver;
use super::exit::{Exit, Outcome, Trouble};
use super::image;
use super::plan::{make, render};
use super::setup::{self, Choice};
use super::target::rollback_command;
use crate::change::{Phase2, RunKind, check_replay, returned};
use crate::engine;
use crate::guest::Guest;
use crate::model::{CheckResult, Decision, Plan, RemedyKind, Report, VerdictName};
use crate::sys;

/// No plan is larger than this.
const MAX_PLAN: u64 = 64 << 20;

pub fn run(cli: &Cli, args: &PrepareArgs) -> Outcome {
    setup::require_root("prepare")?;
    let choice = Choice::read(cli, &args.select)?;
    can_ask(args.yes, "look with `guestprep plan`, then run `guestprep prepare --yes`")?;
    let reviewed = args.plan.as_deref().map(read_plan).transpose()?;
    if let Some(path) = &args.image.image {
        return image::prepare(cli, args, &choice, path, reviewed);
    }
    let (root, state_dir) = setup::absolute(&args.target)?;
    let policy = || choice.policy(args.target.system_disk.as_deref());
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
            show(args, &plan, &audit.report)?;
            plan
        }
    };
    let phase_2 = if args.at_shutdown { Phase2::AtShutdown } else { Phase2::Now };
    refuse_obstacles(&guest, &plan, phase_2)?;
    ask(&plan, args.yes)?;
    let undone_by = rollback_command(root.as_deref(), None, state_dir.as_deref());
    let kind = RunKind::Prepare;
    let done = take_asked(&guest, &store, &plan, kind, phase_2, &undone_by)?;

    let guest = setup::guest(root.as_deref(), policy())?;
    let audit = engine::audit(&guest, &choice.settings());
    if phase_2 == Phase2::Now {
        say_returned(&guest, &plan, done.as_ref());
    }
    deliver(cli, args, output, &audit.report, done.as_ref())?;
    if phase_2 == Phase2::AtShutdown && waits_for_power_off(&audit.report, &plan, &choice) {
        sys::say("what keeps it from READY goes with the power-off");
        return Ok(Exit::Done);
    }
    Ok(ended(&audit.report, done.as_ref()))
}

/// Say what came back, after everything else has looked: the report has it as a finding, without
/// who wrote it. What could not be taken away has been told.
fn say_returned(guest: &Guest, plan: &Plan, done: Option<&Taken>) {
    match returned(guest, plan, done.map_or(&[], |taken| &taken.failures)) {
        Ok(all) => all.iter().for_each(|one| sys::say(&one.to_string())),
        Err(error) => sys::say(&format!("what came back is not known: {error}")),
    }
}

/// Whether the steps that are left for the power-off take away all that is not ready.
fn waits_for_power_off(report: &Report, plan: &Plan, choice: &Choice) -> bool {
    let fail_on = choice.settings().fail_on;
    let goes = |check: &CheckResult| {
        plan.steps.iter().any(|step| step.phase == 2 && step.checks.contains(&check.id))
    };
    report.verdict == Decision::NotReady
        && report.checks.iter().filter(|check| check.verdict == VerdictName::Fail).all(|check| {
            let mut counting = check.findings.iter().filter(|found| found.severity >= fail_on);
            counting.all(|found| goes(check) && found.remedy.kind == RemedyKind::Automatic)
        })
        && report.checks.iter().all(|check| check.verdict != VerdictName::Unknown)
}

/// Show a plan before it is asked for, unless standard output is for something else.
pub fn show(args: &PrepareArgs, plan: &Plan, report: &Report) -> Result<(), Trouble> {
    let is_for_people = matches!(args.output.format, None | Some(ReportFormat::Text));
    if args.output.quiet || !is_for_people {
        return Ok(());
    }
    let style = setup::style(args.output.color, false);
    Ok(sys::print(render(plan, report, style).as_bytes())?)
}

/// The exit code of a guest that was prepared: that of its report, unless phase 2 is not whole.
pub fn ended(report: &Report, done: Option<&Taken>) -> Exit {
    match done {
        Some(taken) if !taken.failures.is_empty() => Exit::Incomplete,
        _ => report.verdict.into(),
    }
}

/// Put the report of what was prepared where it is wanted. `output` is the absolute path of a file.
pub fn deliver(
    cli: &Cli,
    args: &PrepareArgs,
    output: Option<PathBuf>,
    report: &Report,
    done: Option<&Taken>,
) -> Result<(), Trouble> {
    let mut wanted = args.output.clone();
    wanted.output = output;
    let target = deliver::target(&args.target, &args.image);
    // Not exit code 4, whatever the cause: the steps are taken and stay.
    deliver::report(cli, &wanted, args.select.fail_on, &target, report).map_err(
        |trouble| match done {
            Some(done) => Trouble::usage(format!("{trouble}; {}", done.text)),
            None => trouble,
        },
    )
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
