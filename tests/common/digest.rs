//! A tree by everything that rollback promises to give back, to be compared before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{ioctl_getflags, lgetxattr, llistxattr};
use walkdir::WalkDir;

/// Every path of a tree, the root itself as the empty path, with what it is.
pub type Digest = BTreeMap<PathBuf, Entry>;

/// What a path is. Times of access and of inode change are no part: nobody can keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    links: u64,
    content: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Immutable, append-only and the like; `None` where the filesystem has none.
    flags: Option<u32>,
}

/// Look at a whole tree.
pub fn of_tree(root: &Path) -> Digest {
    WalkDir::new(root)
        .into_iter()
        .map(|entry| {
            let entry = entry.expect("an entry that can be walked");
            let path = entry.path().strip_prefix(root).expect("below the root").to_owned();
            (path, of_path(entry.path()))
        })
        .collect()
}

fn of_path(path: &Path) -> Entry {
    let about = path.symlink_metadata().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let kind = about.file_type();
    let content = if kind.is_symlink() {
        fs::read_link(path).expect("a link").into_os_string().into_encoded_bytes()
    } else if kind.is_file() {
        fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    } else {
        assert!(!kind.is_block_device() && !kind.is_char_device(), "a fixture has no devices");
        Vec::new()
    };
    let flags = (kind.is_file() || kind.is_dir())
        .then(|| fs::File::open(path).ok())
        .flatten()
        .and_then(|file| ioctl_getflags(file).ok())
        .map(|flags| flags.bits());
    Entry {
        mode: about.mode(),
        owner: (about.uid(), about.gid()),
        modified: (about.mtime(), about.mtime_nsec()),
        // A directory's count is the filesystem's affair.
        links: if kind.is_dir() { 0 } else { about.nlink() },
        content,
        xattrs: xattrs(path),
        flags,
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let used = llistxattr(path, &mut names[..]).unwrap_or(0);
    names[..used]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let used = lgetxattr(path, name, &mut value[..]).expect("its value");
            value.truncate(used);
            (name.to_vec(), value)
        })
        .collect()
}

/// What differs between two digests, a line each; empty when nothing does.
pub fn differences(before: &Digest, after: &Digest) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, was) in before {
        match after.get(path) {
            None => lines.push(format!("{} is gone", path.display())),
            Some(is) if is != was => {
                lines.push(format!("{} was {was:?} and is {is:?}", path.display()));
            }
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|path| !before.contains_key(*path));
    lines.extend(new.map(|path| format!("{} is new", path.display())));
    lines
}
