//! What changes in the guest changes the readiness, and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::client::{Daemon, configure};
use crate::common::command::{run, until};
use crate::common::live::{self, GUESTPREP, Live};

/// Nobody can log in without a key, which stands in the way here.
const KEYS_ALONE: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n";

/// As a check of identities weighs it under the profile `share`.
pub const BLOCKER: &str = "[checks.sshd-unreachable]\nseverity = \"blocker\"\n";

#[test]
fn every_kind_of_change_is_seen_and_its_undoing_too() {
    live::alone(&["mkswap"], |live| {
        let disk = live.disk("data", "64M", &["mkfs.ext4", "-q", "-F"]);
        let swap = live.disk("swap", "64M", &["mkswap", "-q"]);
        keys_alone(live);
        fs::create_dir(live.root.join("data")).unwrap();
        let fstab = live.root.join("etc/fstab");
        let before = fs::read_to_string(&fstab).unwrap();
        let daemon = Daemon::start(live, BLOCKER);
        assert_eq!(daemon.readiness()["verdict"], "ready", "{}", daemon.get("/v1/report").body);
        let first = daemon.readiness()["generation"].as_u64().unwrap();

        let row = |what: &str, took: std::time::Duration| {
            eprintln!("{what}: {} ms until it was known", took.as_millis());
        };
        let mounted = "data-disk-mounted";
        row(
            "mount",
            daemon.sees(mounted, true, || {
                drop(live.chroot(&["mount", &disk.device, "/data"]).exits(0))
            }),
        );
        row(
            "umount",
            daemon.sees(mounted, false, || drop(live.chroot(&["umount", "/data"]).exits(0))),
        );
        row(
            "swapon",
            daemon.sees(mounted, true, || drop(live.chroot(&["swapon", &swap.device]).exits(0))),
        );
        row(
            "swapoff",
            daemon.sees(mounted, false, || drop(live.chroot(&["swapoff", &swap.device]).exits(0))),
        );
        let line = format!("UUID={} /data ext4 defaults 0 2\n", disk.uuid);
        row(
            "fstab written in place",
            daemon.sees("fstab-data-disk", true, || live.append_fstab(&line)),
        );
        row(
            "fstab replaced by a rename",
            daemon.sees("fstab-data-disk", false, || {
                fs::write(fstab.with_extension("new"), &before).unwrap();
                fs::rename(fstab.with_extension("new"), &fstab).unwrap();
            }),
        );
        let keys = live.root.join("root/.ssh/authorized_keys");
        row(
            "key removed",
            daemon.sees("sshd-unreachable", true, || fs::remove_file(&keys).unwrap()),
        );
        row(
            "key added",
            daemon.sees("sshd-unreachable", false, || {
                fs::write(&keys, "ssh-ed25519 AAAA me\n").unwrap();
            }),
        );
        row(
            "directory of keys renamed",
            daemon.sees("sshd-unreachable", true, || {
                fs::rename(live.root.join("root/.ssh"), live.root.join("root/.ssh.away")).unwrap();
            }),
        );
        row(
            "and renamed back",
            daemon.sees("sshd-unreachable", false, || {
                fs::rename(live.root.join("root/.ssh.away"), live.root.join("root/.ssh")).unwrap();
            }),
        );
        let now = daemon.readiness();
        assert_eq!(now["verdict"], "ready");
        assert!(now["generation"].as_u64().unwrap() >= first + 10, "{now}");
        // What stands is what an audit says.
        let audit = live.guestprep(&["audit", "--format", "json"]).exits(0).json();
        assert_eq!(daemon.get("/v1/report").json()["digest"], audit["digest"]);
    });
}

