//! The daemon and the command line at work on one guest: one wins, the other says why, and the guest
//! is as it was or prepared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::client::{Answer, Daemon};
use crate::common::command::{Running, until};
use crate::common::live::{self, GUESTPREP, Live};
use crate::common::state::assert_same;

const ALLOWED: &str = "[daemon]\nallow-changes = true\n";

/// strace(1), which holds whatever it follows for two seconds at the first of these calls: the first file
/// of the guest that takes its place, or leaves it.
fn holding(live: &Live) -> (Command, PathBuf) {
    let log = PathBuf::from(live.at("/run/strace"));
    let _ = fs::remove_file(&log);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=renameat2", "-o"]).arg(&log);
    command.args(["-e", "inject=renameat2:delay_enter=2000000:when=1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    (command, log)
}

/// strace writes the name of a call before it holds the process.
fn until_held(log: &Path) {
    until("it is held", || fs::metadata(log).is_ok_and(|log| log.len() > 0));
    std::thread::sleep(Duration::from_millis(200));
}

/// The command line, held in the midst of a change.
fn held(live: &Live, args: &[&str]) -> Running {
    let (mut command, log) = holding(live);
    command.arg("chroot").arg(&live.root).arg(GUESTPREP).args(args);
    let running = Running::start(&mut command);
    until_held(&log);
    running
}

/// Have the daemon do something, which is held in the midst of it, and do something else meanwhile.
fn while_it_is_held(live: &Live, daemon: &Daemon, path: &str, meanwhile: impl FnOnce()) -> Answer {
    let (mut command, log) = holding(live);
    let strace = Running::start(command.args(["-p", &daemon.running.pid().to_string()]));
    // TracerPid of proc_pid_status(5): a call before it follows would not be held.
    let status = format!("/proc/{}/status", daemon.running.pid());
    let is_followed =
        || fs::read_to_string(&status).is_ok_and(|text| !text.contains("TracerPid:\t0\n"));
    until("it is followed", is_followed);
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| daemon.post(path, ""));
        until_held(&log);
        meanwhile();
        asked.join().expect("an answer")
    });
    strace.signal("INT");
    strace.wait();
    answer
}

#[track_caller]
fn says_that_it_is_locked(answer: &Answer) {
    assert_eq!(answer.status, 423, "{answer:?}");
    assert!(answer.body.contains("another guestprep run holds it"), "{answer:?}");
}

#[test]
fn while_the_command_line_changes_the_guest_the_daemon_judges_and_does_not() {
    live::alone(&["strace"], |live| {
        live.data();
        let daemon = Daemon::start(live, ALLOWED);
        let before = live.state();
        let prepare = held(live, &["prepare", "--yes"]);
        says_that_it_is_locked(&daemon.post("/v1/prepare", ""));
        says_that_it_is_locked(&daemon.post("/v1/rollback", ""));
        assert_eq!(daemon.readiness()["verdict"], "not-ready");
        prepare.wait().exits(0);
        until("it is ready", || daemon.readiness()["verdict"] == "ready");
        assert_eq!(daemon.readiness()["drift"], serde_json::json!([]));

        let rollback = held(live, &["rollback", "--yes"]);
        says_that_it_is_locked(&daemon.post("/v1/prepare", ""));
        says_that_it_is_locked(&daemon.post("/v1/rollback", ""));
        rollback.wait().exits(0);
        assert_same(&before, &live.state(), "rolled back");
        until("it is not ready", || daemon.is_blocked_by("data-disk-mounted"));
        assert_eq!(daemon.post("/v1/rollback", "").status, 400, "there is no run left");
    });
}

#[test]
fn while_the_daemon_changes_the_guest_the_command_line_does_not() {
    live::alone(&["strace"], |live| {
        live.data();
        let daemon = Daemon::start(live, ALLOWED);
        let before = live.state();
        let refused = |command: &[&str]| {
            live.guestprep(command).exits(75).says("another guestprep run holds it");
        };
        for path in ["/v1/prepare", "/v1/rollback"] {
            let answer = while_it_is_held(live, &daemon, path, || {
                let now = live.state();
                refused(&["prepare", "--yes"]);
                refused(&["rollback", "--yes"]);
                refused(&["capture", "--", "true"]);
                live.guestprep(&["runs"]).exits(0);
                assert_same(&now, &live.state(), "what was refused changed the guest");
            });
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let verdict = if path == "/v1/prepare" { "ready" } else { "not-ready" };
            assert_eq!(daemon.readiness()["verdict"], verdict);
        }
        assert_same(&before, &live.state(), "rolled back");
    });
}

#[test]
fn what_a_package_manager_writes_while_the_daemon_prepares_stays() {
    live::alone(&["strace"], |live| {
        let disk = live.data();
        let daemon = Daemon::start(live, ALLOWED);
        let fstab = live.root.join("etc/fstab");
        // As dpkg(1) does: a new file, renamed over the old one.
        let theirs = format!("{}# theirs\n", live.fstab());
        let answer = while_it_is_held(live, &daemon, "/v1/prepare", || {
            let new = fstab.with_extension("dpkg-new");
            fs::write(&new, &theirs).expect("a new fstab");
            fs::rename(&new, &fstab).expect("its place");
        });
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(answer.body.contains("somebody else changed it meanwhile"), "{answer:?}");
        assert_eq!(live.fstab(), theirs);
        assert!(live.mounts().contains(&disk.device), "what was unmounted is mounted again");
        // And the next one goes by what they wrote.
        assert_eq!(daemon.post("/v1/prepare", "").status, 200);
        assert_eq!(daemon.readiness()["verdict"], "ready");
        assert_eq!(daemon.post("/v1/rollback", "").status, 200);
        assert_eq!(live.fstab(), theirs);
    });
}

#[test]
fn whoever_comes_first_the_guest_is_whole() {
    live::alone(&[], |live| {
        live.data();
        let daemon = Daemon::start(live, ALLOWED);
        let before = live.state();
        for round in 0..6 {
            let prepare = live.start(&[GUESTPREP, "prepare", "--yes"]);
            let rollback = live.start(&[GUESTPREP, "rollback", "--yes"]);
            let answers = ["/v1/prepare", "/v1/rollback"].map(|path| daemon.post(path, ""));
            let (prepare, rollback) = (prepare.wait(), rollback.wait());
            let all = format!("round {round}: {prepare:?} {rollback:?} {answers:?}");
            // Done, no run to roll back, or locked; the daemon prepares no guest twice.
            assert!([0, 75].contains(&prepare.code), "{all}");
            assert!([0, 2, 75].contains(&rollback.code), "{all}");
            assert!(answers.iter().all(|one| [200, 400, 409, 423].contains(&one.status)), "{all}");
            if live.state() != before {
                live.guestprep(&["audit"]).exits(0);
            }
            while live.guestprep(&["rollback", "--yes"]).code == 0 {}
            assert_same(&before, &live.state(), &all);
        }
        until("it is not ready", || daemon.is_blocked_by("data-disk-mounted"));
    });
}
