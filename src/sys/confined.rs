//! The files below a directory of this machine, confined to it.
//!
//! Every path is resolved inside the guest's root as if it were `/`: absolute links are followed
//! inside it and `..` is clamped at it (openat2 with RESOLVE_IN_ROOT, or a walk of our own where the
//! kernel is older than 5.6). A thing is first asked what it is and only then opened, so that
//! a FIFO never blocks and a device never notices.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;

use super::files::{Files, FsUse, MAX_NAMES};
use super::sweep::{self, Census, Reach};
use super::{Attributes, Error, ErrorKind, FileKind, InodeFlags, Result, Stream, resolve};
use crate::model::{ByteString, Erasure, GuestPath};

/// A directory that paths do not lead out of.
#[derive(Debug)]
pub struct Confined {
    directory: OwnedFd,
    /// Whether openat2(2) works here, as far as is known.
    has_openat2: Cell<bool>,
}

impl Confined {
    /// Confine paths to a directory, whose own path has no links.
    ///
    /// # Errors
    /// When it may not be opened.
    pub fn open(directory: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())
            .map_err(|e| Error::errno("open", directory.display(), e))?;
        Ok(Self { directory, has_openat2: Cell::new(true) })
    }

    /// Confine paths to a directory that is reached through a link of /proc, which has no path of
    /// its own here.
    ///
    /// # Errors
    /// When it may not be opened.
    pub fn open_through(link: &str) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(link, flags, Mode::empty())
            .map_err(|e| Error::errno("open", link, e))?;
        Ok(Self { directory, has_openat2: Cell::new(true) })
    }

    /// A handle on what a path names, a link at its end not followed; it cannot be read through.
    ///
    /// # Errors
    /// When the path cannot be walked.
    pub(super) fn handle(&self, path: &GuestPath) -> Result<Option<(OwnedFd, Attributes)>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let Some(fd) = self.open_at(path, flags, "look at")? else { return Ok(None) };
        let attributes = self.attributes(&fd, path, "look at")?;
        Ok(Some((fd, attributes)))
    }

    /// Open a regular file for reading, once it is known to be one.
    pub(super) fn open_regular(&self, path: &GuestPath) -> Result<Option<File>> {
        let Some((_, seen)) = self.resolve(path, "read")? else { return Ok(None) };
        if seen.kind != FileKind::Regular {
            let what = match seen.kind {
                FileKind::Directory => "it is a directory",
                _ => "it is a device, FIFO or socket",
            };
            return Err(Error::new("read", path, ErrorKind::NotRegular, what));
        }
        // O_NONBLOCK and the second look: should the name be changed to a FIFO in between, the
        // open returns at once and the file is refused.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(fd) = self.open_at(path, flags, "read")? else { return Ok(None) };
        let file = File::from(fd);
        let opened = self.attributes(&file, path, "read")?;
        if !opened.same_inode(&seen) {
            return Err(Error::new("read", path, ErrorKind::Changed, "it was replaced meanwhile"));
        }
        Ok(Some(file))
    }

    fn resolve(
        &self,
        path: &GuestPath,
        operation: &'static str,
    ) -> Result<Option<(OwnedFd, Attributes)>> {
        let Some(fd) = self.open_at(path, OFlags::PATH, operation)? else { return Ok(None) };
        let attributes = self.attributes(&fd, path, operation)?;
        Ok(Some((fd, attributes)))
    }

    /// Open a path inside the root; `None` when it names nothing.
    pub(super) fn open_at(
        &self,
        path: &GuestPath,
        flags: OFlags,
        operation: &'static str,
    ) -> Result<Option<OwnedFd>> {
        let root = self.directory.as_fd();
        match resolve::open_in_root(root, path.as_bytes(), flags, &self.has_openat2) {
            Ok(fd) => Ok(Some(fd)),
            Err(e) => absent(Error::errno(operation, path, e)),
        }
    }

    fn attributes(
        &self,
        fd: impl AsFd,
        path: &GuestPath,
        operation: &'static str,
    ) -> Result<Attributes> {
        rustix::fs::fstat(fd)
            .map(|stat| Attributes::from_stat(&stat))
            .map_err(|e| Error::errno(operation, path, e))
    }
}

