//! `prepare --at-shutdown`: 0 where all that keeps the guest from READY goes with the power-off.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::live::{Live, alone};

const SHARE: [&str; 4] = ["--profile", "share", "--fail-on", "warning"];

/// systemd, which takes every order; what it makes of them `tests/shutdown/booted` tries.
fn orders_are_taken(live: &Live) {
    let systemctl = live.root.join("usr/bin/systemctl");
    let _ = fs::remove_file(&systemctl);
    fs::write(&systemctl, "#!/bin/sh\nexit 0\n").expect("systemctl");
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[test]
fn what_is_left_for_the_power_off_alone_is_done_and_anything_else_is_not_ready() {
    alone(&[], |live| {
        orders_are_taken(live);
        let history = live.root.join("root/.bash_history");
        fs::write(&history, "secret\n").expect("a history");
        let prepare = |checks: &[&str]| {
            live.guestprep(&[&["prepare", "--yes", "--at-shutdown"], &SHARE[..], checks].concat())
        };
        prepare(&["--check", "shell-history"])
            .exits(0)
            .says("what keeps it from READY goes with the power-off");
        assert!(history.exists(), "it goes with the power-off, and not before");
        live.guestprep(&[&["audit", "--check", "shell-history"], &SHARE[..]].concat()).exits(1);
        live.guestprep(&["rollback", "--yes"]).exits(0);

        // What no power-off mends.
        let passwd = fs::read_to_string(live.at("/etc/passwd")).expect("passwd");
        fs::write(live.at("/etc/passwd"), passwd.replace("root:", "toor:")).expect("passwd");
        let done =
            prepare(&["--check", "shell-history", "--check", "root-account-missing"]).exits(1);
        assert!(!done.err.contains("goes with the power-off"), "{done:?}");
        assert!(history.exists());
    });
}
