//! `guestprep capture`

use std::ffi::OsString;

use super::args::{CaptureArgs, Cli};
use super::change::{interrupt, refuse_obstacles, take};
use super::exit::{Exit, Outcome, Trouble};
use super::plan::make;
use super::setup::{self, Choice};
use crate::change::{Interrupt, Phase2, RunKind, roll_back};
use crate::engine;
use crate::guest::Guest;
use crate::model::{Decision, VerdictName};
use crate::sys;

pub fn run(cli: &Cli, args: &CaptureArgs) -> Outcome {
    setup::require_root("capture")?;
    let choice = Choice::read(cli, &args.select)?;
    let policy = || choice.policy(args.system_disk.as_deref());
    let guest = setup::guest(None, policy())?;
    let state_dir = args.state_dir.as_deref().map(sys::absolute).transpose()?;
    let (store, _lock) = setup::store(&guest, state_dir.as_deref())?;
    setup::finish_interrupted_in(&guest, &store)?;

    let guest = setup::guest(None, policy())?;
    let interrupt = interrupt()?;
    let (_, plan) = make(&guest, &choice)?;
    refuse_obstacles(&guest, &plan, Phase2::Now)?;
    let mut prepared = take(&guest, &store, &plan, RunKind::Capture, Phase2::Now, &interrupt)?;

    // Whatever comes of it, what was prepared is rolled back.
    let ended = setup::guest(None, policy())
        .and_then(|prepared| run_when_ready(&prepared, &choice, &args.command, &interrupt));
    let result = roll_back(&guest, &mut prepared.run).map_err(Trouble::usage)?;
    if !result.left.is_empty() {
        return Err(setup::incomplete(&result, "is rolled back in part"));
    }
    sys::say(&format!("run {} is rolled back", result.id));
    let code = ended?;
    Ok(Exit::Of(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// Run the command, if the prepared guest is ready for it. The command's exit code.
fn run_when_ready(
    guest: &Guest,
    choice: &Choice,
    command: &[OsString],
    interrupt: &Interrupt,
) -> Result<i32, Trouble> {
    let report = engine::audit(guest, &choice.settings()).report;
    if report.verdict == Decision::Ready {
        return Ok(sys::run_in_foreground(command, &|| interrupt.signal())?);
    }
    let unsure = report.checks.iter().filter(|c| c.reason.is_some() || !c.findings.is_empty());
    let ids: Vec<&str> =
        unsure.filter(|c| c.verdict != VerdictName::NotApplicable).map(|c| c.id.as_str()).collect();
    let why =
        format!("the command was not run: the guest is {} ({})", report.verdict, ids.join(", "));
    Err(Trouble::new(report.verdict.into(), why).hint("`guestprep audit` says why"))
}
