//! `guestprep runs`

use serde_json::json;

use super::args::{Cli, Format, RunsArgs};
use super::exit::{Exit, Outcome};
use super::setup;
use super::target::state_dir_of;
use crate::change::{Armed, Run, RunKind, RunState, Store};
use crate::model::{Policy, visible};
use crate::sys;

pub fn run(_cli: &Cli, args: &RunsArgs) -> Outcome {
    let target = &args.target;
    let mut boot = None;
    let store = match &args.image.image {
        Some(image) => Store::open_at(&state_dir_of(&sys::absolute(image)?, target)?)?,
        None => {
            setup::finish_interrupted(target.root.as_deref(), target.state_dir.as_deref())?;
            let guest = setup::guest(target.root.as_deref(), Policy::default())?;
            boot = guest.boot_id()?;
            Store::open(&guest, target.state_dir.as_deref())?
        }
    };
    let runs = match store {
        Some(store) => store.runs()?,
        None => Vec::new(),
    };
    let text = match args.format {
        Format::Json => {
            let rows: Vec<_> = runs.iter().map(|run| row(run, boot.as_deref())).collect();
            format!("{:#}\n", json!({ "schema": "guestprep.runs/1", "runs": rows }))
        }
        Format::Text if runs.is_empty() => "No runs.\n".to_owned(),
        Format::Text => runs.iter().map(|run| visible(&line(run, boot.as_deref()))).collect(),
    };
    sys::print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// What has become of what was left for a power-off; `boot` is the one that goes on, where one does.
fn rest(run: &Run, boot: Option<&str>) -> Option<String> {
    let not_taken = |why: &str| format!("phase 2 was not taken: {why}");
    match run.armed().filter(|_| run.state() == RunState::Prepared)? {
        Armed::In { boot: armed } if boot == Some(&armed) => {
            Some("phase 2 waits for the power-off".to_owned())
        }
        Armed::In { .. } => Some(not_taken("the boot that it was armed in ended without one")),
        Armed::CalledOff { why } => Some(not_taken(&why)),
        Armed::Begun => None,
    }
}

fn row(run: &Run, boot: Option<&str>) -> serde_json::Value {
    let header = &run.header;
    json!({
        "id": header.id,
        "started": header.started,
        "kind": header.kind,
        "state": run.state(),
        "phase_2": rest(run, boot),
        "profile": header.plan.profile,
        "steps": header.plan.steps.len(),
    })
}

fn line(run: &Run, boot: Option<&str>) -> String {
    let header = &run.header;
    let kind = match header.kind {
        RunKind::Prepare => "prepare",
        RunKind::Capture => "capture",
        RunKind::Command => "command",
        RunKind::FirstBoot => "first boot",
    };
    let rest = rest(run, boot).map_or_else(String::new, |rest| format!("; {rest}"));
    let state = match run.state() {
        RunState::Interrupted => "interrupted",
        RunState::Prepared => "prepared",
        RunState::RollbackInterrupted => "rollback interrupted",
        RunState::RolledBack => "rolled back",
        RunState::Incomplete => "rolled back in part",
    };
    let steps: Vec<&str> = header.plan.steps.iter().map(|s| s.summary.as_str()).collect();
    format!(
        "{}  {}  {kind}  {state}{rest}\n    {}\n",
        header.id,
        header.started,
        steps.join("\n    ")
    )
}
