//! Where a mount source lies: on the system disk, on a data disk, nowhere.
//!
//! What counts is the clone: an instance with a copy of the system disk and no other disk. A
//! source that is found on both kinds of disk is there; one that is found on a data disk alone
//! will be missing.

mod names;
mod volumes;

pub use names::{disk_of_kernel_name, is_serial_link, shown};
pub(super) use names::{is_first_name, kernel_name};
pub(super) use volumes::Openings;

use self::names::{normal, uuid_bytes};
use super::image::Named;
use super::system_disk::system_sources;
use super::{DeviceKind, Disks, Fact, Guest, Mode, SystemDisks, Unknown, keep};
use crate::model::GuestPath;
use crate::parse::source::{LinkKind, Source};

/// How many lines of an fstab mount the system at the most: no layout has a dozen.
const MOST: usize = 64;

/// Where a mount source lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the system disk: a clone has it.
    System {
        /// The device, where it is known.
        device: Option<usize>,
    },
    /// On a data disk: a clone lacks it.
    Data {
        /// The device, where it is known.
        device: Option<usize>,
        /// The disk, for a message.
        disk: String,
    },
    /// On no disk that this guest has: a clone lacks it too.
    Missing,
    /// On the system disk, but under a name that is this very disk's serial number: the clone's
    /// disk has another.
    Serial {
        /// The device.
        device: usize,
    },
    /// On the system disk, in an encrypted volume that boot does not open.
    Closed {
        /// The device.
        device: usize,
        /// The volume, as it is called while it is open.
        volume: String,
    },
    /// No device at all: tmpfs, a network filesystem.
    NoDevice,
    /// In a file or directory of another filesystem, which decides.
    Inside(GuestPath),
    /// Could not be told, and why.
    Untold(String),
}

impl Place {
    /// The device, where it is known.
    pub fn device(&self) -> Option<usize> {
        match self {
            Place::System { device } | Place::Data { device, .. } => *device,
            Place::Serial { device } | Place::Closed { device, .. } => Some(*device),
            Place::Missing | Place::NoDevice | Place::Inside(_) | Place::Untold(_) => None,
        }
    }
}

impl Guest {
    /// The block device that a path in /dev leads to; `None` when it leads to none.
    ///
    /// # Errors
    /// When the block devices cannot be listed.
    pub fn find_device(&self, path: &[u8]) -> Fact<Option<usize>> {
        Ok(self.device_at(self.disks()?, path))
    }

    /// Whether a name is made of what the disk holds, so that a disk made from its snapshot has it
    /// too. The kernel's names, serial numbers and slots are not. `device` is what the source leads
    /// to now, where it leads to one.
    pub fn is_stored_on_disk(&self, source: &Source, device: Option<usize>) -> bool {
        match source {
            Source::Path(path) => {
                path.starts_with(b"/dev/mapper/")
                    || device.zip(self.disks().ok()).is_some_and(|(device, disks)| {
                        matches!(disks.devices[device].kind, DeviceKind::Mapped { .. })
                    })
            }
            Source::DiskLink { kind: LinkKind::Path, .. } => false,
            other => !is_serial_link(other),
        }
    }

    /// Where a source lies, for the target that it is mounted on.
    ///
    /// # Errors
    /// When the facts that it rests on could not be had.
    pub fn place(&self, source: &Source, target: Option<&GuestPath>) -> Fact<Place> {
        match source {
            Source::Network(_) | Source::Keyword(_) => return Ok(Place::NoDevice),
            Source::File(path) => return Ok(Place::Inside(GuestPath::new(path))),
            _ => {}
        }
        // Not a device but a word for "what the kernel was told is the root": a remount by it works.
        let is_root = target.is_some_and(|target| target.as_bytes() == b"/");
        if is_root && matches!(source, Source::Path(path) if path == b"/dev/root") {
            return Ok(Place::NoDevice);
        }
        if self.policy.places_on_system(&shown(source), target) {
            // The operator's word goes; which device is meant is only looked up.
            let seen = match (self.mode, self.system_disks()) {
                (Mode::Live, Ok(system)) => self.place_live(source, system).ok(),
                _ => None,
            };
            return Ok(Place::System { device: seen.and_then(|place| place.device()) });
        }
        match self.system_disks()? {
            SystemDisks::Unseen => self.place_in_tree(source),
            system @ SystemDisks::Known(_) => match self.mode {
                Mode::Live => self.place_live(source, system),
                Mode::Tree => self.place_on_mounted_tree(source, system),
                Mode::Image => self.place_in_image(source),
            },
        }
    }

