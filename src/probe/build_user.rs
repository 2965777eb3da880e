//! `build-user`: an account that made the image is still in it.
//!
//! Which accounts those are only the operator knows (`[clean] users`); some names give themselves away.

use super::{Answer, Guest};
use crate::guest::{Fact, FileKind, Person};
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};
use crate::parse::passwd::{Kind, Table};

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

/// Where something of an account lies under its name: mail, the tables of cron by distribution
/// (Debian, Red Hat, SUSE), and that systemd starts its services at boot (loginctl(1), enable-linger).
const BY_NAME: [&str; 6] = [
    "/var/mail",
    "/var/spool/mail",
    "/var/spool/cron/crontabs",
    "/var/spool/cron",
    "/var/spool/cron/tabs",
    "/var/lib/systemd/linger",
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let people = guest.people()?;
    let mut findings = Vec::new();
    for person in people.iter().filter(|person| person.at.0 == GuestPath::from(PASSWD)) {
        let (path, line) = &person.at;
        let is_named = guest.policy().users.iter().any(|user| user.as_bytes() == person.name);
        if !is_named && !USUAL.contains(&person.name.as_slice()) {
            continue;
        }
        let others = others_in_its_group(guest, person)?;
        let key = match is_named {
            false => "usual-name",
            // An account that is root's by another name is not a user's to be taken away.
            true if person.uid == 0 => "is-root",
            true if !others.is_empty() => "group-in-use",
            true => "named",
        };
        let finding = Finding::new(key, Subject::line(path, *line)).with("user", person.shown());
        findings.push(match key {
            "named" => {
                let targets = targets(guest, person, &people)?;
                let drop = Edit::DropAccount { user: person.shown() };
                finding.fix([drop, Edit::Erase { targets }])
            }
            "group-in-use" => finding.with("others", others.join(", ")),
            _ => finding,
        });
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// The other accounts whose primary group is the one that has the account's name.
fn others_in_its_group(guest: &Guest, person: &Person) -> Fact<Vec<String>> {
    let group = guest.accounts(Kind::Group)?.into_iter().flat_map(Table::entries);
    let Some(id) = group.filter(|group| group.name == person.name).find_map(|own| own.gid()) else {
        return Ok(Vec::new());
    };
    let passwd = guest.accounts(Kind::Passwd)?.into_iter().flat_map(Table::entries);
    let others = passwd.filter(|other| other.gid() == Some(id) && other.name != person.name);
    Ok(others.map(|other| String::from_utf8_lossy(&other.name).into_owned()).collect())
}

/// Its home, where that is its own as userdel(8) has it and nobody else lives in it, and what lies
/// elsewhere under its name.
fn targets(guest: &Guest, person: &Person, people: &[Person]) -> Fact<Vec<Erasure>> {
    let mut targets = Vec::new();
    let home = &person.home;
    let is_own = guest
        .stat(home)?
        .is_some_and(|about| about.kind == FileKind::Directory && about.uid == person.uid);
    let is_shared =
        people.iter().any(|other| other.name != person.name && other.home.is_within(home));
    if is_own && !is_shared {
        targets.push(Erasure::of(home, ErasureKind::Remove));
    }
    for directory in BY_NAME.map(GuestPath::from) {
        let path = guest.resolved(&directory)?.join(&person.name);
        targets.push(Erasure::of(&path, ErasureKind::RemoveFile));
    }
    Ok(targets)
}
