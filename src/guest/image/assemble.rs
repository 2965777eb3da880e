//! From an image's devices to the tree that its guest would see.
//!
//! First every filesystem is looked at by its superblock; what that look rejects no kernel is asked
//! to mount. Then the root is found by what it holds, and its own fstab says what is mounted where.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::layout::{self, Layout};
use super::names::{Named, Names, system_names};
use super::root::{ROOT_TYPE, is_root, none};
use super::{Access, Image, Reader};
use crate::guest::{DeviceKind, Fact, MAX_FILE, SystemFilesystem, Unknown};
use crate::model::GuestPath;
use crate::parse::fstab::Fstab;
use crate::parse::options::Options;
use crate::parse::source::Source;
use crate::parse::superblock::{Checksum, Detail, Superblock};
use crate::sys::{DiskImage, PrivateMounts, Root, Volume};

/// Names in the top directory of a btrfs that are tried for a subvolume with a root in it.
const MAX_SUBVOLUMES: usize = 64;

/// A filesystem of the image that can be mounted.
struct Candidate {
    device: usize,
    fstype: &'static str,
    needs_recovery: bool,
}

/// Where the root was found.
struct Found {
    device: usize,
    subvolume: Option<GuestPath>,
    directory: PathBuf,
}

/// An image whose filesystems are being mounted.
struct Assembly<'a> {
    file: &'a DiskImage,
    layout: &'a Layout,
    superblocks: &'a [Fact<Option<Superblock>>],
    mounts: &'a PrivateMounts,
    access: Access,
    /// Where each device is mounted: of a btrfs its topmost subvolume.
    mounted: BTreeMap<usize, PathBuf>,
}

impl Image {
    /// Open an image with its filesystems, mounted where only this process sees them.
    ///
    /// `known_as` is the path that messages and journals call it by.
    ///
    /// # Errors
    /// When its root cannot be found, told from another, or read.
    pub fn open(
        file: DiskImage,
        known_as: &Path,
        access: Access,
        mounts: &Rc<PrivateMounts>,
    ) -> Fact<Self> {
        let layout = layout::read(&file, known_as)?;
        let superblocks: Vec<_> = (0..layout.disks.devices.len())
            .map(|device| layout::superblock_of(&file, &layout, device))
            .collect();
        let mut assembly = Assembly {
            file: &file,
            layout: &layout,
            superblocks: &superblocks,
            mounts,
            access: Access::Look,
            mounted: BTreeMap::new(),
        };
        let (root, doubts) = assembly.find_root()?;
        let root = match access {
            Access::Look => root,
            Access::Change => assembly.again_for_change(root)?,
        };
        let mut made = assembly.mount_fstab(&root)?;
        made.left_out.extend(doubts);
        Ok(Self {
            filesystems: made.filesystems,
            subvolumes: made.subvolumes,
            left_out: made.left_out,
            root: root.directory,
            reader: Reader::Kernel,
            known_as: known_as.to_owned(),
            file,
            layout,
            superblocks,
            mounts: Rc::clone(mounts),
        })
    }
}

/// What of fstab is mounted.
#[derive(Default)]
struct Made {
    filesystems: Vec<SystemFilesystem>,
    subvolumes: BTreeMap<GuestPath, GuestPath>,
    left_out: Vec<String>,
}

/// The filesystems of an image that can be mounted, and what is wrong with the others.
fn candidates(
    layout: &Layout,
    superblocks: &[Fact<Option<Superblock>>],
) -> (Vec<Candidate>, Vec<String>) {
    let mut found = Vec::new();
    let mut doubts = layout.doubts.clone();
    for (device, superblock) in superblocks.iter().enumerate() {
        if layout.disks.children(device).next().is_some() {
            continue;
        }
        let path = layout.disks.devices[device].path();
        match superblock {
            Ok(None) => {}
            Ok(Some(superblock)) => {
                match candidate(device, layout.disks.devices[device].size, superblock) {
                    Ok(Some(candidate)) => found.push(candidate),
                    Ok(None) => {}
                    Err(why) => doubts.push(format!("{path}: {why}")),
                }
            }
            Err(why) => doubts.push(why.0.clone()),
        }
    }
    (found, doubts)
}

