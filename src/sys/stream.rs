//! A guest's file that is read as a stream, by another thread too.

use std::fs::File;
use std::io::{Cursor, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use super::attributes::time;
use super::{Attributes, Error, Result, Time};

/// An open regular file. What can be done with it is to read it.
#[derive(Debug)]
pub struct Stream {
    content: Content,
    stamp: Stamp,
}

#[derive(Debug)]
enum Content {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

/// What changes when a file's content does, as far as its filesystem tells: no write leaves the
/// time of change as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Device number of the filesystem.
    pub device: u64,
    /// Inode number there.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last modification, which anybody who may write can set.
    pub modified: Time,
    /// Last change of content or attributes, which only the kernel sets.
    pub changed: Time,
}

impl Stamp {
    pub(super) fn from_stat(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl Stream {
    pub(super) fn new(file: File, path: &impl std::fmt::Display) -> Result<Self> {
        let stat = rustix::fs::fstat(&file).map_err(|e| Error::errno("look at", path, e))?;
        Ok(Self { stamp: Stamp::from_stat(&stat), content: Content::File(file) })
    }

    /// The content of what is not there as a file: it was what `about` says.
    pub(super) fn of_memory(content: Vec<u8>, about: &Attributes) -> Self {
        let stamp = Stamp {
            device: about.device,
            inode: about.inode,
            size: about.size,
            modified: about.modified,
            changed: about.modified,
        };
        Self { content: Content::Memory(Cursor::new(content)), stamp }
    }

    /// What it was when it was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Its first bytes, at most `length`; where it is read from next stays as it was.
    ///
    /// # Errors
    /// What the system says.
    pub fn head(&self, length: usize) -> std::io::Result<Vec<u8>> {
        let file = match &self.content {
            Content::File(file) => file,
            Content::Memory(content) => {
                let content = content.get_ref();
                return Ok(content[..length.min(content.len())].to_vec());
            }
        };
        let mut head = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut head[filled..], filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        head.truncate(filled);
        Ok(head)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.content {
            Content::File(file) => file.read(buffer),
            Content::Memory(content) => content.read(buffer),
        }
    }
}
