//! What the tests of image guests need of the machine that runs them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::common::command::{Done, left_out};

/// Whether this machine has root, mounts, loop devices and these tools; otherwise it is said.
pub fn has(tools: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        left_out("image guests need root");
        return false;
    }
    for tool in tools {
        let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"]
            .iter()
            .any(|directory| Path::new(directory).join(tool).is_file());
        if !found {
            left_out(&format!("there is no {tool}"));
            return false;
        }
    }
    for what in ["unshare -m true", "losetup -f"] {
        if !Command::new("sh").args(["-c", what]).output().is_ok_and(|o| o.status.success()) {
            left_out(&format!("this machine refuses `{what}`"));
            return false;
        }
    }
    true
}

/// A directory for images, in memory where this machine has a place for that.
pub fn directory_in_memory() -> TempDir {
    let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| directory_on_disk());
    temp.expect("a temporary directory")
}

/// A directory for images on a real filesystem.
pub fn directory_on_disk() -> std::io::Result<TempDir> {
    tempfile::tempdir_in("/var/tmp")
}

/// Run a program that has to succeed.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let done = Done::of(output.unwrap_or_else(|e| panic!("{program}: {e}")));
    assert_eq!(done.code, 0, "{program}: {}{}", done.out, done.err);
    done.out
}
