//! Paths and links of a hostile tree: whatever they say, nothing outside the root is read.
#![no_main]

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use guestprep::model::GuestPath;
use guestprep::sys::Root;

/// A tree in memory beside a file that no path of it may reach.
static TREE: LazyLock<PathBuf> = LazyLock::new(|| {
    let above = PathBuf::from(format!("/dev/shm/guestprep-fuzz-root.{}", std::process::id()));
    std::fs::create_dir_all(above.join("root/a/b")).expect("a directory");
    std::fs::write(above.join("secret"), "outside").expect("a file");
    std::fs::write(above.join("root/a/file"), "inside").expect("a file");
    above.join("root")
});

// The input is the target of a link, a NUL, and the path that is asked for.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (Some(target), Some(path)) = (parts.next(), parts.next()) else { return };
    let link = TREE.join("a/link");
    let _ = std::fs::remove_file(&link);
    let _ = symlink(std::ffi::OsStr::from_bytes(target), &link);
    let root = Root::open(&TREE).expect("a root");
    for path in [GuestPath::new(path), GuestPath::from("/a/link")] {
        if let Ok(Some(content)) = root.read(&path, 64) {
            assert!(content.is_empty() || content == b"inside", "{path}: {content:?}");
        }
        let _ = root.stat(&path);
        let _ = root.list(&path);
    }
});
