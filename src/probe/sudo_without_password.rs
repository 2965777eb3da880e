//! `sudo-without-password`: sudo asks somebody for no password.

use super::{Answer, Guest};
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};

/// The file that cloud-init writes for the users that it makes, anew on every instance
/// (cloudinit/distros/__init__.py, ci_sudoers_fn).
const OF_CLOUD_INIT: &str = "/etc/sudoers.d/90-cloud-init-users";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let of_cloud_init = GuestPath::from(OF_CLOUD_INIT);
    let mut findings = Vec::new();
    let mut is_cleared = false;
    for (path, free) in guest.sudo_without_password()? {
        let subject = Subject::line(&path, free.line);
        if path == of_cloud_init {
            let targets = vec![Erasure::of(&path, ErasureKind::Remove)];
            let fix = (!is_cleared).then_some(Edit::Erase { targets });
            is_cleared = true;
            findings.push(Finding::new("cloud-init", subject).with("who", free.who).fix(fix));
            continue;
        }
        let key = if free.by_tag { "no-password" } else { "not-authenticated" };
        let who = if free.who.is_empty() { "ALL".to_owned() } else { free.who };
        findings.push(Finding::new(key, subject).with("who", who));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}
