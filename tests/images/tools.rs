//! What the tests of images share: a small disk, tools that are run, and what an image reads.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use guestprep::sys::{DiskImage, Result, Use};
use tempfile::TempDir;

/// The size of the disk that [`disk`] makes, in bytes. VHD counts whole megabytes at best.
pub const SIZE: u64 = 8 << 20;

/// A directory for a test. Not in /tmp, which may be memory.
pub fn directory() -> TempDir {
    tempfile::tempdir_in("/var/tmp").unwrap()
}

/// Run a tool; whether it is there and succeeded.
pub fn run(program: &str, arguments: &[&OsStr]) {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
}

/// A command's line, split at blanks, run in a directory. No name in these tests has a blank.
pub fn sh(directory: &Path, line: &str) {
    let arguments = [OsStr::new("-ec"), OsStr::new(line)];
    let output = Command::new("bash").args(arguments).current_dir(directory).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {words}");
}

/// Whether a tool is here; otherwise it is said what is left out.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        eprintln!("left out: {program} is not installed");
    }
    found
}

/// A disk with a real ext4 filesystem with files in it and holes, and with bytes at its very end.
pub fn disk(directory: &Path) -> PathBuf {
    let path = directory.join("disk.raw");
    let tree = directory.join("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::write(tree.join("etc/fstab"), "UUID=1 / ext4 defaults 0 1\n").unwrap();
    let noise: Vec<u8> =
        (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(tree.join("noise"), noise).unwrap();
    File::create(&path).unwrap().set_len(SIZE).unwrap();
    run(
        "mke2fs",
        &[
            "-q".as_ref(),
            "-t".as_ref(),
            "ext4".as_ref(),
            "-d".as_ref(),
            tree.as_ref(),
            path.as_ref(),
            "7M".as_ref(),
        ],
    );
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"the last bytes of the disk", SIZE - 26).unwrap();
    path
}

/// Open an image for looking at it, with nobody to see the progress.
pub fn open(path: &Path) -> Result<DiskImage> {
    DiskImage::open(path, Use::Read, &|_, _| {})
}

/// All that an image reads.
pub fn content(image: &DiskImage) -> Vec<u8> {
    let mut content = Vec::new();
    // A length that divides nothing, so that pieces end everywhere.
    let mut piece = vec![0; 1_000_003];
    loop {
        let read = image.read_at(content.len() as u64, &mut piece).unwrap();
        content.extend_from_slice(&piece[..read]);
        if read < piece.len() {
            assert_eq!(content.len() as u64, image.size());
            return content;
        }
    }
}
