//! `systemd-credential-secret`: clones would share the key that systemd's encrypted credentials
//! are encrypted with.

use super::{Answer, Guest};
use crate::guest::Fact;
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};

/// The key (systemd-creds(1)).
const SECRET: &str = "/var/lib/systemd/credential.secret";

/// Where credentials lie that it encrypts (systemd.exec(5), LoadCredentialEncrypted).
const STORES: [&str; 3] = [
    "/etc/credstore.encrypted",
    "/usr/local/lib/credstore.encrypted",
    "/usr/lib/credstore.encrypted",
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let path = GuestPath::from(SECRET);
    if guest.root().lstat(&path)?.is_none() {
        return Ok(Verdict::Pass);
    }
    let subject = Subject::file(&path);
    let finding = match user(guest)? {
        Some(user) => Finding::new("in-use", subject).with("user", user),
        None => Finding::new("kept", subject)
            .fix([Edit::Erase { targets: vec![Erasure::of(&path, ErasureKind::Remove)] }]),
    };
    Ok(Verdict::Fail(vec![finding.with("path", &path)]))
}

/// What could not be decrypted without it.
fn user(guest: &Guest) -> Fact<Option<String>> {
    for store in STORES.map(GuestPath::from) {
        if let Some(name) = guest.root().list(&store)?.unwrap_or_default().first() {
            return Ok(Some(store.join(name).to_string()));
        }
    }
    guest.unit_with_encrypted_credentials()
}
