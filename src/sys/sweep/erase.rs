//! Taking away what patterns name.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::mounted::Mounted;
use super::{About, Hand, Kind, MAX_FAILURES, Reach, Target, walk};
use crate::model::{Erasure, ErasureKind, GuestPath};
use crate::sys::confined::Confined;
use crate::sys::{Error, ErrorKind, InodeFlags, Result};

/// What was taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Erased {
    /// Regular files that are gone or changed.
    pub files: u64,
    /// The bytes that they had.
    pub bytes: u64,
    /// What could not be taken away, and why; not more than a hundred are named.
    pub failures: Vec<Error>,
    /// How many more there are.
    pub more_failures: u64,
}

/// Files that processes hold open, by device and inode number.
pub type Held = BTreeSet<(u64, u64)>;

/// The files that the processes of this machine have open. Of a process that ends meanwhile, or
/// may not be looked at, none is known.
pub fn held() -> Held {
    use std::os::unix::fs::MetadataExt;
    let mut held = Held::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        let open = std::fs::read_dir(process.path().join("fd"));
        for file in open.into_iter().flatten().flatten() {
            if let Ok(about) = std::fs::metadata(file.path())
                && about.is_file()
            {
                held.insert((about.dev(), about.ino()));
            }
        }
    }
    held
}

struct Erasing<'a> {
    done: Erased,
    taken: u64,
    held: &'a Held,
    /// A directory of every filesystem that names were taken away from, by device number.
    touched: BTreeMap<u64, OwnedFd>,
}

/// Take away what patterns name. What fails is told, and the rest done.
pub(in crate::sys) fn erase(
    root: &Confined,
    erasures: &[Erasure],
    reach: &Reach,
    held: &Held,
) -> Result<Erased> {
    let hand = Erasing { done: Erased::default(), taken: 0, held, touched: BTreeMap::new() };
    let mut hand = walk(&Mounted::new(root), &[erasures], reach, hand)?;
    hand.sync();
    Ok(hand.done)
}

impl<'a> Hand<Mounted<'a>> for Erasing<'_> {
    fn file(&mut self, target: &Target, at: &OwnedFd, name: &[u8], about: &About, path: &[u8]) {
        let is_file = *target.how == ErasureKind::RemoveFile;
        let result = match target.how {
            ErasureKind::Truncate => rewrite(at, name, about, b"", path),
            ErasureKind::Rewrite { content } => rewrite(at, name, about, content.as_bytes(), path),
            // The daemon would write on into a file without a name, whose blocks are in the image.
            _ if is_file && self.held.contains(&about.inode) => rewrite(at, name, about, b"", path),
            _ => remove(at, name, about, path),
        };
        match result {
            Ok(Done::Gone) => {
                self.taken += 1;
                self.touch(at);
                self.count(about);
            }
            Ok(Done::Written) => self.count(about),
            Ok(Done::Left) => {}
            Err(error) => self.fail(error),
        }
    }

    fn directory(&mut self, _: &Target, at: &OwnedFd, name: &[u8], path: &[u8]) {
        match rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.taken += 1;
                self.touch(at);
            }
            // Something in it was left, or is new.
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => {}
            Err(e) => {
                self.fail(explained(at, name, Error::errno("remove", GuestPath::new(path), e)))
            }
        }
    }

    fn failed(&mut self, _: usize, error: Error) {
        self.fail(error);
    }

    fn taken(&self) -> u64 {
        self.taken
    }
}

impl Erasing<'_> {
    fn touch(&mut self, at: &OwnedFd) {
        let Ok(about) = rustix::fs::fstat(at) else { return };
        if let Entry::Vacant(entry) = self.touched.entry(about.st_dev)
            && let Ok(directory) = at.try_clone()
        {
            entry.insert(directory);
        }
    }

    /// Wait until the disks have it: a step is noted as done once, and what a power failure brought
    /// back would go with the image. Once for each filesystem, not for each directory.
    fn sync(&mut self) {
        for directory in std::mem::take(&mut self.touched).into_values() {
            if let Err(error) = rustix::fs::syncfs(directory) {
                self.fail(Error::errno("sync", "what was removed", error));
            }
        }
    }

    fn count(&mut self, about: &About) {
        if about.kind == Kind::Regular && about.size > 0 {
            self.done.files += 1;
            self.done.bytes += about.size;
        }
    }

    fn fail(&mut self, error: Error) {
        if self.done.failures.contains(&error) {
            return;
        }
        if self.done.failures.len() < MAX_FAILURES {
            self.done.failures.push(error);
        } else {
            self.done.more_failures += 1;
        }
    }
}

enum Done {
    Gone,
    Written,
    Left,
}

fn remove(at: &OwnedFd, name: &[u8], about: &About, path: &[u8]) -> Result<Done> {
    // A history that leads to /dev/null is one that is switched off.
    if about.kind == Kind::Link
        && rustix::fs::readlinkat(at, name, Vec::new())
            .is_ok_and(|to| to.to_bytes() == b"/dev/null")
    {
        return Ok(Done::Left);
    }
    match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) => Ok(Done::Gone),
        Err(Errno::NOENT) => Ok(Done::Left),
        Err(e) => Err(explained(at, name, Error::errno("remove", GuestPath::new(path), e))),
    }
}

/// Put another content in the place of a file's, in the file itself: a daemon that has it open goes
/// on writing to it, and owner, mode and label stay what they are.
fn rewrite(at: &OwnedFd, name: &[u8], about: &About, content: &[u8], path: &[u8]) -> Result<Done> {
    if about.kind != Kind::Regular || about.size == 0 && content.is_empty() {
        return Ok(Done::Left);
    }
    let shown = || GuestPath::new(path);
    let fail = |e| explained(at, name, Error::errno("empty", shown(), e));
    if about.links > 1 {
        let cause = format!("it has {} names, and all would be emptied", about.links);
        return Err(Error::new("empty", shown(), ErrorKind::Other, cause));
    }
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(at, name, flags, Mode::empty()).map_err(fail)?;
    let opened = rustix::fs::fstat(&fd).map_err(fail)?;
    if (opened.st_dev, opened.st_ino) != about.inode {
        return Err(Error::new("empty", shown(), ErrorKind::Changed, "it was replaced meanwhile"));
    }
    let mut file = File::from(fd);
    file.set_len(0)
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .map_err(|e| Error::io("empty", shown(), &e))?;
    Ok(Done::Written)
}

/// Say why a change was refused where the bare cause does not.
fn explained(at: &OwnedFd, name: &[u8], error: Error) -> Error {
    if error.kind() != ErrorKind::Permission {
        return error;
    }
    match flags(at, name) {
        Some(InodeFlags { immutable: true, .. }) => {
            error.explained("it is immutable; lsattr shows the i flag, `chattr -i` clears it")
        }
        Some(InodeFlags { append_only: true, .. }) => {
            error.explained("it is append-only; lsattr shows the a flag, `chattr -a` clears it")
        }
        _ => error,
    }
}

fn flags(at: &OwnedFd, name: &[u8]) -> Option<InodeFlags> {
    let look = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    if let Ok(found) = rustix::fs::statx(at, name, look, rustix::fs::StatxFlags::BASIC_STATS) {
        return InodeFlags::from_statx(&found);
    }
    // KERNEL(4.11): older ones have no statx. What is no regular file is not opened.
    let stat = rustix::fs::statat(at, name, look).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at, name, open, Mode::empty()).ok()?;
    InodeFlags::of_file(&file).ok()
}
