//! A walk through a directory of this machine.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, StatxFlags};
use rustix::io::Errno;

use super::{About, Kind, Tree};
use crate::model::GuestPath;
use crate::sys::confined::Confined;
use crate::sys::{Error, Result};

/// Bytes of directory entries that one getdents64(2) gives.
const ENTRIES: usize = 32 * 1024;
const LISTED: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
/// STATX_MNT_ID of statx(2), KERNEL(5.8).
const MOUNT_ID: StatxFlags = StatxFlags::from_bits_retain(0x1000);

pub(super) struct Mounted<'a> {
    root: &'a Confined,
}

impl<'a> Mounted<'a> {
    pub(super) fn new(root: &'a Confined) -> Self {
        Self { root }
    }
}

impl Tree for Mounted<'_> {
    type Directory = OwnedFd;

    fn top(&self, mounts: &[GuestPath]) -> Result<(OwnedFd, BTreeSet<u64>)> {
        let top = GuestPath::from("/");
        let open = |path: &GuestPath| self.root.open_at(path, LISTED, "list");
        let gone = || Error::errno("list", &top, Errno::NOENT);
        let fd = open(&top)?.ok_or_else(gone)?;
        let mut allowed = BTreeSet::from([mount_of(fd.as_fd(), &top)?]);
        for path in mounts {
            if let Some(fd) = open(path)? {
                allowed.insert(mount_of(fd.as_fd(), path)?);
            }
        }
        Ok((fd, allowed))
    }

    fn about(&self, at: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<About>> {
        // No automount is set off by a look.
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let wanted = StatxFlags::BASIC_STATS | MOUNT_ID;
        let fail = |e| Error::errno("look at", GuestPath::new(path), e);
        let found = match rustix::fs::statx(at, name, flags, wanted) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            // KERNEL(4.11): older ones have no statx; a seccomp filter from before it says EPERM.
            Err(Errno::NOSYS | Errno::PERM) => return about_by_stat(at, name, path),
            Err(e) => return Err(fail(e)),
        };
        let mount = if found.stx_mask & MOUNT_ID.bits() != 0 {
            found.stx_mnt_id
        } else {
            mount_by_name(at, name, path)?
        };
        Ok(Some(About {
            kind: kind(u32::from(found.stx_mode)),
            size: found.stx_size,
            changed: found.stx_ctime.tv_sec,
            links: found.stx_nlink.into(),
            inode: (rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino),
            mount,
        }))
    }

    fn enter(
        &self,
        at: &OwnedFd,
        name: &[u8],
        about: &About,
        path: &[u8],
    ) -> Result<Option<OwnedFd>> {
        let fd = match rustix::fs::openat(at, name, LISTED, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(e) => return Err(Error::errno("list", GuestPath::new(path), e)),
        };
        // Something may have been mounted there since it was looked at.
        let is_same = mount_of(fd.as_fd(), &GuestPath::new(path))? == about.mount;
        Ok(is_same.then_some(fd))
    }

    fn each(&self, at: &OwnedFd, path: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let fail = |e| Error::errno("list", GuestPath::new(path), e);
        rustix::fs::seek(at, SeekFrom::Start(0)).map_err(fail)?;
        let mut buffer = vec![MaybeUninit::uninit(); ENTRIES];
        let mut entries = RawDir::new(at, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                visit(name);
            }
        }
        Ok(())
    }
}

fn about_by_stat(at: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<About>> {
    let found = match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(e) => return Err(Error::errno("look at", GuestPath::new(path), e)),
    };
    Ok(Some(About {
        kind: kind(found.st_mode),
        size: u64::try_from(found.st_size).unwrap_or(0),
        changed: found.st_ctime,
        links: found.st_nlink,
        inode: (found.st_dev, found.st_ino),
        mount: mount_by_name(at, name, path)?,
    }))
}

fn mount_by_name(at: &OwnedFd, name: &[u8], path: &[u8]) -> Result<u64> {
    let path = GuestPath::new(path);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(at, name, flags, Mode::empty())
        .map_err(|e| Error::errno("look at", &path, e))?;
    mount_of(fd.as_fd(), &path)
}

/// Which mount a file is on: a bind mount has the device of its origin, and another id.
fn mount_of(fd: BorrowedFd, path: &GuestPath) -> Result<u64> {
    let found = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, MOUNT_ID);
    if let Ok(found) = found
        && found.stx_mask & MOUNT_ID.bits() != 0
    {
        return Ok(found.stx_mnt_id);
    }
    // KERNEL(3.15): fdinfo has `mnt_id` since then; of older ones the device has to do.
    let info = std::fs::read(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap_or_default();
    let id = String::from_utf8_lossy(&info)
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    match id {
        Some(id) => Ok(id),
        None => rustix::fs::fstat(fd)
            .map(|stat| stat.st_dev)
            .map_err(|e| Error::errno("look at", path, e)),
    }
}

fn kind(mode: u32) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Socket => Kind::Socket,
        _ => Kind::Other,
    }
}
