//! Preparing and rolling back on behalf of a client, and the lease that ends a preparation.
//!
//! What is done is what `guestprep prepare` and `rollback` do, journalled all the same, without a
//! question: the request was one. The lease stands in the run's header before anything is changed,
//! so that a daemon that was killed meanwhile still ends it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Orders;
use super::drift::Guarded;
use crate::change::{
    Interrupt, Kin, ObstacleKind, Phase2, Recovered, RolledBack, Run, RunKind, RunState, Store,
    compose, execute, kin, lockout, preflight, recover, roll_back as undo, roll_back_unasked,
};
use crate::engine;
use crate::guest::Guest;
use crate::sys::{self, ErrorKind};

/// A preparation is rolled back after this unless the request says otherwise.
const LEASE: u64 = 3600;

/// No lease is longer than a week.
const MAX_LEASE: u64 = 7 * 24 * 3600;

/// The body of `POST /v1/prepare`.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// After so many seconds what was prepared is rolled back; 3600 unless it is said, a week at
    /// most.
    #[schema(minimum = 1, maximum = 604_800, default = 3600)]
    pub lease_seconds: Option<u64>,
}

/// What was done.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Done {
    /// The run; none where there was nothing to do.
    pub run: Option<String>,
    /// How many steps were taken, or undone.
    pub steps: usize,
    /// When it is rolled back by itself, in seconds since 1970.
    pub lease_ends: Option<u64>,
}

/// Why nothing was done, or what was left half done.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Of what kind it is.
    pub kind: RefusedKind,
    /// In a sentence.
    pub why: String,
}

/// What a client may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// Ask otherwise.
    Wrong,
    /// Have it allowed in the configuration.
    Forbidden,
    /// Mend what is named, and ask again.
    InTheWay,
    /// Ask again later: another run holds the lock.
    Busy,
    /// Look at the guest: something failed.
    Failed,
}

impl Refused {
    fn new(kind: RefusedKind, why: impl std::fmt::Display) -> Self {
        Self { kind, why: why.to_string() }
    }
}

impl From<sys::Error> for Refused {
    fn from(error: sys::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Busy => RefusedKind::Busy,
            _ => RefusedKind::Failed,
        };
        Self::new(kind, error)
    }
}

/// Prepare the guest, for as long as the lease.
pub fn prepare(orders: &Orders, asked: Asked) -> Result<Done, Refused> {
    allowed(orders)?;
    let lease = asked.lease_seconds.unwrap_or(LEASE);
    if !(1..=MAX_LEASE).contains(&lease) {
        let why = format!("lease_seconds takes 1 to {MAX_LEASE}");
        return Err(Refused::new(RefusedKind::Wrong, why));
    }
    let guest = orders.guest()?;
    let mut store = Store::create(&guest, None)?;
    let _lock = store.lock()?;
    finish_interrupted(&guest, &store)?;
    if let Some(run) = last(&mut store.runs()?).filter(|run| stands(&guest, run)) {
        let why = format!("run {} is prepared already; roll it back first", run.header.id);
        return Err(Refused::new(RefusedKind::InTheWay, why));
    }
    // Anew: recovery may just have changed what the first look saw.
    let guest = orders.guest()?;
    let audit = engine::audit(&guest, &orders.settings());
    let plan = compose(&guest, orders.profile.name, &audit.edits)
        .map_err(|error| Refused::new(RefusedKind::InTheWay, error))?;
    let unknown = |why| Refused::new(RefusedKind::Failed, why);
    let mut obstacles = preflight(&guest, &plan).map_err(unknown)?;
    obstacles.extend(lockout(&guest, &plan).map_err(unknown)?);
    if let Some(first) = obstacles.first() {
        let kind = match first.kind {
            ObstacleKind::Busy | ObstacleKind::Moved => RefusedKind::InTheWay,
            ObstacleKind::Blocked => RefusedKind::Failed,
        };
        let all: Vec<&str> = obstacles.iter().map(|o| o.message.as_str()).collect();
        return Err(Refused::new(kind, format!("nothing was changed: {}", all.join("; "))));
    }
    if plan.steps.is_empty() {
        return Ok(Done { run: None, steps: 0, lease_ends: None });
    }
    let ends = sys::seconds_since_1970().saturating_add(lease);
    store.lease_until(ends);
    let mut say = |step: &crate::model::Step| tracing::info!(step = %step.id, "{}", step.summary);
    let interrupt = Interrupt::default();
    let (kind, phase_2) = (RunKind::Prepare, Phase2::Now);
    let prepared =
        execute(&guest, &store, &plan, kind, phase_2, &interrupt, &mut say).map_err(|failure| {
            let left: Vec<String> =
                failure.left.iter().map(|left| format!("{}: {}", left.step, left.reason)).collect();
            let undone = match left.is_empty() {
                true => "everything done before it is undone".to_owned(),
                false => format!("not all of it could be undone: {}", left.join("; ")),
            };
            Refused::new(RefusedKind::Failed, format!("{failure}; {undone}"))
        })?;
    for remark in &prepared.remarks {
        tracing::warn!("{remark}");
    }
    for failure in &prepared.failures {
        tracing::warn!("not taken away: {failure}");
    }
    let run = prepared.run.header.id;
    tracing::info!(run, lease, "prepared");
    Ok(Done { run: Some(run), steps: plan.steps.len(), lease_ends: Some(ends) })
}

