//! Which device of an image a mount source means.

use super::layout::Layout;
use crate::guest::DeviceKind;
use crate::guest::Fact;
use crate::guest::place::{disk_of_kernel_name, is_first_name, kernel_name};
use crate::guest::system_disk::system_sources;
use crate::parse::fstab::Fstab;
use crate::parse::source::{LinkKind, Source};
use crate::parse::superblock::{Kind, Superblock};

/// The largest partition, in bytes, that is taken for the place of a boot loader where it has no known
/// format. Installers make the BIOS boot partition of GRUB and the PReP partition 1 to 8 MiB long.
const LARGEST_LOADER: u64 = 8 << 20;

/// What the names of an image's devices are told by.
pub struct Names<'a> {
    pub layout: &'a Layout,
    pub superblocks: &'a [Fact<Option<Superblock>>],
    /// What fstab calls the disk that the system lies on: `vda`.
    pub system_names: Vec<String>,
}

/// What a mount source means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// This device of the image.
    Device(usize),
    /// A device that the image does not have.
    Absent,
    /// A disk that is not the image's, by the kernel's name for it.
    OtherDisk,
    /// Nothing that the image tells.
    Untold,
}

/// Whether a name below /dev is one that md gives to an array: `md0`, `md127p1`, `md_d0`, `md/name`.
fn is_array_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("md") else { return false };
    rest.starts_with('/')
        || rest.starts_with("_d")
        || rest.starts_with(|c: char| c.is_ascii_digit())
}

/// The names that fstab gives the disk of the system.
pub fn system_names(fstab: Option<&Fstab>) -> Vec<String> {
    let name = |source| match source {
        Source::Path(path) => kernel_name(&path).and_then(|name| disk_of_kernel_name(&name)),
        _ => None,
    };
    fstab.into_iter().flat_map(system_sources).filter_map(name).collect()
}

impl Names<'_> {
    /// The device that a source means.
    pub fn find(&self, source: &Source) -> Named {
        let by_tag = |at: usize| {
            let superblock = self.superblocks[at].as_ref().ok().and_then(Option::as_ref);
            let is_member = superblock.is_some_and(|s| s.kind.name() == "linux_raid_member");
            let uuid = superblock.and_then(|s| s.uuid.as_deref()).map(str::as_bytes);
            let label = superblock.and_then(|s| s.label.as_deref());
            let entry = match self.layout.disks.devices[at].kind {
                DeviceKind::Partition(number) => self.layout.table.as_ref().and_then(|table| {
                    table.partitions.iter().find(|partition| partition.number == number)
                }),
                _ => None,
            };
            let part_uuid = entry.and_then(|e| e.uuid.as_deref()).map(str::as_bytes);
            let part_label = entry.and_then(|e| e.name.as_deref()).map(str::as_bytes);
            let same =
                |wanted: Option<&[u8]>, own: Option<&[u8]>| wanted.is_some() && wanted == own;
            !is_member && (same(source.uuid(), uuid) || same(source.label(), label))
                || same(source.part_uuid(), part_uuid)
                || same(source.part_label(), part_label)
        };
        let found = |at: Option<usize>| at.map_or(Named::Absent, Named::Device);
        match source {
            Source::Path(path) => self.by_path(path),
            Source::DiskLink { kind: LinkKind::Id, value } | Source::Id(value) => self.by_id(value),
            Source::DiskLink { kind: LinkKind::Path, .. } => Named::Untold,
            Source::Network(_) | Source::Keyword(_) | Source::File(_) => Named::Untold,
            _ => found((0..self.layout.disks.devices.len()).find(|at| by_tag(*at))),
        }
    }

    fn by_path(&self, path: &[u8]) -> Named {
        let disks = &self.layout.disks;
        let Some(name) = path.strip_prefix(b"/dev/") else { return Named::Untold };
        let name = String::from_utf8_lossy(name);
        if let Some(mapped) = name.strip_prefix("mapper/") {
            return self.by_mapped_name(mapped);
        }
        if let Some(disk) = disk_of_kernel_name(&name) {
            let is_system = self.system_names.contains(&disk)
                || self.system_names.is_empty() && is_first_name(&disk);
            if !is_system {
                return Named::OtherDisk;
            }
            let digits = name[disk.len()..].trim_start_matches('p');
            let kind = match digits.parse() {
                Ok(number) => DeviceKind::Partition(number),
                Err(_) => DeviceKind::Image,
            };
            let at = disks.devices.iter().position(|device| device.kind == kind);
            return at.map_or(Named::Absent, Named::Device);
        }
        if is_array_name(&name) {
            return self.unless_hidden(None);
        }
        match name.split_once('/') {
            Some((group, volume)) => {
                let doubled = |name: &str| name.replace('-', "--");
                let mapped = format!("{}-{}", doubled(group), doubled(volume));
                self.by_mapped_name(&mapped)
            }
            None => Named::Untold,
        }
    }

    fn by_mapped_name(&self, name: &str) -> Named {
        match self.layout.disks.by_mapped_name(name) {
            Some(device) => Named::Device(device),
            // Multipath gives its names to whatever disk there is.
            None if name.starts_with("mpath") => Named::Untold,
            None => self.unless_hidden(None),
        }
    }

    /// A name that udev's rules make: of what the disk holds (60-persistent-storage-dm, -md), or of the
    /// serial number of a machine's disk, which a clone's has not.
    fn by_id(&self, value: &[u8]) -> Named {
        const OF_A_SERIAL: [&[u8]; 4] = [b"virtio-", b"ata-", b"wwn-", b"nvme-"];
        const OF_AN_ARRAY: [&[u8]; 2] = [b"md-name-", b"md-uuid-"];
        let is_like = |prefixes: &[&[u8]]| prefixes.iter().any(|p| value.starts_with(p));
        if let Some(name) = value.strip_prefix(b"dm-name-") {
            return self.by_mapped_name(&String::from_utf8_lossy(name));
        }
        if let Some(uuid) = value.strip_prefix(b"dm-uuid-LVM-") {
            let uuid = [b"LVM-", uuid].concat();
            let is_it = |kind: &DeviceKind| matches!(kind, DeviceKind::Mapped { uuid: own, .. } if own.as_bytes() == uuid);
            return self.unless_hidden(
                self.layout.disks.devices.iter().position(|device| is_it(&device.kind)),
            );
        }
        match () {
            () if is_like(&OF_AN_ARRAY) => self.unless_hidden(None),
            () if is_like(&OF_A_SERIAL) => Named::Absent,
            // Some hypervisors number their disks in place of a serial (`scsi-0QEMU_QEMU_HARDDISK_drive-scsi0`).
            () => Named::Untold,
        }
    }

    /// A device that would be made of what the disk holds: what is not found is not there, unless
    /// something on the disk cannot be looked into.
    fn unless_hidden(&self, found: Option<usize>) -> Named {
        match found {
            Some(device) => Named::Device(device),
            None if self.hides_devices() => Named::Untold,
            None => Named::Absent,
        }
    }

    /// Whether the disk may have more devices than were seen: on an encrypted volume, an array, a
    /// volume group that is not whole, or something of no known format.
    fn hides_devices(&self) -> bool {
        let disks = &self.layout.disks;
        let is_hiding = |at: usize| match &self.superblocks[at] {
            Err(_) => true,
            Ok(Some(superblock)) => matches!(superblock.kind, Kind::Luks | Kind::LinuxRaid),
            Ok(None) => {
                disks.devices[at].size > LARGEST_LOADER && disks.children(at).next().is_none()
            }
        };
        !self.layout.doubts.is_empty() || (0..disks.devices.len()).any(is_hiding)
    }
}
