//! What a block device carries: its filesystem's UUID and label, its partition's.
//!
//! Read from the superblock itself where the device may be read; else from what udev noted of it
//! in /run/udev/data, which an ordinary user may read.

use std::ops::Range;
use std::rc::Rc;

use super::kept::KeptBy;
use super::{DeviceKind, Fact, Guest, Unknown};
use crate::parse::partition_table::{self, PartitionTable, TableError};
use crate::parse::superblock::{self, Superblock, Unidentified};
use crate::parse::window::{MAX_READS, Window};
use crate::sys::{ErrorKind, Kernel};

/// What a device carries. All of it may be missing: an empty disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The filesystem's type as blkid(8) prints it.
    pub fstype: Option<String>,
    /// Its UUID as blkid(8) prints it.
    pub uuid: Option<Vec<u8>>,
    /// Its label.
    pub label: Option<Vec<u8>>,
    /// The partition's UUID.
    pub part_uuid: Option<Vec<u8>>,
    /// The partition's name.
    pub part_label: Option<Vec<u8>>,
    /// The partition's type as blkid(8) prints it: `0x83`, or a GUID in lower case.
    pub part_type: Option<String>,
    /// The attribute bits of a GPT's partition.
    pub part_attributes: u64,
    /// The superblock, where it was read.
    pub superblock: Option<Superblock>,
}

impl Identity {
    fn of(superblock: Option<Superblock>) -> Self {
        Self {
            fstype: superblock.as_ref().map(|s| s.kind.name().to_owned()),
            uuid: superblock.as_ref().and_then(|s| s.uuid.clone()).map(String::into_bytes),
            label: superblock.as_ref().and_then(|s| s.label.clone()),
            superblock,
            ..Self::default()
        }
    }
}

#[derive(Default)]
pub(super) struct Identities {
    devices: KeptBy<usize, Fact<Identity>>,
    tables: KeptBy<usize, Fact<Option<PartitionTable>>>,
}

impl Guest {
    /// What a block device carries, by its index in [`Guest::disks`].
    ///
    /// # Errors
    /// When neither the device nor udev's note of it can be read.
    pub fn identity(&self, device: usize) -> Fact<Identity> {
        self.facts.identities.devices.get_or_init(device, |device| self.make_identity(*device))
    }

    fn make_identity(&self, at: usize) -> Fact<Identity> {
        let disks = self.disks()?;
        let device = &disks.devices[at];
        if let Some(image) = &self.seen {
            return Ok(self.with_partition(at, Identity::of(image.superblock(at)?)));
        }
        let Some(kernel) = self.kernel.as_ref().or(self.host.as_ref()) else {
            return Err(Unknown("no kernel tells which disks there are".to_owned()));
        };
        let Some(devices) = kernel.devices() else { return self.udev_note(at) };
        let look = |window: &Window| {
            let answer = match superblock::identify(window) {
                Ok(found) => Ok(found),
                Err(Unidentified::Unread(unread)) => return Err(unread.0),
                Err(other) => Err(other.to_string()),
            };
            devices.note(&device.name, window.used());
            Ok(answer)
        };
        let wanted = superblock::wanted(device.size);
        let read = |ranges: &[Range<u64>]| devices.read(&device.name, device.number, ranges);
        let superblock = match through_window(device.size, wanted, read, look) {
            Ok(Ok(found)) => found,
            Ok(Err(reason)) => return Err(Unknown(format!("{}: {reason}", device.path()))),
            // Without the right to read the device, or without its node, udev may still know.
            Err(Look::Sys(error))
                if matches!(error.kind(), ErrorKind::Permission | ErrorKind::NotFound) =>
            {
                return self.udev_note(at).map_err(|_| Unknown::from(error));
            }
            Err(Look::Sys(error)) => return Err(error.into()),
            Err(Look::Endless) => {
                return Err(Unknown(format!("{}: its superblock leads nowhere", device.path())));
            }
        };
        Ok(self.with_partition(at, Identity::of(superblock)))
    }

    /// What the partition table says of a device that is a partition, beside what it carries.
    fn with_partition(&self, at: usize, mut identity: Identity) -> Identity {
        if let Ok(disks) = self.disks()
            && let DeviceKind::Partition(number) = disks.devices[at].kind
            && let Some(disk) = disks.devices[at].parents.first()
            && let Ok(Some(table)) = self.partition_table(*disk)
            && let Some(entry) = table.partitions.iter().find(|p| p.number == number)
        {
            identity.part_uuid = entry.uuid.clone().map(String::into_bytes);
            identity.part_label = entry.name.clone().map(String::into_bytes);
            identity.part_type = Some(entry.kind.clone());
            identity.part_attributes = entry.attributes;
        }
        identity
    }

    /// The kind of a disk's partition table, `dos` or `gpt` as blkid(8) prints it; `None` when it has none.
    ///
    /// # Errors
    /// When neither the disk nor udev's note of it can be read.
    pub fn table_kind(&self, disk: usize) -> Fact<Option<String>> {
        match self.partition_table(disk) {
            Ok(table) => Ok(table.map(|table| table.scheme.name().to_owned())),
            Err(why) => match self.udev_value(disk, "ID_PART_TABLE_TYPE")? {
                Some(kind) => Ok(Some(String::from_utf8_lossy(&kind).into_owned())),
                None => Err(why),
            },
        }
    }

