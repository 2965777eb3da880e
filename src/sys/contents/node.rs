//! A directory of the walk, and what a thread does with it.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::file::OpenFile;
use super::pool::Pool;
use super::{Reads, Shared, Tally};
use crate::model::GuestPath;
use crate::sys::Error;

/// Down to this depth a directory stays open while those below it are listed; below, each is opened
/// from the last that is open, name by name. A tree of any depth needs few descriptors so.
const HELD_DEPTH: usize = 64;

/// Bytes of directory entries that one getdents64(2) gives.
const ENTRIES: usize = 64 * 1024;

/// Files of a directory that a thread without work is given at once: a few milliseconds.
const FILES_GIVEN: usize = 64;

/// What a thread takes.
#[derive(Debug)]
pub(super) enum Work {
    Directory(Node),
    Files(Files),
}

/// Files of a directory that another thread lists: one directory may hold most of a tree.
#[derive(Debug)]
pub(super) struct Files {
    directory: Arc<Held>,
    path: Arc<[u8]>,
    names: Vec<CString>,
}

/// A directory that is to be listed.
#[derive(Debug)]
pub(super) struct Node {
    above: Arc<Held>,
    /// The names that lead from `above` to it; none for a start.
    names: Vec<CString>,
    path: Vec<u8>,
    depth: usize,
}

/// A directory that is open while some below it wait.
#[derive(Debug)]
struct Held {
    fd: OwnedFd,
    /// The filesystem that the walk stays on.
    device: u64,
    crosses: bool,
}

/// Why a directory is not listed: it went, it was seen, or something is to be said.
enum Not {
    Entered,
    Said(String),
}

impl Node {
    /// A directory to begin with.
    pub(super) fn start(fd: OwnedFd, path: &GuestPath, crosses: bool) -> Result<Self, String> {
        if let Some(what) = of_no_disk(&fd) {
            return Err(format!("cannot read {path}: it is on {what}"));
        }
        let device = device_of(fd.as_fd()).map_err(|e| said("look at", path.as_bytes(), e))?;
        let mut path = path.as_bytes().to_vec();
        if path == b"/" {
            path.clear();
        }
        let above = Arc::new(Held { fd, device, crosses });
        Ok(Self { above, names: Vec::new(), path, depth: 0 })
    }

    /// Open it from the last directory above it that is open.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY
            | OFlags::DIRECTORY
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        let mut names = self.names.iter();
        let Some(first) = names.next() else {
            return rustix::fs::openat(&self.above.fd, c".", flags, Mode::empty());
        };
        let mut fd = rustix::fs::openat(&self.above.fd, first.as_c_str(), flags, Mode::empty())?;
        for name in names {
            fd = rustix::fs::openat(&fd, name.as_c_str(), flags, Mode::empty())?;
        }
        Ok(fd)
    }

    /// Open it where the walk may enter it.
    fn enter(&self, shared: &Shared) -> Result<Held, Not> {
        let say = |error| Not::Said(said("list", &self.path, error));
        let fd = self.open().map_err(say)?;
        let stat = rustix::fs::fstat(&fd).map_err(say)?;
        // A subvolume of btrfs has a device number of its own and is on the same filesystem.
        let is_other = stat.st_dev != self.above.device && !is_btrfs(&fd);
        if is_other && (!self.above.crosses || of_no_disk(&fd).is_some() || is_memory(&fd)) {
            return Err(Not::Entered);
        }
        if !shared.enters((stat.st_dev, stat.st_ino)) {
            return Err(Not::Entered);
        }
        Ok(Held { fd, device: stat.st_dev, crosses: self.above.crosses })
    }
}

/// What one thread does: list directories and have their files read, until there are no more.
pub(super) fn work<R: Reads>(pool: &Pool, shared: &Shared, reader: &mut R, tally: &Tally) {
    let mut entries = Vec::with_capacity(ENTRIES);
    let mut lister = Lister { pool, shared, reader, tally, may_keep_atime: true, path: Vec::new() };
    while let Some(work) = pool.pop() {
        match work {
            Work::Files(files) => lister.files(&files),
            Work::Directory(node) => match node.enter(shared) {
                Ok(held) => lister.list(&node, held, entries.spare_capacity_mut()),
                Err(Not::Said(why)) => lister.reader.unread(&node.path, &why),
                Err(Not::Entered) => {}
            },
        }
        pool.done();
    }
}

struct Lister<'a, R> {
    pool: &'a Pool,
    shared: &'a Shared,
    reader: &'a mut R,
    tally: &'a Tally,
    /// Whether O_NOATIME is allowed: to root, and to a file's owner.
    may_keep_atime: bool,
    /// The path of the file that is read, kept for its memory.
    path: Vec<u8>,
}

