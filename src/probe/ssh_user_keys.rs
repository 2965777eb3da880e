//! `ssh-user-keys`: a home holds private keys, or the names of the machines that its owner goes to.
//!
//! A key is recognised by its first lines, whatever its name or type, and never given out.

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::guest::{Fact, FileKind};
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};

/// What every format of a private key begins with a line of: OpenSSH's own, PKCS#8, and PEM of each
/// type; and the keys of protocol 1.
const HEADERS: [&[u8]; 2] = [b"PRIVATE KEY-----", b"SSH PRIVATE KEY FILE FORMAT"];

/// A header stands within so many bytes.
const HEAD: usize = 4096;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let mut seen = BTreeSet::new();
    for person in guest.people()? {
        let directory = guest.resolved(&person.home.join(b".ssh"))?;
        if !seen.insert(directory.clone()) {
            continue;
        }
        // A home that is no directory holds none.
        let is_directory =
            guest.stat(&directory)?.is_some_and(|there| there.kind == FileKind::Directory);
        if !is_directory {
            continue;
        }
        let names = guest.root().list(&directory)?.unwrap_or_default();
        for name in &names {
            let path = directory.join(name);
            let key = match kind(guest, &path) {
                Ok(Some(key)) => key,
                Ok(None) => continue,
                Err(why) => {
                    doubts.push(why.0);
                    continue;
                }
            };
            let public = directory.join(&[name, &b".pub"[..]].concat());
            let mut targets = vec![Erasure::of(&path, ErasureKind::Remove)];
            if key == "private-key" {
                targets.push(Erasure::of(&public, ErasureKind::Remove));
            }
            let finding = Finding::new(key, Subject::file(&path)).with("user", person.shown());
            findings.push(finding.fix([Edit::Erase { targets }]));
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn kind(guest: &Guest, path: &GuestPath) -> Fact<Option<&'static str>> {
    let there = guest.root().lstat(path)?;
    if there.is_none_or(|there| there.kind != FileKind::Regular || there.size == 0) {
        return Ok(None);
    }
    if path.name().starts_with(b"known_hosts") {
        return Ok(Some("known-hosts"));
    }
    let Some(text) = guest.file(path)? else { return Ok(None) };
    let head = &text[..text.len().min(HEAD)];
    let has = |part: &&[u8]| head.windows(part.len()).any(|at| at == *part);
    Ok(HEADERS.iter().any(has).then_some("private-key"))
}
