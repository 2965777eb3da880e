//! `guestprep daemon`

use super::args::{Cli, DaemonArgs, FailOn, SelectArgs};
use super::exit::{Exit, Outcome, Trouble};
use super::setup::{self, Choice};
use crate::daemon::{self, DaemonError, Orders};
use crate::model::Policy;
use crate::sys;

pub fn run(cli: &Cli, args: &DaemonArgs) -> Outcome {
    let language = setup::language(cli);
    let config = args.config.as_deref().map(sys::absolute).transpose()?;
    let as_init_sees = args.as_init_sees;
    sys::leave_directory()?;
    let load = move || {
        let select = SelectArgs {
            profile: None,
            checks: Vec::new(),
            skip: Vec::new(),
            category: None,
            config: config.clone(),
            fail_on: FailOn::Blocker,
        };
        let choice = Choice::in_language(language, &select).map_err(|e| e.to_string())?;
        let policy = Policy { leaves_contents: true, ..choice.policy(None) };
        Ok(Orders {
            policy,
            profile: choice.profile,
            language,
            as_init_sees,
            fail_on: FailOn::Blocker.into(),
            config: choice.config,
        })
    };
    daemon::run(Box::new(load)).map_err(|error| {
        let exit = match error {
            DaemonError::Config(_) | DaemonError::Socket { .. } => Exit::Usage,
            DaemonError::System(_) | DaemonError::Judge(_) | DaemonError::Runtime(_) => {
                Exit::Undetermined
            }
        };
        Trouble::new(exit, error)
    })?;
    Ok(Exit::Done)
}
