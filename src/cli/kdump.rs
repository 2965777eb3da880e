//! `guestprep kdump`

mod status;

use super::args::{Cli, KdumpArgs, KdumpCommand, KdumpSwitchArgs};
use super::change::{Change, carry_out};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use super::wishes::Wishes;
use crate::guest::Guest;
use crate::model::{KdumpPolicy, Policy};
use crate::sys;

/// The check whose repairs these commands are.
const CHECK: &str = "kdump-half-on";

pub fn run(cli: &Cli, args: &KdumpArgs) -> Outcome {
    match &args.command {
        KdumpCommand::Status(args) => status::run(args),
        KdumpCommand::On(args) => switch(cli, args, "kdump on", KdumpPolicy::On),
        KdumpCommand::Off(args) => switch(cli, args, "kdump off", KdumpPolicy::Off),
    }
}

/// Switch service, memory and the place for dumps together.
fn switch(cli: &Cli, args: &KdumpSwitchArgs, command: &str, kdump: KdumpPolicy) -> Outcome {
    let (root, state_dir) = setup::absolute(&args.target)?;
    sys::leave_directory()?;
    let policy =
        Policy { kdump, system_disk: args.target.system_disk.clone(), ..Policy::default() };
    let change = Change {
        command,
        root: root.as_deref(),
        state_dir: state_dir.as_deref(),
        policy,
        yes: args.yes,
    };
    let language = setup::language(cli);
    let mut left = Vec::new();
    let done = carry_out(&change, |guest| {
        if kdump == KdumpPolicy::On {
            require_package(guest)?;
        }
        let wishes = Wishes::of(guest, CHECK, language)?;
        left = wishes.left;
        Ok(wishes.edits)
    })?;
    let word = if kdump == KdumpPolicy::On { "on" } else { "off" };
    match done {
        Some(_) => sys::say(
            "a boot is needed: only then is memory reserved for a crash kernel, or given back",
        ),
        None if left.is_empty() => sys::say(&format!("kdump is {word} already")),
        None => {}
    }
    for message in &left {
        sys::say(&format!("left to you: {message}"));
    }
    Ok(if left.is_empty() { Exit::Done } else { Exit::NotReady })
}

fn require_package(guest: &Guest) -> Result<(), Trouble> {
    let kdump = guest.kdump()?;
    if kdump.service.is_some() {
        return Ok(());
    }
    let way = &kdump.way;
    Err(Trouble::usage(format!("{} is not installed; nothing was changed", way.package))
        .hint(format!("run `{}`, then the command again", way.install)))
}