    /// Where the filesystem lies that holds a file or directory of the guest's tree: the one that is
    /// mounted there now, or the one that fstab mounts there. [`Place::Inside`] for the root's own.
    ///
    /// # Errors
    /// When the facts that it rests on could not be had.
    pub fn place_inside(&self, path: &GuestPath) -> Fact<Place> {
        if self.kernel.is_some()
            && let Some(mount) = self.mounts()?.holding(path.as_bytes())
        {
            for device in self.devices_of_mount(mount)?.unwrap_or_default() {
                if let Some(disk) = self.data_disk_under(device)? {
                    return Ok(Place::Data { device: Some(device), disk });
                }
            }
        }
        let inside = || Place::Inside(path.clone());
        let Some(fstab) = self.fstab()? else { return Ok(inside()) };
        let holding = fstab
            .entries()
            .map(|entry| (GuestPath::new(&entry.target.value), entry))
            .filter(|(target, _)| target.as_bytes() != b"/" && path.is_within(target))
            .max_by_key(|(target, _)| target.as_bytes().len());
        match holding {
            Some((target, entry)) => self.place(&Source::parse(&entry.source.value), Some(&target)),
            None => Ok(inside()),
        }
    }

    fn place_live(&self, source: &Source, system: &SystemDisks) -> Fact<Place> {
        let disks = self.disks()?;
        let found = match self.devices_now(disks, source)? {
            Ok(found) => found,
            Err(why) => return Ok(Place::Untold(why)),
        };
        if let Some(device) = found.iter().copied().find(|at| self.stays(disks, system, *at)) {
            if let Some(place) = self.unopened(disks, source, device)? {
                return Ok(place);
            }
            if let Some(torn) = self.torn_data_group(device)? {
                return Ok(Place::Data { device: Some(device), disk: torn.elsewhere.join(", ") });
            }
            return Ok(if is_serial_link(source) {
                Place::Serial { device }
            } else {
                Place::System { device: Some(device) }
            });
        }
        Ok(match found.first() {
            Some(device) => {
                let mut under = disks.disks_under(*device);
                if under.iter().any(|disk| !self.is_system(*disk)) {
                    under.retain(|disk| !self.is_system(*disk));
                }
                Place::Data { device: Some(*device), disk: disks.names(&under) }
            }
            None => Place::Missing,
        })
    }

    /// The devices that a source leads to now; the inner error says why it could not be told.
    fn devices_now(&self, disks: &Disks, source: &Source) -> Fact<Result<Vec<usize>, String>> {
        Ok(Ok(match source {
            Source::Path(path) => self.device_at(disks, path).into_iter().collect(),
            Source::DiskLink { kind: LinkKind::Id | LinkKind::Path, .. } | Source::Id(_) => {
                match self.by_link(disks, source)? {
                    Linked::Found(device) => vec![device],
                    Linked::Nothing => Vec::new(),
                    Linked::Untold(why) => return Ok(Err(why)),
                }
            }
            _ => return self.carriers(disks, source),
        }))
    }

    /// Whether a clone has the device: it lies on system disks alone, and is no loop device, which
    /// nothing sets up again before fstab is read.
    fn stays(&self, disks: &Disks, system: &SystemDisks, device: usize) -> bool {
        match system {
            SystemDisks::Known(known) if known.contains(&device) => true,
            _ => {
                !disks.disks_under(device).iter().any(|at| {
                    matches!(disks.devices[*at].kind, DeviceKind::Loop { .. })
                        && !self.is_system(*at)
                }) && system.hold(disks, device)
            }
        }
    }

