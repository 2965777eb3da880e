//! `capture`: whatever happens to it or to its command, the guest is as before.

use std::fs;

use crate::common::command::{Running, until};
use crate::common::live::{GUESTPREP, Live, alone};
use crate::common::state::assert_same;

/// A capture whose command runs until it is killed; its process id is in /run/command.
fn long_capture(live: &Live) -> (Running, u32) {
    let _ = fs::remove_file(live.at("/run/command"));
    // It keeps no pipe of the test open when its capture is killed.
    let command = "echo $$ >/run/command; exec sleep 60 >/dev/null 2>&1";
    let capture = live.start(&[GUESTPREP, "capture", "--", "sh", "-c", command]);
    let read = || fs::read_to_string(live.at("/run/command")).unwrap_or_default();
    until("the command runs", || read().ends_with('\n'));
    assert!(!live.mounts().contains("/data"), "the command runs on a prepared guest");
    (capture, read().trim().parse().expect("a process id"))
}

fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok()
}

#[test]
fn its_exit_code_is_the_commands() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        for (command, code) in [
            (&["true"][..], 0),
            (&["false"], 1),
            (&["sh", "-c", "exit 42"], 42),
            (&["sh", "-c", "kill -9 $$"], 137),
        ] {
            let args = [&["capture", "--"], command].concat();
            live.guestprep(&args).exits(code).says("is rolled back");
            assert_same(&before, &live.state(), &format!("{command:?}"));
        }
        live.guestprep(&["capture", "--", "no-such-command"]).exits(2).says("no-such-command");
        assert_same(&before, &live.state(), "a command that is not there");
    });
}

#[test]
fn killed_it_is_rolled_back_by_the_next_command() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        let (capture, command) = long_capture(live);
        capture.signal("KILL");
        capture.wait().exits(137);
        live.chroot(&["kill", "-9", &command.to_string()]).exits(0);
        live.guestprep(&["runs"])
            .exits(0)
            .says("belonged to a capture that was killed; it is rolled back now")
            .says("rolled back");
        assert_same(&before, &live.state(), "the next command did not roll back");
    });
}

#[test]
fn a_signal_ends_its_command_and_rolls_back() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        for signal in ["TERM", "INT", "HUP"] {
            let (capture, command) = long_capture(live);
            capture.signal(signal);
            let done = capture.wait();
            assert!(done.code > 128, "{signal}: {done:?}");
            assert!(!runs(command), "{signal}: the command goes on");
            assert_same(&before, &live.state(), signal);
        }
    });
}

#[test]
fn while_it_runs_nothing_else_may_change_the_guest() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        let (capture, _) = long_capture(live);
        let prepared = live.state();
        live.guestprep(&["prepare", "--yes"]).exits(75).says("another guestprep run");
        live.guestprep(&["rollback", "--yes"]).exits(75);
        live.guestprep(&["capture", "--", "true"]).exits(75);
        live.guestprep(&["audit"]).exits(0);
        live.guestprep(&["runs"]).exits(0).says("capture  prepared");
        assert_same(&prepared, &live.state(), "something changed under the capture");
        capture.signal("TERM");
        capture.wait();
        assert_same(&before, &live.state(), "the capture did not roll back");
    });
}

#[test]
fn its_command_is_not_run_on_a_guest_that_is_not_ready() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        let args = ["capture", "--skip", "fstab-data-disk", "--", "touch", "/run/ran"];
        live.guestprep(&args).exits(0);
        fs::remove_file(live.at("/run/ran")).expect("it ran: no check that is run fails");
        // Nothing can mend a root account that is gone.
        let passwd = fs::read_to_string(live.at("/etc/passwd")).expect("passwd");
        fs::write(live.at("/etc/passwd"), passwd.replace("root:", "toor:")).expect("passwd");
        let broken = live.state();
        live.guestprep(&["capture", "--", "touch", "/run/ran"])
            .exits(1)
            .says("the command was not run")
            .says("root-account-missing");
        assert!(!fs::exists(live.at("/run/ran")).expect("/run"));
        assert_same(&broken, &live.state(), "the capture did not roll back");
        assert_ne!(before, broken);
    });
}
