//! Whether a plan that was reviewed is whole, and meant for this guest.

use crate::guest::Guest;
use crate::model::{Plan, digest_of};

/// The digest of everything in a plan but the digest itself.
pub(super) fn seal(plan: &Plan) -> String {
    digest_of(&(&plan.schema, &plan.profile, &plan.guest, &plan.steps))
}

/// Why a reviewed plan is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is of another version's form.
    #[error("the plan's schema is {0}; this version reads {expected}", expected = Plan::SCHEMA)]
    Schema(String),
    /// It was edited after it was made.
    #[error(
        "the plan's digest is not that of its contents: it was changed after it was made; make it again"
    )]
    Digest,
    /// It was made for another guest.
    #[error("the plan was made for another guest: {0}")]
    Guest(String),
}

/// Whether a reviewed plan is whole and meant for this guest. That its files have not moved,
/// preflight sees.
///
/// # Errors
/// See [`ReplayError`].
pub fn check_replay(guest: &Guest, plan: &Plan) -> Result<(), ReplayError> {
    if plan.schema != Plan::SCHEMA {
        return Err(ReplayError::Schema(plan.schema.clone()));
    }
    if plan.digest != seal(plan) {
        return Err(ReplayError::Digest);
    }
    if plan.guest.mode != guest.mode().as_str() {
        return Err(ReplayError::Guest(format!("mode {}", plan.guest.mode)));
    }
    if let Some(theirs) = &plan.guest.instance_id
        && guest.instance_id().as_ref() != Some(theirs)
    {
        return Err(ReplayError::Guest(format!("instance {theirs}")));
    }
    Ok(())
}
