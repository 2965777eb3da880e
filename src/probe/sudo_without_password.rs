//! `sudo-without-password`: sudo asks somebody for no password.

use super::{Answer, Guest};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// The file that cloud-init writes for the users that it makes, anew on every instance
/// (cloudinit/distros/__init__.py, ci_sudoers_fn).
const OF_CLOUD_INIT: &str = "/etc/sudoers.d/90-cloud-init-users";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let of_cloud_init = GuestPath::from(OF_CLOUD_INIT);
    let mut findings = Vec::new();
    for (path, free) in guest.sudo_without_password()? {
        let subject = Subject::line(&path, free.line);
        if path == of_cloud_init {
            findings.push(Finding::new("cloud-init", subject).with("who", free.who));
            continue;
        }
        let key = if free.by_tag { "no-password" } else { "not-authenticated" };
        let who = if free.who.is_empty() { "ALL".to_owned() } else { free.who };
        findings.push(Finding::new(key, subject).with("who", who));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}
