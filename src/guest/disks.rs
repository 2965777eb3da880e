//! The block devices of a running machine and what lies on what, as /sys/class/block tells it.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Fact, Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::fields::unsigned;
use crate::sys::Kernel;

/// What a block device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A whole disk.
    Disk,
    /// A partition, by its number.
    Partition(u32),
    /// A device-mapper device: a logical volume, an opened LUKS volume, multipath.
    Mapped {
        /// Its name below /dev/mapper.
        name: String,
        /// Its device-mapper uuid, which starts with the subsystem: `LVM-`, `CRYPT-`, `mpath-`.
        uuid: String,
    },
    /// A software RAID array.
    Raid,
    /// A loop device.
    Loop {
        /// The file behind it.
        file: GuestPath,
        /// Whether it goes when its last user goes: mount(8) made it for the file.
        autoclear: bool,
        /// Where in the file it begins, in bytes: not 0 where it is one partition of several.
        offset: u64,
    },
    /// Made of memory: ram, zram.
    Memory,
    /// An optical or floppy drive.
    Removable,
    /// The whole of a disk image.
    Image,
}

/// One block device with a size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BlockDevice {
    /// The kernel's name: `vda1`, `dm-0`; in a disk image, what a message calls it.
    pub name: String,
    /// Its number.
    pub number: (u32, u32),
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: DeviceKind,
    /// What it lies on, as indices: a partition's disk, a mapped device's or array's members.
    pub parents: Vec<usize>,
    /// Whether it is a part of a disk image, for which no kernel has a name.
    pub is_in_image: bool,
}

impl BlockDevice {
    /// The node in /dev; of a part of a disk image, what a message calls it.
    pub fn path(&self) -> String {
        match (&self.kind, self.is_in_image) {
            (DeviceKind::Mapped { name, .. }, true) => format!("/dev/mapper/{name}"),
            (_, true) => self.name.clone(),
            (_, false) => format!("/dev/{}", self.name.replace('!', "/")),
        }
    }

    /// The name that a person knows it by: /dev/mapper/NAME for a mapped device.
    pub fn known_as(&self) -> String {
        match &self.kind {
            DeviceKind::Mapped { name, .. } => format!("/dev/mapper/{name}"),
            _ => self.path(),
        }
    }
}

/// The block devices of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disks {
    /// Every device with a size, sorted by name.
    pub devices: Vec<BlockDevice>,
}

impl Disks {
    /// The device of that kernel name.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.devices.iter().position(|d| d.name == name)
    }

    /// The mapped device of that name below /dev/mapper.
    pub fn by_mapped_name(&self, wanted: &str) -> Option<usize> {
        self.devices
            .iter()
            .position(|d| matches!(&d.kind, DeviceKind::Mapped { name, .. } if name == wanted))
    }

    /// A device and everything that it lies on, sorted.
    pub fn stack(&self, device: usize) -> Vec<usize> {
        let mut open = vec![device];
        // What a device lies on are a handful, whatever the number of devices.
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                open.extend(&self.devices[at].parents);
            }
        }
        seen.into_iter().collect()
    }

    /// The disks that a device lies on in the end: itself where it lies on nothing.
    pub fn disks_under(&self, device: usize) -> Vec<usize> {
        let mut disks = self.stack(device);
        disks.retain(|at| self.devices[*at].parents.is_empty());
        disks
    }

    /// Whether a device lies on another, directly or through others.
    pub fn lies_on(&self, device: usize, other: usize) -> bool {
        let mut open = self.devices[device].parents.clone();
        let mut seen = HashSet::new();
        while let Some(at) = open.pop() {
            if at == other {
                return true;
            }
            if seen.insert(at) {
                open.extend(&self.devices[at].parents);
            }
        }
        false
    }

    /// The devices that others lie on.
    pub fn carriers(&self) -> HashSet<usize> {
        self.devices.iter().flat_map(|device| &device.parents).copied().collect()
    }

    /// The devices that lie directly on a device.
    pub fn children(&self, device: usize) -> impl Iterator<Item = usize> + '_ {
        self.devices
            .iter()
            .enumerate()
            .filter(move |(_, d)| d.parents.contains(&device))
            .map(|(at, _)| at)
    }

    /// The disks themselves: what lies on nothing and is neither memory nor removable.
    pub fn disks(&self) -> impl Iterator<Item = usize> + '_ {
        self.devices
            .iter()
            .enumerate()
            .filter(|(_, d)| {
                d.parents.is_empty()
                    && !matches!(d.kind, DeviceKind::Memory | DeviceKind::Removable)
            })
            .map(|(at, _)| at)
    }

    /// The names of disks, for a message.
    pub fn names(&self, disks: &[usize]) -> String {
        disks.iter().map(|at| self.devices[*at].path()).collect::<Vec<_>>().join(", ")
    }
}

/// Devices by their number.
pub(super) type ByNumber = HashMap<(u32, u32), usize>;

