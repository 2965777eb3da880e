//! What a file is, apart from its content.

use rustix::fs::{FileType, Stat};
use serde::{Deserialize, Serialize};

use super::Xattrs;

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket, character or block device: never opened.
    Special,
}

/// A moment as the filesystem keeps it: seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanoseconds: i64,
}

/// The inode flags that a person sets and that matter to us (`chattr`, ioctl_iflags(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InodeFlags {
    /// `i`: cannot be changed, replaced or removed, by root neither.
    pub immutable: bool,
    /// `a`: can only grow.
    pub append_only: bool,
}

impl InodeFlags {
    /// What statx(2) says of them; `None` where the filesystem does not (KERNEL(4.11): they began to).
    pub(super) fn from_statx(found: &rustix::fs::Statx) -> Option<Self> {
        const IMMUTABLE: u64 = 0x10; // STATX_ATTR_IMMUTABLE
        const APPEND: u64 = 0x20; // STATX_ATTR_APPEND
        let (known, bits) = (found.stx_attributes_mask.bits(), found.stx_attributes.bits());
        (known & (IMMUTABLE | APPEND) == IMMUTABLE | APPEND)
            .then_some(Self { immutable: bits & IMMUTABLE != 0, append_only: bits & APPEND != 0 })
    }

    /// What FS_IOC_GETFLAGS says of an open file; neither where its filesystem has none.
    pub(super) fn of_file(file: impl std::os::fd::AsFd) -> rustix::io::Result<Self> {
        use rustix::fs::IFlags;
        use rustix::io::Errno;
        match rustix::fs::ioctl_getflags(file) {
            Ok(flags) => Ok(Self {
                immutable: flags.contains(IFlags::IMMUTABLE),
                append_only: flags.contains(IFlags::APPEND),
            }),
            Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(Self::default()),
            Err(e) => Err(e),
        }
    }

    /// Whether either flag stands in the way of a change.
    pub fn any(self) -> bool {
        self.immutable || self.append_only
    }

    /// The flags in the words of plans and reports.
    pub fn names(self) -> Vec<String> {
        [(self.immutable, "immutable"), (self.append_only, "append-only")]
            .into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| name.to_owned())
            .collect()
    }
}

/// What a file is, apart from its content; enough to tell whether it was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky: the low 12 bits of `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Last access.
    pub accessed: Time,
    /// Last modification.
    pub modified: Time,
    /// Hard links.
    pub links: u64,
    /// Device number of the filesystem it lies on.
    pub device: u64,
    /// Inode number there.
    pub inode: u64,
    /// Extended attributes, the SELinux label and ACLs among them; read only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xattrs: Option<Xattrs>,
    /// Inode flags as FS_IOC_GETFLAGS gives them, where the filesystem has them; read only when
    /// asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<u32>,
}

impl Attributes {
    pub(super) fn from_stat(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: time(stat.st_atime, stat.st_atime_nsec),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            links: stat.st_nlink,
            device: stat.st_dev,
            inode: stat.st_ino,
            xattrs: None,
            flags: None,
        }
    }

    /// Whether both name the same inode.
    pub fn same_inode(&self, other: &Attributes) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Whether `other` is what rollback has to give back: everything but access time, inode
    /// number and device, which no replacement can keep. Extended attributes that nobody asked for
    /// are not known: the first journals have none of links.
    pub fn restores(&self, other: &Attributes) -> bool {
        self.kind == other.kind
            && self.mode == other.mode
            && self.uid == other.uid
            && self.gid == other.gid
            && self.size == other.size
            && self.modified == other.modified
            && (other.xattrs.is_none() || self.xattrs == other.xattrs)
            && self.flags == other.flags
    }
}

// The nanosecond field's type differs between rustix backends.
#[allow(clippy::unnecessary_cast, clippy::cast_possible_wrap)]
pub(super) fn time(seconds: i64, nanoseconds: u64) -> Time {
    Time { seconds, nanoseconds: nanoseconds as i64 }
}
