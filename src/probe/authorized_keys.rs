//! `authorized-keys`: somebody's key lets them in to every instance.

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::model::{Edit, Erasure, ErasureKind, Finding, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let mut seen = BTreeSet::new();
    for person in guest.people()? {
        for path in guest.key_files(&person)? {
            if !seen.insert(path.clone()) {
                continue;
            }
            // What is no file, sshd does not read either; what may not be read has to be told.
            let text = match guest.file(&path) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(why) => {
                    doubts.push(why.0);
                    continue;
                }
            };
            let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
            let keys = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
            if keys > 0 {
                let targets = vec![Erasure::of(&path, ErasureKind::Remove)];
                findings.push(
                    Finding::new("key", Subject::file(&path))
                        .with("user", person.shown())
                        .with("count", keys)
                        .fix([Edit::Erase { targets }]),
                );
            }
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}