    fn is_system(&self, disk: usize) -> bool {
        matches!(self.system_disks(), Ok(SystemDisks::Known(known)) if known.contains(&disk))
    }

    /// Whether a device of a live guest lies, at least in part, on a disk that a clone lacks; and
    /// that disk's name. A loop device that mount(8) made for a file lies where the file does.
    ///
    /// # Errors
    /// When the disks could not be told apart.
    pub fn data_disk_under(&self, device: usize) -> Fact<Option<String>> {
        let disks = self.disks()?;
        let SystemDisks::Known(system) = self.system_disks()? else { return Ok(None) };
        let mut foreign = Vec::new();
        for disk in disks.disks_under(device) {
            if system.contains(&disk) || matches!(disks.devices[disk].kind, DeviceKind::Memory) {
                continue;
            }
            if let DeviceKind::Loop { file, autoclear: true, .. } = &disks.devices[disk].kind
                && self.stat(file)?.is_some()
            {
                let mount = self.mounts()?.holding(file.as_bytes());
                let devices = match mount {
                    Some(mount) => self.devices_of_mount(mount)?.unwrap_or_default(),
                    None => Vec::new(),
                };
                for below in devices.into_iter().filter(|at| *at != device) {
                    if let Some(name) = self.data_disk_under(below)? {
                        return Ok(Some(name));
                    }
                }
                continue;
            }
            foreign.push(disk);
        }
        Ok((!foreign.is_empty()).then(|| disks.names(&foreign)))
    }

