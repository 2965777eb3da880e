//! Phase 2: taking away for good what must not go with an image.
//!
//! It begins when every reversible step is taken and journalled. A step is noted before it is begun
//! and when it is done; done twice it does no harm, so that a run that was cut short in phase 2 is
//! finished by doing again what is not noted as done. What cannot be taken away is told, and the
//! rest is done. A signal spares what is not begun: the run is undone then, and nobody finishes it.

use super::account;
use super::compose::Draft;
use super::journal::Record;
use super::store::Run;
use super::wanted::Erased as Wanted;
use crate::guest::Guest;
use crate::model::{Action, CheckId, Erasure, ErasureKind, Expects, Step};
use crate::parse::size;
use crate::sys::write::RootMut;
use crate::sys::{Erased, Error, Held, Result, held};

/// The steps that take away what one check found.
pub fn steps(guest: &Guest, check: &CheckId, wanted: Wanted) -> Vec<Draft> {
    let mut drafts = Vec::new();
    if !wanted.removed.is_empty() {
        let summary = summary(guest, "remove", &wanted.removed);
        drafts.push(draft(check, summary, Action::Remove { targets: wanted.removed }));
    }
    if !wanted.emptied.is_empty() {
        let summary = summary(guest, "empty", &wanted.emptied);
        drafts.push(draft(check, summary, Action::Truncate { targets: wanted.emptied }));
    }
    drafts
}

fn draft(check: &CheckId, summary: String, action: Action) -> Draft {
    Draft {
        checks: vec![check.clone()],
        path: None,
        summary,
        expects: Expects::default(),
        diff: None,
        action,
    }
}

/// What a step takes away, as far as it can be told now: a bundle holds no count of it.
fn summary(guest: &Guest, verb: &str, targets: &[Erasure]) -> String {
    let found = guest.root().census(&[targets], &guest.reach()).unwrap_or_default();
    let Some(census) = found.first().filter(|census| census.files > 0) else {
        let patterns: Vec<String> = targets.iter().map(|t| t.path.to_string()).take(3).collect();
        return format!("{verb} {}", patterns.join(", "));
    };
    let paths: Vec<String> = census.first.iter().map(ToString::to_string).collect();
    let more = if census.files > paths.len() as u64 { " ..." } else { "" };
    format!("{verb} {}: {}{more}", amount(census.files, census.bytes), paths.join(", "))
}

/// Files and bytes, in words.
fn amount(files: u64, bytes: u64) -> String {
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    format!("{files} ({})", size::shown(bytes))
}

/// The steps of phase 2 that are not noted as done.
pub fn left(run: &Run) -> Vec<Step> {
    let is_done = |step: &Step| {
        run.journal
            .records
            .iter()
            .any(|record| matches!(record, Record::Erased { step: of, .. } if *of == step.id))
    };
    let steps = run.header.plan.steps.iter();
    steps.filter(|step| step.phase == 2 && !is_done(step)).cloned().collect()
}

/// Take every step of phase 2 that is not done, whatever signal comes: of a run that was cut short
/// there, or on a machine that goes down. Answers what could not be taken away.
///
/// # Errors
/// As [`take`].
pub fn finish(guest: &Guest, run: &mut Run, progress: &mut dyn FnMut(&Step)) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    for step in left(run) {
        progress(&step);
        failures.extend(take(guest, run, &step)?);
    }
    Ok(failures)
}

/// Take one step of phase 2. Answers what could not be taken away.
///
/// # Errors
/// What the system says of the journal; what is not noted as done is done again then.
pub fn take(guest: &Guest, run: &mut Run, step: &Step) -> Result<Vec<Error>> {
    let root = RootMut::new(guest.root());
    run.record(Record::Erasing { step: step.id.clone() })?;
    let taken = match &step.action {
        Action::DropAccount { user } => account::drop(guest, &root, user),
        action => root.erase(action.erases(), &guest.reach(), &held_open(guest, step)),
    };
    let erased =
        taken.unwrap_or_else(|error| Erased { failures: vec![error], ..Erased::default() });
    let mut failures = erased.failures.clone();
    if erased.more_failures > 0 {
        let cause = format!("{} more could not be taken away", erased.more_failures);
        failures.push(Error::new("take", &step.id, crate::sys::ErrorKind::Other, cause));
    }
    run.record(Record::Erased { step: step.id.clone(), what: erased })?;
    Ok(failures)
}

/// The files that processes of the guest have open, where the step asks.
fn held_open(guest: &Guest, step: &Step) -> Held {
    let asks = step.action.erases().iter().any(|target| target.how == ErasureKind::RemoveFile);
    if asks && guest.is_running_here() { held() } else { Held::new() }
}

/// What rollback cannot bring back, a sentence a step.
pub fn lost(run: &Run) -> Vec<String> {
    let begun = |step: &&Step| {
        run.journal
            .records
            .iter()
            .any(|record| matches!(record, Record::Erasing { step: of } if *of == step.id))
    };
    let steps = run.header.plan.steps.iter().filter(begun);
    steps.map(|step| format!("{} ({})", step.summary, step.check)).collect()
}
