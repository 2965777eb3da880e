//! `data-disk-mounted`: something of a data disk is mounted or swapped to now, so that the image
//! would be taken of a guest that still uses it.

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::guest::{
    DeviceKind, Disks, Holder, Mounts, OtherNamespace, Place, SystemDisks, Unknown,
};
use crate::model::{ByteString, Edit, Finding, GuestPath, MountRecord, Subject, Umount, Verdict};
use crate::parse::mountinfo::Mount;
use crate::parse::swaps::SwapKind;

/// How many holders a message names.
const NAMED_HOLDERS: usize = 3;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let disks = guest.disks()?;
    let system = guest.system_disks()?;
    let SystemDisks::Known(known) = system else { return Ok(Verdict::NotApplicable("offline")) };
    if disks.disks().all(|disk| known.contains(&disk)) {
        return Ok(Verdict::NotApplicable("no-data-disks"));
    }
    let named = named_by_fstab(guest)?;
    let mounts = guest.mounts()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let mut on_data_disks: Vec<(&Mount, String)> = Vec::new();
    for mount in mounts.all() {
        if let Some(disk) = data_disk_of(guest, disks, &named, mount)? {
            on_data_disks.push((mount, disk));
        }
    }
    let own: BTreeSet<u32> = mounts.own.mounts.iter().map(|mount| mount.id).collect();
    let holders = guest.holders(&on_data_disks.iter().map(|(mount, _)| *mount).collect::<Vec<_>>());
    for ((mount, disk), holders) in on_data_disks.iter().zip(&holders) {
        findings.push(mounted(guest, disks, mount, disk, holders, own.contains(&mount.id)));
    }
    for swap in &mounts.swaps {
        let disk = match swap.kind {
            SwapKind::Partition => match device_of_path(disks, &swap.path) {
                Some(device) if !named.system.contains(&device) => guest.data_disk_under(device)?,
                _ => None,
            },
            SwapKind::File => on_data_disks
                .iter()
                .filter(|(mount, _)| {
                    mounts.holding(&swap.path).is_some_and(|holding| holding.id == mount.id)
                })
                .map(|(_, disk)| disk.clone())
                .next(),
        };
        if let Some(disk) = disk {
            let device = GuestPath::new(&swap.path);
            findings.push(
                Finding::new("swap", Subject::Device { device: device.to_string() })
                    .with("device", &device)
                    .with("disk", disk)
                    .with("used", format!("{} KiB", swap.used_kib))
                    .fix(if guest.policy().umount == Umount::Never {
                        None
                    } else {
                        Some(Edit::SwapOff { device, priority: swap.priority })
                    }),
            );
        }
    }
    match guest.other_namespaces() {
        Ok(namespaces) => {
            for namespace in &namespaces {
                findings.extend(elsewhere(guest, disks, &named, namespace, &on_data_disks)?);
            }
        }
        Err(why) => doubts.push(why.0),
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// Devices that fstab names, loop devices of mount(8) among them.
fn named_by_fstab(guest: &Guest) -> Result<Named, Unknown> {
    let mut named = Named::default();
    for item in &guest.boot()?.items {
        match item.place {
            Place::Data { device, .. } => named.data.extend(device),
            Place::System { device } => named.system.extend(device),
            Place::Closed { device, .. } => named.system.extend([device]),
            _ => {}
        }
    }
    Ok(named)
}

/// What fstab, crypttab and units name, by where it lies.
#[derive(Default)]
struct Named {
    /// On data disks: a clone lacks it.
    data: BTreeSet<usize>,
    /// On the system disk, by topology or by the operator's word (`[mounts] system`).
    system: BTreeSet<usize>,
}

fn data_disk_of(
    guest: &Guest,
    disks: &Disks,
    named: &Named,
    mount: &Mount,
) -> Result<Option<String>, Unknown> {
    for device in guest.devices_of_mount(mount)?.unwrap_or_default() {
        if named.system.contains(&device) {
            return Ok(None);
        }
        if let Some(disk) = guest.data_disk_under(device)? {
            return Ok(Some(disk));
        }
        if named.data.contains(&device) {
            return Ok(Some(disks.names(&disks.disks_under(device))));
        }
    }
    Ok(None)
}

fn mounted(
    guest: &Guest,
    disks: &Disks,
    mount: &Mount,
    disk: &str,
    holders: &[Holder],
    here: bool,
) -> Finding {
    let target = GuestPath::new(&mount.mount_point.value);
    let source = ByteString::from(mount.source.value.as_slice());
    let subject = Subject::Device { device: source.to_string() };
    let key = if holders.is_empty() { "mounted" } else { "busy" };
    let mut finding = Finding::new(key, subject)
        .with("source", &source)
        .with("target", &target)
        .with("disk", disk)
        .evidence(ByteString::from(mount.raw.as_slice()));
    if !holders.is_empty() {
        let mut names: Vec<String> =
            holders.iter().take(NAMED_HOLDERS).map(ToString::to_string).collect();
        if holders.len() > NAMED_HOLDERS {
            names.push(format!("and {} more", holders.len() - NAMED_HOLDERS));
        }
        finding = finding.with("holders", names.join("; "));
    }
    // What only process 1 sees cannot be unmounted from here.
    if here && guest.policy().umount == Umount::WhenIdle {
        finding = finding.fix([Edit::Unmount(record(guest, disks, mount))]);
    }
    finding
}

/// All that rollback needs to mount it again.
fn record(guest: &Guest, disks: &Disks, mount: &Mount) -> MountRecord {
    Mounts::record(mount, loop_file(guest, disks, mount))
}

fn loop_file(guest: &Guest, disks: &Disks, mount: &Mount) -> Option<GuestPath> {
    let devices = guest.devices_of_mount(mount).ok().flatten()?;
    devices.iter().find_map(|at| match &disks.devices[*at].kind {
        DeviceKind::Loop { file, autoclear: true, .. } => Some(file.clone()),
        _ => None,
    })
}

fn device_of_path(disks: &Disks, path: &[u8]) -> Option<usize> {
    let name = std::str::from_utf8(path.strip_prefix(b"/dev/")?).ok()?;
    disks.by_name(name).or_else(|| disks.by_mapped_name(name.strip_prefix("mapper/")?))
}

/// What another namespace keeps mounted and will not let go when we unmount: its copy is in no
/// peer group of ours (mount_namespaces(7)).
fn elsewhere(
    guest: &Guest,
    disks: &Disks,
    named: &Named,
    namespace: &OtherNamespace,
    ours: &[(&Mount, String)],
) -> Result<Vec<Finding>, Unknown> {
    let groups: BTreeSet<Vec<u8>> = ours.iter().flat_map(|(mount, _)| peer_groups(mount)).collect();
    let mut findings = Vec::new();
    for mount in &namespace.mounts.mounts {
        let Some(disk) = data_disk_of(guest, disks, named, mount)? else { continue };
        if peer_groups(mount).any(|group| groups.contains(&group)) {
            continue;
        }
        // A loop device that another namespace set up for itself, as builders and containers do,
        // is that namespace's own, unless the guest's fstab names it.
        let devices = guest.devices_of_mount(mount)?.unwrap_or_default();
        let is_loop = |at: &usize| matches!(disks.devices[*at].kind, DeviceKind::Loop { .. });
        let under = devices.iter().flat_map(|at| disks.disks_under(*at)).collect::<Vec<_>>();
        if under.iter().all(is_loop) && !devices.iter().any(|at| named.data.contains(at)) {
            continue;
        }
        let source = ByteString::from(mount.source.value.as_slice());
        findings.push(
            Finding::new("mounted-elsewhere", Subject::Device { device: source.to_string() })
                .with("source", source)
                .with("target", GuestPath::new(&mount.mount_point.value))
                .with("disk", disk)
                .with("pid", namespace.pid)
                .with("command", &namespace.command),
        );
    }
    Ok(findings)
}

/// The numbers of the peer groups that a mount sends to or receives from.
fn peer_groups(mount: &Mount) -> impl Iterator<Item = Vec<u8>> {
    mount.optional.iter().filter_map(|tag| {
        let value = &tag.value;
        value
            .strip_prefix(b"shared:")
            .or_else(|| value.strip_prefix(b"master:"))
            .map(<[u8]>::to_vec)
    })
}
