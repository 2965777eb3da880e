//! Phase 2 in the last moments of a machine's run: armed by `prepare --at-shutdown`, taken when that
//! very boot ends with a power-off.
//!
//! It is taken then or never. The unit that takes it is started when a run is armed and enabled for
//! no boot, and a run knows the boot that it was armed in: what loses its power, starts again or is a
//! clone keeps what it has, until somebody asks anew. `rollback` calls it off.

use std::time::Duration;

use super::erase;
use super::journal::{Record, RunState};
use super::kin;
use super::start;
use super::store::{Run, Store};
use crate::guest::{Ending, Guest, Init, Unknown};
use crate::model::{GuestPath, Step};
use crate::sys::{Error, ErrorKind, Result};

/// The unit that takes phase 2, and the script of that name for other init systems.
const UNIT: &str = "guestprep-at-shutdown";
/// Where an init of scripts has those that it runs for a power-off.
const HALT_SCRIPTS: [&str; 2] = ["/etc/rc0.d", "/etc/rc.d/rc0.d"];
/// journald moves to memory what it has not written yet.
const LIMIT: Duration = Duration::from_secs(60);

/// What has become of the phase 2 of a run that was armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Armed {
    /// It is taken when this boot, by its id, ends with a power-off.
    In {
        /// The boot.
        boot: String,
    },
    /// It was not taken, and why.
    CalledOff {
        /// How the boot ended.
        why: String,
    },
    /// It was begun; what is not noted as done was cut short.
    Begun,
}

impl Run {
    /// What has become of its phase 2, where that was armed.
    pub fn armed(&self) -> Option<Armed> {
        self.journal.records.iter().fold(None, |armed, record| match record {
            Record::Armed { boot } => Some(Armed::In { boot: boot.clone() }),
            Record::Disarmed { why } => armed.and(Some(Armed::CalledOff { why: why.clone() })),
            Record::Erasing { .. } => armed.and(Some(Armed::Begun)),
            _ => armed,
        })
    }

    /// Whether its phase 2 is still to be taken when the boot of this id ends.
    pub fn waits_in(&self, boot: &str) -> bool {
        self.state() == RunState::Prepared && self.armed().is_some_and(|a| a.is_in(boot))
    }
}

impl Armed {
    fn is_in(&self, now: &str) -> bool {
        matches!(self, Armed::In { boot } if boot == now)
    }
}

/// See that something takes phase 2 when this boot ends; what the journal is to have of it.
///
/// # Errors
/// Where nothing here would take it.
pub(super) fn ready(guest: &Guest) -> Result<Record> {
    let fail = |cause: String| Error::new("arm", UNIT, ErrorKind::Other, cause);
    let unknown = |why: Unknown| fail(why.0);
    let boot = guest.boot_id().map_err(unknown)?;
    let boot = boot.ok_or_else(|| fail("the kernel does not say which boot this is".to_owned()))?;
    if guest.init().map_err(unknown)? == Init::Systemd {
        start::start(guest, &format!("{UNIT}.service"), true)?;
        return Ok(Record::Armed { boot });
    }
    for directory in HALT_SCRIPTS.map(GuestPath::from) {
        for name in guest.root().list(&directory)?.unwrap_or_default() {
            if name.starts_with(b"K") && name.ends_with(UNIT.as_bytes()) {
                // DISTRO(el6): rc stops only what has left a file in /var/lock/subsys.
                let script = format!("/etc/init.d/{UNIT}");
                super::step::run_tool(guest, &[script, "start".to_owned()])?;
                return Ok(Record::Armed { boot });
            }
        }
    }
    Err(fail(format!("no script of {} runs it; its package has one", HALT_SCRIPTS[0])))
}

/// A run whose phase 2 came to its time.
#[derive(Debug)]
pub struct TakenAtPowerOff {
    /// The run.
    pub id: String,
    /// Why nothing of it was taken.
    pub called_off: Option<String>,
    /// What could not be taken away.
    pub failures: Vec<Error>,
}

/// Take phase 2 of every run that was armed in this boot, where this boot ends with a power-off now;
/// where it goes on or ends otherwise, call it off. The caller holds the lock.
///
/// # Errors
/// When the runs cannot be read, or it cannot be told how the boot ends: nothing is taken then.
pub fn take_armed(
    guest: &Guest,
    store: &Store,
    progress: &mut dyn FnMut(&Step),
) -> std::result::Result<Vec<TakenAtPowerOff>, Unknown> {
    let boot = guest.boot_id()?.unwrap_or_default();
    let mut runs = store.runs()?;
    runs.retain(|run| run.waits_in(&boot) && kin::asked(guest, &run.header).is_ok());
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let why = match guest.ending()? {
        Ending::PowerOff => None,
        Ending::Restart => Some("the machine was started again instead"),
        Ending::Not => Some("it was stopped while the machine went on"),
    };
    let mut done = Vec::new();
    let silenced = if why.is_none() { silence(guest) } else { Ok(()) };
    for mut run in runs {
        let mut taken = TakenAtPowerOff {
            id: run.header.id.clone(),
            called_off: why.map(str::to_owned),
            failures: silenced.clone().err().into_iter().collect(),
        };
        match why {
            Some(why) => run.record(Record::Disarmed { why: why.to_owned() })?,
            None => taken.failures.extend(erase::finish(guest, &mut run, progress)?),
        }
        done.push(taken);
    }
    Ok(done)
}

/// Have journald, which runs to the end, write to memory from now on: it would make the files anew that
/// are taken away.
fn silence(guest: &Guest) -> Result<()> {
    if guest.init() != Ok(Init::Systemd) {
        return Ok(());
    }
    let output = guest.runner().run(&["journalctl", "--relinquish-var"], LIMIT)?;
    match output.success() {
        true => Ok(()),
        // DISTRO(el7, ubuntu-18.04): journalctl learnt it in 243.
        false => Err(Error::new("quiet", "journald", ErrorKind::Other, output.complaint())),
    }
}