impl Guest {
    /// The device of that number; asked for every mount, of which there may be as many.
    pub(super) fn device_of_number(&self, number: (u32, u32)) -> Fact<Option<usize>> {
        let by_number = self.facts.device_numbers.get_or_init(|| {
            let devices = self.disks()?.devices.iter().enumerate().rev();
            Ok(devices.map(|(at, device)| (device.number, at)).collect())
        });
        Ok(by_number.as_ref().map_err(Clone::clone)?.get(&number).copied())
    }

    /// Where a partition begins on its disk, in bytes.
    ///
    /// # Errors
    /// When neither the image that it is in nor the kernel tells.
    pub fn partition_start(&self, at: usize) -> Fact<u64> {
        let device = &self.disks()?.devices[at];
        let start = match self.disk_image() {
            Some(image) => image.layout.runs[at].single().map(|range| range.start),
            None => {
                let text = self.sysfs(&format!("/class/block/{}/start", device.name))?;
                let sectors = text.as_deref().map(<[u8]>::trim_ascii).and_then(unsigned::<u64>);
                // In sectors of 512 bytes whatever the disk's own are.
                sectors.and_then(|sectors| sectors.checked_mul(512))
            }
        };
        start.ok_or_else(|| Unknown(format!("where {} begins is not known", device.path())))
    }
}

pub(super) fn read(guest: &Guest) -> Fact<Disks> {
    if let Some(image) = &guest.seen {
        return Ok(image.layout.disks.clone());
    }
    let Some(kernel) = guest.kernel.as_ref().or(guest.host.as_ref()) else {
        return Err(Unknown("no kernel tells which disks there are".to_owned()));
    };
    from_kernel(kernel)
}

fn from_kernel(kernel: &Kernel) -> Fact<Disks> {
    let names = kernel.sys_list("/class/block")?.unwrap_or_default();
    let mut found: Vec<(BlockDevice, Vec<String>)> = Vec::new();
    for name in names {
        let Ok(name) = String::from_utf8(name) else { continue };
        if let Some(device) = one(kernel, &name)? {
            found.push(device);
        }
    }
    let index: HashMap<&str, usize> =
        found.iter().enumerate().map(|(at, (device, _))| (device.name.as_str(), at)).collect();
    let parents: Vec<Vec<usize>> = found
        .iter()
        .map(|(_, names)| names.iter().filter_map(|n| index.get(n.as_str()).copied()).collect())
        .collect();
    let devices = found
        .into_iter()
        .zip(parents)
        .map(|((device, _), parents)| BlockDevice { parents, ..device })
        .collect();
    Ok(Disks { devices })
}

/// One device and the names of those it lies on; `None` for one without a size, which is an
/// unbound loop device, an empty drive, an unused zram.
fn one(kernel: &Kernel, name: &str) -> Fact<Option<(BlockDevice, Vec<String>)>> {
    let base = format!("/class/block/{name}");
    let text = |file: &str| -> Fact<Option<String>> {
        let content = kernel.sys(&format!("{base}/{file}"))?;
        Ok(content.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    };
    // In sectors of 512 bytes whatever the disk's own are.
    let size = text("size")?.and_then(|t| t.parse::<u64>().ok()).unwrap_or(0) * 512;
    if size == 0 {
        return Ok(None);
    }
    let Some(number) = text("dev")?.as_deref().and_then(parse_number) else { return Ok(None) };
    let slaves = || -> Fact<Vec<String>> {
        let names = kernel.sys_list(&format!("{base}/slaves"))?.unwrap_or_default();
        Ok(names.into_iter().filter_map(|n| String::from_utf8(n).ok()).collect())
    };
    let (kind, under) = if let Some(partition) = text("partition")? {
        let link = kernel.sys_link(&base)?.unwrap_or_default();
        let above = String::from_utf8_lossy(&link).rsplit('/').nth(1).map(str::to_owned);
        (DeviceKind::Partition(partition.parse().unwrap_or(0)), above.into_iter().collect())
    } else if name.starts_with("dm-") {
        let kind = DeviceKind::Mapped {
            name: text("dm/name")?.unwrap_or_default(),
            uuid: text("dm/uuid")?.unwrap_or_default(),
        };
        (kind, slaves()?)
    } else if name.starts_with("md") {
        (DeviceKind::Raid, slaves()?)
    } else if name.starts_with("loop") {
        let file = kernel.sys(&format!("{base}/loop/backing_file"))?.unwrap_or_default();
        let kind = DeviceKind::Loop {
            file: GuestPath::new(&file),
            autoclear: text("loop/autoclear")?.as_deref() == Some("1"),
            offset: text("loop/offset")?.and_then(|t| t.parse().ok()).unwrap_or(0),
        };
        (kind, Vec::new())
    } else if name.starts_with("ram") || name.starts_with("zram") {
        (DeviceKind::Memory, Vec::new())
    } else if name.starts_with("sr") || name.starts_with("fd") {
        (DeviceKind::Removable, Vec::new())
    } else {
        // An NVMe disk behind multipath, and disks below bcache and the like, have slaves too.
        (DeviceKind::Disk, slaves()?)
    };
    let device = BlockDevice {
        name: name.to_owned(),
        number,
        size,
        kind,
        parents: Vec::new(),
        is_in_image: false,
    };
    Ok(Some((device, under)))
}

fn parse_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
