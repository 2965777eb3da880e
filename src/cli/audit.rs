//! `guestprep audit`

use super::args::{Cli, LookArgs};
use super::bundle;
use super::exit::Outcome;
use super::setup::{self, Choice};
use super::target::Target;
use crate::engine;
use crate::guest::Guest;

pub fn run(cli: &Cli, args: &LookArgs) -> Outcome {
    let system_disk = args.target.system_disk.as_deref();
    if let Some(path) = &args.bundle {
        let (choice, guest) = bundle::open(cli, &args.select, system_disk, path)?;
        return tell(cli, args, &choice, &guest);
    }
    let choice = Choice::read(cli, &args.select)?;
    let target = Target::look(&args.target, &args.image)?;
    let guest = target.guest(choice.policy(system_disk))?;
    tell(cli, args, &choice, &guest)
}

fn tell(cli: &Cli, args: &LookArgs, choice: &Choice, guest: &Guest) -> Outcome {
    let audit = engine::audit(guest, &choice.settings());
    setup::deliver_report(cli, &args.output, args.select.fail_on, &audit.report)?;
    Ok(audit.report.verdict.into())
}
