//! From a path that the loader reads to one of the guest.
//!
//! GRUB names a file from the root of the filesystem that it lies on, so that the same kernel is `/vmlinuz` where /boot is
//! a filesystem of its own and `/boot/vmlinuz` where it is not; on btrfs the subvolume may stand before it.

use super::BootFile;
use crate::guest::{Fact, FileKind, Guest, Mode};
use crate::model::{ByteString, GuestPath};
use crate::parse::options::Options;
use crate::parse::source::Source;

/// What the loader reads from, the deepest first.
const TARGETS: [&str; 4] = ["/boot/efi", "/efi", "/boot", "/"];

/// The filesystems that hold what the loader reads.
pub struct BootPaths {
    filesystems: Vec<Filesystem>,
}

struct Filesystem {
    target: GuestPath,
    uuid: Option<Vec<u8>>,
    /// Subvolumes that a path may begin with, as `/@/boot`.
    subvolumes: Vec<GuestPath>,
}

impl BootPaths {
    /// Find the filesystems by fstab and, on a guest that runs, by what is mounted.
    pub fn read(guest: &Guest) -> Fact<Self> {
        let mut filesystems = Vec::new();
        for target in TARGETS {
            let path = GuestPath::from(target);
            let mut found = Filesystem { target: path.clone(), uuid: None, subvolumes: Vec::new() };
            let mut is_there = target == "/";
            if let Some(fstab) = guest.fstab()? {
                let entries = fstab.entries().filter(|e| GuestPath::new(&e.target.value) == path);
                for entry in entries {
                    is_there = true;
                    if let Source::Uuid(uuid) = Source::parse(&entry.source.value) {
                        found.uuid = Some(uuid);
                    }
                    let options = entry.options.as_ref().map_or(&[][..], |o| &o.value);
                    let options = Options::libmount(options);
                    found.subvolumes.extend(options.value("subvol").map(GuestPath::new));
                }
            }
            if let Some(image) = guest.disk_image() {
                if let Some(filesystem) = image.at(&path) {
                    is_there = true;
                    found.uuid = guest.identity(filesystem.devices[0])?.uuid.or(found.uuid);
                }
                found.subvolumes.extend(image.subvolume(&path).cloned());
            }
            if guest.mode() == Mode::Live {
                let Some(mount) = guest.mounts()?.own.at(target.as_bytes()) else {
                    // What is in fstab and not mounted now is not what was booted from.
                    if target == "/" {
                        filesystems.push(found);
                    }
                    continue;
                };
                is_there = true;
                if mount.fstype.value == b"btrfs" {
                    found.subvolumes.push(GuestPath::new(&mount.root.value));
                }
                if let Some(devices) = guest.devices_of_mount(mount)?
                    && let Some(device) = devices.first()
                    && let Ok(identity) = guest.identity(*device)
                    && identity.uuid.is_some()
                {
                    found.uuid = identity.uuid;
                }
            }
            if is_there {
                found.subvolumes.retain(|path| *path != GuestPath::from("/"));
                filesystems.push(found);
            }
        }
        Ok(Self { filesystems })
    }

    /// Whether a filesystem of this UUID is one that the loader reads from.
    pub fn has_uuid(&self, uuid: &[u8]) -> bool {
        self.filesystems.iter().any(|fs| fs.is_of(uuid))
    }

    /// Whether /boot is a filesystem of its own that this tree does not have.
    pub fn lacks_boot(&self, guest: &Guest) -> Fact<bool> {
        let boot = GuestPath::from("/boot");
        Ok(self.filesystems.iter().any(|fs| fs.target == boot) && guest.list(&boot)?.is_empty())
    }

    /// The guest's path of a path of the loader, `(device)` before it or not.
    ///
    /// The device is `guest`, which is the guest's own tree, `uuid/...` of a filesystem that a search found, or one of
    /// GRUB's names, which say nothing here. Of several places the one where something lies; else the likeliest.
    pub fn resolve(&self, guest: &Guest, root: &[u8], path: &[u8]) -> Fact<GuestPath> {
        let (device, path) = match path.strip_prefix(b"(") {
            Some(rest) => match rest.iter().position(|b| *b == b')') {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (root, path),
            },
            None => (root, path),
        };
        let path = GuestPath::new(path);
        if device == b"guest" {
            return Ok(path);
        }
        let uuid = device.strip_prefix(b"uuid/").filter(|uuid| self.has_uuid(uuid));
        let mut candidates = Vec::new();
        for filesystem in &self.filesystems {
            let is_meant = match uuid {
                Some(uuid) => filesystem.is_of(uuid),
                None => matches!(filesystem.target.as_bytes(), b"/boot" | b"/"),
            };
            if !is_meant {
                continue;
            }
            for subvolume in &filesystem.subvolumes {
                if path.is_below(subvolume) {
                    let rest = &path.as_bytes()[subvolume.as_bytes().len() + 1..];
                    candidates.push(filesystem.target.join(rest));
                }
            }
            candidates.push(filesystem.target.join(&path.as_bytes()[1..]));
        }
        for candidate in &candidates {
            if guest.stat(candidate)?.is_some() {
                return Ok(candidate.clone());
            }
        }
        Ok(candidates.into_iter().next().unwrap_or(path))
    }

    /// A file that an entry names.
    pub fn file(&self, guest: &Guest, root: &[u8], named: &[u8], line: usize) -> Fact<BootFile> {
        let path = self.resolve(guest, root, named)?;
        let about = guest.stat(&path)?;
        let exists = about.is_some_and(|about| about.kind == FileKind::Regular && about.size > 0);
        Ok(BootFile { named: ByteString::from(named), path: real_name(guest, path)?, line, exists })
    }
}

impl Filesystem {
    fn is_of(&self, uuid: &[u8]) -> bool {
        self.uuid.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(uuid))
    }
}

/// A kernel may be named by a link without its version: /boot/vmlinuz, /boot/initrd.
fn real_name(guest: &Guest, path: GuestPath) -> Fact<GuestPath> {
    let mut real = path.clone();
    for _ in 0..8 {
        match guest.root().read_link(&real)? {
            Some(target) => real = real.parent().join(&target),
            None => return Ok(real),
        }
    }
    Ok(path)
}
