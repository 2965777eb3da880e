//! Which file it is, whatever it is called.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Dir, Error, ErrorKind, Result};

/// A file's device and inode, which no other has while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The number of the device that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl FileId {
    /// That of an open file.
    pub(super) fn of(file: impl AsFd) -> std::result::Result<Self, Errno> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }
}

/// Which file a name of this machine stands for, links followed.
///
/// # Errors
/// What the system says.
pub fn file_id(path: &Path) -> Result<FileId> {
    let fail = |e| Error::errno("look at", path.display(), e);
    let stat = rustix::fs::stat(path).map_err(fail)?;
    Ok(FileId { device: stat.st_dev, inode: stat.st_ino })
}

/// Remove a file that guestprep made, by its name and by what it is. One that is not there is no
/// error.
///
/// # Errors
/// What the system says, and [`ErrorKind::Changed`] where another file has the name: that one is left.
pub fn remove_made(path: &Path, made: FileId) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let dir = match Dir::open_on_host(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let name = name.as_encoded_bytes();
    match dir.lstat(name)? {
        None => Ok(()),
        Some(seen) if (FileId { device: seen.device, inode: seen.inode }) == made => {
            dir.remove(name)?;
            dir.sync()
        }
        Some(_) => {
            let cause = "it is another file than the one that was made; it is left";
            Err(Error::new("remove", path.display(), ErrorKind::Changed, cause))
        }
    }
}
