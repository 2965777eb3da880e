//! The semantic edits that probes offer and `change/` composes into steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteString, GuestPath, NamePattern, PathPattern};

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
    /// Take an account out of the files that know it, and its group where that is its own: phase 2,
    /// as [`Edit::Erase`]. Its home and its mail are erased apart from it.
    DropAccount {
        /// Its name.
        user: String,
    },
    /// Take away for good what must not go with the image: phase 2, after everything that rollback
    /// can undo. What is not there is no fault.
    Erase {
        /// What, in the order in which it goes.
        targets: Vec<Erasure>,
    },
}

/// What is taken away for good.
///
/// The path is a pattern that is looked up when the step is taken, so that a plan stays small
/// whatever lies in a directory. Neither looking up nor taking away follows a link, goes to another
/// filesystem or to what is bind-mounted, or touches the socket of a program that may be running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Erasure {
    /// An absolute path. `*`, `?` and `[...]` stand for bytes of one name, `**` for any number of
    /// directories, and a backslash takes the meaning of the byte after it.
    pub path: ByteString,
    /// What becomes of it.
    pub how: ErasureKind,
    /// Patterns of names that are left, with all below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<ByteString>,
    /// On a guest that runs, what changed within so many seconds is left: somebody is at work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<u64>,
}

impl Erasure {
    /// Whatever a pattern names.
    pub fn matching(pattern: impl Into<ByteString>, how: ErasureKind) -> Self {
        Self { path: pattern.into(), how, except: Vec::new(), older_than: None }
    }

    /// One path, whatever bytes it is made of.
    pub fn of(path: &GuestPath, how: ErasureKind) -> Self {
        let mut pattern = Vec::with_capacity(path.as_bytes().len());
        for byte in path.as_bytes() {
            if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        Self::matching(pattern, how)
    }

    /// Whether a path is named, or lies below a directory that is named with all that is in it.
    pub fn covers(&self, path: &GuestPath) -> bool {
        let Some(pattern) = PathPattern::parse(self.path.as_bytes()) else { return false };
        let names: Vec<&[u8]> =
            path.as_bytes().split(|b| *b == b'/').filter(|name| !name.is_empty()).collect();
        let excepted: Vec<NamePattern> =
            self.except.iter().map(|name| NamePattern::parse(name.as_bytes())).collect();
        (1..=names.len()).any(|length| {
            let (above, below) = names.split_at(length);
            pattern.is_match(above)
                && (below.is_empty() || self.how.takes_trees())
                && !below.iter().any(|name| excepted.iter().any(|e| e.is_match(name)))
        })
    }
}

/// What becomes of what an [`Erasure`] names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErasureKind {
    /// It goes: a file, a link, a FIFO, or a directory with all that is in it.
    Remove,
    /// A regular file or a link goes, never a directory. What a process of a running guest has open
    /// is only emptied: a log that was rotated under a daemon is written to until that opens the new one.
    RemoveFile,
    /// Everything in the directory goes; the directory stays, with its owner, mode and label.
    Contents,
    /// The content of the regular file goes; the file stays, with its owner, mode and label. For
    /// what a daemon holds open, and for what always has to be there.
    Truncate,
    /// This content takes the place of the old one; what else the file is stays. A file that is not
    /// there is not made.
    Rewrite {
        /// All of the new content.
        content: ByteString,
    },
}

impl ErasureKind {
    /// Whether it takes all that is below a directory.
    pub fn takes_trees(&self) -> bool {
        matches!(self, ErasureKind::Remove | ErasureKind::Contents)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_erasure_covers() {
        let key = GuestPath::from("/home/ann/.ssh/authorized_keys");
        let covers = |pattern: &str, how, except: &[&str]| {
            let except = except.iter().map(|name| ByteString::from(*name)).collect();
            Erasure { except, ..Erasure::matching(pattern, how) }.covers(&key)
        };
        assert!(Erasure::of(&key, ErasureKind::RemoveFile).covers(&key));
        assert!(covers("/home/*/.ssh/*", ErasureKind::RemoveFile, &[]));
        assert!(covers("/home/ann", ErasureKind::Remove, &[]));
        assert!(covers("/home/*/.ssh", ErasureKind::Contents, &["id_*"]));
        assert!(!covers("/home/ann", ErasureKind::Remove, &["authorized_*"]));
        assert!(!covers("/home/ann/.ssh", ErasureKind::RemoveFile, &[]));
        assert!(!covers("/home/bob", ErasureKind::Remove, &[]));
    }
}
