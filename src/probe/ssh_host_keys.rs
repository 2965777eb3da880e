//! `ssh-host-keys`: clones would share the keys that ssh knows a machine by.
//!
//! Files are looked at by name: no key is read.

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::guest::{Fact, HostKeyMaker, Sshd};
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};

/// Where host keys lie unless `HostKey` says otherwise.
const DIRECTORY: &str = "/etc/ssh";

/// What goes with a private key: the public one, and its certificate (sshd_config(5), HostCertificate).
const COMPANIONS: [&str; 2] = [".pub", "-cert.pub"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let configured = guest.sshd()?.map(Sshd::host_keys).unwrap_or_default();
    let keys = keys(guest, &configured)?;
    if keys.is_empty() {
        return Ok(Verdict::Pass);
    }
    let mut makers = guest.host_key_makers()?;
    if guest.runs_first_boot()? {
        makers.push(HostKeyMaker::of_all_types("guestprep-firstboot"));
    }
    // One of the keys that sshd looks for has to be made, or it would not start.
    let first = makers.iter().find(|maker| configured.iter().any(|key| maker.makes(key)));
    let findings = keys.iter().map(|key| {
        // Where the configuration names another place nobody makes a key; one of a type that sshd
        // does not look for need not be made.
        let is_unused = key.parent() == GuestPath::from(DIRECTORY) && !configured.contains(key);
        let own = makers.iter().find(|maker| maker.makes(key)).or(first.filter(|_| is_unused));
        let subject = Subject::file(key);
        match own.filter(|_| first.is_some()) {
            Some(maker) => Finding::new("kept", subject)
                .with("path", key)
                .with("maker", &maker.name)
                .fix([Edit::Erase { targets: targets(key) }]),
            None => Finding::new("not-made-again", subject).with("path", key),
        }
    });
    Ok(Verdict::from_parts(findings.collect(), Vec::new()))
}

/// The private keys that are there, those of types that sshd no longer takes among them; and public
/// keys that have lost theirs.
fn keys(guest: &Guest, configured: &[GuestPath]) -> Fact<BTreeSet<GuestPath>> {
    let mut keys = BTreeSet::new();
    for path in configured {
        if guest.root().lstat(path)?.is_some() {
            keys.insert(path.clone());
        }
    }
    let directory = GuestPath::from(DIRECTORY);
    for name in guest.root().list(&directory)?.unwrap_or_default() {
        let bare = COMPANIONS.iter().fold(name.as_slice(), |name, suffix| {
            name.strip_suffix(suffix.as_bytes()).unwrap_or(name)
        });
        // ssh_host_key is that of the protocol's first version.
        if bare.starts_with(b"ssh_host_") && bare.ends_with(b"key") {
            keys.insert(directory.join(bare));
        }
    }
    Ok(keys)
}

fn targets(key: &GuestPath) -> Vec<Erasure> {
    let beside = COMPANIONS.iter().map(|suffix| {
        let name = [key.name(), suffix.as_bytes()].concat();
        key.parent().join(&name)
    });
    let all = beside.chain([key.clone()]);
    all.map(|path| Erasure::of(&path, ErasureKind::Remove)).collect()
}
