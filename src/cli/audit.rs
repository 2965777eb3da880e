//! `guestprep audit`

use super::args::{AuditArgs, Cli, LookArgs, ReportFormat};
use super::bundle;
use super::confine::{self, Later};
use super::deliver;
use super::exit::{Outcome, Trouble};
use super::setup::{self, Choice};
use super::sign;
use super::target::Target;
use crate::engine;
use crate::guest::Guest;

pub fn run(cli: &Cli, args: &AuditArgs) -> Outcome {
    let format = args.look.output.format;
    let is_verifiable = matches!(format, Some(ReportFormat::Json | ReportFormat::Ndjson));
    if args.sign.is_some() && !is_verifiable {
        let wrong = "a report that is signed is json or ndjson, which `guestprep verify` reads";
        return Err(Trouble::usage(wrong).hint("say --format json"));
    }
    let output = args.look.output.output.as_deref();
    let later = Later { output, starts_programs: args.sign.is_some() };
    let outcome = look(cli, &args.look, later)?;
    if let (Some(key), Some(report)) = (&args.sign, &args.look.output.output) {
        sign::sign(report, key)?;
    }
    Ok(outcome)
}

fn look(cli: &Cli, args: &LookArgs, later: Later) -> Outcome {
    let system_disk = args.target.system_disk.as_deref();
    if let Some(path) = &args.bundle {
        let (choice, guest) = bundle::open(cli, &args.select, system_disk, path)?;
        confine::to_look(&guest, later);
        return tell(cli, args, &choice, &guest);
    }
    let choice = Choice::read(cli, &args.select)?;
    let target = Target::look(&args.target, &args.image)?;
    let guest = target.guest(choice.policy(system_disk))?;
    confine::to_look(&guest, later);
    tell(cli, args, &choice, &guest)
}

fn tell(cli: &Cli, args: &LookArgs, choice: &Choice, guest: &Guest) -> Outcome {
    let audit = engine::audit(guest, &choice.settings());
    let target = deliver::target(&args.target, &args.image);
    deliver::report(cli, &args.output, args.select.fail_on, &target, &audit.report)?;
    setup::say_what_root_would_see(args, guest, &audit.report);
    Ok(audit.report.verdict.into())
}
