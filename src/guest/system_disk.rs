//! Which disks are the system's: those under `/`, `/boot`, the ESP and `/usr`, by topology.

use std::collections::BTreeSet;

use super::{Disks, Fact, Guest, Mode, Unknown};
use crate::model::GuestPath;
use crate::parse::fstab::{Entry, Fstab};
use crate::parse::mountinfo::Mount;
use crate::parse::options::Options;
use crate::parse::source::Source;

/// Where the system is mounted. `/efi` is where systemd's own tools put the ESP.
const SYSTEM_TARGETS: [&str; 5] = ["/", "/boot", "/boot/efi", "/efi", "/usr"];

/// Whether the system is mounted there.
pub fn is_system_target(path: &GuestPath) -> bool {
    SYSTEM_TARGETS.iter().any(|system| system.as_bytes() == path.as_bytes())
}

/// What an fstab mounts as the system, in the order of its lines.
pub fn system_sources(fstab: &Fstab) -> impl Iterator<Item = Source> {
    let is_system = |entry: &&Entry| is_system_target(&GuestPath::new(&entry.target.value));
    fstab.entries().filter(is_system).map(|entry| Source::parse(&entry.source.value))
}

/// Which disks are the system's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemDisks {
    /// These, as indices into [`Disks`]; none where the root lies on no disk at all (tmpfs, nfs).
    Known(BTreeSet<usize>),
    /// A tree of which only its files are known.
    Unseen,
}

impl SystemDisks {
    /// Whether a device lies on system disks alone.
    pub fn hold(&self, disks: &Disks, device: usize) -> bool {
        match self {
            SystemDisks::Known(system) => {
                disks.disks_under(device).iter().all(|disk| system.contains(disk))
            }
            SystemDisks::Unseen => false,
        }
    }
}

pub(super) fn find(guest: &Guest) -> Fact<SystemDisks> {
    if let Some(wanted) = &guest.policy.system_disk
        && guest.kernel.is_some()
    {
        let mut system = named(guest, wanted)?;
        // What the guest runs from is the system, whatever else is named.
        if let Ok(SystemDisks::Known(seen)) = live(guest) {
            system.extend(seen);
        }
        return Ok(SystemDisks::Known(system));
    }
    match guest.mode {
        Mode::Live => live(guest),
        Mode::Tree => under_tree(guest),
        Mode::Image => Ok(SystemDisks::Known(BTreeSet::from([0]))),
    }
}

/// The disk that the operator named with `--system-disk`.
fn named(guest: &Guest, wanted: &str) -> Fact<BTreeSet<usize>> {
    let disks = guest.disks()?;
    let name = wanted.strip_prefix("/dev/").unwrap_or(wanted);
    if let Some(device) = disks.by_name(name).or_else(|| disks.by_mapped_name(name)) {
        return Ok(disks.disks_under(device).into_iter().collect());
    }
    let uuid = wanted.strip_prefix("UUID=").unwrap_or(wanted).as_bytes();
    for at in 0..disks.devices.len() {
        if guest.identity(at).is_ok_and(|identity| identity.uuid.as_deref() == Some(uuid)) {
            return Ok(disks.disks_under(at).into_iter().collect());
        }
    }
    Err(Unknown(format!("--system-disk {wanted}: there is no such disk or filesystem")))
}

fn live(guest: &Guest) -> Fact<SystemDisks> {
    let disks = guest.disks()?;
    let mounts = guest.mounts()?;
    // proc_pid_mountinfo(5) has no line for what a chroot's root lies in. Its own disk would be told,
    // and not the machine's, which has the swaps and every mount that is not seen from here.
    if mounts.own.at(b"/").is_none() {
        return Err(Unknown(
            "/ is no mount point, as in a chroot: which disk is the system's is not told; name it \
             with --system-disk, or look from outside with --root"
                .to_owned(),
        ));
    }
    let mut system = BTreeSet::new();
    for target in SYSTEM_TARGETS {
        let Some(mount) = mounts.own.at(target.as_bytes()) else { continue };
        match devices_of(guest, disks, mount)? {
            Some(devices) => {
                system.extend(devices.into_iter().flat_map(|at| disks.disks_under(at)));
            }
            None if target == "/" => {
                let fstype = String::from_utf8_lossy(&mount.fstype.value).into_owned();
                if lies_on_no_disk(&fstype) {
                    continue;
                }
                return Err(Unknown(format!(
                    "/ is a {fstype} filesystem of {}, which is no block device that this kernel \
                     knows; name the system disk with --system-disk",
                    String::from_utf8_lossy(&mount.source.value)
                )));
            }
            None => {}
        }
    }
    Ok(SystemDisks::Known(system))
}

