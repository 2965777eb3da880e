//! From an image's devices to the tree that its guest would see.
//!
//! First every filesystem is looked at by its superblock; what that look rejects no kernel is asked
//! to mount. Then the root is found by what it holds, and its own fstab says what is mounted where.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::candidates::{Candidate, is_mountable};
use super::layout::Layout;
use super::names::{Named, Names, system_names};
use super::root::{ROOT_TYPE, is_root, none};
use super::view::{self, Bytes};
use super::{Access, Gathered, Opened};
use crate::guest::{DeviceKind, Fact, MAX_FILE, SystemFilesystem, Unknown};
use crate::model::GuestPath;
use crate::parse::fstab::Fstab;
use crate::parse::options::Options;
use crate::parse::source::Source;
use crate::parse::superblock::Superblock;
use crate::sys::{DiskImage, FileKind, Filesystem, PrivateMounts, Root, Volume};

/// Names in the top directory of a btrfs that are tried for a subvolume with a root in it.
const MAX_SUBVOLUMES: usize = 64;

/// An image whose filesystems are being opened.
pub struct Assembly<'a> {
    pub file: &'a DiskImage,
    pub layout: &'a Layout,
    pub superblocks: &'a [Fact<Option<Superblock>>],
    /// Where the kernel mounts; none where the filesystems are read in user space.
    pub mounts: Option<&'a PrivateMounts>,
    access: Access,
    /// Each device that is open: of a btrfs its topmost subvolume.
    opened: BTreeMap<usize, Tree>,
    /// What is mounted on the root in user space.
    views: Vec<(GuestPath, Rc<dyn Filesystem>)>,
    gathered: Vec<Gathered>,
}

/// A root with what its fstab mounts on it.
pub struct Assembled {
    pub root: Opened,
    pub filesystems: Vec<SystemFilesystem>,
    /// The btrfs subvolumes, by where they are mounted.
    pub subvolumes: BTreeMap<GuestPath, GuestPath>,
    /// What is not seen, a sentence each.
    pub left_out: Vec<String>,
    /// The volumes that lie in several pieces.
    pub gathered: Vec<Gathered>,
}

/// A filesystem that is open, or a directory of one.
#[derive(Clone)]
enum Tree {
    /// It is mounted here.
    Directory(PathBuf),
    /// It is read in user space.
    View(Rc<dyn Filesystem>),
}

/// Where the root was found.
struct Found {
    device: usize,
    subvolume: Option<GuestPath>,
    tree: Tree,
}

impl<'a> Assembly<'a> {
    /// An image of which nothing is open.
    pub fn new(
        file: &'a DiskImage,
        layout: &'a Layout,
        superblocks: &'a [Fact<Option<Superblock>>],
        mounts: Option<&'a PrivateMounts>,
    ) -> Self {
        Self {
            file,
            layout,
            superblocks,
            mounts,
            access: Access::Look,
            opened: BTreeMap::new(),
            views: Vec::new(),
            gathered: Vec::new(),
        }
    }

    /// Find the root, and mount on it what its fstab names.
    ///
    /// # Errors
    /// When it cannot be found, told from another, or opened for this access.
    pub fn assemble(
        mut self,
        candidates: &[Candidate],
        doubts: &[String],
        access: Access,
    ) -> Fact<Assembled> {
        let (mut root, doubts) = self.find_root(candidates, doubts.to_vec())?;
        if access != Access::Look {
            root = self.again_for_change(root, access)?;
        }
        let mut made = Assembled {
            root: Opened::Directory(PathBuf::new()),
            filesystems: Vec::new(),
            subvolumes: BTreeMap::new(),
            left_out: doubts,
            gathered: Vec::new(),
        };
        self.mount_fstab(&root, &mut made)?;
        made.gathered = self.gathered;
        made.root = match root.tree {
            Tree::Directory(path) => Opened::Directory(path),
            Tree::View(root) => Opened::View { root, mounts: self.views },
        };
        Ok(made)
    }

