//! A mount that somebody holds is named with its holder, and nothing is touched.

use std::fs;

use crate::common::command::{Running, until};
use crate::common::live::{Live, alone};
use crate::common::state::assert_same;

/// Start a command that prints a line once it holds.
fn hold(live: &Live, script: &str) -> Running {
    let _ = fs::remove_file(live.at("/run/holds"));
    let holder = live.start(&["sh", "-c", script]);
    until("it holds", || fs::exists(live.at("/run/holds")).unwrap_or(false));
    holder
}

fn refused(live: &Live, holder: &Running, command: &str, path: &str) {
    let before = live.state();
    let report = live.guestprep(&["audit", "--format", "json"]).exits(1).json();
    let checks = report["checks"].as_array().expect("checks");
    let mounted =
        checks.iter().find(|check| check["id"] == "data-disk-mounted").expect("the check");
    let found = &mounted["findings"][0];
    assert_eq!(found["key"], "busy");
    let holders = found["values"]["holders"].as_str().expect("holders");
    assert!(holders.contains(&format!("pid {} ({command}", holder.pid())), "{holders}");
    live.guestprep(&["prepare", "--yes"])
        .exits(1)
        .says("nothing was changed")
        .says(&format!("pid {} ({command}", holder.pid()))
        .says(path);
    assert_same(&before, &live.state(), "a refused prepare changed the guest");
    live.guestprep(&["runs"]).exits(0).says("No runs");
}

#[test]
fn who_holds_the_mount_is_named() {
    alone(&[], |live| {
        live.data();
        fs::create_dir(live.at("/data/deep")).expect("a directory");
        let holder = hold(live, "cd /data/deep; touch /run/holds; exec sleep 60");
        until("sleep runs", || {
            fs::read_to_string(format!("/proc/{}/comm", holder.pid()))
                .is_ok_and(|comm| comm == "sleep\n")
        });
        refused(live, &holder, "sleep 60", "works in /data/deep");
        drop(holder);

        let holder = hold(live, "exec 3>/data/log; touch /run/holds; while :; do sleep 1; done");
        refused(live, &holder, "sh -c", "has open /data/log");
        drop(holder);

        // A file that was removed keeps the filesystem busy as well.
        let holder = hold(
            live,
            "exec 3</data/log; cat /dev/null >/run/x; touch /run/holds; while :; do sleep 1; done",
        );
        fs::remove_file(live.at("/data/log")).expect("the log");
        refused(live, &holder, "sh -c", "has open /data/log");
        drop(holder);

        until("nobody holds it", || live.guestprep(&["prepare", "--yes"]).code == 0);
        live.guestprep(&["rollback", "--yes"]).exits(0);
    });
}

#[test]
fn a_mount_that_is_not_in_the_plan_is_named() {
    alone(&[], |live| {
        live.data();
        fs::create_dir(live.at("/data/tmp")).expect("a directory");
        live.chroot(&["mount", "-t", "tmpfs", "none", "/data/tmp"]).exits(0);
        let before = live.state();
        // What is in a tmpfs could not be put back.
        live.guestprep(&["prepare", "--yes"]).exits(1).says("none is mounted on /data/tmp");
        assert_same(&before, &live.state(), "a refused prepare changed the guest");
    });
}