/// Undo whatever a killed run left of this guest.
fn finish_interrupted(guest: &Guest, store: &Store) -> Result<(), Refused> {
    for recovered in recover(guest, store)? {
        match recovered {
            Recovered::RolledBack { what, result } => {
                tracing::info!(run = result.id, "it {what}; it is rolled back now");
                all_undone(&result)?;
            }
            Recovered::Finished { id, failures } => {
                tracing::info!(run = id, "it was cut short in phase 2; it is finished now");
                failures.iter().for_each(|failure| tracing::warn!("not taken away: {failure}"));
            }
            Recovered::Left { id, what, why } => {
                tracing::warn!(run = id, "it {what}, and is left as it is: {why}");
            }
        }
    }
    Ok(())
}

/// Whether this guest is prepared by a run: a clone is not by its source's.
fn stands(guest: &Guest, run: &Run) -> bool {
    run.state() == RunState::Prepared
        && matches!(kin(guest, &run.header), Kin::Own | Kin::Untold(_))
}

/// Roll back the last run that is not rolled back, for a client.
pub fn roll_back(orders: &Orders) -> Result<Done, Refused> {
    allowed(orders)?;
    roll_back_last(orders, None)
}

/// Whether the operator lets a client have this guest changed.
pub fn allowed(orders: &Orders) -> Result<(), Refused> {
    if orders.as_init_sees || !sys::is_root() {
        // What is mounted or unmounted in a namespace of one's own stays in it.
        let why = "the daemon's unit shuts it off from the guest: allow-changes.conf opens it";
        return Err(Refused::new(RefusedKind::Forbidden, why));
    }
    if orders.config.daemon.allow_changes == Some(true) {
        return Ok(());
    }
    let why = "the daemon may not change this guest: [daemon] allow-changes is not true";
    Err(Refused::new(RefusedKind::Forbidden, why))
}

/// Roll back the last run, for a client; or, where `only` is said, by itself, and then it has to be that
/// one, since what was made after it is somebody else's.
fn roll_back_last(orders: &Orders, only: Option<&str>) -> Result<Done, Refused> {
    let guest = orders.guest()?;
    let nothing = || Refused::new(RefusedKind::Wrong, "there is no run to roll back");
    let store = Store::open(&guest, None)?.ok_or_else(nothing)?;
    let _lock = store.lock()?;
    let mut runs = store.runs()?;
    let run = last(&mut runs).ok_or_else(nothing)?;
    if let Some(only) = only.filter(|only| *only != run.header.id) {
        let why = format!("run {only} is not the last one any more: run {} is", run.header.id);
        return Err(Refused::new(RefusedKind::InTheWay, why));
    }
    let result = match only {
        None => undo(&guest, run),
        Some(_) => roll_back_unasked(&guest, run),
    };
    let result = result.map_err(|why| Refused::new(RefusedKind::InTheWay, why))?;
    all_undone(&result)?;
    tracing::info!(run = result.id, "rolled back");
    Ok(Done { run: Some(result.id), steps: result.undone, lease_ends: None })
}

fn all_undone(result: &RolledBack) -> Result<(), Refused> {
    if result.left.is_empty() {
        return Ok(());
    }
    let left: Vec<String> =
        result.left.iter().map(|left| format!("{}: {}", left.step, left.reason)).collect();
    let why = format!("run {} is rolled back in part: {}", result.id, left.join("; "));
    Err(Refused::new(RefusedKind::Failed, why))
}

/// Roll back the run that a lease was for. A daemon that may not change the guest any more does it all
/// the same: it was allowed to promise it.
pub fn end_lease(orders: &Orders, leased: &str) -> Result<Done, Refused> {
    roll_back_last(orders, Some(leased))
}

/// How long the lease of a guarded run still is; `None` where it has none.
pub fn left(guarded: &Guarded) -> Option<Duration> {
    Some(Duration::from_secs(guarded.ends?.saturating_sub(sys::seconds_since_1970())))
}

fn last(runs: &mut [Run]) -> Option<&mut Run> {
    runs.iter_mut().rfind(|run| run.state() != RunState::RolledBack)
}
