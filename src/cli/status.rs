//! `guestprep status`

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::args::{Cli, StatusArgs};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use crate::daemon::{self, ClientError, Readiness, SOCKET};
use crate::model::visible;
use crate::report::Style;
use crate::sys;

pub fn run(_cli: &Cli, args: &StatusArgs) -> Outcome {
    let configured = setup::read_config(args.config.as_deref())?.daemon.socket;
    let socket = configured.unwrap_or_else(|| SOCKET.to_owned());
    let socket = Path::new(&socket);
    let told = match args.wait {
        None => daemon::ask(socket),
        Some(limit) => daemon::follow(socket, limit.map(Duration::from_secs)),
    };
    let told = told.map_err(|error| {
        let is_none = matches!(error, ClientError::NoDaemon { .. });
        let trouble = Trouble::new(Exit::Undetermined, error);
        match is_none {
            true => {
                trouble.hint("`guestprep audit` looks by itself; `guestprep daemon` keeps looking")
            }
            false => trouble,
        }
    })?;
    let text = match args.json {
        true => format!("{}\n", told.json),
        false => render(&told.readiness, setup::style(super::args::Color::Auto, false)),
    };
    sys::print(text.as_bytes())?;
    Ok(told.readiness.verdict.into())
}

fn render(readiness: &Readiness, style: Style) -> String {
    let mut out = String::new();
    let verdict = readiness.verdict.to_string();
    let _ =
        writeln!(out, "{}  since {}", style.decision(readiness.verdict, &verdict), readiness.since);
    for (name, checks) in [("blockers", &readiness.blockers), ("unknown", &readiness.unknown)] {
        if !checks.is_empty() {
            let _ = writeln!(out, "{name}: {}", checks.join(", "));
        }
    }
    for drift in &readiness.drift {
        let _ = writeln!(
            out,
            "came back at {}: {} ({}; run {} had mended it)",
            drift.since,
            visible(&format!("{}: {}", drift.subject, drift.message)),
            drift.check,
            drift.run
        );
    }
    out
}
