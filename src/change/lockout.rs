//! Whether a plan takes from those who are at work what they are at work by.
//!
//! A session that is open stays open when its key goes; the next login fails, which a factory that
//! logs in once a script meets at its next script. At shutdown nobody is logged in any more.

use super::preflight::{Obstacle, ObstacleKind};
use crate::guest::{Guest, Person, Unknown};
use crate::model::{Action, Plan, Step};

/// So many processes are named.
const MAX_NAMED: usize = 5;

/// What phase 2 of a plan, taken now, would take from those who are at work.
///
/// # Errors
/// When it cannot be told who is, or what they are let in by.
pub fn obstacles(guest: &Guest, plan: &Plan) -> Result<Vec<Obstacle>, Unknown> {
    if guest.kernel().is_none() || plan.steps.iter().all(|step| step.phase == 1) {
        return Ok(Vec::new());
    }
    let mut obstacles = Vec::new();
    for step in &plan.steps {
        if let Action::DropAccount { user } = &step.action {
            obstacles.extend(in_use(guest, user, step)?);
        }
    }
    for person in guest.operators()? {
        for step in plan.steps.iter().filter(|step| step.phase == 2) {
            obstacles.extend(taken_from(guest, &person, step)?);
        }
    }
    Ok(obstacles)
}

/// What runs under an account that a step takes away: it would go on without a name.
fn in_use(guest: &Guest, user: &str, step: &Step) -> Result<Option<Obstacle>, Unknown> {
    let Some(person) = guest.people()?.into_iter().find(|p| p.name == user.as_bytes()) else {
        return Ok(None);
    };
    let processes = guest.processes_of(person.uid)?;
    if processes.is_empty() {
        return Ok(None);
    }
    let named = processes.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if processes.len() > MAX_NAMED { " ..." } else { "" };
    Ok(Some(Obstacle {
        kind: ObstacleKind::Busy,
        message: format!(
            "{} cannot {}: it is in use by {named}{more}; \
             `--at-shutdown` does it when they have ended",
            step.id, step.summary
        ),
    }))
}

/// What a step would take of what lets a person in.
fn taken_from(guest: &Guest, person: &Person, step: &Step) -> Result<Option<Obstacle>, Unknown> {
    if let Action::DropAccount { user } = &step.action
        && user.as_bytes() == person.name
    {
        return Ok(Some(refusal(person, step, "takes the account away")));
    }
    for path in guest.key_files(person)? {
        let is_covered = step.action.erases().iter().any(|target| target.covers(&path));
        if is_covered && guest.stat(&path)?.is_some() {
            return Ok(Some(refusal(person, step, &format!("takes {path} away"))));
        }
    }
    Ok(None)
}

fn refusal(person: &Person, step: &Step, what: &str) -> Obstacle {
    let user = person.shown();
    let (id, check) = (&step.id, &step.check);
    Obstacle {
        kind: ObstacleKind::Busy,
        message: format!(
            "{id} {what}, and you are logged in as {user}: no login would follow this one; \
             `--at-shutdown` does it after the last session, `--skip {check}` leaves it"
        ),
    }
}
