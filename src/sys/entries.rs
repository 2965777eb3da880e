//! What a name in a guest is beside a file: directories and symbolic links, made, read and removed.

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::write::{Spot, timestamps};
use super::xattrs::Bearer;
use super::{Attributes, Error, Result};

impl Spot {
    /// Make a directory that was not there.
    ///
    /// # Errors
    /// What the system says; an existing name is refused.
    pub fn make_dir(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::mkdirat(self.dir.fd(), self.name.as_slice(), mode)
            .and_then(|()| {
                // Whatever the umask.
                let flags = AtFlags::empty();
                rustix::fs::chmodat(self.dir.fd(), self.name.as_slice(), mode, flags)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made =
                    rustix::fs::openat(self.dir.fd(), self.name.as_slice(), flags, Mode::empty())?;
                rustix::fs::fsync(made)
            })
            .map_err(|e| Error::errno("make", &self.path, e))?;
        self.dir.sync()
    }

    /// Remove an empty directory.
    ///
    /// # Errors
    /// What the system says; one that is not empty is refused.
    pub fn remove_dir(&self) -> Result<()> {
        rustix::fs::unlinkat(self.dir.fd(), self.name.as_slice(), AtFlags::REMOVEDIR)
            .map_err(|e| Error::errno("remove", &self.path, e))?;
        self.dir.sync()
    }

    /// Make a symbolic link.
    ///
    /// # Errors
    /// What the system says; an existing name is refused.
    pub fn link_to(&self, target: &[u8]) -> Result<()> {
        rustix::fs::symlinkat(target, self.dir.fd(), self.name.as_slice())
            .map_err(|e| Error::errno("link", &self.path, e))?;
        self.dir.sync()
    }

    /// Give a symbolic link its owner, extended attributes and times; it has no mode of its own.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_link_attributes(&self, like: &Attributes) -> Result<()> {
        let fail = |e: Errno| Error::errno("set the attributes of", &self.path, e);
        let owner = Some(rustix::fs::Uid::from_raw(like.uid));
        let group = Some(rustix::fs::Gid::from_raw(like.gid));
        let (fd, name) = (self.dir.fd(), self.name.as_slice());
        rustix::fs::chownat(&fd, name, owner, group, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        if let Some(xattrs) = &like.xattrs {
            xattrs.give_to(&Bearer::link(&self.dir, name)).map_err(fail)?;
        }
        let times = timestamps(like.accessed, like.modified);
        rustix::fs::utimensat(&fd, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        // A link cannot be opened and synced by itself, and its directory's names are not its times.
        rustix::fs::syncfs(&fd).map_err(fail)
    }

    /// Where the link points; `None` when there is no such name or it is no link.
    ///
    /// # Errors
    /// What the system says.
    pub fn link_target(&self) -> Result<Option<Vec<u8>>> {
        match rustix::fs::readlinkat(self.dir.fd(), self.name.as_slice(), Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(e) => Err(Error::errno("read the link", &self.path, e)),
        }
    }
}
