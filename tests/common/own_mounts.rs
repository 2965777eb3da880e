//! A test that runs itself again in a mount namespace of its own: what it mounts goes when it ends, however it ends.

use std::process::Command;

use super::command::left_out;

/// Says to a test that it is in its namespace.
const INSIDE: &str = "GUESTPREP_TEST_NAMESPACE";

/// Run the body of the test of this name there.
pub fn in_own_mounts(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    if !rustix::process::geteuid().is_root() {
        return left_out(&format!("{test}: it mounts filesystems, which root alone may"));
    }
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs");
    assert!(status.success(), "{test} failed in its namespace");
}
