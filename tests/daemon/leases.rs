//! Changes on behalf of a client, the lease that ends them, and what came back meanwhile.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::client::Daemon;
use crate::common::command::{Done, run, until};
use crate::common::live;

const ALLOWED: &str = "[daemon]\nallow-changes = true\n";

#[test]
fn nobody_changes_the_guest_who_may_not() {
    live::alone(&["python3"], |live| {
        live.data();
        let daemon = Daemon::start(live, "");
        let refused = daemon.post("/v1/prepare", "");
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(refused.body.contains("allow-changes"), "{refused:?}");
        assert_eq!(daemon.post("/v1/rollback", "").status, 403);
        drop(daemon);

        let daemon = Daemon::start(live, ALLOWED);
        let before = live.state();
        let socket = live.at("/run/guestprep/guestprep.sock");
        run(&["chmod", "666", &socket]);
        // Somebody who may connect, and is not root.
        for directory in std::path::Path::new(&socket).ancestors().skip(1) {
            run(&["chmod", "o+x", directory.to_str().unwrap()]);
        }
        let post = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                    s.sendall(b'POST /v1/prepare HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 0\\r\\n\\r\\n')\n\
                    print(s.recv(4096).decode())";
        let mut nobody = Command::new("python3");
        nobody.args(["-c", post, &socket]).uid(65534).gid(65534);
        let done = Done::of(nobody.output().unwrap()).exits(0).says("403").says("only root");
        drop(done);
        assert_eq!(daemon.post("/v1/prepare", "{\"lease\": 1}").status, 400);
        assert_eq!(daemon.post("/v1/prepare", "{\"lease_seconds\": 0}").status, 400);
        assert_eq!(daemon.post("/v1/rollback", "").status, 400);
        assert_eq!(live.state(), before);
    });
}

#[test]
fn a_lease_ends_by_itself_and_what_comes_back_is_named() {
    live::alone(&[], |live| {
        let disk = live.data();
        let daemon = Daemon::start(live, ALLOWED);
        let before = live.state();
        assert!(daemon.is_blocked_by("data-disk-mounted"));
        let done = daemon.post("/v1/prepare", "{\"lease_seconds\": 6}");
        assert_eq!(done.status, 200, "{done:?}");
        let run = done.json()["run"].as_str().unwrap().to_owned();
        assert_eq!(daemon.readiness()["verdict"], "ready", "{}", daemon.get("/v1/report").body);
        assert_eq!(daemon.readiness()["drift"], serde_json::json!([]));
        assert_eq!(daemon.post("/v1/prepare", "").status, 409);

        live.chroot(&["mount", "-o", "noatime", &disk.device, "/data"]).exits(0);
        until("what came back is named", || daemon.readiness()["drift"] != serde_json::json!([]));
        let drift = &daemon.readiness()["drift"][0];
        assert_eq!(
            (&drift["check"], &drift["run"]),
            (&"data-disk-mounted".into(), &run.as_str().into())
        );
        live.guestprep(&["status"]).exits(1).says("came back at").says("data-disk-mounted");
        live.chroot(&["umount", "/data"]).exits(0);
        until("it is gone again", || daemon.readiness()["drift"] == serde_json::json!([]));

        // Killed, the next one ends it: the lease is in the journal.
        daemon.running.signal("KILL");
        drop(daemon);
        let daemon = Daemon::start(live, ALLOWED);
        until("the lease has ended", || daemon.is_blocked_by("data-disk-mounted"));
        assert_eq!(live.state(), before);
        live.guestprep(&["runs"]).exits(0).says(&run).says("rolled back");
    });
}

#[test]
fn a_run_of_the_command_line_is_guarded_too() {
    live::alone(&[], |live| {
        live.data();
        let daemon = Daemon::start(live, "");
        live.guestprep(&["prepare", "--yes"]).exits(0);
        until("it is ready", || daemon.readiness()["verdict"] == "ready");
        let fstab = fs::read_to_string(live.root.join("etc/fstab")).unwrap();
        let parked = fstab.lines().find(|line| line.contains("/data")).unwrap();
        let line = parked.rsplit_once("] ").unwrap().1;
        live.append_fstab(&format!("{line}\n"));
        until("what came back is named", || {
            daemon.readiness()["drift"]
                .as_array()
                .is_some_and(|all| all.iter().any(|drift| drift["check"] == "fstab-data-disk"))
        });
    });
}

