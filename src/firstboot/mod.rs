//! What runs when a clone boots for the first time, and at every boot while something of it is put
//! away.
//!
//! `prepare` parks what would keep a clone without data disks from booting. Where a clone does have
//! a disk, because it was made from a snapshot of one, what was parked for it comes back here, one
//! thing at a time and each journalled: one that fails leaves the others alone. On the source, and
//! wherever it cannot be told whether this is a clone, nothing is done at all.
//!
//! Decides from facts ([`crate::guest`]) and changes through [`crate::change`] alone.

mod comeback;
mod identity;
mod lines;
mod report;
mod units;

use std::path::Path;
use std::time::Duration;

pub use report::{Back, Gone, Report, Role, Stays};

use crate::change::{
    Failure, Interrupt, Kin, Legacy, Phase2, Recovered, Run, RunKind, RunState, Store, compose,
    execute, kin, preflight, recover,
};
use crate::guest::{Guest, Unknown};
use crate::model::{CheckId, Edit, Policy};
use crate::sys::{self, Deadline, Error, ErrorKind, Stopwatch};

/// How long it may take unless the operator says otherwise. A boot that waits so long is slow; one
/// that waits longer is taken for hung.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How long udev may take to look at the disks, at most: part of the limit.
const SETTLE: Duration = Duration::from_secs(15);

/// What is wanted of a first boot.
pub struct Settings<'a> {
    /// Where the journal lies; none for the guest's own place.
    pub state_dir: Option<&'a Path>,
    /// How long it may take.
    pub limit: Duration,
    /// Set by a signal that asks it to end.
    pub interrupt: Interrupt,
}

/// Why a first boot could not be done at all.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The machine said no; [`ErrorKind::Busy`] where another run holds the lock.
    #[error(transparent)]
    System(#[from] Error),
    /// What was cut short at an earlier boot could not be undone.
    #[error("run {run} {what}; not all of it could be undone: {left}")]
    Incomplete {
        /// The run.
        run: String,
        /// What became of it.
        what: &'static str,
        /// What is left, and why.
        left: String,
    },
}

/// Find out what this guest is, and give a clone back what it has the disks for.
///
/// # Errors
/// See [`Trouble`]. What stays away, and what could not be made, is in the report.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let clock = Stopwatch::start();
    // A sixth of it is for undoing what was not done by then.
    let deadline = Deadline::after(settings.limit - settings.limit / 6);
    let open = || Guest::live(Policy::default()).map(|guest| guest.until(deadline));
    let mut report = Report::new(settings.limit);
    let guest = open()?;
    let Some(store) = Store::open(&guest, settings.state_dir)? else {
        return Ok(report.ends(Role::Untold, "no run of guestprep was made here"));
    };
    let _lock = store.lock()?;
    let runs = store.runs()?;
    let (role, why) = role(&guest, &runs, store.legacy()?.is_some());
    if role != Role::Clone {
        return Ok(report.ends(role, &why));
    }
    report.role = Role::Clone;
    report.reason = why;
    finish_own(&guest, &store)?;
    let mut legacy = inherit(&guest, &store, &mut report)?;
    let clone = Clone { open: &open, store: &store, settings, deadline };
    clone.settle(&legacy)?;
    comeback::everything(&clone, &mut legacy, &mut report)?;
    identity::make(&clone, &mut report)?;
    store.keep(&legacy)?;
    report.duration_ms = clock.milliseconds();
    store.leave_report(&report)?;
    Ok(report)
}

/// What this guest is, by the runs that are in it; and why.
fn role(guest: &Guest, runs: &[Run], was_clone: bool) -> (Role, String) {
    let mut untold = None;
    let mut own = None;
    let mut source = None;
    for run in runs.iter().filter(|run| run.header.kind != RunKind::FirstBoot) {
        let id = &run.header.id;
        match kin(guest, &run.header) {
            // It may be imaged at any moment, and its rollback needs the files as they are.
            Kin::Own if run.state() != RunState::RolledBack => {
                return (Role::Source, format!("run {id} was made on this instance, and stands"));
            }
            Kin::Own => own = Some(format!("run {id} was made on this instance")),
            Kin::Source { .. } => source = Some(format!("run {id} was made on another instance")),
            Kin::Elsewhere => {
                untold = Some(format!("run {id} was made on the tree at {}", run.header.root));
            }
            Kin::Untold(why) => untold = Some(why),
        }
    }
    match (source, untold, own) {
        (Some(why), ..) => (Role::Clone, why),
        (None, ..) if was_clone => (Role::Clone, "it was known for a clone before".to_owned()),
        (None, Some(why), _) => (Role::Untold, why),
        (None, None, Some(why)) => (Role::Source, why),
        (None, None, None) => (Role::Untold, "no run of guestprep was made here".to_owned()),
    }
}

