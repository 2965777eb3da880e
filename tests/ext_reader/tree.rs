//! Whole trees, read by the product, by the kernel and by ext4-view, and compared.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use guestprep::parse::ext::{Ext, ExtError, FileType, ReadAt};
use rustix::fs::{IFlags, SeekFrom};

/// The flags that the kernel shows (EXT4_FL_USER_VISIBLE).
const VISIBLE: u32 = 0x725b_dfff;
/// Offsets and lengths within a file, by its path.
pub type Pieces<'a> = dyn Fn(&[u8]) -> Vec<(u64, usize)> + 'a;
/// Of larger files the pieces around data alone are compared.
const WHOLE: u64 = 4 << 20;

/// What is compared of one path, as text, a line each.
pub type Tree = BTreeMap<Vec<u8>, BTreeMap<&'static str, String>>;

/// What is compared of content: a hash and, to see where a difference begins, the first bytes.
fn digest(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x} {:?}", hasher.finish(), bstr(&bytes[..bytes.len().min(16)]))
}

fn bstr(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn xattr_text(mut all: Vec<(Vec<u8>, Vec<u8>)>) -> String {
    all.sort();
    all.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{}={} ({}) ", bstr(name), digest(value), value.len());
        text
    })
}

/// An error with the path that it is about.
trait At<T> {
    fn at(self, path: &str, what: &str) -> Result<T, String>;
}

impl<T> At<T> for Result<T, ExtError> {
    fn at(self, path: &str, what: &str) -> Result<T, String> {
        self.map_err(|error| format!("{path}: {what}: {error}"))
    }
}

/// The tree as the product reads it. Of a large file the pieces that `pieces` names are compared.
#[track_caller]
pub fn ours(ext: &Ext<impl ReadAt>, pieces: &Pieces) -> Tree {
    try_ours(ext, pieces).unwrap_or_else(|error| panic!("{error}"))
}

/// The tree, or the first error and the path that it is about.
pub fn try_ours(ext: &Ext<impl ReadAt>, pieces: &Pieces) -> Result<Tree, String> {
    let mut tree = Tree::new();
    let mut stack = vec![(Vec::new(), Ext::<Vec<u8>>::ROOT)];
    while let Some((path, number)) = stack.pop() {
        let name = bstr(&path);
        let inode = ext.inode(number).at(&name, "inode")?;
        let mut node = BTreeMap::new();
        let time =
            |time: guestprep::parse::ext::Time| format!("{}.{:09}", time.seconds, time.nanoseconds);
        node.insert("inode", inode.number.to_string());
        node.insert("mode", format!("{:o}", inode.mode));
        node.insert("uid", inode.uid.to_string());
        node.insert("gid", inode.gid.to_string());
        node.insert("size", inode.size.to_string());
        node.insert("links", inode.links.to_string());
        node.insert("atime", time(inode.accessed));
        node.insert("mtime", time(inode.modified));
        node.insert("ctime", time(inode.changed));
        let xattrs = ext.xattrs(&inode).at(&name, "xattrs")?;
        for (name, value) in &xattrs {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let one = ext.xattr(&inode, name).at(name, "xattr")?;
            assert_eq!(one.as_ref(), Some(value), "{name}");
        }
        assert_eq!(ext.xattr(&inode, "user.there is none").unwrap(), None);
        node.insert("xattrs", xattr_text(xattrs));
        match inode.kind {
            FileType::Directory => {
                node.insert("flags", format!("{:x}", inode.flags & VISIBLE));
                let entries = ext.entries(&inode, 1_000_000).at(&name, "entries")?;
                // Looking for each of 20,000 names reads 20,000 times 10,000 entries.
                for (entry, number) in entries.iter().step_by(1 + entries.len() / 50) {
                    let found = ext.lookup(&inode, entry).at(&name, "lookup")?;
                    assert_eq!(found, Some(*number), "{}", bstr(entry));
                }
                assert_eq!(ext.lookup(&inode, b"there is none").unwrap(), None);
                assert_eq!(ext.lookup(&inode, b".").unwrap(), Some(number), "{name}");
                for (entry, number) in entries {
                    stack.push(([&path[..], b"/", &entry].concat(), number));
                }
            }
            FileType::Regular => {
                node.insert("flags", format!("{:x}", inode.flags & VISIBLE));
                let read = |offset, length| {
                    let mut bytes = vec![0xaa; length];
                    let count = ext.read(&inode, offset, &mut bytes).at(&name, "read")?;
                    bytes.truncate(count);
                    Ok(digest(&bytes))
                };
                node.insert("content", content(inode.size, &pieces(&path), read)?);
            }
            FileType::Symlink => {
                let target = ext.link(&inode).at(&name, "link")?;
                node.insert("target", bstr(&target));
            }
            _ => {}
        }
        tree.insert(path, node);
    }
    Ok(tree)
}

fn content(
    size: u64,
    pieces: &[(u64, usize)],
    read: impl Fn(u64, usize) -> Result<String, String>,
) -> Result<String, String> {
    if size <= WHOLE {
        // One byte more than there is: the end is the end.
        return read(0, size as usize + 1);
    }
    pieces
        .iter()
        .map(|(offset, length)| Ok(format!("{offset}: {}; ", read(*offset, *length)?)))
        .collect()
}