    /// The one filesystem, or subvolume, that is the root; and what is not seen of the others.
    fn find_root(
        &mut self,
        candidates: &[Candidate],
        mut doubts: Vec<String>,
    ) -> Fact<(Found, Vec<String>)> {
        let mut found = Vec::new();
        for candidate in candidates {
            if self.mounts.is_some() && candidate.needs_recovery {
                let path = self.path(candidate.device);
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

    fn path(&self, device: usize) -> String {
        self.layout.disks.devices[device].path()
    }

    fn shown(&self, root: &Found) -> String {
        let path = self.path(root.device);
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
            let fstab = self.fstab_of(&root.tree)?;
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
        let tree = self.open(device)?;
        let whole = |tree: Tree| Found { device, subvolume: None, tree };
        let top = match (&tree, candidate.fstype) {
            (Tree::Directory(top), "btrfs") => top.clone(),
            _ => {
                let is_it = is_root(&self.root_of(&tree)?)?;
                return Ok(if is_it { vec![whole(tree)] } else { Vec::new() });
            }
        };
        let default = self.mount(device, "")?;
        if is_root(&Root::open(&default)?)? {
            return Ok(vec![whole(Tree::Directory(default))]);
        }
        let mut found = Vec::new();
        let inside = Root::open(&top)?;
        let names = inside.list(&GuestPath::from("/"))?.unwrap_or_default();
        for name in names.into_iter().take(MAX_SUBVOLUMES) {
            let subvolume = GuestPath::from("/").join(&name);
            let Some(directory) = directory_in(&top, &subvolume)? else { continue };
            if is_root(&Root::open(&directory)?)? {
                let tree = Tree::Directory(directory);
                found.push(Found { device, subvolume: Some(subvolume), tree });
            }
        }
        Ok(found)
    }

    /// Open a device once.
    fn open(&mut self, device: usize) -> Fact<Tree> {
        if let Some(known) = self.opened.get(&device) {
            return Ok(known.clone());
        }
        let is_btrfs = self.fstype(device) == Some("btrfs");
        let tree = if self.mounts.is_none() {
            Tree::View(self.view(device)?)
        } else {
            match self.mount(device, if is_btrfs { "subvolid=5" } else { "" }) {
                Ok(directory) => Tree::Directory(directory),
                Err(why) => self.unpack(device).map_err(|_| why)?,
            }
        };
        self.opened.insert(device, tree.clone());
        Ok(tree)
    }

    fn fstype(&self, device: usize) -> Option<&'static str> {
        self.superblocks[device].as_ref().ok()?.as_ref().map(|superblock| superblock.kind.name())
    }

    /// The filesystem on a device, read in user space.
    fn view(&self, device: usize) -> Fact<Rc<dyn Filesystem>> {
        let path = self.path(device);
        let fstype = self.fstype(device).unwrap_or("nothing that is known");
        let cannot = || {
            Unknown(format!(
                "{path}: {fstype} can be read by the kernel alone, which needs root and loop devices"
            ))
        };
        let superblock = self.superblocks[device].as_ref().map_err(Clone::clone)?;
        let superblock = superblock.as_ref().ok_or_else(cannot)?;
        let bytes = Bytes::of(self.file, self.layout, device);
        let opened = view::open(bytes, superblock).map_err(|e| Unknown(format!("{path}: {e}")))?;
        opened.ok_or_else(cannot)
    }

    /// Show a FAT filesystem that the kernel has no driver for as a copy in memory, which nobody
    /// can write to.
    fn unpack(&self, device: usize) -> Fact<Tree> {
        match (self.fstype(device), self.mounts) {
            (Some("vfat"), Some(mounts)) => {
                let view = self.view(device)?;
                Ok(Tree::Directory(mounts.unpack(view.as_ref(), &self.path(device))?))
            }
            _ => Err(Unknown("it is no FAT".to_owned())),
        }
    }

    /// Have the kernel mount a device anew.
    fn mount(&mut self, device: usize, more: &str) -> Fact<PathBuf> {
        let path = self.path(device);
        let Some(mounts) = self.mounts else {
            return Err(Unknown(format!("{path}: it is not mounted")));
        };
        let fstype = self.fstype(device).unwrap_or("auto");
        let mut options = options_for(fstype, self.access).to_owned();
        if !more.is_empty() {
            options.push(',');
            options.push_str(more);
        }
        let directory = mounts.directory()?;
        let runs = &self.layout.runs[device];
        let gathered;
        let (file, range) = match runs.single() {
            Some(range) => (self.file, range),
            None if self.access == Access::Change => {
                return Err(Unknown(format!(
                    "{path}: it lies in several pieces of the image, which cannot be changed in \
                     place; without --in-place a copy is prepared"
                )));
            }
            None => {
                gathered = self.gather(device)?;
                (&gathered, 0..runs.size())
            }
        };
        let volume = Volume { file: file.file(), range, fstype, options: &options };
        mounts.mount(&volume, &path, &directory)?;
        Ok(directory)
    }

    /// A volume that lies in several pieces, as one file.
    fn gather(&mut self, device: usize) -> Fact<DiskImage> {
        if let Some(known) = self.gathered.iter().find(|known| known.device == device) {
            return Ok(known.volume.clone());
        }
        let volume = self.file.gather(&self.layout.runs[device].0)?;
        self.gathered.push(Gathered { device, volume: volume.clone() });
        Ok(volume)
    }

    /// Unmount all, and mount the root anew for writing.
    fn again_for_change(&mut self, root: Found, access: Access) -> Fact<Found> {
        let Some(mounts) = self.mounts else {
            let path = self.path(root.device);
            return Err(Unknown(format!("{path}: what is not mounted cannot be changed")));
        };
        mounts.unmount_all()?;
        self.opened.clear();
        self.access = access;
        let is_btrfs = self.fstype(root.device) == Some("btrfs");
        let directory = match &root.subvolume {
            None if is_btrfs => Some(self.mount(root.device, "")?),
            None => Some(self.mount(root.device, "")?).inspect(|on| {
                self.opened.insert(root.device, Tree::Directory(on.clone()));
            }),
            Some(subvolume) => match self.open(root.device)? {
                Tree::Directory(top) => directory_in(&top, subvolume)?,
                Tree::View(_) => None,
            },
        };
        let gone = || Unknown(format!("{}: it is gone", self.shown(&root)));
        Ok(Found { tree: Tree::Directory(directory.ok_or_else(gone)?), ..root })
    }

    /// Mount on the root what its fstab names and the image has.
    fn mount_fstab(&mut self, root: &Found, made: &mut Assembled) -> Fact<()> {
        let slash = GuestPath::from("/");
        self.note(made, &slash, root.device, root.subvolume.clone());
        let Some(fstab) = self.fstab_of(&root.tree)? else { return Ok(()) };
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
            match self.mount_on(root, device, subvolume.as_ref(), &target) {
                Ok(true) => self.note(made, &target, device, subvolume),
                Ok(false) => made
                    .left_out
                    .push(format!("{target} is not mounted: there is no such directory")),
                Err(why) => made.left_out.push(format!("{target} is not mounted: {why}")),
            }
        }
        Ok(())
    }

    fn mount_on(
        &mut self,
        root: &Found,
        device: usize,
        subvolume: Option<&GuestPath>,
        target: &GuestPath,
    ) -> Fact<bool> {
        if let Ok(Some(superblock)) = &self.superblocks[device] {
            is_mountable(self.layout.disks.devices[device].size, superblock).map_err(Unknown)?;
        }
        match (self.open(device)?, &root.tree, self.mounts) {
            (Tree::Directory(top), Tree::Directory(on), Some(mounts)) => {
                let directory = match subvolume {
                    None => top,
                    Some(subvolume) => directory_in(&top, subvolume)?
                        .ok_or_else(|| Unknown(format!("there is no subvolume {subvolume}")))?,
                };
                Ok(mounts.bind(&directory, on, target)?)
            }
            (Tree::View(view), Tree::View(_), _) => {
                if let Some(subvolume) = subvolume {
                    return Err(Unknown(format!("there is no subvolume {subvolume}")));
                }
                let about = self.root_of(&root.tree)?.stat(target)?;
                if about.is_none_or(|about| about.kind != FileKind::Directory) {
                    return Ok(false);
                }
                self.views.push((target.clone(), view));
                Ok(true)
            }
            _ => Err(Unknown("the root is not read in that way".to_owned())),
        }
    }

    /// What is open so far of a root.
    fn root_of(&self, tree: &Tree) -> Fact<Root> {
        Ok(match tree {
            Tree::Directory(path) => Root::open(path)?,
            Tree::View(view) => Root::unmounted(self.file.path(), Rc::clone(view), &self.views)?,
        })
    }

    fn fstab_of(&self, tree: &Tree) -> Fact<Option<Fstab>> {
        let content = self.root_of(tree)?.read(&GuestPath::from("/etc/fstab"), MAX_FILE)?;
        Ok(content.map(|content| Fstab::parse(&content)))
    }

    fn note(
        &self,
        made: &mut Assembled,
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

/// A directory inside a mounted filesystem, whatever links that holds; none where there is none.
fn directory_in(top: &Path, path: &GuestPath) -> Fact<Option<PathBuf>> {
    let inside = Root::open(top)?;
    let mut sofar = GuestPath::from("/");
    for part in path.as_bytes().split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        if part == b".." {
            return Ok(None);
        }
        sofar = sofar.join(part);
        if inside.lstat(&sofar)?.is_none_or(|about| about.kind != FileKind::Directory) {
            return Ok(None);
        }
    }
    Ok(Some(top.join(OsStr::from_bytes(&sofar.as_bytes()[1..]))))
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
        ("xfs", _) => "rw,noatime,nouuid",
        _ => "rw,noatime",
    }
}
