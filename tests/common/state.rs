//! What a guest is, as text, so that two states of it can be compared and their difference read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use similar::TextDiff;
use walkdir::{DirEntry, WalkDir};

/// What is no part of the guest: the journal, and the program under test.
const NOT_OF_THE_GUEST: [&str; 2] = ["var/lib/guestprep", "opt/guestprep"];

/// Two states have to be the same.
#[track_caller]
pub fn assert_same(before: &str, after: &str, what: &str) {
    assert!(before == after, "{what}:\n{}", difference(before, after));
}

/// The lines that differ.
pub fn difference(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().context_radius(0).to_string()
}

/// A line for every file of a tree on the filesystem of its root: kind and mode, owner, size, modification time to
/// the nanosecond, links, content or target, extended attributes, inode flags.
pub fn tree(root: &Path) -> String {
    let mut text = String::new();
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    let device = root.metadata().expect("the root").dev();
    let is_of_guest = |entry: &DirEntry| {
        let path = entry.path().strip_prefix(root).expect("below the root");
        let other = entry.metadata().is_ok_and(|meta| meta.dev() != device);
        !other && !NOT_OF_THE_GUEST.iter().any(|other| path.starts_with(other))
    };
    for entry in entries.filter_entry(is_of_guest) {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let meta = path.symlink_metadata().expect("its metadata");
        let shown = Path::new("/").join(path.strip_prefix(root).expect("below the root"));
        let size = if meta.is_dir() { 0 } else { meta.len() };
        let _ = writeln!(
            text,
            "{} {:o} {}:{} {size} {}.{:09} {} {} {}",
            shown.display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.nlink(),
            content(path, &meta),
            attributes(path),
        );
    }
    text
}

fn content(path: &Path, meta: &fs::Metadata) -> String {
    if meta.is_symlink() {
        return fs::read_link(path).expect("a link").display().to_string();
    }
    if !meta.is_file() {
        return "-".to_owned();
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(path).expect("a file"));
    let file = fs::File::open(path).expect("a file");
    let flags = rustix::fs::ioctl_getflags(&file).map_or(0, |flags| flags.bits());
    format!("{:016x} {flags:x}", hasher.finish())
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0_u8; 65_536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut text = String::new();
    let names: BTreeSet<&[u8]> =
        names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()).collect();
    for name in names {
        let mut value = vec![0_u8; 65_536];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("an attribute");
        let _ = write!(text, "{}={:?} ", String::from_utf8_lossy(name), &value[..length]);
    }
    text
}

/// The mounts below a root in this thread's namespace, sorted, without the kernel's ids.
pub fn mounts(root: &Path) -> String {
    // Not /proc/self: that is the main thread, whose namespace is another.
    let info = fs::read("/proc/thread-self/mountinfo").expect("mountinfo");
    let mut lines = BTreeSet::new();
    for line in info.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let line = String::from_utf8_lossy(line).into_owned();
        let fields: Vec<&str> = line.split(' ').collect();
        let Some(point) = fields[4].as_bytes().strip_prefix(root.as_os_str().as_bytes()) else {
            continue;
        };
        let dash = fields.iter().position(|field| *field == "-").expect("the separator");
        let point = String::from_utf8_lossy(point).into_owned();
        lines.insert(format!(
            "mount {point}/ of {} {} {}\n",
            fields[3],
            fields[5],
            fields[dash + 1..].join(" ")
        ));
    }
    lines.into_iter().collect()
}

/// The swap files and devices below a root: path, kind and size.
pub fn swaps(root: &Path) -> String {
    let text = fs::read_to_string("/proc/swaps").expect("/proc/swaps");
    let root = root.to_str().expect("UTF-8");
    let mut swaps: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix(root))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().take(3).collect();
            format!("swap {}\n", words.join(" "))
        })
        .collect();
    swaps.sort();
    swaps.concat()
}
