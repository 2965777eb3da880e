//! `guestprep audit`

use super::args::{Cli, LookArgs};
use super::exit::Outcome;
use super::setup::{self, Choice};
use crate::engine;

pub fn run(cli: &Cli, args: &LookArgs) -> Outcome {
    let choice = Choice::read(cli, &args.select)?;
    let target = &args.target;
    setup::finish_interrupted(target.root.as_deref(), target.state_dir.as_deref())?;
    let policy = choice.policy(target.system_disk.as_deref());
    let guest = setup::guest(target.root.as_deref(), policy)?;
    let audit = engine::audit(&guest, &choice.settings());
    setup::deliver_report(cli, &args.output, &audit.report)?;
    Ok(audit.report.verdict.into())
}
