//! A test program run once more where every system call that is newer than Linux 3.10 is refused.

use std::process::Command;

/// Set in the program that runs on the old kernel.
const MARK: &str = "GUESTPREP_OLD_KERNEL";

/// Run the tests of this program that a filter names as on the kernel of EL 7.
pub fn the_same_on_an_old_kernel(filters: &[&str]) {
    refused(&["--error", "ENOSYS"], filters);
}

/// The same as in a container whose seccomp filter is older than the calls: it says EPERM. Not for
/// tests that start coreutils, which take that for the file's own refusal. clone3 (435) is let
/// through: glibc starts no thread without it where it is not plainly missing.
#[allow(dead_code)]
pub fn the_same_behind_an_old_filter(filters: &[&str]) {
    refused(&["--error", "EPERM", "--but", "435"], filters);
}

fn refused(how: &[&str], filters: &[&str]) {
    if std::env::var_os(MARK).is_some() {
        return;
    }
    let status = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/as-linux-3.10"))
        .args(how)
        .arg(std::env::current_exe().expect("this program"))
        .args(filters)
        .env(MARK, "1")
        .status();
    match status {
        Ok(status) => assert!(status.success(), "it is not the same"),
        Err(_) => println!("left out: the same tests on an old kernel: python3 is not installed"),
    }
}
