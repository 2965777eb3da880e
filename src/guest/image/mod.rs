//! A disk image as a guest: its disk, its filesystems, mounted on each other by its own fstab.
//!
//! The filesystems are mounted by the kernel, where nobody but this process sees it, or read in
//! user space. Nothing but a prepare or a rollback mounts one for writing.

mod assemble;
mod candidates;
mod layout;
mod names;
mod record;
mod root;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{Fact, Facts, Guest, Mode, SystemFilesystem};
use crate::model::{GuestPath, Policy};
use crate::parse::fstab::Fstab;
use crate::parse::superblock::Superblock;
use crate::sys::{self, DiskImage, FileId, Filesystem, PrivateMounts, Root, Runner};
use assemble::Assembly;
use layout::Layout;
pub(super) use names::Named;
use names::{Names, system_names};

/// What an image is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To be looked at: not a byte of it changes.
    Look,
    /// To be changed where it is.
    Change,
    /// To be changed, and a copy that nobody uses before it is closed.
    ChangeCopy,
}

/// The file that a run on a disk image changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Whether it is the image itself, and not a copy that the run made.
    pub in_place: bool,
    /// Which file it is, whatever it is called.
    pub id: FileId,
}

/// Who reads the filesystems of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// The kernel, which has them mounted.
    Kernel,
    /// This program.
    UserSpace,
}

impl Reader {
    /// The words that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Reader::Kernel => "kernel",
            Reader::UserSpace => "user-space",
        }
    }
}

/// An image that is open, with its filesystems.
#[derive(Debug)]
pub struct Image {
    file: DiskImage,
    seen: Rc<Seen>,
    root: Opened,
    gathered: Vec<Gathered>,
    access: Access,
    mounts: Option<Rc<PrivateMounts>>,
}

/// The root of an image.
#[derive(Debug)]
enum Opened {
    /// It is mounted here, and so is all that is on it.
    Directory(PathBuf),
    /// It is read in user space.
    View {
        /// The root's filesystem.
        root: Rc<dyn Filesystem>,
        /// What is mounted on it.
        mounts: Vec<(GuestPath, Rc<dyn Filesystem>)>,
    },
}

/// A volume that lies in several pieces, as one file.
#[derive(Debug)]
struct Gathered {
    device: usize,
    volume: DiskImage,
}

impl Image {
    /// Open an image with its filesystems: mounted by the kernel where only this process sees them,
    /// or read in user space.
    ///
    /// To look, user space reads where `mounts` is none, what the kernel cannot mount, and what it
    /// could show only as it was before its journal is replayed. `known_as` is the path that
    /// messages and journals call the image by.
    ///
    /// # Errors
    /// When its root cannot be found, told from another, or read.
    pub fn open(
        file: DiskImage,
        known_as: &Path,
        access: Access,
        mounts: Option<&Rc<PrivateMounts>>,
    ) -> Fact<Self> {
        let layout = layout::read(&file, known_as)?;
        let superblocks: Vec<_> = (0..layout.disks.devices.len())
            .map(|device| layout::superblock_of(&file, &layout, device))
            .collect();
        let (candidates, doubts) = candidates::find(&layout, &superblocks);
        let may_view = access == Access::Look
            && candidates.iter().all(|candidate| candidate.fstype.starts_with("ext"));
        let needs_replay = candidates.iter().any(|candidate| candidate.needs_recovery);
        let assemble = |mounts: Option<&Rc<PrivateMounts>>| {
            Assembly::new(&file, &layout, &superblocks, mounts.map(Rc::as_ref)).assemble(
                &candidates,
                &doubts,
                access,
            )
        };
        let mounts = mounts.filter(|_| !(may_view && needs_replay));
        let (made, reader) = match (assemble(mounts), mounts) {
            (Ok(made), Some(_)) => (made, Reader::Kernel),
            (Ok(made), None) => (made, Reader::UserSpace),
            // A machine without loop devices, a kernel without the driver.
            (Err(why), Some(space)) if may_view => {
                space.unmount_all()?;
                (assemble(None).map_err(|_| why)?, Reader::UserSpace)
            }
            (Err(why), _) => return Err(why),
        };
        let seen = Seen {
            container: file.container().to_string(),
            filesystems: made.filesystems,
            subvolumes: made.subvolumes,
            left_out: made.left_out,
            reader,
            known_as: known_as.to_owned(),
            layout,
            superblocks,
        };
        Ok(Self {
            file,
            seen: Rc::new(seen),
            root: made.root,
            gathered: made.gathered,
            access,
            mounts: mounts.cloned(),
        })
    }

