//! FAT: the EFI system partition, where this machine's kernel has no driver for it.
//!
//! Names are found without regard to case, as the kernel's vfat does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fatfs::{FileSystem, FsOptions};

use super::Bytes;
use crate::sys::{Answer, Attributes, FileKind, Filesystem, FsUse, InodeFlags, Time};

/// A FAT filesystem of an image.
pub struct View {
    fat: FileSystem<Disk>,
    /// What was seen so far; a node's inode is its index.
    seen: RefCell<Vec<Node>>,
    /// Its inode by a node's path in lower case.
    known: RefCell<BTreeMap<String, u64>>,
}

/// A file or directory.
#[derive(Clone)]
struct Node {
    /// From the root, without a slash at its ends.
    path: String,
    is_directory: bool,
    size: u64,
}

/// The bytes as fatfs wants them. Nothing is ever written.
struct Disk {
    bytes: Bytes,
    at: u64,
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.fill(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.size().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Write for Disk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl View {
    /// Read its first sectors.
    ///
    /// # Errors
    /// What is damaged or not understood.
    pub fn open(bytes: Bytes) -> Answer<Self> {
        let disk = Disk { bytes, at: 0 };
        let fat = guarded(|| FileSystem::new(disk, FsOptions::new()))?;
        let root = Node { path: String::new(), is_directory: true, size: 0 };
        let known = BTreeMap::from([(String::new(), 0)]);
        Ok(Self { fat, seen: RefCell::new(vec![root]), known: RefCell::new(known) })
    }

    fn node(&self, inode: u64) -> Answer<Node> {
        let at = usize::try_from(inode).unwrap_or(usize::MAX);
        self.seen.borrow().get(at).cloned().ok_or_else(|| "there is no such file".to_owned())
    }

    /// What a directory holds, by name, at most `limit` of it.
    fn entries(&self, directory: u64, limit: usize) -> Answer<Vec<(String, Node)>> {
        let above = self.node(directory)?;
        guarded(|| {
            let root = self.fat.root_dir();
            let opened = if above.path.is_empty() { root } else { root.open_dir(&above.path)? };
            let mut found = Vec::new();
            for entry in opened.iter() {
                let entry = entry?;
                let name = entry.file_name();
                if name == "." || name == ".." {
                    continue;
                }
                if found.len() == limit {
                    break;
                }
                let path = if above.path.is_empty() {
                    name.clone()
                } else {
                    format!("{}/{name}", above.path)
                };
                let node = Node { path, is_directory: entry.is_dir(), size: entry.len() };
                found.push((name, node));
            }
            Ok(found)
        })
    }
}

/// fatfs was written for disks of one's own; on a hostile one its arithmetic may panic.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> Answer<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|e| format!("FAT: {e}")),
        Err(_) => Err("FAT: it is damaged".to_owned()),
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("volume_id", &self.fat.volume_id()).finish_non_exhaustive()
    }
}

impl Filesystem for View {
    fn root(&self) -> u64 {
        0
    }

    fn child(&self, directory: u64, name: &[u8]) -> Answer<Option<u64>> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        let lower = name.to_lowercase();
        let entries = self.entries(directory, usize::MAX)?;
        let Some((_, node)) = entries.into_iter().find(|(own, _)| own.to_lowercase() == lower)
        else {
            return Ok(None);
        };
        let mut seen = self.seen.borrow_mut();
        let new = seen.len() as u64;
        let inode = *self.known.borrow_mut().entry(node.path.to_lowercase()).or_insert(new);
        if inode == new {
            seen.push(node);
        }
        Ok(Some(inode))
    }

    fn names(&self, directory: u64, limit: usize) -> Answer<Vec<Vec<u8>>> {
        let entries = self.entries(directory, limit)?;
        Ok(entries.into_iter().map(|(name, _)| name.into_bytes()).collect())
    }

    fn attributes(&self, inode: u64) -> Answer<Attributes> {
        // As the kernel shows it with a umask of 022, which is what boot mounts it with.
        const NEVER: Time = Time { seconds: 0, nanoseconds: 0 };
        let node = self.node(inode)?;
        Ok(Attributes {
            kind: if node.is_directory { FileKind::Directory } else { FileKind::Regular },
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: node.size,
            accessed: NEVER,
            modified: NEVER,
            links: 1,
            device: 0,
            inode,
            xattrs: None,
            flags: None,
        })
    }

    fn link(&self, _: u64) -> Answer<Vec<u8>> {
        Err("FAT: there are no links".to_owned())
    }

    fn read(&self, inode: u64, offset: u64, length: usize) -> Answer<Vec<u8>> {
        let node = self.node(inode)?;
        guarded(|| {
            let mut file = self.fat.root_dir().open_file(&node.path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut content = Vec::new();
            file.take(length as u64).read_to_end(&mut content)?;
            Ok(content)
        })
    }

    fn flags(&self, _: u64) -> Answer<InodeFlags> {
        Ok(InodeFlags::default())
    }

    fn xattr(&self, _: u64, _: &str) -> Answer<Option<Vec<u8>>> {
        Ok(None)
    }

    fn usage(&self) -> FsUse {
        let cluster = u64::from(self.fat.cluster_size());
        let (total, free) = match guarded(|| self.fat.stats()) {
            Ok(stats) => (stats.total_clusters().into(), stats.free_clusters().into()),
            Err(_) => (0u64, 0u64),
        };
        FsUse {
            size: total.saturating_mul(cluster),
            available: free.saturating_mul(cluster),
            free: free.saturating_mul(cluster),
            inodes: 0,
            inodes_free: 0,
            read_only: false,
            id: 0,
        }
    }
}