impl<R: Reads> Lister<'_, R> {
    fn list(&mut self, node: &Node, held: Held, entries: &mut [MaybeUninit<u8>]) {
        let held = Arc::new(held);
        let stays_open = node.depth < HELD_DEPTH;
        let path = Arc::from(node.path.as_slice());
        let files = |names| Files { directory: Arc::clone(&held), path: Arc::clone(&path), names };
        let mut given = Vec::new();
        let mut directory = RawDir::new(held.fd.as_fd(), entries);
        while let Some(entry) = directory.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.reader.unread(&node.path, &said("list", &node.path, error));
                    break;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some filesystems do not tell (getdents64(2)).
                FileType::Unknown => kind_of(held.fd.as_fd(), name),
                kind => kind,
            };
            match kind {
                FileType::RegularFile if self.pool.is_wanted() => {
                    given.push(name.to_owned());
                    if given.len() == FILES_GIVEN {
                        self.pool.push(Work::Files(files(std::mem::take(&mut given))));
                    }
                }
                FileType::RegularFile => self.file(held.fd.as_fd(), &node.path, name),
                FileType::Directory => {
                    let (above, mut names) = if stays_open {
                        (Arc::clone(&held), Vec::new())
                    } else {
                        (Arc::clone(&node.above), node.names.clone())
                    };
                    names.push(name.to_owned());
                    let path = [&node.path, &b"/"[..], name.to_bytes()].concat();
                    let depth = node.depth + 1;
                    self.pool.push(Work::Directory(Node { above, names, path, depth }));
                }
                _ => {}
            }
        }
        self.files(&files(given));
    }

    fn files(&mut self, files: &Files) {
        for name in &files.names {
            self.file(files.directory.fd.as_fd(), &files.path, name);
        }
    }

    fn file(&mut self, directory: BorrowedFd, path: &[u8], name: &CStr) {
        self.path.clear();
        self.path.extend_from_slice(path);
        self.path.push(b'/');
        self.path.extend_from_slice(name.to_bytes());
        if self.reader.may_skip(&self.path)
            && let Ok(about) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            && self.reader.skips(&self.path, about.st_ctime)
        {
            self.tally.add(u64::try_from(about.st_size).unwrap_or(0));
            return;
        }
        let fd = match self.open(directory, name) {
            Ok(fd) => fd,
            // It was removed meanwhile, or replaced by a link: an image would not have it either.
            Err(Errno::NOENT | Errno::LOOP) => return,
            Err(error) => {
                self.reader.unread(&self.path, &said("read", &self.path, error));
                return;
            }
        };
        match OpenFile::new(fd, &self.path) {
            Ok(mut file) => {
                if let Some(inode) = file.shared_inode()
                    && !self.shared.is_first_name(inode, &self.path)
                {
                    return;
                }
                self.tally.add(file.size());
                self.reader.file(&mut file);
            }
            // Replaced by a FIFO or a device between its listing and its opening.
            Err(Errno::INVAL) => {}
            Err(error) => self.reader.unread(&self.path, &said("read", &self.path, error)),
        }
    }

    fn open(&mut self, directory: BorrowedFd, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if self.may_keep_atime {
            // A look must not change when a file was last read.
            match rustix::fs::openat(directory, name, flags | OFlags::NOATIME, Mode::empty()) {
                Err(Errno::PERM) => self.may_keep_atime = false,
                opened => return opened,
            }
        }
        rustix::fs::openat(directory, name, flags, Mode::empty())
    }
}

fn said(operation: &'static str, path: &[u8], error: Errno) -> String {
    Error::errno(operation, GuestPath::new(path), error).to_string()
}

fn kind_of(directory: BorrowedFd, name: &CStr) -> FileType {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

fn device_of(fd: BorrowedFd) -> Result<u64, Errno> {
    Ok(rustix::fs::fstat(fd)?.st_dev)
}

/// f_type of statfs(2), from linux/magic.h.
fn magic(fd: &OwnedFd) -> Option<u64> {
    let about = rustix::fs::fstatfs(fd).ok()?;
    #[allow(clippy::cast_sign_loss)] // A bit pattern, which statfs(2) has in a signed field.
    Some(about.f_type as u64 & 0xffff_ffff)
}

fn is_btrfs(fd: &OwnedFd) -> bool {
    magic(fd) == Some(0x9123_683e)
}

/// tmpfs and ramfs.
fn is_memory(fd: &OwnedFd) -> bool {
    matches!(magic(fd), Some(0x0102_1994 | 0x8584_58f6))
}

/// What kind of filesystem lies on no disk of the guest: the kernel's own, which have no end, and
/// those of other machines, which may not answer.
fn of_no_disk(fd: &OwnedFd) -> Option<&'static str> {
    match magic(fd)? {
        0x9fa0 | 0x6265_6572 | 0x6462_6720 | 0x7472_6163 | 0x7363_6673 | 0x0027_e0eb
        | 0x6367_7270 | 0x6165_676c | 0xcafe_4a11 | 0x1980_0202 | 0x6265_6570 | 0x4249_4e4d
        | 0xde5e_81e4 | 0x1cd1 | 0x0187 | 0x9584_58f6 => Some("a filesystem of the kernel's own"),
        // NFS, SMB (three generations), AFS (two), 9p, Ceph, CODA, NCP; FUSE may be anything.
        0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x5346_414f | 0x6b41_4653 | 0x0102_1997
        | 0x00c3_6400 | 0x7375_7245 | 0x564c | 0x6573_5546 => Some("a filesystem of the network"),
        _ => None,
    }
}
