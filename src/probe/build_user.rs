//! `build-user`: an account that made the image is still in it.
//!
//! Which accounts those are only the operator knows (`[clean] users`); some names give themselves away.

use super::{Answer, Guest};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// Names that tools which make images give their accounts.
const USUAL: [&[u8]; 7] = [
    b"packer",
    b"vagrant",
    b"image-builder",
    b"imagebuilder",
    b"liveuser",
    b"livecd",
    b"installer",
];

/// The accounts that can be taken away.
const PASSWD: &str = "/etc/passwd";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let people = guest.people()?;
    let mut findings = Vec::new();
    for person in people.iter().filter(|person| person.at.0 == GuestPath::from(PASSWD)) {
        let (path, line) = &person.at;
        let is_named = guest.policy().users.iter().any(|user| user.as_bytes() == person.name);
        let key = match is_named {
            // An account that is root's by another name is not a user's to be taken away.
            true if person.uid == 0 => "is-root",
            true => "named",
            false if USUAL.contains(&person.name.as_slice()) => "usual-name",
            false => continue,
        };
        let subject = Subject::line(path, *line);
        findings.push(Finding::new(key, subject).with("user", person.shown()));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}
