//! `guestprep mitigations`

use serde_json::{Value, json};

use super::args::{
    Cli, Format, MitigationsArgs, MitigationsCommand, MitigationsStatusArgs, SwitchArgs, TargetArgs,
};
use super::change::{Change, carry_out};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use crate::guest::{Guest, Mitigations};
use crate::model::{CheckId, Edit, Policy, visible};
use crate::sys;

/// The check that the changes are journalled under.
const CHECK: &str = "cpu-mitigations-off";

pub fn run(_cli: &Cli, args: &MitigationsArgs) -> Outcome {
    match &args.command {
        MitigationsCommand::Status(args) => status(args),
        MitigationsCommand::On(args) => switch(args, "mitigations on", on),
        MitigationsCommand::Off(args) => switch(args, "mitigations off", off),
    }
}

fn policy(target: &TargetArgs) -> Policy {
    Policy { system_disk: target.system_disk.clone(), ..Policy::default() }
}

fn status(args: &MitigationsStatusArgs) -> Outcome {
    let guest = setup::guest(args.target.root.as_deref(), policy(&args.target))?;
    let state = guest.mitigations()?;
    let text = match args.format {
        Format::Json => format!("{:#}\n", as_json(&state)),
        Format::Text => visible(&render(&state)),
    };
    sys::print(text.as_bytes())?;
    Ok(Exit::Done)
}

fn as_json(state: &Mitigations) -> Value {
    let defects = state.vulnerabilities.iter();
    json!({
        "schema": "guestprep.mitigations/1",
        "vulnerabilities":
            defects.map(|v| json!({ "name": v.name, "state": v.state })).collect::<Vec<_>>(),
        "switched_off": { "running": state.running, "next_boot": state.configured },
        "reboot_needed": state.is_reboot_pending(),
    })
}

/// What is so now and what will be so, for a person.
fn render(state: &Mitigations) -> String {
    let mut out = String::new();
    let width = state.vulnerabilities.iter().map(|v| v.name.len()).max().unwrap_or(0);
    for vulnerability in &state.vulnerabilities {
        out += &format!("{:width$}  {}\n", vulnerability.name, vulnerability.state);
    }
    let shown = |list: &[&str]| match list {
        [] => "nothing is switched off".to_owned(),
        list => format!("switched off by {}", list.join(" ")),
    };
    if let Some(running) = &state.running {
        if state.vulnerabilities.is_empty() {
            out += "This kernel does not say which defects it mitigates.\n";
        }
        out += &format!("running kernel  {}\n", shown(running));
    }
    out += &format!("next boot       {}\n", shown(&state.configured));
    if state.is_reboot_pending() {
        out += "Reboot to make it so.\n";
    }
    out
}

fn switch(
    args: &SwitchArgs,
    command: &str,
    edits: fn(&Guest) -> Result<Option<Edit>, Trouble>,
) -> Outcome {
    let (root, state_dir) = setup::absolute(&args.target)?;
    sys::leave_directory()?;
    let change = Change {
        command,
        root: root.as_deref(),
        state_dir: state_dir.as_deref(),
        policy: policy(&args.target),
        yes: args.yes,
    };
    let done = carry_out(&change, |guest| {
        let edit = edits(guest)?;
        Ok(edit.into_iter().map(|edit| (CheckId::from(CHECK), edit)).collect())
    })?;
    if done.is_none() {
        sys::tell("nothing was changed: the next boot has them so already");
    }
    let guest = setup::guest(root.as_deref(), policy(&args.target))?;
    if guest.mitigations()?.is_reboot_pending() {
        sys::tell("reboot to make it so");
    }
    Ok(Exit::Done)
}

/// Take out whatever switches a mitigation off, in every entry.
fn on(guest: &Guest) -> Result<Option<Edit>, Trouble> {
    Ok(Some(Edit::KernelArguments { add: Vec::new(), remove: guest.mitigation_switches()? }))
}

/// Put in what this kernel takes; an argument that asks for page-table isolation would speak against it.
fn off(guest: &Guest) -> Result<Option<Edit>, Trouble> {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let add = guest.mitigations_off()?;
    Ok(Some(Edit::KernelArguments {
        add: owned(add),
        remove: owned(&["pti=on", "pti=auto", "mitigations=auto", "mitigations=auto,nosmt"]),
    }))
}
