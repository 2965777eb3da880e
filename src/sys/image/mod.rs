//! A disk image file, whatever container holds it: bytes at offsets, and nothing else.
//!
//! A raw disk and a fixed VHD are read where they lie, and may be changed there. What is packed or
//! keeps its blocks in tables of its own is unpacked or converted once, for reading, into a file
//! without a name that vanishes with the process. An image is recognised by its content, never by
//! its name. This module never writes to an image, never opens a second file because an image
//! names one, and knows nothing of partitions and filesystems.

mod completeness;
mod convert;
mod copy;
mod gather;
mod open;
mod pax;
mod recognise;
mod tar;
mod temporary;
mod unpack;
mod users;
mod vhd;

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use copy::Copied;
pub use open::command_argument;

use super::{Error, ErrorKind, FileId, Result, Stamp};

/// The longest range that is read into memory at once, in bytes.
const LONGEST_RANGE: u64 = 256 << 20;

/// What can be asked of a disk image: bytes at offsets. A clone is a handle of the same file.
#[derive(Clone, Debug)]
pub struct DiskImage(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    /// The disk begins at its first byte.
    file: File,
    /// In bytes; the file may be longer than the disk in it.
    size: u64,
    container: Container,
    path: PathBuf,
    /// What the operator's file was when it was opened; `None` for a block device.
    stamp: Option<Stamp>,
    /// Whether `file` is the operator's.
    own: bool,
}

/// What holds the disk's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// Nothing: the file, or the block device, is the disk.
    Raw,
    /// A tar archive with one file, the disk.
    Tar {
        /// The file's name in the archive. It is for showing: no file is ever made of that name.
        member: String,
    },
    /// As [`Container::Tar`], compressed with gzip: what a cloud exports as `.raw.tar.gz`.
    TarGz {
        /// As in [`Container::Tar`].
        member: String,
    },
    /// QEMU's copy-on-write format.
    Qcow2,
    /// The format of Virtual PC, which QEMU calls vpc.
    Vhd {
        /// Blocks in a table; otherwise a raw disk with 512 bytes behind it.
        dynamic: bool,
    },
    /// The format of Hyper-V.
    Vhdx,
    /// The format of VMware, all in one file.
    Vmdk,
    /// The format of VirtualBox.
    Vdi,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Tar { .. } => "tar",
            Self::TarGz { .. } => "tar.gz",
            Self::Qcow2 => "qcow2",
            Self::Vhd { dynamic: true } => "dynamic VHD",
            Self::Vhd { dynamic: false } => "fixed VHD",
            Self::Vhdx => "VHDX",
            Self::Vmdk => "VMDK",
            Self::Vdi => "VDI",
        })
    }
}

/// What an image is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To look at it.
    Read,
    /// To change it in place; the caller does so through [`DiskImage::file`].
    Change,
}

impl DiskImage {
    /// Open the image that the operator named. What must be unpacked or converted is, which takes
    /// as long as reading all of it; meanwhile `progress` is told how much is done, and of how
    /// much. Directories, FIFOs and sockets are refused unopened.
    ///
    /// # Errors
    /// What the system says. [`ErrorKind::NotRegular`] for what is no file and no block device,
    /// [`ErrorKind::NoSpace`] where the unpacked disk does not fit, [`ErrorKind::Changed`] when the
    /// file changed meanwhile, [`ErrorKind::Refused`] for a container that cannot be used so: the
    /// message names the command that makes a raw disk of it.
    pub fn open(path: &Path, wanted: Use, progress: &dyn Fn(u64, u64)) -> Result<Self> {
        open::open(path, wanted, progress).map(|opened| Self(Arc::new(opened)))
    }

    /// The size of the disk in bytes, never 0.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// What holds the disk's bytes.
    pub fn container(&self) -> &Container {
        &self.0.container
    }

    /// The path as the operator gave it.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Read at an offset into the disk, in bytes. Fewer bytes than asked for only at its end.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::UnexpectedEof`] when the file became shorter.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.0.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let mut filled = 0;
        while filled < wanted {
            match self.0.file.read_at(&mut buffer[filled..wanted], offset + filled as u64) {
                Ok(0) => {
                    let cause = "the file became shorter while it was read";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause));
                }
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(wanted)
    }

    /// Read ranges of the disk, each as far as the disk goes.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::TooLarge`] for a range beyond 256 MiB.
    pub fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<(u64, Vec<u8>)>> {
        let shown = self.0.path.display();
        let mut pieces = Vec::with_capacity(ranges.len());
        for range in ranges {
            let length = range.end.min(self.0.size).saturating_sub(range.start);
            if length > LONGEST_RANGE {
                let cause = format!("{length} bytes at once are too many");
                return Err(Error::new("read", shown, ErrorKind::TooLarge, cause));
            }
            let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
            self.read_at(range.start, &mut piece).map_err(|e| Error::io("read", &shown, &e))?;
            pieces.push((range.start, piece));
        }
        Ok(pieces)
    }

    /// The file with the disk at its first byte, for a loop device. It may go on behind the disk,
    /// so a loop device needs [`DiskImage::size`] as its limit.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    /// Which file [`DiskImage::file`] is.
    ///
    /// # Errors
    /// What the system says.
    pub fn id(&self) -> Result<FileId> {
        FileId::of(self.file()).map_err(|e| Error::errno("look at", self.0.path.display(), e))
    }

    /// Whether [`DiskImage::file`] is the file that the operator named. Otherwise the disk was
    /// unpacked or converted, and changing it would change nothing that the operator has.
    pub fn is_own_file(&self) -> bool {
        self.0.own
    }

    /// Copy the file with the disk to a new one, which its owner alone may read, blocks shared
    /// where the filesystem can do that; it is on the disk when this returns. Until then it has no
    /// name, and nothing is left of it whatever happens. A fixed VHD keeps the 512 bytes behind it.
    /// `progress` is told how many bytes are copied, and of how many.
    ///
    /// # Errors
    /// What the system says; an existing file is never touched. [`ErrorKind::NoSpace`], before
    /// anything is copied, where less is free than the data needs; [`ErrorKind::Changed`] when the
    /// original changed meanwhile; [`ErrorKind::NotRegular`] for a block device.
    pub fn copy_to(&self, to: &Path, progress: &dyn Fn(u64, u64)) -> Result<Copied> {
        self.check_unchanged()?;
        copy::copy(&self.0.file, &self.0.path.display().to_string(), to, progress)
    }

    /// Make sure that the operator's file is still what was opened: what was read of it belongs
    /// together. It says nothing of a block device, nor of a file opened to be changed.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] when it was written to meanwhile.
    pub fn check_unchanged(&self) -> Result<()> {
        match self.0.stamp {
            Some(stamp) if self.0.own => {
                open::check_stamp(&self.0.file, &self.0.path.display().to_string(), stamp)
            }
            _ => Ok(()),
        }
    }
}
