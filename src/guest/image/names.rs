//! Which device of an image a mount source means.

use super::layout::Layout;
use crate::guest::Fact;
use crate::guest::place::{disk_of_kernel_name, is_first_name, kernel_name};
use crate::guest::{DeviceKind, SYSTEM_TARGETS};
use crate::model::GuestPath;
use crate::parse::fstab::Fstab;
use crate::parse::source::{LinkKind, Source};
use crate::parse::superblock::Superblock;

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

/// The names that fstab gives the disk of the system.
pub fn system_names(fstab: Option<&Fstab>) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fstab.into_iter().flat_map(Fstab::entries) {
        let target = GuestPath::new(&entry.target.value);
        if SYSTEM_TARGETS.iter().any(|system| GuestPath::from(*system) == target)
            && let Source::Path(path) = Source::parse(&entry.source.value)
        {
            names.extend(kernel_name(&path).and_then(|name| disk_of_kernel_name(&name)));
        }
    }
    names
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
            Source::DiskLink { kind: LinkKind::Id, value } | Source::Id(value) => {
                // The names that are made of what the disk holds; the others are the machine's.
                match value.strip_prefix(b"dm-name-") {
                    Some(name) => {
                        found(self.layout.disks.by_mapped_name(&String::from_utf8_lossy(name)))
                    }
                    None => Named::Untold,
                }
            }
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
            return disks.by_mapped_name(mapped).map_or(Named::Untold, Named::Device);
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
        match name.split_once('/') {
            Some((group, volume)) => {
                let doubled = |name: &str| name.replace('-', "--");
                let mapped = format!("{}-{}", doubled(group), doubled(volume));
                disks.by_mapped_name(&mapped).map_or(Named::Untold, Named::Device)
            }
            None => Named::Untold,
        }
    }
}
