//! `guestprep audit`

use super::args::{Cli, LookArgs};
use super::exit::Outcome;
use super::setup::{self, Choice};
use super::target::Target;
use crate::engine;

pub fn run(cli: &Cli, args: &LookArgs) -> Outcome {
    let choice = Choice::read(cli, &args.select)?;
    let target = Target::look(&args.target, &args.image)?;
    let guest = target.guest(choice.policy(args.target.system_disk.as_deref()))?;
    let audit = engine::audit(&guest, &choice.settings());
    setup::deliver_report(cli, &args.output, &audit.report)?;
    Ok(audit.report.verdict.into())
}
