//! A directory that is held open, and single names in it.
//!
//! The journal and every change to a guest go through a `Dir`: once the directory is open, a name
//! without a slash cannot lead anywhere else, whatever happens to the path above it. What is no such
//! name is refused, whoever came up with it: a journal is read out of the guest that is looked at.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::write::timestamps;
use super::{Attributes, Error, ErrorKind, FileKind, Result, Time};

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: String,
}

impl Dir {
    pub(super) fn new(fd: OwnedFd, path: String) -> Self {
        Self { fd, path }
    }

    /// Open a directory of this machine that is to hold what is trusted later, making it and its
    /// parents for its user alone. The disk has those that are new.
    ///
    /// # Errors
    /// As [`Dir::open_trusted`].
    pub fn create_trusted(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let is_new = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        let new: Vec<&Path> = path.ancestors().take_while(is_new).collect();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|e| Error::io("make", &shown, &e))?;
        for parent in new.iter().filter_map(|dir| dir.parent()) {
            let here = parent.as_os_str().is_empty();
            Self::open_on_host(if here { Path::new(".") } else { parent })?.sync()?;
        }
        Self::open_trusted(path)
    }

    /// Open a directory of this machine whose content is trusted.
    ///
    /// # Errors
    /// What the system says; a link, and what another user may write, are refused.
    pub fn open_trusted(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        // With a slash at its end a link would be followed all the same.
        let path: PathBuf = path.components().collect();
        if std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_symlink()) {
            let cause = "it is a link; name the directory that it leads to";
            return Err(Error::new("trust", shown, ErrorKind::Refused, cause));
        }
        let flags = directory_flags() | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|e| Error::errno("open", &shown, e))?;
        let dir = Self { fd, path: shown };
        dir.see_trusted()?;
        Ok(dir)
    }

    /// See that nobody but us and root can put anything into this directory.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where somebody can.
    pub fn see_trusted(&self) -> Result<()> {
        let stat =
            rustix::fs::fstat(&self.fd).map_err(|e| Error::errno("look at", &self.path, e))?;
        let us = rustix::process::geteuid().as_raw();
        let cause = if stat.st_uid != us && stat.st_uid != 0 {
            format!(
                "it belongs to user {}, who can plant in it what would be believed",
                stat.st_uid
            )
        } else if stat.st_mode & 0o022 != 0 {
            let mode = stat.st_mode & 0o777;
            format!(
                "others than its owner may write it (mode {mode:03o}), and plant what would be believed"
            )
        } else {
            return Ok(());
        };
        let cause = format!("{cause}; see what is in it, and name another with --state-dir");
        Err(Error::new("trust", &self.path, ErrorKind::Refused, cause))
    }

    /// Open a directory of this machine that the operator named.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_on_host(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let fd = rustix::fs::open(path, directory_flags(), Mode::empty())
            .map_err(|e| Error::errno("open", &shown, e))?;
        Ok(Self { fd, path: shown })
    }

    /// How a message names something in this directory.
    pub fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.path.trim_end_matches('/'))
    }

    /// How a message names this directory.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn fd(&self) -> impl AsFd + '_ {
        &self.fd
    }

    /// Open a directory in this one.
    ///
    /// # Errors
    /// What the system says; a link is refused.
    pub fn open_dir(&self, name: &str) -> Result<Dir> {
        self.see_single("open", name.as_bytes())?;
        let shown = self.shown(name);
        let flags = directory_flags() | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|e| Error::errno("open", &shown, e))?;
        Ok(Dir { fd, path: shown })
    }

    /// Make a directory in this one that only root may enter, or open it where it exists.
    ///
    /// # Errors
    /// What the system says; a link is refused.
    pub fn make_dir(&self, name: &str) -> Result<Dir> {
        self.see_single("make", name.as_bytes())?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => self.sync()?,
            Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(Error::errno("make", self.shown(name), e)),
        }
        self.open_dir(name)
    }

    /// The names in this directory, sorted.
    ///
    /// # Errors
    /// What the system says.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(&self.fd)
            .map_err(|e| Error::errno("list", &self.path, e))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| Error::errno("list", &self.path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What a name is, links not followed; `None` when there is no such name.
    ///
    /// # Errors
    /// What the system says.
    pub fn lstat(&self, name: &[u8]) -> Result<Option<Attributes>> {
        self.see_single("look at", name)?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Attributes::from_stat(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::errno("look at", self.shown_bytes(name), e)),
        }
    }

    /// A regular file's content; `None` when there is no such name.
    ///
    /// # Errors
    /// What the system says; anything but a regular file is refused unopened.
    pub fn read(&self, name: &[u8], limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_regular(name, OFlags::RDONLY)? else { return Ok(None) };
        let shown = self.shown_bytes(name);
        let mut content = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|e| Error::io("read", &shown, &e))?;
        if content.len() as u64 > limit {
            let cause = format!("it is larger than {limit} bytes");
            return Err(Error::new("read", shown, ErrorKind::TooLarge, cause));
        }
        Ok(Some(content))
    }

    pub(super) fn open_regular(&self, name: &[u8], access: OFlags) -> Result<Option<File>> {
        let shown = self.shown_bytes(name);
        match self.lstat(name)? {
            None => return Ok(None),
            Some(seen) if seen.kind != FileKind::Regular => return Err(self.not_regular(name)),
            Some(_) => {}
        }
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map(|fd| Some(File::from(fd)))
            .map_err(|e| Error::errno("open", shown, e))
    }

    /// Write a new file that only root may read, and wait until the disk has it.
    ///
    /// # Errors
    /// What the system says; an existing name is refused.
    pub fn write_new(&self, name: &str, content: &[u8]) -> Result<()> {
        let mut file = self.create_new(name.as_bytes())?;
        let shown = self.shown(name);
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .map_err(|e| Error::io("write", &shown, &e))?;
        self.sync()
    }

    pub(super) fn create_new(&self, name: &[u8]) -> Result<File> {
        self.see_single("create", name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|e| Error::errno("create", self.shown_bytes(name), e))
    }

    /// Write a file that only root may read in the place of what has its name, whole or not at
    /// all, and wait until the disk has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let temporary = format!("{name}.new");
        self.remove(temporary.as_bytes())?;
        self.write_new(&temporary, content)?;
        rustix::fs::renameat(&self.fd, temporary.as_str(), &self.fd, name)
            .map_err(|e| Error::errno("replace", self.shown(name), e))?;
        self.sync()
    }

    /// Append a record to a file that only root may read, and wait until the disk has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&self, name: &str, record: &[u8]) -> Result<()> {
        let shown = self.shown(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = self.lstat(name.as_bytes())?.is_none();
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| Error::errno("open", &shown, e))?;
        let mut file = File::from(fd);
        file.write_all(record)
            .and_then(|()| file.sync_all())
            .map_err(|e| Error::io("write", &shown, &e))?;
        if new {
            self.sync()?;
        }
        Ok(())
    }

    /// Remove a name that is no directory; a name that is not there is no error.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.see_single("remove", name)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::errno("remove", self.shown_bytes(name), e)),
        }
    }

    /// Remove a directory that is empty; a name that is not there is no error.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove_dir(&self, name: &str) -> Result<()> {
        self.see_single("remove", name.as_bytes())?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::errno("remove", self.shown(name), e)),
        }
    }

    /// Wait until the disk has this directory's names.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(|e| Error::errno("sync", &self.path, e))
    }

    pub(super) fn open_lock_file(&self, name: &str) -> Result<File> {
        // To open a device can be to do something with it.
        if self.lstat(name.as_bytes())?.is_some_and(|seen| seen.kind != FileKind::Regular) {
            return Err(self.not_regular(name.as_bytes()));
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|e| Error::errno("open", self.shown(name), e))
    }

    fn not_regular(&self, name: &[u8]) -> Error {
        let cause = "it is not a regular file";
        Error::new("open", self.shown_bytes(name), ErrorKind::NotRegular, cause)
    }

    /// See that a name is one: with a slash, or as `..`, it would lead out of the directory.
    pub(super) fn see_single(&self, operation: &'static str, name: &[u8]) -> Result<()> {
        if !name.contains(&b'/') && ![&b""[..], b".", b".."].contains(&name) {
            return Ok(());
        }
        let cause = "it is no name in this directory";
        Err(Error::new(operation, self.shown_bytes(name), ErrorKind::Refused, cause))
    }

    pub(super) fn shown_bytes(&self, name: &[u8]) -> String {
        self.shown(&crate::model::ByteString::from(name).to_string())
    }

    /// A regular file that has to be there, open for reading.
    pub(super) fn open_existing(&self, name: &[u8]) -> Result<File> {
        let gone = || Error::new("read", self.shown_bytes(name), ErrorKind::NotFound, "it is gone");
        self.open_regular(name, OFlags::RDONLY)?.ok_or_else(gone)
    }

    /// The directory's own times: last access, last modification.
    ///
    /// # Errors
    /// What the system says.
    pub fn times(&self) -> Result<(Time, Time)> {
        let stat =
            rustix::fs::fstat(self.fd()).map_err(|e| Error::errno("look at", self.path(), e))?;
        let attributes = Attributes::from_stat(&stat);
        Ok((attributes.accessed, attributes.modified))
    }

    /// Give the directory its times back.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_times(&self, accessed: Time, modified: Time) -> Result<()> {
        rustix::fs::futimens(self.fd(), &timestamps(accessed, modified))
            .map_err(|e| Error::errno("set the times of", self.path(), e))?;
        // A journal on another disk would otherwise be ahead of this one.
        self.sync()
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}
