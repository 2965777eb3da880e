//! Taking a plan's steps, and undoing all of them when one fails.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::armed;
use super::erase;
use super::journal::{Record, RunKind};
use super::step::{self, Undo};
use super::store::{Run, Store};
use super::undo::{self, NotUndone};
use crate::guest::{Guest, Init};
use crate::model::{Action, GuestPath, Plan, Step};
use crate::sys::write::RootMut;
use crate::sys::{Error, ErrorKind, Result};

/// Set by a signal that asks the run to end: before each step, of both phases, and before a run is
/// noted as prepared it is heeded, never in a step. What can be undone is undone then.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// The number of the signal that came; 0 while none did.
    pub fn signal(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Go on, where no signal came.
    ///
    /// # Errors
    /// With `operation` and `subject`, what is not done for it.
    pub fn heed(&self, operation: &'static str, subject: impl Display) -> Result<()> {
        match self.signal() {
            0 => Ok(()),
            signal => {
                let cause = format!("signal {signal} asked the run to end");
                Err(Error::new(operation, subject, ErrorKind::Other, cause))
            }
        }
    }

    /// Where a signal handler leaves its number.
    pub fn cell(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }
}

/// A run whose steps are all taken.
#[derive(Debug)]
pub struct Prepared {
    /// The run.
    pub run: Run,
    /// What went otherwise than planned, and does no harm.
    pub remarks: Vec<String>,
    /// What phase 2 could not take away.
    pub failures: Vec<Error>,
}

/// A run of which a step failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Why the step failed, or that a signal came. Boxed, since the result of a run has room for it.
    pub error: Box<Error>,
    /// What could not be undone after that; empty when the guest is as it was.
    pub left: Vec<NotUndone>,
    /// What had been taken away for good, a sentence a step.
    pub lost: Vec<String>,
    /// The run's id, where it had begun.
    pub run: Option<String>,
}

/// When phase 2 of a plan is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase2 {
    /// After phase 1.
    Now,
    /// When this boot of the machine ends with a power-off.
    AtShutdown,
}

/// Take a plan's steps in order. `progress` is told of each before it is taken.
///
/// # Errors
/// A [`Failure`] with the step's error; every step taken before it is undone then, or listed. Before
/// anything is changed, where nothing here would take phase 2 at the power-off.
pub fn execute(
    guest: &Guest,
    store: &Store,
    plan: &Plan,
    kind: RunKind,
    phase_2: Phase2,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(&Step),
) -> std::result::Result<Prepared, Failure> {
    let early =
        |error| Failure { error: Box::new(error), left: Vec::new(), lost: Vec::new(), run: None };
    let is_armed = phase_2 == Phase2::AtShutdown && plan.steps.iter().any(|step| step.phase == 2);
    let armed = is_armed.then(|| armed::ready(guest)).transpose().map_err(early)?;
    let root = RootMut::new(guest.root());
    let mut run = store.begin(guest, plan, kind).map_err(early)?;
    for step in plan.steps.iter().filter(|step| step.phase == 1) {
        progress(step);
        if let Err(error) = one(guest, &root, &mut run, step, interrupt) {
            return Err(undone(guest, run, error));
        }
    }
    // A unit is started after systemd has read its files again; a second time is a second's delay of a boot.
    let is_told = plan.steps.iter().any(|step| matches!(step.action, Action::Start { .. }));
    let remarks = if is_told { Vec::new() } else { reload(guest, plan) };
    let mut noted = interrupt.heed("finish", format!("run {}", run.header.id));
    for record in armed.into_iter().chain([Record::Prepared]) {
        noted = noted.and_then(|()| run.record(record));
    }
    if let Err(error) = noted {
        return Err(undone(guest, run, error));
    }
    let mut failures = Vec::new();
    if !is_armed {
        for step in erase::left(&run) {
            if let Err(error) = interrupt.heed("take", &step.summary) {
                return Err(undone(guest, run, error));
            }
            progress(&step);
            match erase::take(guest, &mut run, &step) {
                Ok(some) => failures.extend(some),
                // A journal that cannot be written ends it as a kill would, and the next command finishes it.
                Err(error) => {
                    failures.push(error);
                    break;
                }
            }
        }
    }
    Ok(Prepared { run, remarks, failures })
}

/// Undo what was done of a run that cannot go on.
fn undone(guest: &Guest, mut run: Run, error: Error) -> Failure {
    let left = undo::undo_all(guest, &mut run);
    Failure { error: Box::new(error), left, lost: erase::lost(&run), run: Some(run.header.id) }
}

fn one(
    guest: &Guest,
    root: &RootMut,
    run: &mut Run,
    step: &Step,
    interrupt: &Interrupt,
) -> Result<()> {
    interrupt.heed("take", &step.summary)?;
    let how = step::save(guest, root, &run.dir()?, step)?;
    run.record(Record::Intent { step: step.id.clone(), how: Box::new(how.clone()) })?;
    let after = match step::take(guest, root, &run.temporary(&step.id), step, &how) {
        // Somebody else had changed the file, and it is as they left it: there is nothing to undo.
        Err(error) if error.kind() == ErrorKind::Changed && matches!(how, Undo::File { .. }) => {
            run.record(Record::Undone { step: step.id.clone() })?;
            return Err(error);
        }
        taken => taken?,
    };
    run.record(Record::Done { step: step.id.clone(), after })
}

/// Have systemd read fstab and units again, so that it does not mount by what they said before.
pub(super) fn reload(guest: &Guest, plan: &Plan) -> Vec<String> {
    let touches = plan.steps.iter().any(|step| match &step.action {
        Action::Unit { .. } => true,
        Action::EditFile { .. } => step.path.as_ref().is_some_and(|path| {
            ["/etc/fstab", "/etc/crypttab"].iter().any(|p| path.as_bytes() == p.as_bytes())
        }),
        _ => false,
    });
    if !touches || !runs_systemd(guest) {
        return Vec::new();
    }
    let failed =
        |why: String| vec![format!("systemd could not be told (systemctl daemon-reload: {why})")];
    match guest.runner().run(&["systemctl", "daemon-reload"], Duration::from_secs(60)) {
        Ok(output) if output.success() => Vec::new(),
        Ok(output) => failed(output.complaint()),
        Err(error) => failed(error.to_string()),
    }
}

/// Whether systemd is process 1 of this guest, now: the test of sd_booted(3).
pub(super) fn runs_systemd(guest: &Guest) -> bool {
    guest.init() == Ok(Init::Systemd)
        && guest.kernel().is_some()
        && guest.stat(&GuestPath::from("/run/systemd/system")).is_ok_and(|s| s.is_some())
}
