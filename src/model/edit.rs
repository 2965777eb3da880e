//! The semantic edits that probes offer and `change/` composes into steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteString, GuestPath};

/// One thing to change, said by what it means and not by bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Add lines at the end of a file that is there. A line that two checks want is added once.
    Append {
        /// The file.
        path: GuestPath,
        /// The lines, without line ends.
        lines: Vec<ByteString>,
    },
    /// Write a whole file: a drop-in of ours, or one whose every byte is ours to say. A file that
    /// is there keeps its owner and mode.
    WriteFile {
        /// The file.
        path: GuestPath,
        /// All of its content.
        content: ByteString,
        /// The permission bits of a file that is made.
        mode: u32,
    },
    /// Remove a regular file or a link.
    Remove {
        /// The file.
        path: GuestPath,
    },
    /// Enable or disable a service as its init system's own tool would, by its links.
    Service {
        /// The service's name without a suffix: `kdump`, `sshd`.
        service: String,
        /// Whether it is to be started at boot.
        enable: bool,
    },
    /// Change the kernel's command line everywhere that the next boot and the next kernel update
    /// take it from.
    KernelArguments {
        /// Arguments to be there, such as `crashkernel=256M`. One of the same key is replaced.
        add: Vec<String>,
        /// Arguments to be gone: `key` takes `key` and `key=...`, `key=value` takes that alone.
        remove: Vec<String>,
    },
    /// Run one of the guest's own tools, on a guest that runs. What it writes is saved before and
    /// put back by rollback.
    Run {
        /// The program and its arguments; no shell.
        argv: Vec<String>,
        /// Every file that it writes.
        writes: Vec<GuestPath>,
        /// Run by rollback once the files are back; empty for nothing.
        undo: Vec<String>,
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
    /// Swap to a device or a file.
    SwapOn {
        /// The device or file, as swapon(8) takes it.
        device: GuestPath,
    },
    /// Make a file that is swapped to, and swap to it; on a guest that runs.
    SwapFile {
        /// The file, which is not there.
        path: GuestPath,
        /// Its size in bytes.
        size: u64,
    },
    /// Mount what fstab has at this target by then; on a guest that runs.
    Mount {
        /// The mount point.
        target: GuestPath,
    },
    /// Have systemd read its files again and start a unit; on a guest that systemd runs.
    Start {
        /// The unit's full name.
        unit: String,
        /// Whether it has to be up for the step to be done.
        wait: bool,
    },
    /// Mask a systemd unit: a link to /dev/null in /etc/systemd/system.
    MaskUnit {
        /// The unit's full name.
        unit: String,
    },
}

/// What becomes of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LineChange {
    /// Comment it out behind a marker that keeps its bytes.
    Park,
    /// Put another source in its first field.
    SetSource(ByteString),
    /// Add mount options that it does not have yet.
    AddOptions(Vec<String>),
    /// Put this line in its place.
    Replace(ByteString),
    /// Add a line after it.
    InsertAfter(ByteString),
}

/// A mount as it is now, with all that rollback needs to make it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
