//! Phase 2: taking away for good what must not go with an image.

use super::compose::Draft;
use super::wanted::Erased;
use crate::model::{Action, CheckId, Expects};

/// The steps that take away what one check found.
pub fn steps(check: &CheckId, erased: Erased) -> Vec<Draft> {
    let mut drafts = Vec::new();
    if !erased.removed.is_empty() {
        let action = Action::Remove { targets: erased.removed };
        drafts.push(draft(check, "remove", action));
    }
    if !erased.emptied.is_empty() {
        let action = Action::Truncate { targets: erased.emptied };
        drafts.push(draft(check, "empty", action));
    }
    drafts
}

fn draft(check: &CheckId, verb: &str, action: Action) -> Draft {
    Draft {
        checks: vec![check.clone()],
        path: None,
        summary: format!("{verb} what {check} found"),
        expects: Expects::default(),
        diff: None,
        action,
    }
}
