//! The filesystems of the system disks: each once, however often it is mounted.
//!
//! For probes. Measures nothing and reads no superblock; [`Guest::identity`] and
//! [`Guest::fs_use`] do.

use serde::{Deserialize, Serialize};

use super::{Fact, Guest, Mode, SystemDisks};
use crate::model::GuestPath;
use crate::parse::options::Options;

/// A mounted filesystem that lies on system disks alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SystemFilesystem {
    /// Where it is mounted: of several mount points the shortest.
    pub target: GuestPath,
    /// Its type as the kernel names it.
    pub fstype: String,
    /// Whether it is mounted read-only: there, or as a whole.
    pub is_read_only: bool,
    /// The block devices that it is made of; several for btrfs.
    pub devices: Vec<usize>,
}

impl Guest {
    /// The mounted filesystems on the system disks, in the order of their mounts; of a mounted
    /// tree the one that it is. `None` for a tree whose disks cannot be seen.
    ///
    /// Images (squashfs, iso9660, erofs), which nothing ever writes to, are left out.
    ///
    /// # Errors
    /// When the mounts or the disks cannot be read.
    pub fn system_filesystems(&self) -> Fact<Option<&[SystemFilesystem]>> {
        let fact = self.facts.filesystems.get_or_init(|| self.read_filesystems());
        fact.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    fn read_filesystems(&self) -> Fact<Option<Vec<SystemFilesystem>>> {
        let system = self.system_disks()?;
        if *system == SystemDisks::Unseen {
            return Ok(None);
        }
        if let Some(image) = &self.seen {
            return Ok(Some(image.filesystems.clone()));
        }
        let disks = self.disks()?;
        let tree = match self.mode() {
            Mode::Tree => self.mount_of_tree()?,
            Mode::Live | Mode::Image => None,
        };
        let mounts = match (&tree, self.mode()) {
            (Some(mount), _) => std::slice::from_ref(mount),
            (None, Mode::Tree | Mode::Image) => &[],
            (None, Mode::Live) => self.mounts()?.own.mounts.as_slice(),
        };
        let mut found: Vec<SystemFilesystem> = Vec::new();
        for mount in mounts {
            if matches!(
                mount.fstype.value.as_slice(),
                b"squashfs" | b"iso9660" | b"erofs" | b"overlay"
            ) {
                continue;
            }
            let Some(devices) = self.devices_of_mount(mount)? else { continue };
            if !devices.iter().all(|at| system.hold(disks, *at)) {
                continue;
            }
            let target = match tree {
                Some(_) => GuestPath::from("/"),
                None => GuestPath::new(&mount.mount_point.value),
            };
            let is_ro = |options: &[u8]| Options::libmount(options).has("ro");
            let is_read_only = is_ro(&mount.options.value) || is_ro(&mount.super_options.value);
            match found.iter_mut().find(|known| known.devices == devices) {
                Some(known) if target.as_bytes().len() < known.target.as_bytes().len() => {
                    known.target = target;
                    known.is_read_only = is_read_only;
                }
                Some(_) => {}
                None => found.push(SystemFilesystem {
                    target,
                    is_read_only,
                    fstype: String::from_utf8_lossy(&mount.fstype.value).into_owned(),
                    devices,
                }),
            }
        }
        Ok(Some(found))
    }
}

impl Guest {
    /// Whether this is a tree whose /usr is a filesystem of its own and not mounted in it, so that
    /// nothing can be said of what /usr holds.
    ///
    /// # Errors
    /// When fstab cannot be read.
    pub fn lacks_usr(&self) -> Fact<bool> {
        if self.mode() == Mode::Live || self.stat(&GuestPath::from("/usr/bin"))?.is_some() {
            return Ok(false);
        }
        let is_usr = |target: &[u8]| GuestPath::new(target) == GuestPath::from("/usr");
        Ok(self.fstab()?.is_some_and(|fstab| fstab.entries().any(|e| is_usr(&e.target.value))))
    }
}
