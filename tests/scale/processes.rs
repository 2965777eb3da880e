//! A guest whose processes come and go faster than they can be looked at.

use std::fs;

use crate::common::command::Running;
use crate::common::live::Live;
use crate::common::state::assert_same;
use crate::cost::alone;

/// Processes that do nothing but start others, which end at once or work in the data disk's place
/// in the tree and leave it again.
fn storm(live: &Live) -> Vec<Running> {
    let script = "while :; do true & /usr/bin/true; (cd /run; /usr/bin/true) & wait; done";
    (0..4).map(|_| live.start(&["sh", "-c", script])).collect()
}

/// How often a process was made on this machine since it started (proc_stat(5)).
fn made() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().find_map(|line| line.strip_prefix("processes "));
    line.unwrap().parse().unwrap()
}

#[test]
fn processes_that_vanish_are_in_nobodys_way() {
    alone(&[], |live| {
        live.data();
        let audit = || {
            let report = live.guestprep(&["audit", "--format", "json"]).exits(1).json();
            let checks = report["checks"].as_array().unwrap().clone();
            checks.into_iter().map(|c| (c["id"].clone(), c["verdict"].clone())).collect::<Vec<_>>()
        };
        let quiet = audit();
        let before = live.state();
        let storm = storm(live);
        for _ in 0..5 {
            let start = made();
            assert_eq!(audit(), quiet);
            live.guestprep(&["plan"]).exits(0);
            live.guestprep(&["prepare", "--yes"]).exits(0);
            live.guestprep(&["rollback", "--yes"]).exits(0);
            assert!(made() - start > 100, "there was no storm");
        }
        drop(storm);
        assert_same(&before, &live.state(), "after the storm");
    });
}

#[test]
fn one_who_holds_the_disk_is_found_among_thousands_of_threads() {
    alone(&["python3"], |live| {
        live.data();
        // From outside of the guest: it has no Python, and its processes are the machine's.
        let script = format!(
            "import threading, os, time\nos.chdir({:?})\nfor _ in range(3000): \
             threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n\
             print('begun', flush=True)\ntime.sleep(1000)",
            live.at("/data")
        );
        let mut command = std::process::Command::new("python3");
        command.args(["-c", &script]).stdout(std::process::Stdio::piped());
        let mut held = command.spawn().unwrap();
        let mut line = String::new();
        let out = held.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let done = live.guestprep(&["prepare", "--yes"]);
        let pid = held.id();
        held.kill().unwrap();
        held.wait().unwrap();
        // Once, and not once for each thread.
        let said = done.exits(1).err;
        assert_eq!(said.matches(&format!("pid {pid} ")).count(), 1, "{said}");
        live.guestprep(&["prepare", "--yes"]).exits(0);
        live.guestprep(&["rollback", "--yes"]).exits(0);
    });
}
