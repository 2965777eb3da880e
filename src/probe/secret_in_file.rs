//! `secret-in-file`: a file holds a private key, a token, a password or the like.
//!
//! The scan reads every file, so that profiles leave the check out unless the image is to be shared.

use super::{Answer, Guest};
use crate::guest::Unknown;
use crate::model::{Finding, Subject, Verdict};
use crate::secrets::{Options, Rules, scan};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    if guest.is_collected() {
        let why = "a bundle holds no contents of files; `guestprep scan` looks on the guest itself";
        return Err(Unknown(why.to_owned()));
    }
    if guest.policy().leaves_contents {
        let why = "the daemon does not read every file; `guestprep audit` and `guestprep scan` do";
        return Err(Unknown(why.to_owned()));
    }
    let rules = Rules::with_site(&guest.policy().secret_rules, &[])
        .map_err(|error| Unknown(error.to_string()))?;
    let scanned = scan(guest, &rules, &Options::default(), &|_| {})?;
    let findings = scanned.found.iter().map(|found| {
        let line = usize::try_from(found.at.line).unwrap_or(usize::MAX);
        let inside: Vec<String> = found.at.inside.iter().map(ToString::to_string).collect();
        let subject = if inside.is_empty() {
            Subject::line(&found.at.path, line)
        } else {
            Subject::file(&found.at.path)
        };
        let finding = Finding::new("secret", subject)
            .with("rule", &found.rule)
            .with("mask", &found.mask)
            .with("fingerprint", &found.fingerprint);
        if inside.is_empty() { finding } else { finding.evidence(found.at.to_string()) }
    });
    let doubts = scanned.unread.into_iter().map(|(_, why)| why).collect();
    Ok(Verdict::from_parts(findings.collect(), doubts))
}
