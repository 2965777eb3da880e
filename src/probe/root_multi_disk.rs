//! `root-multi-disk`: the system lies on more than one disk, of which an image holds one.

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::guest::{DeviceKind, Disks, Fact, SystemDisks};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// What boot cannot do without.
const TARGETS: [&str; 5] = ["/", "/boot", "/boot/efi", "/efi", "/usr"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let system = match guest.system_disks()? {
        SystemDisks::Unseen => return Ok(Verdict::NotApplicable("unseen")),
        known @ SystemDisks::Known(_) => known,
    };
    let disks = guest.disks()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let mut all = BTreeSet::new();
    let mut targets = Vec::new();
    for (target, fstype, devices) in system_mounts(guest)? {
        let under = devices.iter().flat_map(|at| disks_below(disks, *at)).collect();
        if fstype == "btrfs" {
            doubts.extend(unseen_member(guest, disks));
        }
        match spans(disks, target, &target, &under) {
            Some(finding) => findings.push(finding),
            None => torn(guest, disks, target, &devices, &mut findings, &mut doubts),
        }
        all.extend(under);
        targets.push(target);
    }
    // Each on one disk, but not on the same: the image lacks what lies on the other.
    if findings.is_empty() && matches!(system, SystemDisks::Known(known) if known.len() > 1) {
        findings.extend(spans(disks, "/", &targets.join(", "), &all));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn spans(
    disks: &Disks,
    subject: &str,
    target: &impl std::fmt::Display,
    under: &BTreeSet<usize>,
) -> Option<Finding> {
    if under.len() < 2 {
        return None;
    }
    let names: Vec<String> = under.iter().map(|at| disks.devices[*at].known_as()).collect();
    let finding = Finding::new("spans", Subject::file(&GuestPath::from(subject)));
    Some(finding.with("target", target).with("disks", names.join(", ")))
}

/// A system filesystem on logical volumes of a group that has a physical volume on another disk.
fn torn(
    guest: &Guest,
    disks: &Disks,
    target: &str,
    devices: &[usize],
    findings: &mut Vec<Finding>,
    doubts: &mut Vec<String>,
) {
    let is_under = |at: &usize| devices.iter().any(|top| top == at || disks.lies_on(*top, *at));
    for at in (0..disks.devices.len()).filter(is_under) {
        match guest.torn_group(at) {
            Ok(None) => {}
            Ok(Some(group)) => {
                let finding = Finding::new("group-spans", Subject::file(&GuestPath::from(target)))
                    .with("target", target)
                    .with("group", &group.name)
                    .with("disks", group.elsewhere.join(", "));
                findings.push(finding);
            }
            Err(why) => doubts.push(why.0),
        }
    }
}

/// The system's mount points with the filesystem's type and the devices under it.
fn system_mounts(guest: &Guest) -> Fact<Vec<(&'static str, String, Vec<usize>)>> {
    let mut found = Vec::new();
    if guest.kernel().is_none() {
        for filesystem in guest.system_filesystems()?.unwrap_or_default() {
            let target = TARGETS.into_iter().find(|t| filesystem.target.as_bytes() == t.as_bytes());
            found
                .extend(target.map(|t| (t, filesystem.fstype.clone(), filesystem.devices.clone())));
        }
        return Ok(found);
    }
    for target in TARGETS {
        if let Some(mount) = guest.mounts()?.own.at(target.as_bytes())
            && let Some(devices) = guest.devices_of_mount(mount)?
        {
            let fstype = String::from_utf8_lossy(&mount.fstype.value).into_owned();
            found.push((target, fstype, devices));
        }
    }
    Ok(found)
}

/// The disks below a device. The paths of a multipath device are one disk seen several times.
fn disks_below(disks: &Disks, device: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open = vec![device];
    let mut seen = vec![false; disks.devices.len()];
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let device = &disks.devices[at];
        let is_multipath =
            matches!(&device.kind, DeviceKind::Mapped { uuid, .. } if uuid.starts_with("mpath-"));
        if is_multipath || device.parents.is_empty() {
            found.push(at);
        } else {
            open.extend(&device.parents);
        }
    }
    found
}

/// A btrfs filesystem is known by what its devices carry; one that cannot be read may be another
/// member.
fn unseen_member(guest: &Guest, disks: &Disks) -> Option<String> {
    let unread = (0..disks.devices.len())
        .filter(|at| !matches!(disks.devices[*at].kind, DeviceKind::Removable | DeviceKind::Memory))
        .find_map(|at| guest.identity(at).err());
    unread.map(|why| format!("whether the btrfs has more devices: {why}"))
}
