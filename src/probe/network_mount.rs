//! `network-mount`: every clone would mount the same shared storage, and waits for it where the
//! entry does not say `_netdev` and `nofail`.

use super::entries;
use super::{Answer, Guest};
use crate::guest::{ItemKind, Pull, is_network_type};
use crate::model::{LineChange, Verdict};
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(entries) = entries::read(guest)? else {
        return Ok(Verdict::NotApplicable("no-fstab"));
    };
    let mut findings = Vec::new();
    for entry in &entries.list {
        let item = entry.item;
        if item.kind == ItemKind::Swap || matches!(item.pull, Pull::Never | Pull::OnAccess) {
            continue;
        }
        let fstype = item.fstype.as_bytes();
        let is_network = is_network_type(fstype)
            || matches!(item.source, Source::Network(_)) && !is_local_with_colon(fstype);
        if !is_network {
            continue;
        }
        let mut missing = Vec::new();
        if !item.options.has("_netdev") {
            missing.push("_netdev".to_owned());
        }
        if item.options.switch("nofail", "fail") != Some(true) {
            missing.push("nofail".to_owned());
        }
        if !missing.is_empty() {
            findings.push(
                entry
                    .finding("missing-options")
                    .with("options", missing.join(","))
                    .impact(item.impact())
                    .fix([entry.edit(LineChange::AddOptions(missing))]),
            );
        }
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// Types whose source may hold a colon and is no remote.
fn is_local_with_colon(fstype: &[u8]) -> bool {
    matches!(fstype, b"tmpfs" | b"overlay" | b"zfs" | b"bcachefs" | b"btrfs" | b"proc" | b"sysfs")
}
