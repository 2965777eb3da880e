//! Writing to a guest. Only `change/` uses this module; a test reads the `use` lines and says so.
//!
//! A file is replaced by writing a new one beside it, giving it the old one's owner, mode,
//! extended attributes and flags, and renaming it over the old name; the directory is synced
//! last. Where a rename cannot work (the file is a mount point, or has other hard links that must
//! stay the same file) the content is written in place, which the caller has journalled before.

use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::{IFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::sweep::{self, Erased, Held, Reach};
use super::xattrs::{Bearer, Xattrs};
use super::{Attributes, Dir, Error, ErrorKind, FileKind, InodeFlags, Result, Root, Time};
use crate::model::{Erasure, GuestPath, Sha256};

/// The largest file that is edited.
pub const MAX_FILE: u64 = 16 << 20;

/// How many links a path may end in, as the kernel has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The inode flags that chattr(1) sets on a file and that a replacement can and must keep.
const KEPT_FLAGS: IFlags = IFlags::IMMUTABLE
    .union(IFlags::APPEND)
    .union(IFlags::NODUMP)
    .union(IFlags::NOATIME)
    .union(IFlags::SYNC)
    .union(IFlags::NOCOW)
    .union(IFlags::COMPRESSED);

/// A guest's root that may be written to.
#[derive(Debug)]
pub struct RootMut<'a> {
    root: &'a Root,
}

/// A name in an open directory of the guest: what is written to.
#[derive(Debug)]
pub struct Spot {
    /// The directory that holds it.
    pub dir: Dir,
    /// Its name there.
    pub name: Vec<u8>,
    /// Its path in the guest, links resolved.
    pub path: GuestPath,
}

/// How a file's content got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// By renaming a new file over it.
    Renamed,
    /// By writing into the file that was there.
    InPlace,
}

impl<'a> RootMut<'a> {
    /// The writable view of a root. For `change/` alone.
    pub fn new(root: &'a Root) -> Self {
        Self { root }
    }

    /// Make a directory of the guest and its parents, or open it where it exists; new ones are
    /// root's alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_dirs(&self, path: &GuestPath) -> Result<Dir> {
        if let Some(dir) = self.open_dir(path)? {
            return Ok(dir);
        }
        let parent = self.make_dirs(&path.parent())?;
        match rustix::fs::mkdirat(parent.fd(), path.name(), Mode::RWXU) {
            Ok(()) => parent.sync()?,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(Error::errno("make", path, e)),
        }
        // What leads nowhere: a link to nothing, which was in the way of the new directory.
        self.open_dir(path)?.ok_or_else(|| Error::errno("make", path, Errno::NOTDIR))
    }

    fn open_dir(&self, path: &GuestPath) -> Result<Option<Dir>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = self.root.directory()?.open_at(path, flags, "open")?;
        Ok(opened.map(|fd| Dir::new(fd, path.to_string())))
    }

    /// The spot of a path, a link at its end not followed.
    ///
    /// # Errors
    /// When the directory above it is not there or may not be opened.
    pub fn spot(&self, path: &GuestPath) -> Result<Spot> {
        let parent = path.parent();
        let dir =
            self.open_dir(&parent)?.ok_or_else(|| Error::errno("open", &parent, Errno::NOENT))?;
        dir.see_single("open", path.name())?;
        Ok(Spot { dir, name: path.name().to_vec(), path: path.clone() })
    }

    /// The spot of a path with the links at its end followed: what is edited is the file, never
    /// the link.
    ///
    /// # Errors
    /// As [`RootMut::spot`], and a loop of links.
    pub fn spot_of_file(&self, path: &GuestPath) -> Result<Spot> {
        let mut path = path.clone();
        for _ in 0..MAX_LINKS {
            match self.root.read_link(&path)? {
                Some(target) => path = path.parent().join(&target),
                None => return self.spot(&path),
            }
        }
        Err(Error::new("open", path, ErrorKind::Other, "too many links"))
    }
}

impl RootMut<'_> {
    /// Take away for good what patterns name. What fails is told, and the rest done.
    ///
    /// # Errors
    /// When nothing could be begun: the root or a mount point cannot be opened, a pattern is none.
    pub fn erase(&self, targets: &[Erasure], reach: &Reach, held: &Held) -> Result<Erased> {
        sweep::erase(self.root.directory()?, targets, reach, held)
    }
}

