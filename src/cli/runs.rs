//! `guestprep runs`

use serde_json::json;

use super::args::{Cli, Format, RunsArgs};
use super::exit::{Exit, Outcome};
use super::setup;
use super::target::state_dir_of;
use crate::change::{Run, RunKind, RunState, Store};
use crate::model::Policy;
use crate::sys;

pub fn run(_cli: &Cli, args: &RunsArgs) -> Outcome {
    let target = &args.target;
    let store = match &args.image.image {
        Some(image) => Store::open_at(&state_dir_of(&sys::absolute(image)?, target)?)?,
        None => {
            setup::finish_interrupted(target.root.as_deref(), target.state_dir.as_deref())?;
            let guest = setup::guest(target.root.as_deref(), Policy::default())?;
            Store::open(&guest, target.state_dir.as_deref())?
        }
    };
    let runs = match store {
        Some(store) => store.runs()?,
        None => Vec::new(),
    };
    let text = match args.format {
        Format::Json => {
            let rows: Vec<_> = runs.iter().map(row).collect();
            format!("{:#}\n", json!({ "schema": "guestprep.runs/1", "runs": rows }))
        }
        Format::Text if runs.is_empty() => "No runs.\n".to_owned(),
        Format::Text => runs.iter().map(line).collect(),
    };
    sys::print(text.as_bytes())?;
    Ok(Exit::Done)
}

fn row(run: &Run) -> serde_json::Value {
    let header = &run.header;
    json!({
        "id": header.id,
        "started": header.started,
        "kind": header.kind,
        "state": run.state(),
        "profile": header.plan.profile,
        "steps": header.plan.steps.len(),
    })
}

fn line(run: &Run) -> String {
    let header = &run.header;
    let kind = match header.kind {
        RunKind::Prepare => "prepare",
        RunKind::Capture => "capture",
        RunKind::Command => "command",
        RunKind::FirstBoot => "first boot",
    };
    let state = match run.state() {
        RunState::Interrupted => "interrupted",
        RunState::Prepared => "prepared",
        RunState::RollbackInterrupted => "rollback interrupted",
        RunState::RolledBack => "rolled back",
        RunState::Incomplete => "rolled back in part",
    };
    let steps: Vec<&str> = header.plan.steps.iter().map(|s| s.summary.as_str()).collect();
    format!("{}  {}  {kind}  {state}\n    {}\n", header.id, header.started, steps.join("\n    "))
}
