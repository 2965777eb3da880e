//! Who is at work is told from what the kernel and sudo say of the process that asks, and a plan that
//! would take from them what lets them in is refused.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::path::{Path, PathBuf};

use guestprep::change::{ObstacleKind, compose, lockout};
use guestprep::guest::Guest;
use guestprep::model::{CheckId, Edit, Erasure, ErasureKind, GuestPath, Policy};

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/srv/ann:/bin/sh\n\
                      packer:x:1001:1001::/home/packer:/bin/sh\n";

struct Machine(tempfile::TempDir);

impl Machine {
    /// A machine on which process 50 asks, and its parents are these: pid, parent, uid, name.
    fn new(chain: &[(u32, u32, u32, &str)], loginuid: Option<&str>, environ: &str) -> Self {
        let machine = Self(tempfile::tempdir().expect("a directory"));
        machine.put("root/etc/passwd", PASSWD);
        machine.put("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
        for (name, home) in [("ann", "srv/ann"), ("packer", "home/packer"), ("root", "root")] {
            let key = format!("ssh-ed25519 AAAA {name}\n");
            machine.put(&format!("root/{home}/.ssh/authorized_keys"), &key);
        }
        fs::create_dir_all(machine.at("kernel/sys")).expect("a directory");
        for (pid, parent, uid, name) in chain {
            let status = format!("Name:\t{name}\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t0\t0\n");
            machine.put(&format!("kernel/proc/{pid}/status"), &status);
            machine.put(&format!("kernel/proc/{pid}/cmdline"), format!("/bin/{name}\0-x\0"));
        }
        let (_, parent, ..) = chain[0];
        let status = format!("Name:\tguestprep\nPPid:\t{parent}\nUid:\t0\t0\t0\t0\n");
        machine.put("kernel/proc/self/status", &status);
        machine.put("kernel/proc/self/environ", environ);
        machine.put("kernel/proc/self/stat", "50 (a) b) R 40 1 1 0 -1\n");
        if let Some(uid) = loginuid {
            machine.put("kernel/proc/self/loginuid", uid);
        }
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn guest(&self) -> Guest {
        let (root, kernel) = (self.at("root"), self.at("kernel"));
        Guest::recorded(&root, &kernel, Policy::default()).expect("a guest")
    }

    fn operators(&self) -> Vec<String> {
        let operators = self.guest().operators().expect("who is at work");
        operators.iter().map(|person| person.shown()).collect()
    }
}

/// sudo's and the shell's processes above one that ann started over ssh.
const SUDO: [(u32, u32, u32, &str); 4] =
    [(50, 40, 0, "guestprep"), (40, 30, 0, "sudo"), (30, 20, 1000, "bash"), (20, 1, 0, "sshd")];
/// A command of an agent.
const AGENT: [(u32, u32, u32, &str); 3] =
    [(50, 40, 0, "guestprep"), (40, 1, 0, "agent"), (1, 0, 0, "systemd")];

#[test]
fn who_is_at_work() {
    let root_over_ssh = [(50, 40, 0, "guestprep"), (40, 30, 0, "bash"), (30, 1, 0, "sshd-session")];
    let none: [&str; 0] = [];
    for (chain, loginuid, environ, who) in [
        (&SUDO[..], Some("1001\n"), "", &["packer"][..]),
        (&SUDO, Some("4294967295\n"), "", &["ann"]),
        (&SUDO, None, "SUDO_UID=1001", &["ann"]),
        (&root_over_ssh, None, "", &["root"]),
        (&AGENT, None, "PATH=/bin\0SUDO_UID=1001\0", &["packer"]),
        (&AGENT, None, "NOT_SUDO_UID=1001\0SUDO_UID=x", &none),
        (&AGENT, Some("4294967295"), "", &none),
        // An account that is gone from passwd has no keys that count.
        (&AGENT, Some("7"), "", &none),
    ] {
        let machine = Machine::new(chain, loginuid, environ);
        assert_eq!(machine.operators(), who, "{chain:?} {loginuid:?} {environ}");
    }
}

#[test]
fn without_a_login_above_it_whoever_is_on_a_terminal_may_be() {
    let machine = Machine::new(&AGENT, None, "");
    let mut record = vec![0; 384];
    record[0] = 7;
    record[44..47].copy_from_slice(b"ann");
    machine.put("root/run/utmp", &record);
    assert!(machine.operators().is_empty(), "no terminal, nobody who looks at it");
    machine.put("kernel/proc/self/stat", "50 (a) b) R 40 1 1 34816 -1\n");
    assert_eq!(machine.operators(), ["ann"]);
}

#[test]
fn what_lets_the_operator_in_is_not_taken() {
    let machine = Machine::new(&SUDO, Some("1000\n"), "");
    let obstacles = |path: &str, how| {
        let guest = machine.guest();
        let targets = vec![Erasure::of(&GuestPath::from(path), how)];
        let edits = [(CheckId::from("authorized-keys"), Edit::Erase { targets })];
        let plan = compose(&guest, "share", &edits).expect("a plan");
        lockout(&guest, &plan).expect("obstacles")
    };
    for path in ["/srv/ann/.ssh/authorized_keys", "/srv/ann"] {
        let found = obstacles(path, ErasureKind::Remove);
        assert_eq!(found.len(), 1, "{path}");
        assert_eq!(found[0].kind, ObstacleKind::Busy);
        let message = &found[0].message;
        assert!(message.contains("logged in as ann"), "{message}");
        assert!(message.contains("--skip authorized-keys"), "{message}");
    }
    // What is not there lets nobody in, and others' keys are not ann's.
    assert!(obstacles("/srv/ann/.ssh/authorized_keys2", ErasureKind::Remove).is_empty());
    assert!(obstacles("/home/packer/.ssh/authorized_keys", ErasureKind::Remove).is_empty());
    assert!(obstacles("/srv/ann/.bash_history", ErasureKind::Truncate).is_empty());

    // A tree is nobody's session.
    let tree = Guest::tree(&machine.at("root"), Policy::default()).expect("a guest");
    let targets = vec![Erasure::matching("/srv/ann", ErasureKind::Remove)];
    let edits = [(CheckId::from("authorized-keys"), Edit::Erase { targets })];
    let plan = compose(&tree, "share", &edits).expect("a plan");
    assert!(lockout(&tree, &plan).expect("obstacles").is_empty());
}

#[test]
fn an_account_that_is_at_work_is_not_taken() {
    let machine = Machine::new(&SUDO, Some("1000"), "");
    let obstacles = |user: &str| {
        let guest = machine.guest();
        let edits = [(CheckId::from("build-user"), Edit::DropAccount { user: user.to_owned() })];
        let plan = compose(&guest, "share", &edits).expect("a plan");
        let found = lockout(&guest, &plan).expect("obstacles");
        found.into_iter().map(|obstacle| obstacle.message).collect::<Vec<_>>()
    };
    let of_ann = obstacles("ann");
    assert_eq!(of_ann.len(), 2, "{of_ann:?}");
    assert!(of_ann[0].contains("it is in use by pid 30 (/bin/bash -x)"), "{of_ann:?}");
    assert!(of_ann[1].contains("takes the account away, and you are logged in as ann"));
    assert!(obstacles("packer").is_empty(), "nothing runs under packer");
}
