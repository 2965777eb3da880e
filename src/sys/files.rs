//! What can be asked of a guest's files, wherever they lie.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::sweep::{Census, Reach};
use super::{Attributes, InodeFlags, Result, Stamp, Stream};
use crate::model::{ByteString, Erasure, GuestPath};

/// More names than this in one directory is not a guest's configuration.
pub(super) const MAX_NAMES: usize = 65_536;

/// Space and inodes of a filesystem, as statvfs(3) gives them to a caller without privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The files of a guest. [`super::Root`], which stands in front of it, says what each answer means.
pub(super) trait Files: Debug {
    fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>>;
    fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>>;
    fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>>;
    fn open_stream(&self, path: &GuestPath, limit: u64) -> Result<Option<Stream>>;
    fn stamp(&self, path: &GuestPath) -> Result<Option<Stamp>> {
        Ok(self.open_stream(path, u64::MAX)?.map(|stream| stream.stamp()))
    }
    fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>>;
    fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>>;
    fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>>;
    fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>>;
    fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>>;
    fn census(&self, lists: &[&[Erasure]], reach: &Reach) -> Result<Vec<Census>>;
}