impl Spot {
    /// Everything about the file but its content; `None` when there is no such name.
    ///
    /// # Errors
    /// What the system says.
    pub fn attributes(&self) -> Result<Option<Attributes>> {
        let Some(mut attributes) = self.dir.lstat(&self.name)? else { return Ok(None) };
        let xattrs = |of: &Bearer| {
            Xattrs::of(of).map_err(|e| Error::errno("read the attributes of", &self.path, e))
        };
        if attributes.kind == FileKind::Symlink {
            attributes.xattrs = Some(xattrs(&Bearer::link(&self.dir, &self.name))?);
        }
        if attributes.kind == FileKind::Regular
            && let Some(file) = self.dir.open_regular(&self.name, OFlags::RDONLY)?
        {
            attributes.xattrs = Some(xattrs(&Bearer::File(&file))?);
            attributes.flags = match rustix::fs::ioctl_getflags(&file) {
                Ok(flags) => Some((flags & KEPT_FLAGS).bits()),
                Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => None,
                Err(e) => return Err(Error::errno("read the flags of", &self.path, e)),
            };
        }
        Ok(Some(attributes))
    }

    /// The file's content; `None` when there is no such name.
    ///
    /// # Errors
    /// What the system says; anything but a regular file is refused unopened.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        self.dir.read(&self.name, MAX_FILE)
    }

    /// Replace the file's content, which was `read`, keeping what it is. `temporary` is the name of
    /// the new file until it takes the old one's; `like` says what it shall be, and its times where
    /// `times`.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] when it is no more what was read, and what the system says; the old
    /// file is untouched then, unless the content had to be written in place.
    pub fn replace(
        &self,
        temporary: &str,
        read: &[u8],
        content: &[u8],
        like: &Attributes,
        times: bool,
    ) -> Result<Written> {
        let result = self.replace_unexplained(temporary, read, content, like, times);
        result.map_err(|e| self.explain(e))
    }

    fn replace_unexplained(
        &self,
        temporary: &str,
        read: &[u8],
        content: &[u8],
        like: &Attributes,
        times: bool,
    ) -> Result<Written> {
        if self.dir.lstat(&self.name)?.is_some_and(|now| now.links > 1) {
            self.still_has(read)?;
            self.write_in_place(content, like, times)?;
            return Ok(Written::InPlace);
        }
        // A crash may have left it.
        self.dir.remove(temporary.as_bytes())?;
        let result = self
            .write_temporary(temporary, content, like, times)
            .and_then(|()| self.take_place(temporary, content, read));
        match result {
            Ok(()) => {
                self.dir.sync()?;
                Ok(Written::Renamed)
            }
            Err(error) => {
                let cleaned = self.dir.remove(temporary.as_bytes());
                // EBUSY: the name is a mount point, as /etc/resolv.conf is in a container.
                if error.kind() == ErrorKind::Busy {
                    self.still_has(read)?;
                    self.write_in_place(content, like, times)?;
                    return Ok(Written::InPlace);
                }
                cleaned.and(Err(error))
            }
        }
    }

    fn write_temporary(
        &self,
        temporary: &str,
        content: &[u8],
        like: &Attributes,
        times: bool,
    ) -> Result<()> {
        let fill = |file: &mut File| {
            file.write_all(content).map_err(|e| Error::io("replace", &self.path, &e))
        };
        self.write_temporary_with(temporary, fill, like, times)
    }

    fn write_temporary_with(
        &self,
        temporary: &str,
        fill: impl FnOnce(&mut File) -> Result<()>,
        like: &Attributes,
        times: bool,
    ) -> Result<()> {
        let mut file = self.dir.create_new(temporary.as_bytes())?;
        let fail = |e: Errno| Error::errno("replace", &self.path, e);
        // The flags first: btrfs takes "no copy-on-write" for an empty file only.
        set_flags(&file, like.flags, false).map_err(fail)?;
        fill(&mut file)?;
        rustix::fs::fchown(
            &file,
            Some(rustix::fs::Uid::from_raw(like.uid)),
            Some(rustix::fs::Gid::from_raw(like.gid)),
        )
        .map_err(fail)?;
        if let Some(xattrs) = &like.xattrs {
            xattrs.give_to(&Bearer::File(&file)).map_err(fail)?;
        }
        // After chown, which clears setuid and setgid.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(like.mode)).map_err(fail)?;
        if times {
            set_times(&file, like).map_err(fail)?;
        }
        file.sync_all().map_err(|e| Error::io("replace", &self.path, &e))
    }

    fn rename_over(&self, temporary: &str) -> Result<()> {
        rustix::fs::renameat(self.dir.fd(), temporary, self.dir.fd(), self.name.as_slice())
            .map_err(|e| Error::errno("replace", &self.path, e))
    }

    /// Give a new file its name, which must be free.
    fn rename_new(&self, temporary: &str) -> Result<()> {
        let (dir, name) = (self.dir.fd(), self.name.as_slice());
        match rustix::fs::renameat_with(&dir, temporary, &dir, name, RenameFlags::NOREPLACE) {
            // KERNEL(3.15): older ones have no renameat2(2), and some filesystems no such flag; a
            // seccomp filter from before it says EPERM.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) if self.dir.lstat(name)?.is_none() => {
                self.rename_over(temporary)
            }
            renamed => renamed.map_err(|e| Error::errno("write", &self.path, e)),
        }
    }

    fn write_in_place(&self, content: &[u8], like: &Attributes, times: bool) -> Result<()> {
        let Some(mut file) = self.dir.open_regular(&self.name, OFlags::WRONLY)? else {
            return Err(Error::new("write", &self.path, ErrorKind::NotFound, "it is gone"));
        };
        file.write_all(content)
            .and_then(|()| file.set_len(content.len() as u64))
            .map_err(|e| Error::io("write", &self.path, &e))?;
        if times {
            set_times(&file, like).map_err(|e| Error::errno("write", &self.path, e))?;
        }
        file.sync_all().map_err(|e| Error::io("write", &self.path, &e))
    }

    /// Say why a write was refused where the bare cause does not.
    fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Permission {
            return error;
        }
        let flags = self.flags().unwrap_or_default();
        match (flags.immutable, flags.append_only) {
            (true, _) => error.explained("the file is immutable; lsattr shows the i flag"),
            (_, true) => error.explained("the file is append-only; lsattr shows the a flag"),
            _ => error,
        }
    }

    /// The file's immutable and append-only flags; none where the filesystem has none.
    ///
    /// # Errors
    /// What the system says.
    pub fn flags(&self) -> Result<InodeFlags> {
        let bits = self.attributes()?.and_then(|a| a.flags).unwrap_or(0);
        let flags = IFlags::from_bits_retain(bits);
        Ok(InodeFlags {
            immutable: flags.contains(IFlags::IMMUTABLE),
            append_only: flags.contains(IFlags::APPEND),
        })
    }

    /// Set the immutable and append-only flags as given, and leave all others.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_flags(&self, wanted: InodeFlags) -> Result<()> {
        let fail = |e: Errno| Error::errno("set the flags of", &self.path, e);
        let Some(file) = self.dir.open_regular(&self.name, OFlags::RDONLY)? else {
            return Err(Error::new(
                "set the flags of",
                &self.path,
                ErrorKind::NotFound,
                "it is gone",
            ));
        };
        let mut flags = rustix::fs::ioctl_getflags(&file).map_err(fail)?;
        flags.set(IFlags::IMMUTABLE, wanted.immutable);
        flags.set(IFlags::APPEND, wanted.append_only);
        rustix::fs::ioctl_setflags(&file, flags).map_err(fail)?;
        file.sync_all().map_err(|e| Error::io("set the flags of", &self.path, &e))
    }

    /// Make a file that was not there, owned by root, and wait until the disk has it.
    ///
    /// # Errors
    /// What the system says; an existing name is refused.
    pub fn create(&self, temporary: &str, content: &[u8], mode: u32) -> Result<()> {
        // A crash may have left it.
        self.dir.remove(temporary.as_bytes())?;
        let write = || -> Result<()> {
            let mut file = self.dir.create_new(temporary.as_bytes())?;
            file.write_all(content).map_err(|e| Error::io("write", &self.path, &e))?;
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
                .map_err(|e| Error::errno("write", &self.path, e))?;
            file.sync_all().map_err(|e| Error::io("write", &self.path, &e))?;
            self.rename_new(temporary)
        };
        if let Err(error) = write() {
            return self.dir.remove(temporary.as_bytes()).and(Err(error));
        }
        self.dir.sync()
    }

    /// SHA-256 of a regular file of any size, in hex.
    ///
    /// # Errors
    /// What the system says; anything but a regular file is refused unopened.
    pub fn sha256(&self) -> Result<String> {
        let mut file = self.dir.open_existing(&self.name)?;
        let mut digest = Digest::default();
        std::io::copy(&mut file, &mut digest).map_err(|e| Error::io("read", &self.path, &e))?;
        Ok(digest.0.finish())
    }

    /// Copy a regular file of any size to a new file that only root may read, and wait until the
    /// disk has it. Gives the SHA-256 of what was copied.
    ///
    /// # Errors
    /// What the system says; an existing name is refused.
    pub fn copy_to(&self, dir: &Dir, name: &str) -> Result<String> {
        let mut from = self.dir.open_existing(&self.name)?;
        let mut to = dir.create_new(name.as_bytes())?;
        let digest = copy(&mut from, &mut to).map_err(|e| Error::io("save", &self.path, &e))?;
        to.sync_all().map_err(|e| Error::io("save", &self.path, &e))?;
        dir.sync()?;
        Ok(digest)
    }

    /// Put the content that [`Spot::copy_to`] kept where a file, a link or nothing is.
    ///
    /// # Errors
    /// What the system says, and [`ErrorKind::Changed`] when it is not what was kept.
    pub fn put_from(
        &self,
        dir: &Dir,
        name: &str,
        sha256: &str,
        temporary: &str,
        like: &Attributes,
    ) -> Result<()> {
        self.dir.remove(temporary.as_bytes())?;
        let fill = |file: &mut File| -> Result<()> {
            let mut from = dir.open_existing(name.as_bytes())?;
            let copied = copy(&mut from, file).map_err(|e| Error::io("restore", &self.path, &e))?;
            if copied == sha256 {
                return Ok(());
            }
            let shown = dir.shown(name);
            Err(Error::new("read", shown, ErrorKind::Changed, "it is not what was saved"))
        };
        let result = self
            .write_temporary_with(temporary, fill, like, true)
            .and_then(|()| self.rename_over(temporary));
        if let Err(error) = result {
            return self.dir.remove(temporary.as_bytes()).and(Err(error));
        }
        self.dir.sync()
    }

    /// Remove the name, which is no directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self) -> Result<()> {
        self.dir.remove(&self.name)?;
        self.dir.sync()
    }
}