/// Undo what was cut short at an earlier boot of this clone, and forget what was finished.
fn finish_own(guest: &Guest, store: &Store) -> Result<(), Trouble> {
    for recovered in recover(guest, store)? {
        let Recovered::RolledBack { what, result } = recovered else { continue };
        if !result.left.is_empty() {
            let left = result.left.iter().map(|left| left.reason.as_str()).collect::<Vec<_>>();
            return Err(Trouble::Incomplete { run: result.id, what, left: left.join("; ") });
        }
    }
    for run in store.runs()?.iter().filter(|run| run.header.kind == RunKind::FirstBoot) {
        if matches!(run.state(), RunState::Prepared | RunState::RolledBack) {
            store.discard(run)?;
        }
    }
    Ok(store.sweep()?)
}

/// Keep what the clone needs of its source's runs, then remove them. In this order, so that a
/// machine that loses power between the two has both and does it again.
fn inherit(guest: &Guest, store: &Store, report: &mut Report) -> Result<Legacy, Trouble> {
    let mut legacy = store.legacy()?.unwrap_or_default();
    let runs = store.runs()?;
    let is_theirs = |run: &&Run| matches!(kin(guest, &run.header), Kin::Source { .. });
    let theirs: Vec<&Run> = runs.iter().filter(is_theirs).collect();
    // The newest first: what it found is what the image was made of.
    for run in theirs.iter().rev() {
        legacy.take_over(run)?;
    }
    store.keep(&legacy)?;
    for run in theirs {
        store.discard(run)?;
        report.removed.push(Gone { run: run.header.id.clone() });
    }
    Ok(legacy)
}

/// A clone at work: how it is looked at anew, and how one thing of it is changed.
struct Clone<'a> {
    open: &'a dyn Fn() -> sys::Result<Guest>,
    store: &'a Store,
    settings: &'a Settings<'a>,
    deadline: Deadline,
}

impl Clone<'_> {
    /// Wait until udev has looked at the disks, where something waits for one.
    fn settle(&self, legacy: &Legacy) -> Result<(), Trouble> {
        let guest = (self.open)()?;
        if legacy.units.is_empty() && !lines::any(&guest) {
            return Ok(());
        }
        let limit = SETTLE.min(self.settings.limit / 4);
        let timeout = format!("--timeout={}", limit.as_secs());
        // Without udev the kernel's own names are there at once.
        if let Err(error) = guest.runner().run(&["udevadm", "settle", &timeout], limit * 2) {
            tracing::info!("{error}");
        }
        Ok(())
    }

    /// Whether there is time to begin another change.
    fn may_go_on(&self) -> bool {
        !self.deadline.is_over() && self.settings.interrupt.signal() == 0
    }

    /// Change one thing: all of it is done and verified, or none. Says why not.
    fn carry_out(
        &self,
        guest: &Guest,
        check: &str,
        edits: Vec<Edit>,
    ) -> Result<Result<(), String>, Trouble> {
        let edits: Vec<_> = edits.into_iter().map(|edit| (CheckId::from(check), edit)).collect();
        let plan = match compose(guest, "clone", &edits) {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match preflight(guest, &plan) {
            Ok(obstacles) if obstacles.is_empty() => {}
            Ok(obstacles) => return Ok(Err(obstacles[0].message.clone())),
            Err(Unknown(why)) => return Ok(Err(why)),
        }
        let interrupt = &self.settings.interrupt;
        let done = execute(
            guest,
            self.store,
            &plan,
            RunKind::FirstBoot,
            Phase2::Now,
            interrupt,
            &mut |_| {},
        );
        match done {
            Ok(prepared) => {
                self.store.discard(&prepared.run)?;
                Ok(Ok(()))
            }
            Err(Failure { error, left, run, .. }) if left.is_empty() => {
                let runs = self.store.runs()?;
                let failed = run.and_then(|id| runs.iter().find(|known| known.header.id == id));
                failed.map(|run| self.store.discard(run)).transpose()?;
                Ok(Err(error.to_string()))
            }
            Err(Failure { left, run, .. }) => Err(Trouble::Incomplete {
                run: run.unwrap_or_default(),
                what: "failed",
                left: left.into_iter().map(|left| left.reason).collect::<Vec<_>>().join("; "),
            }),
        }
    }
}

impl Trouble {
    /// Whether another run holds the lock.
    pub fn is_busy(&self) -> bool {
        matches!(self, Trouble::System(error) if error.kind() == ErrorKind::Busy)
    }
}
