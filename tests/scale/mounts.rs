//! Guests with tens of thousands of mounts, as hosts of containers have them.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::command::{run, until};
use crate::common::live::{GUESTPREP, Live};
use crate::cost::{self, Cost, alone};

/// What a mount may take: its line twice, and its fields.
const BYTES: f64 = 1200.0;

/// How many mounts are made one by one; the others are copies of the tree that these make.
const TREE: usize = 250;

/// A tree of mounts in the guest, and as many copies of it.
fn mount_many(live: &Live, mounts: usize) {
    let tree = live.at("/run/many/tree");
    if !fs::exists(&tree).unwrap() {
        fs::create_dir_all(&tree).unwrap();
        run(&["mount", "--bind", &tree, &tree]);
        let script = format!(
            "cd {tree} && for i in $(seq {}); do mkdir $i; echo {tree}/$i; done | xargs -n1 -I@ mount --bind @ @",
            TREE - 1
        );
        run(&["sh", "-c", &script]);
    }
    let copies = fs::read_dir(live.at("/run/many")).unwrap().count();
    for number in copies..mounts / TREE {
        let copy = live.at(&format!("/run/many/{number}"));
        fs::create_dir(&copy).unwrap();
        run(&["mount", "--rbind", &tree, &copy]);
    }
    let made = fs::read_to_string("/proc/thread-self/mountinfo").unwrap().lines().count();
    assert!(made >= mounts, "{made}");
}

fn audit(live: &Live) -> Cost {
    let (cost, done) = cost::of(live, &["audit", "--format", "json"], 1);
    let report = done.json();
    let of = |id| report["checks"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap();
    assert_eq!(of("data-disk-mounted")["findings"].as_array().unwrap().len(), 1, "{report}");
    cost
}

#[test]
fn an_audit_grows_in_proportion_to_the_mounts() {
    if !cost::is_measured() {
        return;
    }
    // Twice as many are nearly all that a kernel lets a namespace have (fs.mount-max is 100,000 where nobody
    // set it), which the machine's own are part of.
    let many = 48_000;
    alone(&[], |live| {
        live.data();
        let none = audit(live);
        mount_many(live, many);
        let once = audit(live);
        mount_many(live, 2 * many);
        cost::grows_in_proportion("mounts", many, [none, once, audit(live)], BYTES);
    });
}

#[test]
fn mounts_of_a_data_disk_are_asked_about_in_one_walk_of_the_processes() {
    if !cost::is_measured() {
        return;
    }
    alone(&[], |live| {
        live.data();
        fs::create_dir(live.at("/data/in")).unwrap();
        let plan = |live: &Live| cost::of(live, &["plan", "--format", "json"], 0);
        let none = plan(live).0;
        let mut held = Vec::new();
        let mut grow = |live: &Live, count: usize| {
            for number in held.len()..count {
                let point = live.at(&format!("/run/in{number}"));
                fs::create_dir(&point).unwrap();
                run(&["mount", "--bind", &live.at("/data/in"), &point]);
                held.push(live.start(&["sleep", "1000"]));
            }
            plan(live)
        };
        let many = 200;
        let once = grow(live, many).0;
        let (twice, done) = grow(live, 2 * many);
        let steps = done.json();
        let unmounts = |step: &&serde_json::Value| step["action"] == "unmount";
        assert_eq!(
            steps["steps"].as_array().unwrap().iter().filter(unmounts).count(),
            2 * many + 1
        );
        cost::grows_in_proportion("mounts of a data disk", many, [none, once, twice], 64e3);
    });
}

#[test]
fn a_daemon_rests_as_long_as_it_looks_while_mounts_come_and_go() {
    alone(&[], |live| {
        live.data();
        mount_many(live, 20_000);
        let daemon = live.start(&[GUESTPREP, "daemon"]);
        let says = |id: &str| live.guestprep(&["status", "--json"]).out.contains(id);
        until("the daemon has judged", || says("data-disk-mounted"));
        let before = scheduled(daemon.pid());
        let (point, start) = (live.at("/run/storm"), Instant::now());
        fs::create_dir(&point).unwrap();
        let mut mounted = 0;
        while start.elapsed() < Duration::from_secs(6) {
            run(&["mount", "-t", "tmpfs", "storm", &point]);
            run(&["umount", &point]);
            mounted += 1;
        }
        let (took, [ran, waited]) = (start.elapsed(), scheduled(daemon.pid()));
        let (ran, waited) = (ran - before[0], waited - before[1]);
        // Of the time in which a processor was there for it: others may have them all.
        let busy = ran / (took.as_secs_f64() - waited);
        let memory = peak(daemon.pid());
        println!(
            "{mounted} mounts in the storm; {:.0} % of a processor, {memory} KiB",
            busy * 100.0
        );
        assert!(busy < 0.6, "{busy}");
        // What the storm left is seen.
        live.chroot(&["umount", "/data"]).exits(0);
        until("the daemon has seen it", || !says("data-disk-mounted"));
    });
}

/// How long the threads of a process have run, and waited for a processor, in seconds
/// (`/proc/PID/schedstat` of sched-stats.rst).
fn scheduled(pid: u32) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        for (sum, nanoseconds) in sums.iter_mut().zip(text.split(' ')) {
            *sum += nanoseconds.parse::<f64>().unwrap() / 1e9;
        }
    }
    sums
}

/// The most memory that a process had, in KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