/// Whether a filesystem may be mounted, by its superblock alone.
fn candidate(
    device: usize,
    size: u64,
    superblock: &Superblock,
) -> Result<Option<Candidate>, String> {
    let fits = |bytes: u64| {
        let cause = || format!("its filesystem says {bytes} bytes, of which {size} are there");
        if bytes <= size { Ok(()) } else { Err(cause()) }
    };
    let (fstype, needs_recovery) = match &superblock.detail {
        Detail::Ext(_) if superblock.kind.name() == "jbd" => return Ok(None),
        Detail::Ext(ext) => {
            fits(ext.blocks.saturating_mul(ext.block_size))?;
            if let Some(uuid) = &ext.journal_uuid {
                return Err(format!("its journal lies on another device, {uuid}"));
            }
            (superblock.kind.name(), ext.needs_recovery())
        }
        Detail::Xfs(xfs) => {
            fits(xfs.blocks.saturating_mul(xfs.block_size.into()))?;
            if xfs.external_log {
                return Err("its log lies on another device".to_owned());
            }
            if xfs.in_progress || xfs.needs_repair() {
                return Err("xfs_repair has to run before it can be mounted".to_owned());
            }
            ("xfs", false)
        }
        Detail::Btrfs(btrfs) => {
            fits(btrfs.device_bytes)?;
            if btrfs.devices != 1 {
                return Err(format!("it is one of {} devices of a btrfs", btrfs.devices));
            }
            ("btrfs", btrfs.has_log)
        }
        Detail::Luks(_) => return Err("it is encrypted (LUKS)".to_owned()),
        Detail::Md(_) => return Err("it is a member of a software RAID".to_owned()),
        Detail::Lvm(_) | Detail::Swap(_) | Detail::Vfat(_) | Detail::None => return Ok(None),
    };
    if superblock.checksum == Checksum::Bad {
        return Err(format!("the checksum of its {fstype} superblock is wrong"));
    }
    Ok(Some(Candidate { device, fstype, needs_recovery }))
}