#[test]
fn the_end_of_a_lease_undoes_nobody_elses_run() {
    live::alone(&[], |live| {
        live.data();
        let daemon = Daemon::start(live, ALLOWED);
        assert_eq!(daemon.post("/v1/prepare", "{\"lease_seconds\": 3}").status, 200);
        // While the lease ends the daemon does not see that its run is gone and another is there.
        daemon.running.signal("STOP");
        live.guestprep(&["rollback", "--yes"]).exits(0);
        live.guestprep(&["prepare", "--yes"]).exits(0);
        std::thread::sleep(Duration::from_secs(3));
        daemon.running.signal("CONT");
        until("it has seen it", || daemon.readiness()["generation"] != 1);
        std::thread::sleep(Duration::from_secs(1));
        live.guestprep(&["runs"]).exits(0).says("prepared");
        assert_eq!(daemon.readiness()["verdict"], "ready", "{}", daemon.get("/v1/report").body);
    });
}

/// End a daemon; what it had said.
fn told(daemon: Daemon) -> String {
    daemon.running.signal("TERM");
    daemon.running.wait().err
}

#[test]
fn a_lease_ends_by_itself_on_its_own_guest_alone() {
    live::alone(&[], |live| {
        live.nameless();
        live.data();
        let original = live.fstab();
        let leased = |live: &live::Live| {
            let daemon = Daemon::start(live, ALLOWED);
            let done = daemon.post("/v1/prepare", "{\"lease_seconds\": 1}");
            assert_eq!(done.status, 200, "{done:?}");
            // An image is made of it now.
            daemon.running.signal("KILL");
            done.json()["run"].as_str().unwrap().to_owned()
        };
        let run = leased(live);
        live.boots_anew();
        std::thread::sleep(Duration::from_secs(1));
        let prepared = live.state();
        let daemon = Daemon::start(live, ALLOWED);
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(daemon.readiness()["verdict"], "ready", "{}", daemon.get("/v1/report").body);
        assert_eq!(live.state(), prepared, "it may be a clone");
        let said = told(daemon);
        assert!(said.contains(&format!("`guestprep rollback {run}`")), "{said}");
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_eq!(live.fstab(), original);

        // An instance that cloud-init has not asked about yet at this boot, and that turns out to be it.
        live.instance("i-source");
        leased(live);
        live.boots_anew();
        std::thread::sleep(Duration::from_secs(1));
        let daemon = Daemon::start(live, ALLOWED);
        assert_eq!(daemon.readiness()["verdict"], "ready", "{}", daemon.get("/v1/report").body);
        fs::create_dir_all(live.at("/run/cloud-init")).unwrap();
        fs::write(live.at("/run/cloud-init/instance-data.json"), "{}").unwrap();
        until("the lease has ended", || daemon.is_blocked_by("data-disk-mounted"));
        assert_eq!(live.fstab(), original);
        drop(daemon);

        // A clone is no prepared guest: what it mounts is no drift, and it is prepared as any other.
        let run = leased(live);
        live.instance("i-clone");
        std::thread::sleep(Duration::from_secs(1));
        let daemon = Daemon::start(live, ALLOWED);
        std::thread::sleep(Duration::from_secs(1));
        let done = daemon.post("/v1/prepare", "");
        assert_eq!((done.status, &done.json()["run"]), (200, &serde_json::Value::Null), "{done:?}");
        let said = told(daemon);
        assert!(!said.contains(&run), "{said}");
    });
}

#[test]
fn a_capture_that_was_killed_is_undone_before_the_next_prepare() {
    live::alone(&[], |live| {
        live.data();
        live.guestprep(&["capture", "--", "sh", "-c", "kill -9 $PPID"]).exits(137);
        let daemon = Daemon::start(live, ALLOWED);
        let done = daemon.post("/v1/prepare", "");
        assert_eq!(done.status, 200, "{done:?}");
        assert!(done.json()["run"].is_string(), "{done:?}");
        live.guestprep(&["runs"]).exits(0).says("capture  rolled back").says("prepare  prepared");
    });
}