/// The pieces of a large file that are worth comparing: its ends and the ends of its data.
pub fn pieces(path: &Path) -> Vec<(u64, usize)> {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut edges = vec![0, size];
    let mut at = 0;
    while let Ok(data) = rustix::fs::seek(&file, SeekFrom::Data(at)) {
        at = rustix::fs::seek(&file, SeekFrom::Hole(data)).unwrap();
        edges.extend([data, at]);
    }
    edges.iter().map(|edge| (edge.saturating_sub(5000), 10_000)).collect()
}

/// The tree as the kernel shows it below a mount point.
pub fn kernels(top: &Path) -> Tree {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(top) {
        let entry = entry.unwrap();
        let path = entry.path();
        let key = path.as_os_str().as_bytes()[top.as_os_str().len()..].to_vec();
        let meta = fs::symlink_metadata(path).unwrap();
        let mut node = BTreeMap::new();
        node.insert("inode", meta.ino().to_string());
        node.insert("mode", format!("{:o}", meta.mode()));
        node.insert("uid", meta.uid().to_string());
        node.insert("gid", meta.gid().to_string());
        node.insert("size", meta.size().to_string());
        node.insert("links", meta.nlink().to_string());
        node.insert("atime", format!("{}.{:09}", meta.atime(), meta.atime_nsec()));
        node.insert("mtime", format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()));
        node.insert("ctime", format!("{}.{:09}", meta.ctime(), meta.ctime_nsec()));
        node.insert("xattrs", xattr_text(xattrs(path)));
        if meta.is_dir() || meta.is_file() {
            let flags = rustix::fs::ioctl_getflags(File::open(path).unwrap());
            node.insert("flags", format!("{:x}", flags.unwrap_or(IFlags::empty()).bits()));
        }
        if meta.is_file() {
            let file = File::open(path).unwrap();
            let read = |offset, length| {
                let mut bytes = vec![0; length];
                let mut count = 0;
                while count < length {
                    match file.read_at(&mut bytes[count..], offset + count as u64).unwrap() {
                        0 => break,
                        more => count += more,
                    }
                }
                bytes.truncate(count);
                Ok(digest(&bytes))
            };
            let pieces = if meta.size() > WHOLE { pieces(path) } else { Vec::new() };
            node.insert("content", content(meta.size(), &pieces, read).unwrap());
        }
        if meta.is_symlink() {
            let target = fs::read_link(path).unwrap();
            node.insert("target", bstr(&target.into_os_string().into_vec()));
        }
        tree.insert(key, node);
    }
    tree
}

fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0; 65536];
    let count = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    names[..count]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let count = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(count);
            (name.to_vec(), value)
        })
        .collect()
}

/// Compares two trees and names the first differences.
#[track_caller]
pub fn assert_same(what: &str, ours: &Tree, theirs: &Tree, ignore: &[&str]) {
    let mut differences = Vec::new();
    for path in ours.keys().chain(theirs.keys()) {
        match (ours.get(path), theirs.get(path)) {
            (Some(one), Some(other)) => {
                for (key, value) in other {
                    if !ignore.contains(key) && one.get(key) != Some(value) {
                        let ours = one.get(key);
                        differences.push(format!("{}: {key}: {ours:?}, not {value}", bstr(path)));
                    }
                }
            }
            (Some(_), None) => differences.push(format!("{}: is not there", bstr(path))),
            _ => differences.push(format!("{}: was not found", bstr(path))),
        }
    }
    differences.dedup();
    let count = differences.len();
    differences.truncate(20);
    assert!(count == 0, "{what}: {count} differences\n{}", differences.join("\n"));
}

/// The tree as ext4-view reads it. What it does not know is not in it, nor are the few inodes that it takes for damaged
/// (times before 1970). Err if it does not read such a filesystem.
pub fn views(path: &Path) -> Result<Tree, String> {
    use ext4_view::{Ext4, PathBuf};
    let ext = Ext4::load_from_path(path).map_err(|error| error.to_string())?;
    ext.symlink_metadata("/").map_err(|error| error.to_string())?;
    let mut tree = Tree::new();
    let mut stack = vec![Vec::new()];
    while let Some(path) = stack.pop() {
        let full = if path.is_empty() { b"/".to_vec() } else { path.clone() };
        let full = PathBuf::try_from(full.as_slice()).unwrap();
        let Ok(meta) = ext.symlink_metadata(&full) else {
            continue;
        };
        let mut node = BTreeMap::new();
        node.insert("uid", meta.uid().to_string());
        node.insert("gid", meta.gid().to_string());
        node.insert("size", meta.len().to_string());
        if meta.is_dir() {
            for entry in ext.read_dir(&full).map_err(|error| error.to_string())? {
                let entry = entry.map_err(|error| error.to_string())?;
                let name = entry.file_name().as_ref().to_vec();
                if !matches!(&name[..], b"." | b"..") {
                    stack.push([&path[..], b"/", &name].concat());
                }
            }
        } else if meta.is_symlink() {
            let target = ext.read_link(&full).map_err(|error| error.to_string())?;
            node.insert("target", bstr(target.as_ref()));
        } else if meta.file_type().is_regular_file() && meta.len() <= WHOLE {
            // It reads blocks that were allocated and not written as what lies there, and no holes without extents.
            if path != b"/unwritten"
                && let Ok(bytes) = ext.read(&full)
            {
                node.insert("content", digest(&bytes));
            }
        }
        tree.insert(path, node);
    }
    Ok(tree)
}
