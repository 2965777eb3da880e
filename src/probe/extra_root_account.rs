//! `extra-root-account`: an account beside root has root's user id.

use super::{Answer, Guest};
use crate::model::{Finding, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let people = guest.people()?;
    let others = people.iter().filter(|person| person.uid == 0 && person.name != b"root");
    let findings = others.map(|person| {
        let (path, line) = &person.at;
        Finding::new("uid-zero", Subject::line(path, *line)).with("user", person.shown())
    });
    Ok(Verdict::from_parts(findings.collect(), Vec::new()))
}
