//! A guest's files, confined.
//!
//! Every path is resolved inside the guest's root as if it were `/`: absolute links are followed
//! inside it and `..` is clamped at it (openat2 with RESOLVE_IN_ROOT, or libpathrs' own walk where
//! the kernel is older than 5.6). A thing is first asked what it is and only then opened, so that
//! a FIFO never blocks and a device never notices. A `Root` only reads.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use pathrs::flags::OpenFlags;
use rustix::fs::{AtFlags, IFlags, StatVfsMountFlags, StatxFlags};

use super::{Attributes, Error, ErrorKind, FileKind, InodeFlags, Result};
use crate::model::{ByteString, GuestPath};

/// More names than this in one directory is not a guest's configuration.
const MAX_NAMES: usize = 65_536;

/// A directory that is taken for the root of a guest.
#[derive(Debug)]
pub struct Root {
    inner: pathrs::Root,
    path: PathBuf,
}

/// Space and inodes of a filesystem, as statvfs(3) gives them to a caller without privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsUse {
    /// Size in bytes.
    pub size: u64,
    /// Free for an ordinary user, in bytes.
    pub available: u64,
    /// Free at all, in bytes.
    pub free: u64,
    /// Inodes; 0 where the filesystem makes them as it goes (btrfs, vfat).
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
    /// Mounted read-only.
    pub read_only: bool,
    /// The filesystem's id (`f_fsid`), whose making is each filesystem's own.
    pub id: u64,
}

impl Root {
    /// Take a directory of this machine as a guest's root.
    ///
    /// # Errors
    /// When it does not exist, is not a directory, or may not be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        // pathrs wants a path without links; the operator's own path may have them.
        let full = path.canonicalize().map_err(|e| Error::io("open", &shown, &e))?;
        if !full.is_dir() {
            return Err(Error::new("open", shown, ErrorKind::NotRegular, "it is not a directory"));
        }
        let inner = pathrs::Root::open(&full).map_err(|e| Error::pathrs("open", &shown, &e))?;
        Ok(Self { inner, path: full })
    }

    /// Where the root lies on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn inner(&self) -> &pathrs::Root {
        &self.inner
    }

    /// What a path is, links followed; `None` when it names nothing.
    ///
    /// # Errors
    /// When the path cannot be walked: no permission, a link loop.
    pub fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        Ok(self.resolve(path, "look at")?.map(|(_, attributes)| attributes))
    }

    /// What a path is, a link at its end not followed; `None` when it names nothing.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        match self.inner.resolve_nofollow(as_path(path)) {
            Ok(handle) => self.attributes(handle.as_fd(), path, "look at").map(Some),
            Err(e) => absent(Error::pathrs("look at", path, &e)),
        }
    }

    /// A regular file's content, links followed; `None` when the path names nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotRegular`] for anything that is not a regular file (it is not opened),
    /// [`ErrorKind::TooLarge`] beyond `limit` bytes, and what the system says.
    pub fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>> {
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

    /// Open a regular file for reading, once it is known to be one.
    fn open_regular(&self, path: &GuestPath) -> Result<Option<File>> {
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
        let flags = OpenFlags::O_RDONLY | OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY;
        let file = match self.inner.open_subpath(as_path(path), flags) {
            Ok(file) => file,
            Err(e) => return absent(Error::pathrs("read", path, &e)),
        };
        let opened = self.attributes(file.as_fd(), path, "read")?;
        if !opened.same_inode(&seen) {
            return Err(Error::new("read", path, ErrorKind::Changed, "it was replaced meanwhile"));
        }
        Ok(Some(file))
    }

    /// A symbolic link's target, unresolved; `None` when the path names nothing or no link.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>> {
        match self.inner.readlink(as_path(path)) {
            Ok(target) => Ok(Some(target.into_os_string().into_vec())),
            // EINVAL: there is something, and it is no link.
            Err(e) if e.kind() == pathrs::error::ErrorKind::OsError(Some(EINVAL)) => Ok(None),
            Err(e) => absent(Error::pathrs("read the link", path, &e)),
        }
    }

    /// The names in a directory, sorted, without `.` and `..`; `None` when the path names nothing.
    ///
    /// # Errors
    /// When it is not a directory or holds an absurd number of names.
    pub fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>> {
        let flags = OpenFlags::O_RDONLY | OpenFlags::O_DIRECTORY | OpenFlags::O_NONBLOCK;
        let directory = match self.inner.open_subpath(as_path(path), flags) {
            Ok(file) => file,
            Err(e) => return absent(Error::pathrs("list", path, &e)),
        };
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

    /// The immutable and append-only flags of a regular file or directory, links followed; `None`
    /// when the path names nothing.
    ///
    /// Asked of statx(2) first, which needs no right to open the file; of FS_IOC_GETFLAGS where
    /// statx does not know (KERNEL(4.11): filesystems began to answer then). A filesystem that has
    /// no such flags has none set.
    ///
    /// # Errors
    /// When neither way may be gone.
    pub fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>> {
        const IMMUTABLE: u64 = 0x10; // STATX_ATTR_IMMUTABLE
        const APPEND: u64 = 0x20; // STATX_ATTR_APPEND
        let Some((handle, attributes)) = self.resolve(path, "look at")? else { return Ok(None) };
        if let Ok(statx) =
            rustix::fs::statx(handle.as_fd(), "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
            && statx.stx_attributes_mask.bits() & (IMMUTABLE | APPEND) == IMMUTABLE | APPEND
        {
            let bits = statx.stx_attributes.bits();
            return Ok(Some(InodeFlags {
                immutable: bits & IMMUTABLE != 0,
                append_only: bits & APPEND != 0,
            }));
        }
        if attributes.kind != FileKind::Regular {
            return Ok(Some(InodeFlags::default()));
        }
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        match rustix::fs::ioctl_getflags(&file) {
            Ok(flags) => Ok(Some(InodeFlags {
                immutable: flags.contains(IFlags::IMMUTABLE),
                append_only: flags.contains(IFlags::APPEND),
            })),
            Err(rustix::io::Errno::NOTTY | rustix::io::Errno::OPNOTSUPP) => {
                Ok(Some(InodeFlags::default()))
            }
            Err(e) => Err(Error::errno("read the flags of", path, e)),
        }
    }

    /// One extended attribute, links followed; `None` when it is not set or not supported.
    ///
    /// # Errors
    /// When the file may not be opened.
    pub fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>> {
        let Some(file) = self.open_regular(path)? else { return Ok(None) };
        let mut value = vec![0; 64 * 1024];
        match rustix::fs::fgetxattr(&file, name, &mut value) {
            Ok(length) => Ok(Some(value[..length].into())),
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
            Err(e) => Err(Error::errno("read an attribute of", path, e)),
        }
    }

    /// Space and inodes of the filesystem that a path lies on; `None` when it names nothing.
    ///
    /// # Errors
    /// What statvfs says.
    pub fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>> {
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

    fn resolve(
        &self,
        path: &GuestPath,
        operation: &'static str,
    ) -> Result<Option<(pathrs::Handle, Attributes)>> {
        match self.inner.resolve(as_path(path)) {
            Ok(handle) => {
                let attributes = self.attributes(handle.as_fd(), path, operation)?;
                Ok(Some((handle, attributes)))
            }
            Err(e) => absent(Error::pathrs(operation, path, &e)),
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

const EINVAL: i32 = 22;

/// A path that names nothing is an answer, not a failure.
fn absent<T>(error: Error) -> Result<Option<T>> {
    match error.kind() {
        ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    }
}

pub(super) fn as_path(path: &GuestPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}
