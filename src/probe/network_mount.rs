//! `network-mount`: every clone would mount the same shared storage, and waits for it where the
//! entry does not say `_netdev` and `nofail`.

use super::entries;
use super::{Answer, Guest};
use crate::guest::{BootItem, ItemKind, Pull, is_network_type};
use crate::model::{Finding, Impact, LineChange, Severity, Verdict};
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
        if !is_remote(item) {
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
            let finding = entry.finding("missing-options").with("options", missing.join(","));
            let finding = finding.fix([entry.edit(LineChange::AddOptions(missing))]);
            findings.push(weigh(finding, item));
        }
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// What systemd takes for a local filesystem is mounted before there is a network, and what it
/// mounts from there cannot be there yet.
fn weigh(finding: Finding, item: &BootItem) -> Finding {
    let in_background = fuse_program(item).is_some_and(|(name, _)| IN_BACKGROUND.contains(&name));
    match item.impact() {
        Impact::StopsBoot if in_background => finding.impact(Impact::Harmless),
        Impact::StopsBoot => finding.impact(Impact::StopsBoot).severity(Severity::Blocker),
        impact => finding.impact(impact),
    }
}

/// s3fs and what was made of it: the bucket is asked for in the background, when mount(8) has ended
/// well already, so that boot goes on without it.
const IN_BACKGROUND: [&[u8]; 3] = [b"cosfs", b"ossfs", b"s3fs"];

/// Others that mount a bucket, whose name does not look like a remote.
const OBJECT_STORES: [&[u8]; 3] = [b"gcsfuse", b"goofys", b"ossfs2"];

fn is_remote(item: &BootItem) -> bool {
    let fstype = item.fstype.as_bytes();
    if is_network_type(fstype) {
        return true;
    }
    match fuse_program(item) {
        Some((name, _)) if IN_BACKGROUND.contains(&name) || OBJECT_STORES.contains(&name) => true,
        // A union of directories has colons too.
        Some((_, source)) => source.contains(&b':') && !source.starts_with(b"/"),
        None => matches!(item.source, Source::Network(_)) && !is_local_with_colon(fstype),
    }
}

/// The program of FUSE and what it mounts: the type `fuse.NAME`, or a source `NAME#WHAT` of the type
/// `fuse`, as it was written before (mount.fuse(8)).
fn fuse_program(item: &BootItem) -> Option<(&[u8], &[u8])> {
    let (fstype, source) = (item.fstype.as_bytes(), item.source_text.as_bytes());
    if let Some(name) = fstype.strip_prefix(b"fuse.") {
        return Some((name, source));
    }
    let hash = source.iter().position(|b| *b == b'#').filter(|_| fstype == b"fuse")?;
    Some((&source[..hash], &source[hash + 1..]))
}

/// Types whose source may hold a colon and is no remote.
fn is_local_with_colon(fstype: &[u8]) -> bool {
    matches!(fstype, b"tmpfs" | b"overlay" | b"zfs" | b"bcachefs" | b"btrfs" | b"proc" | b"sysfs")
}
