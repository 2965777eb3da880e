//! What came back after a prepare: the journal says what a run mended, the report what is wrong.
//!
//! A run that is prepared and not rolled back is guarded, whoever made it: the daemon, or somebody
//! on the command line. What came back is a finding that `prepare` would mend again, of a check
//! that the run had mended. It needs no memory of how the guest was, so that a daemon that was
//! restarted meanwhile sees the same.

use std::collections::BTreeSet;

use super::state::Drift;
use crate::change::{Kin, Run, RunKind, RunState, Store, kin};
use crate::guest::Guest;
use crate::model::{GuestPath, RemedyKind, Report};
use crate::sys::trace::{self, Inputs, Question};
use crate::sys::{Result, Space, machine_state_dir, now_rfc3339};

/// A run that waits for its rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// The run.
    pub run: String,
    /// When it is to be rolled back, in seconds since 1970.
    pub ends: Option<u64>,
    /// Why its lease has no end: whether this is the guest that it was made on cannot be told.
    pub endless: Option<String>,
    /// The checks whose findings it mended.
    checks: BTreeSet<String>,
}

/// The last run of this guest that is prepared and not rolled back, and what tells of another.
///
/// # Errors
/// When the journal cannot be read.
pub fn guarded(guest: &Guest) -> Result<(Option<Guarded>, Inputs)> {
    let runs = match Store::open(guest, None)? {
        Some(store) => store.runs()?,
        None => Vec::new(),
    };
    let last = runs.iter().rfind(|run| run.state() != RunState::RolledBack);
    let prepared = last.filter(|run| run.state() == RunState::Prepared);
    let (guarded, asked) = trace::note(|| prepared.and_then(|run| of_run(guest, run)));
    let directory = GuestPath::from(machine_state_dir()).join(b"runs");
    let journal = last.map(|run| directory.join(run.header.id.as_bytes()).join(b"journal"));
    let journal = journal.map(|journal| Question::File(Space::Root, journal));
    let names = Question::Names(Space::Root, directory);
    // What tells whose run it is may come later: cloud-init asks while a boot goes on.
    let asked = asked.iter().map(|question| (**question).clone());
    Ok((guarded, Inputs::of([names].into_iter().chain(journal).chain(asked))))
}

fn of_run(guest: &Guest, run: &Run) -> Option<Guarded> {
    let untold = match kin(guest, &run.header) {
        Kin::Own => None,
        Kin::Untold(why) => Some(why),
        // What a clone is given back, or mounts for itself, is no drift.
        Kin::Source { .. } | Kin::Elsewhere => return None,
    };
    // `swap off` and its like are a change for its own sake; nobody makes an image of it.
    let is_for_an_image = matches!(run.header.kind, RunKind::Prepare | RunKind::Capture);
    let steps = &run.header.plan.steps;
    is_for_an_image.then(|| Guarded {
        run: run.header.id.clone(),
        ends: run.header.ends.filter(|_| untold.is_none()),
        endless: untold.filter(|_| run.header.ends.is_some()),
        checks: steps.iter().flat_map(|s| s.checks.iter().map(ToString::to_string)).collect(),
    })
}

/// What of a guarded run's work came back. What was back before keeps its time.
pub fn find(guarded: Option<&Guarded>, report: &Report, before: &[Drift]) -> Vec<Drift> {
    let Some(guarded) = guarded else { return Vec::new() };
    let now = now_rfc3339();
    let mut found = Vec::new();
    for check in report.checks.iter().filter(|check| guarded.checks.contains(check.id.as_str())) {
        let back = check.findings.iter().filter(|f| f.remedy.kind == RemedyKind::Automatic);
        found.extend(back.map(|finding| {
            let mut drift = Drift {
                check: check.id.to_string(),
                subject: finding.subject.to_string(),
                message: finding.message.clone(),
                run: guarded.run.clone(),
                since: now.clone(),
            };
            let same = |known: &&Drift| {
                (&known.check, &known.subject, &known.run)
                    == (&drift.check, &drift.subject, &drift.run)
            };
            if let Some(known) = before.iter().find(same) {
                drift.since.clone_from(&known.since);
            }
            drift
        }));
    }
    found
}