/// What is written here is digested.
#[derive(Default)]
struct Digest(Sha256);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Copy all of a file, and give the SHA-256 of it.
fn copy(from: &mut File, to: &mut File) -> std::io::Result<String> {
    let mut digest = Sha256::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(digest.finish()),
            length => {
                digest.update(&buffer[..length]);
                to.write_all(&buffer[..length])?;
            }
        }
    }
}

fn set_flags(file: &File, wanted: Option<u32>, locked: bool) -> std::result::Result<(), Errno> {
    let Some(wanted) = wanted else { return Ok(()) };
    let mut wanted = IFlags::from_bits_retain(wanted);
    if !locked {
        wanted.remove(IFlags::IMMUTABLE | IFlags::APPEND);
    }
    let now = rustix::fs::ioctl_getflags(file)?;
    let next = (now - KEPT_FLAGS) | (wanted & KEPT_FLAGS);
    if next == now { Ok(()) } else { rustix::fs::ioctl_setflags(file, next) }
}

fn set_times(file: &File, like: &Attributes) -> std::result::Result<(), Errno> {
    rustix::fs::futimens(file, &timestamps(like.accessed, like.modified))
}

pub(super) fn timestamps(accessed: Time, modified: Time) -> Timestamps {
    let spec = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds };
    Timestamps { last_access: spec(accessed), last_modification: spec(modified) }
}
