//! A host as the outputs show it, and as `--since` reads it again.

use serde::{Deserialize, Serialize};

use super::hosts::{Merged, rfc3339};
use super::sheet::Text;
use crate::model::Severity;

/// One host of a merge (schema `guestprep.fleet/1`).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Host<'a> {
    /// What a person calls it: its hostname, else its instance id, else where its report stands.
    #[serde(borrow)]
    pub host: Text<'a>,
    #[serde(borrow)]
    pub hostname: Option<Text<'a>>,
    #[serde(borrow)]
    pub instance_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub verdict: Text<'a>,
    #[serde(borrow)]
    pub started: Text<'a>,
    #[serde(borrow)]
    pub family: Option<Text<'a>>,
    #[serde(borrow)]
    pub os: Option<Text<'a>>,
    #[serde(borrow)]
    pub version_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub kernel: Option<Text<'a>>,
    #[serde(borrow)]
    pub profile: Option<Text<'a>>,
    #[serde(borrow)]
    pub mode: Option<Text<'a>>,
    /// Of guestprep.
    #[serde(borrow)]
    pub version: Option<Text<'a>>,
    /// Why it did not answer.
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    /// Findings that its configuration waives.
    pub waived: u16,
    /// Ids of the checks that fail, by how much that weighs.
    #[serde(borrow)]
    pub blockers: Vec<Text<'a>>,
    #[serde(borrow)]
    pub warnings: Vec<Text<'a>>,
    #[serde(borrow)]
    pub advice: Vec<Text<'a>>,
    /// Ids of the checks that could not be judged.
    #[serde(borrow)]
    pub unknown: Vec<Text<'a>>,
}

impl Host<'_> {
    /// The four lists of checks, with their weight.
    pub(super) fn lists(&self) -> [(Option<Severity>, &[Text<'_>]); 4] {
        [
            (Some(Severity::Blocker), &self.blockers),
            (Some(Severity::Warning), &self.warnings),
            (Some(Severity::Advice), &self.advice),
            (None, &self.unknown),
        ]
    }
}

impl Merged {
    /// The host of a row by number. `started` lends the room for its time.
    pub(super) fn host<'a>(&'a self, number: u32, started: &'a mut String) -> Host<'a> {
        let row = &self.rows[number as usize];
        *started = rfc3339(row.started);
        let facts = self.facts(row);
        let (hostname, instance_id) = self.names(row);
        let word = |number| self.word(number).map(Text::from);
        let list = |severity: Option<Severity>| {
            let mut ids: Vec<Text<'a>> = self
                .marks
                .get(row.marks)
                .iter()
                .filter(|mark| mark.severity() == severity)
                .map(|mark| Text::from(&**self.checks.get(mark.check())))
                .collect();
            ids.sort_unstable();
            ids
        };
        Host {
            host: self.name(row).into(),
            hostname: hostname.map(Text::from),
            instance_id: instance_id.map(Text::from),
            verdict: row.state.as_str().into(),
            started: started.as_str().into(),
            family: word(facts.family),
            os: word(facts.os),
            version_id: word(facts.version_id),
            kernel: word(facts.kernel),
            profile: word(facts.profile),
            mode: word(facts.mode),
            version: word(facts.version),
            reason: word(facts.reason),
            waived: row.waived,
            blockers: list(Some(Severity::Blocker)),
            warnings: list(Some(Severity::Warning)),
            advice: list(Some(Severity::Advice)),
            unknown: list(None),
        }
    }
}
