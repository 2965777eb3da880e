//! The semantic edits that probes offer and `change/` composes into steps.

use serde::{Deserialize, Serialize};

use super::{ByteString, GuestPath};

/// One thing to change, said by what it means and not by bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Change one line of a table of lines (fstab, crypttab).
    Line {
        /// The file.
        path: GuestPath,
        /// The line, counted from 1.
        line: usize,
        /// The line as the probe read it, without its line end.
        original: ByteString,
        /// What becomes of it.
        change: LineChange,
    },
    /// Clear the immutable and append-only flags of a file.
    ClearFlags {
        /// The file.
        path: GuestPath,
    },
    /// Unmount what is mounted there now, children first.
    Unmount(MountRecord),
    /// Stop swapping to a device or a file.
    SwapOff {
        /// As /proc/swaps names it.
        device: GuestPath,
        /// Its priority, to be given back by rollback.
        priority: i32,
    },
    /// Mask a systemd unit: a link to /dev/null in /etc/systemd/system.
    MaskUnit {
        /// The unit's full name.
        unit: String,
    },
}

/// What becomes of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineChange {
    /// Comment it out behind a marker that keeps its bytes.
    Park,
    /// Put another source in its first field.
    SetSource(ByteString),
    /// Add mount options that it does not have yet.
    AddOptions(Vec<String>),
}

/// A mount as it is now, with all that rollback needs to make it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRecord {
    /// Where it is mounted.
    pub target: GuestPath,
    /// The mount source as mountinfo shows it.
    pub source: ByteString,
    /// The directory of the filesystem that is mounted: `/`, or a subdirectory for a bind mount.
    pub root: ByteString,
    /// The filesystem's type.
    pub fstype: String,
    /// Options of the mount, as mountinfo shows them.
    pub options: String,
    /// Options of the superblock, as mountinfo shows them.
    pub super_options: String,
    /// The file behind a loop device that vanishes with its last mount.
    pub loop_file: Option<GuestPath>,
    /// `major:minor` of the filesystem.
    pub device: String,
    /// The mount's id, which the kernel may give to another once it is gone.
    pub id: u32,
    /// The id of the mount that it stands on.
    pub parent: u32,
}
