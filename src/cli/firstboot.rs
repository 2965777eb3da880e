//! `guestprep firstboot`

use std::time::Duration;

use super::args::{Cli, FirstBootArgs, Format};
use super::exit::{Exit, Outcome, Trouble};
use super::{change, setup};
use crate::firstboot::{self, Report, Role, Settings};
use crate::model::visible;
use crate::sys;

pub fn run(_cli: &Cli, args: &FirstBootArgs) -> Outcome {
    setup::require_root("firstboot")?;
    let state_dir = args.state_dir.as_deref().map(sys::absolute).transpose()?;
    sys::leave_directory()?;
    let settings = Settings {
        state_dir: state_dir.as_deref(),
        limit: Duration::from_secs(args.limit),
        interrupt: change::interrupt()?,
    };
    let report = firstboot::run(&settings).map_err(trouble)?;
    match args.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&report).map_err(Trouble::usage)?;
            sys::print(format!("{text}\n").as_bytes())?;
        }
        Format::Text => sys::print(visible(&report.text()).as_bytes())?,
    }
    Ok(exit(&report))
}

/// That something stays parked is no failure: a clone without the disk is what it is for.
fn exit(report: &Report) -> Exit {
    match report.role {
        Role::Clone if report.identity.iter().any(|made| made.trouble.is_some()) => Exit::Failed,
        Role::Clone if !report.untold.is_empty() => Exit::Undetermined,
        Role::Clone | Role::Source => Exit::Done,
        Role::Untold => Exit::Undetermined,
    }
}

fn trouble(trouble: firstboot::Trouble) -> Trouble {
    match trouble {
        firstboot::Trouble::System(error) => setup::nothing_changed(error),
        incomplete => Trouble::new(Exit::Incomplete, incomplete)
            .hint("mend what is named; `guestprep firstboot` finishes the rest"),
    }
}