#[test]
fn it_survives_what_befalls_it() {
    live::alone(&[], |live| {
        keys_alone(live);
        let daemon = Daemon::start(live, BLOCKER);
        // A configuration that is wrong changes nothing; one that is right is read.
        let key = live.root.join("root/.ssh/authorized_keys");
        fs::remove_file(key).unwrap();
        until("the missing key is seen", || daemon.is_blocked_by("sshd-unreachable"));
        configure(live, "[checks.sshd-unreachable]\nenabled = fales\n");
        daemon.running.signal("HUP");
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(daemon.is_blocked_by("sshd-unreachable"));
        configure(live, "[checks.sshd-unreachable]\nenabled = false\n");
        daemon.running.signal("HUP");
        until("the configuration is read", || !daemon.is_blocked_by("sshd-unreachable"));
        // A second one leaves the socket to the first.
        live.guestprep(&["daemon"]).exits(2).says("cannot listen on");
        // Killed, it leaves a socket that the next one takes.
        daemon.running.signal("KILL");
        assert_eq!(daemon.running.wait().code, 128 + 9);
        live.guestprep(&["status"]).exits(3).says("no guestprep daemon listens");
        let daemon = Daemon::start(live, BLOCKER);
        assert!(daemon.is_blocked_by("sshd-unreachable"));
        daemon.running.signal("TERM");
        daemon.running.wait().exits(0).says("stopping");
    });
}

#[test]
fn status_tells_and_waits() {
    live::alone(&[], |live| {
        live.guestprep(&["status"]).exits(3).says("no guestprep daemon listens");
        keys_alone(live);
        let key = live.root.join("root/.ssh/authorized_keys");
        let text = fs::read(&key).unwrap();
        fs::remove_file(&key).unwrap();
        let daemon = Daemon::start(live, BLOCKER);
        live.guestprep(&["status"]).exits(1).says("NOT READY").says("blockers: sshd-unreachable");
        let json = live.guestprep(&["status", "--json"]).exits(1).json();
        assert_eq!(json, daemon.readiness());
        live.guestprep(&["status", "--wait", "1"]).exits(1).says("NOT READY");
        let waiting = live.start(&[GUESTPREP, "status", "--wait"]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::write(&key, text).unwrap();
        waiting.wait().exits(0).says("READY");
    });
}

#[test]
fn what_is_served_is_what_the_document_says() {
    live::alone(&[], |live| {
        let textfile = "[daemon]\ntextfile = \"/run/guestprep.prom\"\n";
        let daemon = Daemon::start(live, textfile);
        let socket = live.root.join("run/guestprep/guestprep.sock");
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let document = daemon.get("/openapi.json").json();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 7, "{paths:?}");
        for (path, operations) in paths {
            for method in operations.as_object().unwrap().keys() {
                if path == "/v1/events" {
                    continue; // It has no end.
                }
                let answer = match method.as_str() {
                    "get" => daemon.get(path),
                    _ => daemon.post(path, ""),
                };
                let status = answer.status.to_string();
                assert!(
                    operations[method]["responses"].get(&status).is_some(),
                    "{path}: {answer:?}"
                );
            }
        }
        let readiness = daemon.readiness();
        let fields: Vec<&String> = readiness.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["blockers", "drift", "generation", "since", "unknown", "verdict"]);
        assert_eq!(daemon.get("/v1/nothing").status, 404);
        let metrics = daemon.get("/metrics");
        assert!(metrics.head.contains("application/openmetrics-text; version=1.0.0"));
        assert!(metrics.body.ends_with("# EOF\n"));
        assert_eq!(fs::read_to_string(live.root.join("run/guestprep.prom")).unwrap(), metrics.body);
    });
}

/// Nobody can log in by password, and root has a key.
pub fn keys_alone(live: &Live) {
    let config = live.root.join("etc/ssh/sshd_config");
    let text = fs::read_to_string(&config).unwrap_or_default();
    fs::write(&config, format!("{KEYS_ALONE}{text}")).unwrap();
    fs::create_dir_all(live.root.join("etc/cloud")).unwrap();
    fs::write(live.root.join("etc/cloud/cloud-init.disabled"), "").unwrap();
    let host_key = live.root.join("etc/ssh/ssh_host_ed25519_key");
    fs::write(&host_key, "a key\n").unwrap();
    fs::set_permissions(host_key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(live.root.join("root/.ssh")).unwrap();
    fs::write(live.root.join("root/.ssh/authorized_keys"), "ssh-ed25519 AAAA me\n").unwrap();
    run(&["chmod", "700", &live.at("/root/.ssh")]);
}
