//! Every regular file below a directory of a guest, read by several threads.
//!
//! The walk goes from directory to directory by open descriptors and single names (openat(2) with
//! O_NOFOLLOW), so that it cannot leave the root, follows no link, and costs the kernel one short
//! look-up a file. FIFOs and devices are told by their directory entry and never opened. It stays
//! on the filesystems that it is given, and enters each directory once, however many bind mounts
//! show it.

mod file;
mod node;
mod pool;
mod unmounted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;

use super::confined::Confined;
use super::{Error, Result};
use crate::model::GuestPath;
use node::{Node, Work};
use pool::Pool;

pub use file::{OpenFile, Piece};

/// What reads the files. Each thread has one of its own.
pub trait Reads: Send {
    /// Whether it may be enough to know when a file last changed.
    fn may_skip(&self, _path: &[u8]) -> bool {
        false
    }
    /// Whether a file need not be read that [`Reads::may_skip`], and whose content or attributes last
    /// changed then, in seconds since 1970.
    fn skips(&mut self, _path: &[u8], _changed: i64) -> bool {
        false
    }
    /// A regular file. One that has several names comes once, under any of them.
    fn file(&mut self, file: &mut OpenFile);
    /// Something that could not be looked at, and why.
    fn unread(&mut self, path: &[u8], why: &str);
}

/// What is to be read.
#[derive(Debug)]
pub struct Wanted {
    /// Directories or files to begin with, links in them followed.
    pub starts: Vec<GuestPath>,
    /// Whether what is mounted below a start is read too, where it is no filesystem of the kernel's
    /// own and none of the network.
    pub crosses: bool,
}

/// How far the reading is; other threads may look.
#[derive(Debug, Default)]
pub struct Tally {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// Files that were read.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Device and inode number.
type Inode = (u64, u64);

/// What the threads share.
#[derive(Debug, Default)]
struct Shared {
    /// The directories that were entered.
    entered: Mutex<BTreeSet<Inode>>,
    /// The files that have several names, and the first of them by order: which thread comes first
    /// is chance, and the answer must not be.
    linked: Mutex<BTreeMap<Inode, Vec<u8>>>,
}

impl Shared {
    /// Whether a directory is entered for the first time.
    fn enters(&self, inode: Inode) -> bool {
        locked(&self.entered).insert(inode)
    }

    /// Whether a file of several names is seen for the first time.
    fn is_first_name(&self, inode: Inode, path: &[u8]) -> bool {
        let mut linked = locked(&self.linked);
        match linked.get_mut(&inode) {
            None => {
                linked.insert(inode, path.to_vec());
                true
            }
            Some(known) => {
                if path < known.as_slice() {
                    *known = path.to_vec();
                }
                false
            }
        }
    }
}

/// A thread that panicked has left nothing half done in what is locked here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first name, by order, of each file that has several.
pub type FirstNames = BTreeMap<(u64, u64), Vec<u8>>;

/// Read everything with one thread a reader.
///
/// `tick` is called ten times a second by the thread that called.
pub(super) fn read<R: Reads>(
    root: &Confined,
    wanted: &Wanted,
    readers: &mut [R],
    tally: &Tally,
    tick: &dyn Fn(),
) -> Result<FirstNames> {
    let shared = Shared::default();
    let pool = Pool::default();
    let Some((first, _)) = readers.split_first_mut() else { return Ok(FirstNames::new()) };
    for start in &wanted.starts {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        match root.open_at(start, flags, "list") {
            Ok(Some(fd)) => match Node::start(fd, start, wanted.crosses) {
                Ok(node) => pool.push(Work::Directory(node)),
                Err(why) => first.unread(start.as_bytes(), &why),
            },
            Ok(None) => one(root, start, first, tally)?,
            Err(error) => first.unread(start.as_bytes(), &error.to_string()),
        }
    }
    std::thread::scope(|scope| {
        let handles: Vec<_> = readers
            .iter_mut()
            .map(|reader| scope.spawn(|| node::work(&pool, &shared, reader, tally)))
            .collect();
        while !handles.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            pool.wait_for_end(Duration::from_millis(100));
            tick();
        }
    });
    Ok(shared.linked.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A start that is a file.
fn one<R: Reads>(root: &Confined, path: &GuestPath, reader: &mut R, tally: &Tally) -> Result<()> {
    let Some(file) = root.open_regular(path)? else {
        let cause = "there is no such file";
        return Err(Error::new("read", path, super::ErrorKind::NotFound, cause));
    };
    match OpenFile::new(file.into(), path.as_bytes()) {
        Ok(mut file) => {
            tally.add(file.size());
            reader.file(&mut file);
        }
        Err(error) => reader.unread(path.as_bytes(), &error.to_string()),
    }
    Ok(())
}

pub(super) use unmounted::read as read_unmounted;