impl Files for Confined {
    fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        Ok(self.resolve(path, "look at")?.map(|(_, attributes)| attributes))
    }

    fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        match self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW, "look at")? {
            Some(fd) => self.attributes(&fd, path, "look at").map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        let mut content = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| Error::io("read", path, &e))?;
        if content.len() as u64 > limit {
            let cause = format!("it is larger than {limit} bytes");
            return Err(Error::new("read", path, ErrorKind::TooLarge, cause));
        }
        Ok(Some(content))
    }

    fn open_stream(&self, path: &GuestPath, limit: u64) -> Result<Option<Stream>> {
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        let stream = Stream::new(file, path)?;
        if stream.stamp().size > limit {
            let cause = format!("it is larger than {limit} bytes");
            return Err(Error::new("read", path, ErrorKind::TooLarge, cause));
        }
        Ok(Some(stream))
    }

    fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let Some(fd) = self.open_at(path, flags, "read the link")? else { return Ok(None) };
        match rustix::fs::readlinkat(&fd, "", Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            // There is something, and it is no link (readlinkat(2) with an empty path).
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::errno("read the link", path, e)),
        }
    }

    fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let Some(directory) = self.open_at(path, flags, "list")? else { return Ok(None) };
        let entries = rustix::fs::Dir::new(directory).map_err(|e| Error::errno("list", path, e))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| Error::errno("list", path, e))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
            if names.len() > MAX_NAMES {
                let cause = format!("it holds more than {MAX_NAMES} names");
                return Err(Error::new("list", path, ErrorKind::TooLarge, cause));
            }
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    // Asked of statx(2) first, which needs no right to open the file; of FS_IOC_GETFLAGS where
    // statx does not know (KERNEL(4.11): filesystems began to answer then).
    fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>> {
        let Some((handle, attributes)) = self.resolve(path, "look at")? else { return Ok(None) };
        if let Ok(statx) =
            rustix::fs::statx(handle.as_fd(), "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
            && let Some(flags) = InodeFlags::from_statx(&statx)
        {
            return Ok(Some(flags));
        }
        if attributes.kind != FileKind::Regular {
            return Ok(Some(InodeFlags::default()));
        }
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        let flags = InodeFlags::of_file(&file);
        flags.map(Some).map_err(|e| Error::errno("read the flags of", path, e))
    }

    fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>> {
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let file = match self.stat(path)?.map(|about| about.kind) {
            Some(FileKind::Directory) => self.open_at(path, directory, "read")?.map(File::from),
            _ => self.open_regular(path)?,
        };
        let Some(file) = file else { return Ok(None) };
        let mut value = vec![0; 64 * 1024];
        match rustix::fs::fgetxattr(&file, name, &mut value) {
            Ok(length) => Ok(Some(value[..length].into())),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(e) => Err(Error::errno("read an attribute of", path, e)),
        }
    }

    fn census(&self, lists: &[&[Erasure]], reach: &Reach) -> Result<Vec<Census>> {
        sweep::census(self, lists, reach)
    }

    fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>> {
        let Some((handle, _)) = self.resolve(path, "look at")? else { return Ok(None) };
        let vfs = rustix::fs::fstatvfs(handle.as_fd())
            .map_err(|e| Error::errno("measure the filesystem of", path, e))?;
        Ok(Some(FsUse {
            size: vfs.f_blocks.saturating_mul(vfs.f_frsize),
            available: vfs.f_bavail.saturating_mul(vfs.f_frsize),
            free: vfs.f_bfree.saturating_mul(vfs.f_frsize),
            inodes: vfs.f_files,
            inodes_free: vfs.f_ffree,
            read_only: vfs.f_flag.contains(StatVfsMountFlags::RDONLY),
            id: vfs.f_fsid,
        }))
    }
}

/// A path that names nothing is an answer, not a failure.
fn absent<T>(error: Error) -> Result<Option<T>> {
    match error.kind() {
        ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    }
}
