//! `guestprep at-shutdown`

use super::args::{AtShutdownArgs, Cli};
use super::exit::{Exit, Outcome};
use super::setup;
use crate::change::{Store, take_armed};
use crate::model::{Policy, Step};
use crate::sys;

pub fn run(_cli: &Cli, _args: &AtShutdownArgs) -> Outcome {
    setup::require_root("at-shutdown")?;
    sys::leave_directory()?;
    let guest = setup::guest(None, Policy::default())?;
    let Some(store) = Store::open(&guest, None).map_err(setup::nothing_changed)? else {
        return Ok(Exit::Done);
    };
    let _lock = store.lock().map_err(setup::nothing_changed)?;
    let mut say = |step: &Step| sys::say(&format!("{}  {}", step.id, step.summary));
    let mut exit = Exit::Done;
    for taken in take_armed(&guest, &store, &mut say)? {
        match taken.called_off {
            Some(why) => sys::say(&format!("phase 2 of run {} is called off: {why}", taken.id)),
            None => sys::say(&format!("phase 2 of run {} is taken", taken.id)),
        }
        for failure in taken.failures {
            sys::say(&format!("not taken away: {failure}"));
            exit = Exit::Incomplete;
        }
    }
    Ok(exit)
}
