//! Why something of an ext filesystem could not be read.

use std::fmt;

/// The result of reading.
pub type Result<T> = std::result::Result<T, ExtError>;

/// Why something could not be read. Displays as a cause, to stand behind an operation and a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtError {
    /// The magic number is not there.
    #[error("there is no superblock of ext2, ext3 or ext4")]
    NotExt,
    /// Features, of the filesystem or of its journal, without which nothing may be read.
    #[error(
        "it has features that guestprep does not read: {0}; audit the running guest, or mount the image and use --root"
    )]
    Features(String),
    /// The journal holds changes that cannot be replayed here.
    #[error(
        "its journal must be replayed and cannot be: {0}; run e2fsck on a copy of the image first"
    )]
    Journal(String),
    /// The source of the bytes failed.
    #[error("cannot read {length} bytes at offset {offset} of the filesystem: {cause}")]
    Read {
        /// Offset in bytes from the start of the filesystem.
        offset: u64,
        /// How many bytes were wanted.
        length: usize,
        /// What the source said.
        cause: String,
    },
    /// A checksum is not that of the bytes.
    #[error("the checksum of {0} is wrong; e2fsck -fn shows the damage")]
    Checksum(Place),
    /// The bytes make no sense.
    #[error("{place} is damaged: {why}; e2fsck -fn shows the damage")]
    Damaged {
        /// Where.
        place: Place,
        /// What makes no sense.
        why: &'static str,
    },
    /// Content or names are encrypted (fscrypt).
    #[error(
        "inode {0} is encrypted, and only a mounted filesystem with the key unlocked shows what it holds"
    )]
    Encrypted(u64),
    /// Asked of an inode of another kind.
    #[error("inode {inode} is not a {wanted}")]
    Kind {
        /// The inode.
        inode: u64,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// More than the caller, or this module, is willing to take.
    #[error("{place} has more than {limit} {unit}")]
    TooLarge {
        /// What is too large.
        place: Place,
        /// The limit.
        limit: u64,
        /// The unit of the limit.
        unit: &'static str,
    },
}

/// A structure of the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The superblock at offset 1024.
    Superblock,
    /// The descriptor of a block group.
    Descriptor(u32),
    /// An inode.
    Inode(u64),
    /// A block of an inode's extent tree.
    ExtentBlock(u64, u64),
    /// A block of pointers of an inode without extents.
    PointerBlock(u64, u64),
    /// A block of a directory.
    DirectoryBlock(u64, u64),
    /// The block of an inode's extended attributes.
    AttributeBlock(u64, u64),
    /// The journal's superblock.
    JournalSuperblock,
    /// A transaction of the journal, by its sequence number.
    Transaction(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superblock => f.write_str("the superblock"),
            Self::Descriptor(group) => write!(f, "the descriptor of block group {group}"),
            Self::Inode(inode) => write!(f, "inode {inode}"),
            Self::ExtentBlock(inode, block) => write!(f, "extent block {block} of inode {inode}"),
            Self::PointerBlock(inode, block) => write!(f, "pointer block {block} of inode {inode}"),
            Self::DirectoryBlock(inode, block) => {
                write!(f, "block {block} of the directory with inode {inode}")
            }
            Self::AttributeBlock(inode, block) => {
                write!(f, "attribute block {block} of inode {inode}")
            }
            Self::JournalSuperblock => f.write_str("the journal's superblock"),
            Self::Transaction(sequence) => write!(f, "transaction {sequence} of the journal"),
        }
    }
}

impl Place {
    /// This structure makes no sense.
    pub(super) fn damaged(self, why: &'static str) -> ExtError {
        ExtError::Damaged { place: self, why }
    }

    /// Holds `ok`, or this structure makes no sense.
    pub(super) fn holds(self, ok: bool, why: &'static str) -> Result<()> {
        if ok { Ok(()) } else { Err(self.damaged(why)) }
    }

    /// This structure's checksum has to match.
    pub(super) fn matches(self, ok: bool) -> Result<()> {
        if ok { Ok(()) } else { Err(ExtError::Checksum(self)) }
    }
}
