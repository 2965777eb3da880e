//! A regular file that is open to be read.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{SeekFrom, Stat};
use rustix::io::Errno;

use crate::sys::Time;
use crate::sys::attributes::time;
use crate::sys::walk::Filesystem;

/// Where a file is large enough that asking for its holes costs less than reading them.
const MAY_BE_SPARSE: u64 = 1 << 20;

/// An open regular file.
#[derive(Debug)]
pub struct OpenFile<'a> {
    path: &'a [u8],
    about: About,
    source: Source<'a>,
    /// Where it is read from next.
    at: u64,
    /// Where the data ends that was found last, in a file with holes.
    data_until: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct About {
    inode: (u64, u64),
    links: u64,
    size: u64,
    allocated: u64,
    modified: Time,
    changed: Time,
}

#[derive(Debug)]
enum Source<'a> {
    /// The kernel reads.
    Descriptor(OwnedFd),
    /// User space reads, by inode.
    Node(&'a dyn Filesystem),
}

/// What a read gave: some bytes, and how many zeros of a hole lie before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of a hole that were not read.
    pub skipped: u64,
    /// Bytes that were; 0 at the end of the file.
    pub length: usize,
}

impl About {
    fn of(stat: &Stat) -> Self {
        Self {
            inode: (stat.st_dev, stat.st_ino),
            links: stat.st_nlink,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            // st_blocks counts in 512 bytes whatever the block size is (inode(7)).
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl<'a> OpenFile<'a> {
    /// Take an open file.
    ///
    /// # Errors
    /// When it cannot be looked at, or is no regular file.
    pub(super) fn new(fd: OwnedFd, path: &'a [u8]) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        let about = About::of(&stat);
        Ok(Self { path, about, source: Source::Descriptor(fd), at: 0, data_until: 0 })
    }

    /// A file of a filesystem that is not mounted.
    pub(super) fn unmounted(
        filesystem: &'a dyn Filesystem,
        attributes: &crate::sys::Attributes,
        path: &'a [u8],
    ) -> Self {
        let about = About {
            inode: (attributes.device, attributes.inode),
            links: attributes.links,
            size: attributes.size,
            allocated: attributes.size,
            modified: attributes.modified,
            changed: attributes.modified,
        };
        Self { path, about, source: Source::Node(filesystem), at: 0, data_until: 0 }
    }

    /// Where it lies.
    pub fn path(&self) -> &'a [u8] {
        self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.about.size
    }

    /// The bytes that it takes on the disk.
    pub fn allocated(&self) -> u64 {
        self.about.allocated.min(self.about.size)
    }

    /// Device and inode number, of a file that has more than one name.
    pub fn shared_inode(&self) -> Option<(u64, u64)> {
        (self.about.links > 1).then_some(self.about.inode)
    }

    /// When content or attributes last changed, in seconds since 1970: the kernel alone sets it.
    /// `None` where the filesystem is not mounted.
    pub fn changed(&self) -> Option<i64> {
        matches!(self.source, Source::Descriptor(_)).then_some(self.about.changed.seconds)
    }

    /// Read it from its beginning again, as it is now.
    ///
    /// # Errors
    /// What the system says.
    pub fn rewind(&mut self) -> io::Result<()> {
        if let Source::Descriptor(fd) = &self.source {
            self.about = About::of(&rustix::fs::fstat(fd)?);
            rustix::fs::seek(fd, SeekFrom::Start(0))?;
        }
        self.at = 0;
        self.data_until = 0;
        Ok(())
    }

    /// Whether it is another than it was when it was opened or rewound.
    ///
    /// # Errors
    /// What the system says.
    pub fn has_changed(&self) -> io::Result<bool> {
        match &self.source {
            Source::Descriptor(fd) => {
                let now = About::of(&rustix::fs::fstat(fd)?);
                Ok(now.size != self.about.size || now.modified != self.about.modified)
            }
            Source::Node(_) => Ok(false),
        }
    }

    /// Whether it has been read to the end that it had.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.about.size
    }

    /// The next bytes, without those that lie in a hole.
    ///
    /// # Errors
    /// What the system says.
    pub fn next(&mut self, buffer: &mut [u8]) -> io::Result<Piece> {
        let is_sparse = self.about.size > MAY_BE_SPARSE && self.about.allocated < self.about.size;
        let before = self.at;
        let mut most = buffer.len();
        if is_sparse && !self.is_at_end() {
            if self.at >= self.data_until {
                self.find_data()?;
            }
            most = most.min(usize::try_from(self.data_until - self.at).unwrap_or(most));
        }
        let skipped = self.at - before;
        let length = self.read(&mut buffer[..most])?;
        Ok(Piece { skipped, length })
    }

    /// Go to the next data, or to the end.
    fn find_data(&mut self) -> io::Result<()> {
        let Source::Descriptor(fd) = &self.source else { return Ok(()) };
        let size = self.about.size;
        self.at = match rustix::fs::seek(fd, SeekFrom::Data(self.at)) {
            Ok(at) => at.min(size),
            Err(Errno::NXIO) => size, // Nothing but a hole is left.
            // A filesystem that knows no holes (KERNEL(3.1): the first with SEEK_DATA).
            Err(Errno::INVAL) => {
                self.data_until = size;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.data_until = match rustix::fs::seek(fd, SeekFrom::Hole(self.at)) {
            Ok(end) => end.min(size),
            Err(_) => size,
        };
        rustix::fs::seek(fd, SeekFrom::Start(self.at))?;
        Ok(())
    }
}

impl Read for OpenFile<'_> {
    /// Ends where the file ended when it was opened, which spares a call that says so.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end() {
            return Ok(0);
        }
        let length = match &self.source {
            Source::Descriptor(fd) => {
                rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buffer))?
            }
            Source::Node(filesystem) => {
                let content = filesystem
                    .read(self.about.inode.1, self.at, buffer.len())
                    .map_err(io::Error::other)?;
                buffer[..content.len()].copy_from_slice(&content);
                content.len()
            }
        };
        self.at += length as u64;
        Ok(length)
    }
}
