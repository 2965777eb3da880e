//! A decision that a finding is to stay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody's decision that a finding is to stay, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    /// Who decided, and is to be asked; none where it was not said.
    pub owner: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day that it holds, `2027-01-01`; none where no end was said.
    pub until: Option<String>,
}

impl Waiver {
    /// Whether its last day is before `today`. Dates of this form sort as text.
    pub fn is_over(&self, today: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until < today)
    }
}