fn lies_on_no_disk(fstype: &str) -> bool {
    matches!(fstype, "tmpfs" | "ramfs" | "rootfs" | "nfs" | "nfs4" | "9p" | "virtiofs" | "hostfs")
}

impl Guest {
    /// The block devices behind a mount; `None` when there are none.
    ///
    /// # Errors
    /// When the block devices cannot be listed.
    pub fn devices_of_mount(&self, mount: &Mount) -> Fact<Option<Vec<usize>>> {
        devices_of(self, self.disks()?, mount)
    }
}

fn devices_of(guest: &Guest, disks: &Disks, mount: &Mount) -> Fact<Option<Vec<usize>>> {
    if let Some(at) = guest.device_of_number(mount.device)? {
        return Ok(Some(vec![at]));
    }
    if mount.device.0 != 0 {
        return Ok(None);
    }
    match mount.fstype.value.as_slice() {
        // btrfs gives its filesystems a number of their own; all its devices carry one UUID.
        b"btrfs" => {
            let Some(first) = by_path(guest, disks, &mount.source.value) else { return Ok(None) };
            let mut all = vec![first];
            if let Ok(identity) = guest.identity(first)
                && identity.uuid.is_some()
            {
                for at in (0..disks.devices.len()).filter(|at| *at != first) {
                    let same = guest.identity(at).is_ok_and(|other| {
                        other.fstype.as_deref() == Some("btrfs") && other.uuid == identity.uuid
                    });
                    if same {
                        all.push(at);
                    }
                }
            }
            Ok(Some(all))
        }
        b"overlay" => {
            let options = Options::libmount(&mount.super_options.value);
            let Some(upper) = options.value("upperdir").or_else(|| options.value("lowerdir"))
            else {
                return Ok(None);
            };
            let first = upper.split(|b| *b == b':').next().unwrap_or(upper);
            let first = GuestPath::new(first);
            let mut above = guest.mounts()?.own.above(first.as_bytes());
            match above.find(|m| m.id != mount.id) {
                Some(m) if m.fstype.value != b"overlay" => devices_of(guest, disks, m),
                _ => Ok(None),
            }
        }
        _ => Ok(by_path(guest, disks, &mount.source.value).map(|at| vec![at])),
    }
}

/// The device that a path in /dev leads to, through udev's links where there are any.
fn by_path(guest: &Guest, disks: &Disks, path: &[u8]) -> Option<usize> {
    match Source::parse(path) {
        Source::Path(path) => guest.device_at(disks, &path),
        _ => None,
    }
}

/// The disk below a mounted tree; a bare tree has none that is known.
fn under_tree(guest: &Guest) -> Fact<SystemDisks> {
    let Some(mount) = guest.mount_of_tree()? else { return Ok(SystemDisks::Unseen) };
    let disks = guest.disks()?;
    match devices_of(guest, disks, &mount)? {
        None => Ok(SystemDisks::Unseen),
        Some(devices) => {
            let under = devices.iter().flat_map(|at| disks.disks_under(*at)).collect();
            Ok(SystemDisks::Known(under))
        }
    }
}

impl Guest {
    /// Whether the machine that looks is asked which of its disks the tree lies on.
    pub fn lies_on_a_disk_of_this_machine(&self) -> bool {
        matches!(self.mount_of_tree(), Ok(Some(_)))
    }

    /// The host's mount that a tree is; `None` for a bare tree.
    pub(super) fn mount_of_tree(&self) -> Fact<Option<Mount>> {
        let Some(host) = self.host.as_ref() else { return Ok(None) };
        let Some(text) = host.proc("/self/mountinfo")? else { return Ok(None) };
        let info = crate::parse::mountinfo::Mountinfo::parse(&text);
        let path = std::os::unix::ffi::OsStrExt::as_bytes(self.root.path().as_os_str());
        // Only where the tree is a filesystem's own root: a directory somewhere on the host's disk
        // says nothing about the guest's.
        let own_root = |mount: &&Mount| mount.root.value == b"/" || mount.fstype.value == b"btrfs";
        Ok(info.at(path).filter(own_root).cloned())
    }
}
