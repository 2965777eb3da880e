//! Where events are lost, everything is judged again, and that is said once.

use std::fs;
use std::process::Command;

use crate::client::{Daemon, configure};
use crate::common::command::{run, until};
use crate::common::live::{self, GUESTPREP, Live};
use crate::served::{BLOCKER, keys_alone};

/// More than the queue of an inotify instance holds (fs.inotify.max_queued_events is 16384 unless
/// somebody has set it).
fn more_than_the_queue_holds() -> usize {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    limit.trim().parse::<usize>().unwrap() + 1000
}

/// How often the daemon says that it lost events.
fn lost(daemon: &Daemon) -> u64 {
    let metrics = daemon.get("/metrics").body;
    let count = metrics.lines().find_map(|line| line.strip_prefix("guestprep_events_lost "));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
}

/// What stands is what an audit of everything says.
#[track_caller]
fn is_what_an_audit_says(live: &Live, daemon: &Daemon) {
    // One check is seen before the others that the same change concerns.
    until("the daemon says what an audit says", || {
        let audit = live.guestprep(&["audit", "--format", "json"]);
        daemon.get("/v1/report").json()["digest"] == audit.json()["digest"]
    });
}

/// How often the daemon has said something; this ends it.
fn said(daemon: Daemon, what: &str) -> usize {
    daemon.running.signal("TERM");
    daemon.running.wait().exits(0).err.matches(what).count()
}

#[test]
fn a_queue_that_overflows_costs_an_audit_and_no_truth() {
    live::alone(&[], |live| {
        let disk = live.disk("data", "64M", &["mkfs.ext4", "-q", "-F"]);
        keys_alone(live);
        let daemon = Daemon::start(live, "");
        let (fstab, before) = (live.root.join("etc/fstab"), live.fstab());
        let line = format!("UUID={} /data ext4 defaults 0 2\n", disk.uuid);
        for round in 1..=2 {
            // The kernel joins events that are alike and follow each other: two files in turn.
            daemon.running.signal("STOP");
            let hosts = live.root.join("etc/hosts");
            let text = fs::read(&hosts).unwrap();
            for _ in 0..more_than_the_queue_holds().div_ceil(2) {
                fs::write(&hosts, &text).unwrap();
                fs::write(&fstab, &before).unwrap();
            }
            // Its own event is one of those that the queue has no place for.
            fs::write(&fstab, before.clone() + &line).unwrap();
            daemon.running.signal("CONT");
            until("the line that no event told of is found", || {
                daemon.is_blocked_by("fstab-data-disk")
            });
            assert_eq!(lost(&daemon), round);
            is_what_an_audit_says(live, &daemon);
            // And from then on events tell again.
            fs::write(&fstab, &before).unwrap();
            until("the line is gone", || !daemon.is_blocked_by("fstab-data-disk"));
            assert_eq!(lost(&daemon), round);
        }
        assert_eq!(said(daemon, "more events than its queue holds"), 1);
    });
}

#[test]
fn a_directory_that_is_moved_away_costs_an_audit_and_no_truth() {
    live::alone(&[], |live| {
        keys_alone(live);
        let daemon = Daemon::start(live, BLOCKER);
        let (keys, away) = (live.root.join("root/.ssh"), live.root.join("root/.ssh.away"));
        for round in 1..=2 {
            daemon.sees("sshd-unreachable", true, || fs::rename(&keys, &away).unwrap());
            assert_eq!(lost(&daemon), round);
            is_what_an_audit_says(live, &daemon);
            // Another directory takes its place, and what is written there is seen.
            daemon.sees("sshd-unreachable", false, || {
                run(&["cp", "-a", &live.at("/root/.ssh.away"), &live.at("/root/.ssh")]);
            });
            let file = keys.join("authorized_keys");
            daemon.sees("sshd-unreachable", true, || fs::write(file, "").unwrap());
            fs::remove_dir_all(&keys).unwrap();
            daemon.sees("sshd-unreachable", false, || fs::rename(&away, &keys).unwrap());
            assert_eq!(lost(&daemon), round);
            is_what_an_audit_says(live, &daemon);
        }
        assert_eq!(said(daemon, "a watched directory was moved"), 1);
    });
}

#[test]
fn a_limit_of_watches_costs_an_audit_and_no_truth() {
    live::alone(&["unshare", "mkswap"], |live| {
        let swap = live.disk("swap", "64M", &["mkswap", "-q"]);
        keys_alone(live);
        configure(live, BLOCKER);
        // A user namespace has a limit of its own (user.max_inotify_watches of namespaces(7)).
        let limited = "echo 40 > /proc/sys/user/max_inotify_watches && exec chroot \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", limited, "sh"]);
        command.arg(&live.root).args([GUESTPREP, "daemon"]);
        let daemon = Daemon::run(live, &mut command);
        let metrics = daemon.get("/metrics").body;
        assert!(metrics.contains("\nguestprep_watched_inodes 40\n"), "{metrics}");
        let file = live.root.join("root/.ssh/authorized_keys");
        let key = fs::read(&file).unwrap();
        for turn in ["swapon", "swapoff"] {
            let gone = turn == "swapon";
            fs::write(&file, if gone { b"" } else { &key[..] }).unwrap();
            // No event tells of that; whatever else has it look, it looks at what it cannot watch too.
            live.chroot(&[turn, &swap.device]).exits(0);
            until("it is known", || daemon.is_blocked_by("sshd-unreachable") == gone);
        }
        assert_eq!(said(daemon, "no more files can be watched"), 1);
    });
}