    /// The partition table of a disk; `None` when it has none.
    ///
    /// # Errors
    /// When the disk may not be read or its table cannot be right.
    pub fn partition_table(&self, disk: usize) -> Fact<Option<PartitionTable>> {
        self.facts.identities.tables.get_or_init(disk, |disk| self.make_partition_table(*disk))
    }

    fn make_partition_table(&self, at: usize) -> Fact<Option<PartitionTable>> {
        if let Some(image) = &self.seen {
            return Ok(image.layout.table.clone().filter(|_| at == 0));
        }
        let disks = self.disks()?;
        let device = &disks.devices[at];
        let kernel: Option<&Kernel> = self.kernel.as_ref().or(self.host.as_ref());
        let Some((kernel, devices)) = kernel.and_then(|k| k.devices().map(|d| (k, d))) else {
            return Err(Unknown(format!("{} cannot be read", device.path())));
        };
        let sector =
            kernel.sys(&format!("/class/block/{}/queue/logical_block_size", device.name))?;
        let sector = sector.and_then(|t| String::from_utf8(t).ok()?.trim().parse::<u32>().ok());
        let look = |window: &Window| {
            let answer = match partition_table::parse(window, sector) {
                Ok(found) => Ok(found),
                Err(TableError::Unread(unread)) => return Err(unread.0),
                Err(other) => Err(other.to_string()),
            };
            devices.note(&device.name, window.used());
            Ok(answer)
        };
        let wanted = partition_table::wanted(device.size);
        let read = |ranges: &[Range<u64>]| devices.read(&device.name, device.number, ranges);
        match through_window(device.size, wanted, read, look) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(reason)) => Err(Unknown(format!("{}: {reason}", device.path()))),
            Err(Look::Sys(error)) => Err(error.into()),
            Err(Look::Endless) => {
                Err(Unknown(format!("{}: its partition table leads nowhere", device.path())))
            }
        }
    }

    /// One value of udev's note of a device; `None` where udev noted none.
    fn udev_value(&self, at: usize, key: &str) -> Fact<Option<Vec<u8>>> {
        Ok(udev_property(&self.udev_text(at)?, key))
    }

    /// udev's note of a device, /run/udev/data/b<major>:<minor>.
    fn udev_text(&self, at: usize) -> Fact<Rc<Vec<u8>>> {
        let device = &self.disks()?.devices[at];
        let number = device.number;
        // DISTRO(el6): udev before 172 kept its database in /dev, by name.
        let paths = [
            format!("/run/udev/data/b{}:{}", number.0, number.1),
            format!("/dev/.udev/db/block:{}", device.name),
        ];
        for path in paths {
            if let Some(content) = self.file(&path)? {
                return Ok(content);
            }
        }
        Err(Unknown(format!("{} cannot be read, and udev knows nothing of it", device.path())))
    }

    /// What udev noted of a device: `E:ID_FS_UUID_ENC=...`.
    fn udev_note(&self, at: usize) -> Fact<Identity> {
        let content = self.udev_text(at)?;
        let value = |key: &str| udev_property(&content, key);
        let decoded = |key: &str| value(key).map(|v| crate::parse::source::udev_decode(&v));
        Ok(Identity {
            fstype: value("ID_FS_TYPE").map(|v| String::from_utf8_lossy(&v).into_owned()),
            uuid: decoded("ID_FS_UUID_ENC").or_else(|| value("ID_FS_UUID")),
            label: decoded("ID_FS_LABEL_ENC").or_else(|| value("ID_FS_LABEL")),
            part_uuid: value("ID_PART_ENTRY_UUID"),
            part_label: decoded("ID_PART_ENTRY_NAME"),
            part_type: value("ID_PART_ENTRY_TYPE")
                .map(|v| String::from_utf8_lossy(&v).to_ascii_lowercase()),
            part_attributes: value("ID_PART_ENTRY_FLAGS").map_or(0, |v| hexadecimal(&v)),
            superblock: None,
        })
    }
}

/// `0x8000000000000000`, as libblkid writes ID_PART_ENTRY_FLAGS; 0 for anything else.
fn hexadecimal(text: &[u8]) -> u64 {
    let digits = std::str::from_utf8(text).ok().and_then(|text| text.strip_prefix("0x"));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// The value of a property in udev's note.
fn udev_property(note: &[u8], key: &str) -> Option<Vec<u8>> {
    let prefix = format!("E:{key}=");
    let mut lines = note.split(|b| *b == b'\n');
    lines.find_map(|line| line.strip_prefix(prefix.as_bytes())).map(<[u8]>::to_vec)
}

/// Why a look through a window failed.
pub(super) enum Look {
    Sys(crate::sys::Error),
    Endless,
}

/// Read what a parser wants, and what it asks for then, until it answers.
pub(super) fn through_window<T>(
    size: u64,
    wanted: Vec<Range<u64>>,
    read: impl Fn(&[Range<u64>]) -> crate::sys::Result<Vec<(u64, Vec<u8>)>>,
    look: impl Fn(&Window) -> Result<T, Range<u64>>,
) -> Result<T, Look> {
    let mut window = Window::new(size);
    let mut ranges = wanted;
    for _ in 0..MAX_READS {
        for (offset, bytes) in read(&ranges).map_err(Look::Sys)? {
            window.insert(offset, bytes);
        }
        match look(&window) {
            Ok(answer) => return Ok(answer),
            Err(more) => ranges = vec![more],
        }
    }
    Err(Look::Endless)
}