impl Assembly<'_> {
    /// The one filesystem, or subvolume, that is the root; and what is wrong with others.
    fn find_root(&mut self) -> Fact<(Found, Vec<String>)> {
        let (candidates, mut doubts) = candidates(self.layout, self.superblocks);
        let mut found = Vec::new();
        for candidate in &candidates {
            if candidate.needs_recovery && self.access == Access::Look {
                let path = self.layout.disks.devices[candidate.device].path();
                doubts.push(format!("{path}: its journal is not replayed, as boot would do"));
            }
            match self.roots_in(candidate) {
                Ok(roots) => found.extend(roots),
                Err(why) => doubts.push(why.0),
            }
        }
        let shown = self.file.path().display().to_string();
        match found.len() {
            0 => Err(none(&shown, &doubts)),
            1 => Ok((found.remove(0), doubts)),
            _ => match self.choose(&found)? {
                Some(at) => Ok((found.swap_remove(at), doubts)),
                None => {
                    let names: Vec<String> = found.iter().map(|root| self.shown(root)).collect();
                    Err(Unknown(format!(
                        "{shown}: several of its filesystems are the root of a Linux system: {}; \
                         nothing says which one boots",
                        names.join(", ")
                    )))
                }
            },
        }
    }

    fn shown(&self, root: &Found) -> String {
        let path = self.layout.disks.devices[root.device].path();
        match &root.subvolume {
            Some(subvolume) => format!("{path}, subvolume {subvolume}"),
            None => path,
        }
    }

    /// Of several roots the one that names itself in its fstab, or that has the type of a root in
    /// the partition table.
    fn choose(&self, found: &[Found]) -> Fact<Option<usize>> {
        let mut naming = Vec::new();
        for (at, root) in found.iter().enumerate() {
            let fstab = fstab_of(&root.directory)?;
            let names = self.names(fstab.as_ref());
            let names_itself = fstab.as_ref().is_some_and(|fstab| {
                fstab.entries().any(|entry| {
                    let own = entry.options.as_ref().map_or(&[][..], |field| &field.value);
                    let subvolume = Options::libmount(own).value("subvol").map(GuestPath::new);
                    GuestPath::new(&entry.target.value) == GuestPath::from("/")
                        && names.find(&Source::parse(&entry.source.value))
                            == Named::Device(root.device)
                        && (subvolume.is_none() || subvolume == root.subvolume)
                })
            });
            if names_itself {
                naming.push(at);
            }
        }
        if let [one] = naming.as_slice() {
            return Ok(Some(*one));
        }
        let typed = found.iter().position(|root| {
            let DeviceKind::Partition(number) = self.layout.disks.devices[root.device].kind else {
                return false;
            };
            let table = self.layout.table.as_ref();
            let entry = table.and_then(|t| t.partitions.iter().find(|p| p.number == number));
            entry.is_some_and(|entry| entry.kind == ROOT_TYPE)
        });
        Ok(typed)
    }

    fn names(&self, fstab: Option<&Fstab>) -> Names<'_> {
        Names {
            layout: self.layout,
            superblocks: self.superblocks,
            system_names: system_names(fstab),
        }
    }

    /// The roots in a filesystem: itself; of a btrfs the default subvolume, or those at its top.
    fn roots_in(&mut self, candidate: &Candidate) -> Fact<Vec<Found>> {
        let device = candidate.device;
        let top = self.mount(device)?;
        let whole = |directory: PathBuf| Found { device, subvolume: None, directory };
        if candidate.fstype != "btrfs" {
            let is_it = is_root(&Root::open(&top)?)?;
            return Ok(if is_it { vec![whole(top)] } else { Vec::new() });
        }
        let default = self.mount_as(device, "")?;
        if is_root(&Root::open(&default)?)? {
            return Ok(vec![whole(default)]);
        }
        let mut found = Vec::new();
        let names = Root::open(&top)?.list(&GuestPath::from("/"))?.unwrap_or_default();
        for name in names.into_iter().take(MAX_SUBVOLUMES) {
            let subvolume = GuestPath::from("/").join(&name);
            let directory = top.join(std::ffi::OsStr::from_bytes(&name));
            // A link at the top would lead out of the subvolume.
            let about = Root::open(&top)?.lstat(&subvolume)?;
            let is_directory = about.is_some_and(|a| a.kind == crate::sys::FileKind::Directory);
            if is_directory && is_root(&Root::open(&directory)?)? {
                found.push(Found { device, subvolume: Some(subvolume), directory });
            }
        }
        Ok(found)
    }

    /// Mount a device once; the directory that it is mounted on.
    fn mount(&mut self, device: usize) -> Fact<PathBuf> {
        if let Some(known) = self.mounted.get(&device) {
            return Ok(known.clone());
        }
        let is_btrfs = self.fstype(device) == Some("btrfs");
        let directory = self.mount_as(device, if is_btrfs { "subvolid=5" } else { "" })?;
        self.mounted.insert(device, directory.clone());
        Ok(directory)
    }

    fn fstype(&self, device: usize) -> Option<&'static str> {
        self.superblocks[device].as_ref().ok()?.as_ref().map(|superblock| superblock.kind.name())
    }

    fn mount_as(&self, device: usize, more: &str) -> Fact<PathBuf> {
        let path = self.layout.disks.devices[device].path();
        let fstype = self.fstype(device).unwrap_or("auto");
        let range = self.layout.runs[device].single().ok_or_else(|| {
            Unknown(format!(
                "{path}: it lies in several pieces of the image, and no loop device joins them"
            ))
        })?;
        let mut options = options_for(fstype, self.access).to_owned();
        if !more.is_empty() {
            options.push(',');
            options.push_str(more);
        }
        let directory = self.mounts.directory()?;
        let volume = Volume { file: self.file.file(), range, fstype, options: &options };
        self.mounts.mount(&volume, &path, &directory)?;
        Ok(directory)
    }

    /// Unmount all, and mount the root anew for writing.
    fn again_for_change(&mut self, root: Found) -> Fact<Found> {
        self.mounts.unmount_all()?;
        self.mounted.clear();
        self.access = Access::Change;
        let directory = match &root.subvolume {
            Some(subvolume) => {
                let inside = Path::new(std::ffi::OsStr::from_bytes(&subvolume.as_bytes()[1..]));
                self.mount(root.device)?.join(inside)
            }
            None if self.fstype(root.device) == Some("btrfs") => self.mount_as(root.device, "")?,
            None => self.mount(root.device)?,
        };
        Ok(Found { directory, ..root })
    }

    /// Mount on the root what its fstab names and the image has.
    fn mount_fstab(&mut self, root: &Found) -> Fact<Made> {
        let mut made = Made::default();
        let slash = GuestPath::from("/");
        self.note(&mut made, &slash, root.device, root.subvolume.clone());
        let Some(fstab) = fstab_of(&root.directory)? else { return Ok(made) };
        let mut entries: Vec<_> = fstab
            .entries()
            .map(|entry| (GuestPath::new(&entry.target.value), entry))
            .filter(|(target, _)| *target != slash)
            .collect();
        // A target that holds another is mounted before it; of the same depth fstab's order stays.
        entries.sort_by_key(|(target, _)| target.as_bytes().iter().filter(|b| **b == b'/').count());
        for (target, entry) in entries {
            let options = entry.options.as_ref().map_or(&[][..], |field| &field.value);
            let options = Options::libmount(options);
            let is_swap = entry.fstype.value == b"swap";
            if is_swap || options.has("noauto") || options.has("bind") || options.has("rbind") {
                continue;
            }
            let found = self.names(Some(&fstab)).find(&Source::parse(&entry.source.value));
            let Named::Device(device) = found else { continue };
            let subvolume = options.value("subvol").map(GuestPath::new);
            match self.mount_one(root, device, subvolume.as_ref(), &target) {
                Ok(true) => self.note(&mut made, &target, device, subvolume),
                Ok(false) => made
                    .left_out
                    .push(format!("{target} is not mounted: there is no such directory")),
                Err(why) => made.left_out.push(format!("{target} is not mounted: {why}")),
            }
        }
        Ok(made)
    }

    fn mount_one(
        &mut self,
        root: &Found,
        device: usize,
        subvolume: Option<&GuestPath>,
        target: &GuestPath,
    ) -> Fact<bool> {
        if let Ok(Some(superblock)) = &self.superblocks[device] {
            let size = self.layout.disks.devices[device].size;
            candidate(device, size, superblock).map_err(Unknown)?;
        }
        let top = self.mount(device)?;
        let directory = match subvolume {
            None => top,
            // Inside the filesystem, whatever links its top holds.
            Some(subvolume) => {
                let inside = Root::open(&top)?;
                let about = inside.lstat(subvolume)?;
                if about.is_none_or(|about| about.kind != crate::sys::FileKind::Directory) {
                    return Err(Unknown(format!("there is no subvolume {subvolume}")));
                }
                top.join(Path::new(std::ffi::OsStr::from_bytes(&subvolume.as_bytes()[1..])))
            }
        };
        Ok(self.mounts.bind(&directory, &root.directory, target)?)
    }

    fn note(
        &self,
        made: &mut Made,
        target: &GuestPath,
        device: usize,
        subvolume: Option<GuestPath>,
    ) {
        if let Some(subvolume) = subvolume {
            made.subvolumes.insert(target.clone(), subvolume);
        }
        if made.filesystems.iter().any(|known| known.devices == [device]) {
            return;
        }
        made.filesystems.push(SystemFilesystem {
            target: target.clone(),
            fstype: self.fstype(device).unwrap_or_default().to_owned(),
            is_read_only: false,
            devices: vec![device],
        });
    }
}

fn fstab_of(directory: &Path) -> Fact<Option<Fstab>> {
    let content = Root::open(directory)?.read(&GuestPath::from("/etc/fstab"), MAX_FILE)?;
    Ok(content.map(|content| Fstab::parse(&content)))
}

/// The options with which a filesystem is mounted.
///
/// To look: without replaying its journal, which would write to it (ext4(5), xfs(5), btrfs(5)).
/// `nouuid`, since the machine itself may run from the disk that the image was made of.
fn options_for(fstype: &str, access: Access) -> &'static str {
    match (fstype, access) {
        ("ext3" | "ext4", Access::Look) => "ro,noload",
        ("xfs", Access::Look) => "ro,norecovery,nouuid",
        // KERNEL(5.9): rescue= came then, and took the place of nologreplay in 6.9.
        ("btrfs", Access::Look) => "ro,rescue=nologreplay",
        (_, Access::Look) => "ro",
        ("xfs", Access::Change) => "rw,noatime,nouuid",
        (_, Access::Change) => "rw,noatime",
    }
}
