//! Copies of an image: the same bytes, the same holes, or nothing at all.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use guestprep::sys::{Copied, ErrorKind, Result};

use crate::tools::{directory, has, open, sh};

fn copy_image(from: &Path, to: &Path, progress: &dyn Fn(u64, u64)) -> Result<Copied> {
    open(from)?.copy_to(to, progress)
}

/// A file of 64 MiB with a piece of data in every other 4 MiB and some at its end.
fn original(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("disk.raw");
    let file = File::create(&path).unwrap();
    file.set_len((64 << 20) + 100).unwrap();
    for piece in 0..8_u64 {
        let noise: Vec<u8> =
            (0..700_001_u32).map(|n| (n.wrapping_mul(747_796_405) >> 11) as u8).collect();
        file.write_all_at(&noise, piece * (8 << 20) + 4096).unwrap();
    }
    file.write_all_at(b"end", (64 << 20) + 97).unwrap();
    path
}

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_copy_has_the_bytes_and_the_holes() {
    let directory = directory();
    let from = original(directory.path());
    let to = directory.path().join("copy");
    let told = std::cell::RefCell::new(Vec::new());
    let copied = copy_image(&from, &to, &|done, of| told.borrow_mut().push((done, of))).unwrap();
    assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o600);
    if !copied.cloned {
        assert!(copied.bytes >= 8 * 700_001 && copied.bytes < 8 << 20, "{copied:?}");
        assert!(blocks(&to) <= blocks(&from) + (64 << 10), "{} {}", blocks(&to), blocks(&from));
    }
    let told = told.into_inner();
    assert!(told.is_sorted() && told.last().is_some_and(|(done, of)| done == of), "{told:?}");
    assert_eq!(names(directory.path()), ["copy", "disk.raw"]);
}

#[test]
fn another_filesystem_gets_the_same_copy() {
    let directory = directory();
    let from = original(directory.path());
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("left out: there is no /dev/shm");
        return;
    };
    let to = memory.path().join("copy");
    let copied = copy_image(&from, &to, &|_, _| {}).unwrap();
    assert!(!copied.cloned);
    assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
    assert!(blocks(&to) <= blocks(&from) + (64 << 10));
    // And back: nothing but a hole.
    let hole = memory.path().join("hole");
    File::create(&hole).unwrap().set_len(1 << 30).unwrap();
    let to = directory.path().join("hole");
    let copied = copy_image(&hole, &to, &|_, _| {}).unwrap();
    assert_eq!(copied, Copied { cloned: false, bytes: 0 });
    assert_eq!((fs::metadata(&to).unwrap().len(), blocks(&to)), (1 << 30, 0));
}

#[test]
fn what_is_there_is_never_touched() {
    let directory = directory();
    let from = original(directory.path());
    sh(directory.path(), "echo mine > file; ln -s nowhere dangling; mkdir directory");
    for name in ["file", "dangling", "directory", "disk.raw"] {
        let to = directory.path().join(name);
        let error = copy_image(&from, &to, &|_, _| {}).unwrap_err();
        assert!(error.to_string().contains("File exists"), "{error}");
    }
    // One that comes while the copy is made.
    let to = directory.path().join("late");
    let error = copy_image(&from, &to, &|_, _| fs::write(&to, "mine").unwrap()).unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
    assert_eq!(fs::read(&to).unwrap(), b"mine\n".strip_suffix(b"\n").unwrap());
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"mine\n");
    let wanted = ["dangling", "directory", "disk.raw", "file", "late"];
    assert_eq!(names(directory.path()), wanted);
}

#[test]
fn a_failed_copy_leaves_nothing() {
    let directory = directory();
    let from = original(directory.path());
    let path = |name: &str| directory.path().join(name);
    // An original that is written to meanwhile.
    let change = |_, _| {
        File::options().append(true).open(&from).unwrap().set_len(5).unwrap();
    };
    let error = copy_image(&from, &path("copy"), &change).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    let error = copy_image(&path("none"), &path("copy"), &|_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = copy_image(&from, &path("none/copy"), &|_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = copy_image(directory.path(), &path("copy"), &|_, _| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRegular);
    assert_eq!(names(directory.path()), ["disk.raw"]);
}

/// Run a test of this program by itself, in a mount namespace, on a filesystem of its own in
/// `GUESTPREP_TEST_FILESYSTEM`. Whether that can be had.
fn on_a_filesystem(test: &str, make: &str) -> bool {
    let directory = directory();
    let script = format!("cd {}; {make}; exec \"$@\"", directory.path().display());
    let output = Command::new("unshare")
        .args(["-m", "bash", "-ec", &script, "bash"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("GUESTPREP_TEST_FILESYSTEM", directory.path().join("mounted"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if !said.contains("running 1 test") {
        eprintln!("left out: {test}: a filesystem cannot be had: {words}");
        return false;
    }
    assert!(output.status.success(), "{said}\n{words}");
    true
}

fn filesystem() -> Option<std::path::PathBuf> {
    std::env::var_os("GUESTPREP_TEST_FILESYSTEM").map(Into::into)
}

/// Not a test by itself: see the one below.
#[test]
fn shares_blocks() {
    let Some(directory) = filesystem() else { return };
    let from = original(&directory);
    let to = directory.join("copy");
    let copied = copy_image(&from, &to, &|_, _| {}).unwrap();
    assert_eq!(copied, Copied { cloned: true, bytes: 0 });
    assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
    let file = File::options().write(true).open(&to).unwrap();
    file.write_all_at(b"changed", 4096).unwrap();
    assert!(fs::read(&from).unwrap()[4096..4103] != b"changed"[..]);
}

#[test]
fn blocks_are_shared_where_the_filesystem_can() {
    let mount = "truncate -s 400M fs; mkdir mounted; MKFS fs >/dev/null; mount -o loop fs mounted";
    for (mkfs, options) in [("mkfs.xfs", "-q -m reflink=1"), ("mkfs.btrfs", "-q")] {
        if has(mkfs) {
            on_a_filesystem(
                "copies::shares_blocks",
                &mount.replace("MKFS", &format!("{mkfs} {options}")),
            );
        }
    }
}

/// Not a test by itself: see the one below.
#[test]
fn does_not_fit() {
    let Some(directory) = filesystem() else { return };
    let elsewhere = crate::tools::directory();
    let from = original(elsewhere.path());
    let called = std::cell::Cell::new(false);
    let error = copy_image(&from, &directory.join("copy"), &|_, _| called.set(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(error.to_string().contains(&format!("takes {} bytes", blocks(&from))), "{error}");
    assert!(!called.get() && names(&directory).is_empty());
}

#[test]
fn a_copy_that_does_not_fit_is_refused_before_it_begins() {
    on_a_filesystem(
        "copies::does_not_fit",
        "mkdir mounted; mount -t tmpfs -o size=1M none mounted",
    );
}
