//! `random-seed`: clones would begin with the same seed for their random numbers.

use super::{Answer, Guest};
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};

/// Where it is kept: by systemd, Debian's script, EL 6, SUSE's script, busybox.
const SEEDS: [&str; 5] = [
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/random-seed",
    "/var/lib/misc/random-seed",
    "/var/lib/seedrng/seed.credit",
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    for path in SEEDS.map(GuestPath::from) {
        if guest.root().lstat(&path)?.is_none_or(|seed| seed.size == 0) {
            continue;
        }
        let subject = Subject::file(&path);
        findings.push(match guest.keeps_random_seed()? {
            true => Finding::new("kept", subject)
                .with("path", &path)
                .fix([Edit::Erase { targets: vec![Erasure::of(&path, ErasureKind::Remove)] }]),
            false => Finding::new("not-made-again", subject).with("path", &path),
        });
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}
