//! A disk image as a guest: its disk, its filesystems, mounted on each other by its own fstab.
//!
//! The filesystems are mounted by the kernel, where nobody but this process sees it, or read in
//! user space. Nothing but a prepare or a rollback mounts one for writing.

mod assemble;
mod layout;
mod names;
mod root;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Fact, Facts, Guest, Mode, SystemFilesystem};
use crate::model::{GuestPath, Policy};
use crate::parse::fstab::Fstab;
use crate::parse::superblock::Superblock;
use crate::sys::{self, Container, DiskImage, PrivateMounts, Root, Runner};
use layout::Layout;
pub(super) use names::Named;
use names::{Names, system_names};

/// What an image is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To be looked at: not a byte of it changes.
    Look,
    /// To be changed.
    Change,
}

/// Who reads the filesystems of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub(super) layout: Layout,
    superblocks: Vec<Fact<Option<Superblock>>>,
    pub(super) filesystems: Vec<SystemFilesystem>,
    /// The btrfs subvolumes among them, by where they are mounted.
    pub(super) subvolumes: BTreeMap<GuestPath, GuestPath>,
    left_out: Vec<String>,
    reader: Reader,
    root: PathBuf,
    known_as: PathBuf,
    mounts: Rc<PrivateMounts>,
}

impl Image {
    /// Who reads its filesystems.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// What messages and journals call it.
    pub fn known_as(&self) -> &Path {
        &self.known_as
    }

    /// Unmount its filesystems, so that the file has all of it.
    ///
    /// # Errors
    /// What the system says: something of it is still open.
    pub fn close(self) -> sys::Result<()> {
        self.mounts.unmount_all()
    }

    /// What holds the disk: `raw`, `qcow2`, ...
    pub fn container(&self) -> &Container {
        self.file.container()
    }

    /// The filesystems of its fstab that could not be mounted, and why, a sentence each.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
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

impl Drop for Guest {
    /// The filesystems of an image are unmounted when its guest is gone, and the initramfs that no
    /// check asked for may still be read by then.
    fn drop(&mut self) {
        if self.image.is_some() {
            self.facts.images.wait();
        }
    }
}

impl Guest {
    /// A guest on a disk image.
    ///
    /// # Errors
    /// When its root cannot be opened.
    pub fn image(image: &Rc<Image>, policy: Policy) -> sys::Result<Self> {
        let root = Root::open(&image.root)?;
        Ok(Self {
            mode: Mode::Image,
            root,
            kernel: None,
            host: None,
            image: Some(Rc::clone(image)),
            runner: Runner::refusing(),
            policy,
            facts: Facts::default(),
        })
    }

    /// The image that it is on; none for a guest that is not on one.
    pub fn disk_image(&self) -> Option<&Image> {
        self.image.as_deref()
    }
}
