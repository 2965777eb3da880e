//! `account-password`: an account of the image can be logged in to by a password, or without one.
//!
//! A hash is looked at for what kind it is, and never given out.

use super::{Answer, Guest};
use crate::guest::{Fact, Unknown};
use crate::model::{Finding, GuestPath, Subject, Verdict};
use crate::parse::passwd::{Entry, Kind, PasswordState};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let passwd = GuestPath::from("/etc/passwd");
    let shadow = GuestPath::from("/etc/shadow");
    let Some(accounts) = guest.accounts(Kind::Passwd)? else {
        return Err(Unknown("there is no /etc/passwd".to_owned()));
    };
    for account in accounts.entries() {
        let (path, entry) = match account.password {
            PasswordState::Shadowed => match shadowed(guest, account)? {
                Some(entry) => (&shadow, entry),
                None => continue,
            },
            _ => (&passwd, account),
        };
        let key = match entry.password {
            PasswordState::Hash(_) => "password",
            PasswordState::Empty => "empty",
            PasswordState::Locked | PasswordState::Shadowed | PasswordState::Invalid => continue,
        };
        let user = String::from_utf8_lossy(&account.name).into_owned();
        findings.push(Finding::new(key, Subject::line(path, entry.line)).with("user", user));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

fn shadowed<'a>(guest: &'a Guest, account: &Entry) -> Fact<Option<&'a Entry>> {
    let table = guest.accounts(Kind::Shadow)?;
    Ok(table.and_then(|table| table.entries().find(|entry| entry.name == account.name)))
}
