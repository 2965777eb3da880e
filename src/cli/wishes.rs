//! What a command such as `swap off` changes: the repairs that a check offers where the policy
//! asks for them.

use super::exit::Trouble;
use crate::catalog::{self, Language};
use crate::guest::Guest;
use crate::model::{CheckId, Edit, Verdict};
use crate::probe;

/// The repairs that a check offers on a guest, and the messages of what it finds and cannot mend.
pub struct Wishes {
    /// The repairs.
    pub edits: Vec<(CheckId, Edit)>,
    /// What only a person can mend, or could not be judged.
    pub left: Vec<String>,
}

impl Wishes {
    /// Ask a check.
    ///
    /// # Errors
    /// When it could judge nothing at all.
    pub fn of(guest: &Guest, id: &str, language: Language) -> Result<Self, Trouble> {
        let (Some(probe), Some(spec)) = (probe::find(id), catalog::check(id)) else {
            return Err(Trouble::usage(format!("there is no check {id}")));
        };
        let (findings, doubt) = match (probe.judge)(guest)? {
            Verdict::Pass | Verdict::NotApplicable(_) => (Vec::new(), None),
            Verdict::Fail(findings) => (findings, None),
            Verdict::Unknown { reason, findings } => (findings, Some(reason)),
        };
        let texts = spec.texts(language);
        let mut wishes = Self { edits: Vec::new(), left: doubt.into_iter().collect() };
        for finding in findings {
            if finding.fix.is_empty() {
                wishes.left.push(texts.message(finding.key, &finding.values));
            }
            wishes.edits.extend(finding.fix.into_iter().map(|edit| (CheckId::from(id), edit)));
        }
        Ok(wishes)
    }
}