    /// What was found on it.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Unmount its filesystems, so that the file has all of it.
    ///
    /// # Errors
    /// What the system says: something of it is still open.
    pub fn close(self) -> sys::Result<()> {
        if let Some(mounts) = &self.mounts {
            mounts.unmount_all()?;
        }
        if self.access == Access::ChangeCopy {
            for Gathered { device, volume } in &self.gathered {
                self.file.put_back(volume, &self.seen.layout.runs[*device].0)?;
            }
        }
        Ok(())
    }
}

/// What was found on an image.
#[derive(Debug)]
pub struct Seen {
    pub(super) layout: Layout,
    superblocks: Vec<Fact<Option<Superblock>>>,
    pub(super) filesystems: Vec<SystemFilesystem>,
    /// The btrfs subvolumes among them, by where they are mounted.
    pub(super) subvolumes: BTreeMap<GuestPath, GuestPath>,
    left_out: Vec<String>,
    reader: Reader,
    container: String,
    known_as: PathBuf,
}

impl Seen {
    /// Who reads its filesystems.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// What messages and journals call it.
    pub fn known_as(&self) -> &Path {
        &self.known_as
    }

    /// What holds the disk: `raw`, `qcow2`, ...
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The filesystems of its fstab that could not be mounted, and why, a sentence each.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Whether a BIOS would find code to start in the first sector of the disk.
    pub fn has_boot_code(&self) -> bool {
        self.layout.has_boot_code
    }

    /// The filesystem that is mounted on a path.
    pub fn at(&self, target: &GuestPath) -> Option<&SystemFilesystem> {
        self.filesystems.iter().find(|filesystem| filesystem.target == *target)
    }

    /// The btrfs subvolume that is mounted on a path.
    pub fn subvolume(&self, target: &GuestPath) -> Option<&GuestPath> {
        self.subvolumes.get(target)
    }

    /// What its devices are called.
    pub(super) fn names(&self, fstab: Option<&Fstab>) -> Names<'_> {
        Names {
            layout: &self.layout,
            superblocks: &self.superblocks,
            system_names: system_names(fstab),
        }
    }

    /// What a device of it carries.
    ///
    /// # Errors
    /// When it cannot be read or told.
    pub(super) fn superblock(&self, device: usize) -> Fact<Option<Superblock>> {
        self.superblocks[device].clone()
    }
}

impl Guest {
    /// A guest on a disk image.
    ///
    /// # Errors
    /// When its root cannot be opened.
    pub fn image(image: &Rc<Image>, policy: Policy) -> sys::Result<Self> {
        let root = match &image.root {
            Opened::Directory(path) => Root::open(path)?,
            Opened::View { root, mounts } => {
                Root::unmounted(image.seen.known_as(), Rc::clone(root), mounts)?
            }
        };
        Ok(Self {
            mode: Mode::Image,
            root,
            kernel: None,
            host: None,
            seen: Some(Rc::clone(&image.seen)),
            image: Some(Rc::clone(image)),
            runner: Runner::refusing(),
            policy,
            record: None,
            facts: Facts::default(),
        })
    }

    /// The file that a change of it goes into; none for a guest that is not on an image.
    ///
    /// # Errors
    /// What the system says.
    pub fn changed_file(&self) -> sys::Result<Option<ChangedFile>> {
        let Some(image) = &self.image else { return Ok(None) };
        let in_place = image.access != Access::ChangeCopy;
        Ok(Some(ChangedFile { in_place, id: image.file.id()? }))
    }

    /// The image that it is on; none for a guest that is not on one.
    pub fn disk_image(&self) -> Option<&Seen> {
        self.seen.as_deref()
    }
}