    /// The device that a path in /dev leads to: through links where udev made them, by the names
    /// of device mapper where it did not.
    pub(super) fn device_at(&self, disks: &Disks, path: &[u8]) -> Option<usize> {
        let mut path = GuestPath::new(path);
        for _ in 0..8 {
            match self.root.read_link(&path) {
                Ok(Some(target)) => path = normal(&path.parent().join(&target)),
                _ => break,
            }
        }
        let name = path.as_bytes().strip_prefix(b"/dev/")?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        if let Some(mapped) = name.strip_prefix("mapper/") {
            return disks.by_mapped_name(mapped);
        }
        if let Some(at) = disks.by_name(&name.replace('/', "!")) {
            return Some(at);
        }
        // /dev/VG/LV is /dev/mapper/VG-LV, with the dashes inside the names doubled (dmsetup(8)).
        let (group, volume) = name.split_once('/')?;
        disks.by_mapped_name(&format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--")))
    }

    /// The devices that carry a tag: UUID, LABEL, PARTUUID or PARTLABEL. The inner error says why
    /// it could not be told.
    fn carriers(&self, disks: &Disks, source: &Source) -> Fact<Result<Vec<usize>, String>> {
        let mut found = Vec::new();
        let mut unread = Vec::new();
        for (at, device) in disks.devices.iter().enumerate() {
            if matches!(device.kind, DeviceKind::Removable) {
                continue;
            }
            match self.identity(at) {
                Ok(identity) => {
                    let here = identity.fstype.as_deref() != Some("linux_raid_member");
                    let matches = |wanted: Option<&[u8]>, own: &Option<Vec<u8>>| {
                        wanted.is_some() && wanted == own.as_deref()
                    };
                    if here
                        && (matches(source.uuid(), &identity.uuid)
                            || matches(source.label(), &identity.label))
                        || matches(source.part_uuid(), &identity.part_uuid)
                        || matches(source.part_label(), &identity.part_label)
                    {
                        found.push(at);
                    }
                }
                Err(why) => match self.carries_by_id(at, source) {
                    Some(true) => found.push(at),
                    Some(false) => {}
                    None => unread.push(why.0),
                },
            }
        }
        if found.is_empty() && !unread.is_empty() {
            return Ok(Err(unread.swap_remove(0)));
        }
        Ok(Ok(found))
    }

    /// Whether a device that may not be read carries a tag all the same; `None` when it cannot be
    /// told. A mounted ext2, ext3 or ext4 gives its UUID away: the kernel makes `f_fsid` of its two
    /// halves, one xor the other (fs/ext4/super.c, `uuid_to_fsid`; the same since 2.6.18).
    fn carries_by_id(&self, at: usize, source: &Source) -> Option<bool> {
        let device = &self.disks().ok()?.devices[at];
        if source.part_uuid().is_some() || source.part_label().is_some() {
            let is_partition = matches!(device.kind, DeviceKind::Partition(_));
            return (!is_partition).then_some(false);
        }
        let wanted = uuid_bytes(source.uuid()?)?;
        let mounts = &self.mounts().ok()?.own.mounts;
        let mount = mounts
            .iter()
            .find(|m| m.device == device.number && m.fstype.value.starts_with(b"ext"))?;
        if !self.is_running_here() {
            return None; // statvfs would answer for another machine.
        }
        let id = self.fs_use(&GuestPath::new(&mount.mount_point.value)).ok()??.id;
        let half = |range: std::ops::Range<usize>| wanted[range].try_into().map(u64::from_le_bytes);
        Some(id == half(0..8).ok()? ^ half(8..16).ok()?)
    }

    /// The device behind a link of /dev/disk/by-id or by-path.
    fn by_link(&self, disks: &Disks, source: &Source) -> Fact<Linked> {
        let path = match source {
            Source::Id(name) => [b"/dev/disk/by-id/", name.as_slice()].concat(),
            other => other.device_path().unwrap_or_default(),
        };
        if let Some(device) = self.device_at(disks, &path) {
            return Ok(Linked::Found(device));
        }
        if let Some(device) = self.by_serial(disks, source) {
            return Ok(Linked::Found(device));
        }
        // Without udev there are no such links, and their absence says nothing.
        let directory = GuestPath::new(&path).parent();
        Ok(match self.stat(&directory)? {
            Some(_) => Linked::Nothing,
            None => Linked::Untold(format!(
                "{directory} is not there, so that no link in it can be followed"
            )),
        })
    }

    /// `virtio-SERIAL` and `virtio-SERIAL-part1`, by the serial in sysfs.
    fn by_serial(&self, disks: &Disks, source: &Source) -> Option<usize> {
        let (Source::DiskLink { kind: LinkKind::Id, value } | Source::Id(value)) = source else {
            return None;
        };
        let name = std::str::from_utf8(value).ok()?.strip_prefix("virtio-")?;
        let (serial, part) = match name.rsplit_once("-part") {
            Some((serial, part)) => (serial, part.parse::<u32>().ok()),
            None => (name, None),
        };
        let kernel = self.kernel.as_ref()?;
        let disk = disks.disks().find(|at| {
            let path = format!("/class/block/{}/serial", disks.devices[*at].name);
            kernel.sys(&path).ok().flatten().is_some_and(|own| own == serial.as_bytes())
        })?;
        match part {
            None => Some(disk),
            Some(number) => disks
                .children(disk)
                .find(|at| disks.devices[*at].kind == DeviceKind::Partition(number)),
        }
    }

    /// A tree that is a mounted filesystem: its disk is seen, its kernel's names are not.
    fn place_on_mounted_tree(&self, source: &Source, system: &SystemDisks) -> Fact<Place> {
        let disks = self.disks()?;
        if matches!(source, Source::Path(_) | Source::Id(_))
            || matches!(source, Source::DiskLink { kind: LinkKind::Id | LinkKind::Path, .. })
        {
            return self.place_in_tree(source);
        }
        let found = match self.carriers(disks, source)? {
            Ok(found) => found,
            Err(why) => return Ok(Place::Untold(why)),
        };
        if let Some(device) = found.iter().copied().find(|at| system.hold(disks, *at)) {
            let unopened = self.unopened(disks, source, device)?;
            return Ok(unopened.unwrap_or(Place::System { device: Some(device) }));
        }
        let SystemDisks::Known(known) = system else { return self.place_in_tree(source) };
        // A loop device that begins inside its file shows one partition of a disk whose others are
        // not seen; everything else is the whole disk, and what is not on it is nowhere.
        let is_part = known.iter().any(|disk| {
            matches!(disks.devices[*disk].kind, DeviceKind::Loop { offset, .. } if offset > 0)
        });
        if is_part { self.place_in_tree(source) } else { Ok(Place::Missing) }
    }

    /// A disk image: a clone has its disk and no other.
    fn place_in_image(&self, source: &Source) -> Fact<Place> {
        let Some(image) = &self.seen else { return self.place_in_tree(source) };
        let mut names = image.names(self.fstab()?);
        if let Some(named) = &self.policy.system_disk {
            let name = named.strip_prefix("/dev/").and_then(disk_of_kernel_name);
            names.system_names.extend(name);
        }
        Ok(match names.find(source) {
            Named::Device(device) => match self.torn_data_group(device)? {
                Some(torn) => Place::Data { device: Some(device), disk: torn.elsewhere.join(", ") },
                None => Place::System { device: Some(device) },
            },
            // What a line of crypttab opens is where that line's device is, which is asked there.
            Named::Absent if self.is_opened_by_crypttab(source)? => self.place_in_tree(source)?,
            Named::Absent => Place::Missing,
            Named::OtherDisk | Named::Untold => self.place_in_tree(source)?,
        })
    }

    fn is_opened_by_crypttab(&self, source: &Source) -> Fact<bool> {
        let Source::Path(path) = source else { return Ok(false) };
        let Some(name) = path.strip_prefix(b"/dev/mapper/") else { return Ok(false) };
        Ok(self.openings()?.list.iter().any(|opening| opening.name == name))
    }

    /// A bare tree: what its fstab mounts as the system is the system; a kernel name of another
    /// disk is a data disk; the rest cannot be placed.
    fn place_in_tree(&self, source: &Source) -> Fact<Place> {
        let mut system_names: Vec<String> = self
            .policy
            .system_disk
            .iter()
            .filter_map(|named| disk_of_kernel_name(named.strip_prefix("/dev/")?))
            .collect();
        if let Some(uuid) = self.policy.system_disk.as_deref()
            && source.uuid() == Some(uuid.strip_prefix("UUID=").unwrap_or(uuid).as_bytes())
        {
            return Ok(Place::System { device: None });
        }
        for own in self.system_sources()? {
            if own.is_same(source) {
                return Ok(Place::System { device: None });
            }
            if let Source::Path(path) = own {
                system_names.extend(kernel_name(path).and_then(|n| disk_of_kernel_name(&n)));
            }
        }
        if let Source::Path(path) = source
            && let Some(disk) = kernel_name(path).and_then(|n| disk_of_kernel_name(&n))
        {
            if system_names.contains(&disk) {
                return Ok(Place::System { device: None });
            }
            // A clone has one disk, and the kernel gives it its driver's first name. Where the
            // tree does not say what the system's disk is called, that name may be it.
            if system_names.is_empty() && is_first_name(&disk) {
                return Ok(Place::Untold(format!(
                    "whether /dev/{disk} is the system disk cannot be told from this tree"
                )));
            }
            return Ok(Place::Data { device: None, disk: format!("/dev/{disk}") });
        }
        Ok(Place::Untold(format!(
            "which disk {} lies on cannot be told from this tree",
            shown(source)
        )))
    }

    /// What fstab mounts as the system; each other source is looked for in it.
    fn system_sources(&self) -> Fact<&Vec<Source>> {
        keep(&self.facts.system_sources, || {
            let fstab = self.fstab()?.into_iter();
            let sources: Vec<Source> = fstab.flat_map(system_sources).take(MOST + 1).collect();
            if sources.len() > MOST {
                return Err(Unknown(format!(
                    "/etc/fstab: more than {MOST} lines mount the system"
                )));
            }
            Ok(sources)
        })
    }
}

enum Linked {
    Found(usize),
    Nothing,
    Untold(String),
}
