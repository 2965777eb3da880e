//! `[clean] users`: an account goes from a tree with all that is its own, others keep theirs, and what
//! was cut short is finished. pwck(8) and grpck(8) judge what is left.
//!
//! Owners need root; without it the test is left out, and says so.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use guestprep::change::{Interrupt, Phase2, Prepared, RunKind, Store, compose, execute};
use guestprep::guest::Guest;
use guestprep::model::{CheckId, Edit, Finding, Policy, Verdict};
use guestprep::probe;

const CHECK: &str = "build-user";

/// The files of accounts before. Each has a backup, as the tools of shadow keep it.
const FILES: [(&str, &str, u32); 6] = [
    (
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\npacker:x:1000:1000::/srv/packer:/bin/sh\n\
         ann:x:1001:1001::/home/ann:/bin/sh\nbob:x:1002:1002::/srv/bob:/bin/sh\n\
         inner:x:1003:1003::/srv/bob/inner:/bin/sh\n",
        0o644,
    ),
    (
        "shadow",
        "root:*:19000:0:99999:7:::\npacker:$6$salt$hash:19000:0:99999:7:::\n\
         ann:*:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\ninner:*:19000:0:99999:7:::\n",
        0o640,
    ),
    (
        "group",
        "root:x:0:\nsudo:x:27:ann,packer\npacker:x:1000:\nann:x:1001:\nbob:x:1002:\ninner:x:1003:\n",
        0o644,
    ),
    ("gshadow", "root:*::\nsudo:*::ann,packer\npacker:!::\nann:!::\nbob:!::\ninner:!::\n", 0o640),
    ("subuid", "packer:100000:65536\nann:165536:65536\n", 0o644),
    ("subgid", "packer:100000:65536\nann:165536:65536\n", 0o644),
];

struct Tree {
    // Removed with all in it when the test ends.
    _dir: tempfile::TempDir,
    root: PathBuf,
    state: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let tree =
            Tree { root: dir.path().join("root"), state: dir.path().join("state"), _dir: dir };
        tree.put("etc/os-release", "ID=debian\nVERSION_ID=12\n");
        for (name, text, mode) in FILES {
            for name in [format!("etc/{name}"), format!("etc/{name}-")] {
                tree.put(&name, text);
                let path = tree.root.join(name);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
                chown(&path, None, Some(42)).expect("a group");
            }
        }
        for (home, owner) in [("srv/packer", 1000), ("home/ann", 1001), ("srv/bob", 1002)] {
            tree.put(&format!("{home}/.ssh/id_rsa"), "a key\n");
            tree.put(&format!("{home}/inner/notes"), "x\n");
            chown(tree.root.join(home), Some(owner), None).expect("an owner");
        }
        for (place, who) in
            [("var/mail", "packer"), ("var/mail", "ann"), ("var/spool/cron", "packer")]
        {
            tree.put(&format!("{place}/{who}"), "a line\n");
        }
        std::os::unix::fs::symlink("../../var/mail", tree.root.join("var/spool/mail"))
            .expect("a link");
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).expect("a file")
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    fn findings(&self, users: &[&str]) -> (Guest, Vec<Finding>) {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        let guest =
            Guest::tree(&self.root, Policy { users, ..Policy::default() }).expect("a guest");
        let probe = probe::find(CHECK).expect("the check");
        let findings = match (probe.judge)(&guest).expect("a verdict") {
            Verdict::Fail(findings) => findings,
            _ => Vec::new(),
        };
        (guest, findings)
    }

    fn prepare(&self, users: &[&str]) -> Prepared {
        let (guest, findings) = self.findings(users);
        let edits: Vec<(CheckId, Edit)> = findings
            .into_iter()
            .flat_map(|finding| finding.fix)
            .map(|edit| (CheckId::from(CHECK), edit))
            .collect();
        let plan = compose(&guest, "share", &edits).expect("a plan");
        assert!(plan.steps.iter().all(|step| !step.reversible && step.phase == 2));
        let store = Store::create(&guest, Some(&self.state)).expect("a state directory");
        let quiet = &mut |_: &_| {};
        let interrupt = Interrupt::default();
        execute(&guest, &store, &plan, RunKind::Prepare, Phase2::Now, &interrupt, quiet)
            .expect("it is done")
    }

    /// What the tools of shadow find wrong with the files, but for what is about this machine.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for tool in ["pwck", "grpck"] {
            let Ok(output) = Command::new(tool).args(["-r", "-R"]).arg(&self.root).output() else {
                println!("left out: what {tool} says: there is no {tool}");
                continue;
            };
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            let beside = ["does not exist", "no changes"];
            let lines = said.lines().filter(|line| !beside.iter().any(|word| line.contains(word)));
            complaints.extend(lines.map(|line| format!("{tool}: {line}")));
        }
        complaints
    }
}

fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
    if !is_root {
        println!("left out: accounts taken from a tree: owners need root");
    }
    is_root
}

#[test]
fn an_account_goes_with_all_that_is_its_own() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let prepared = tree.prepare(&["packer", "nobody-there"]);
    assert!(prepared.failures.is_empty(), "{:?}", prepared.failures);
    for (name, before, mode) in FILES {
        for name in [format!("etc/{name}"), format!("etc/{name}-")] {
            let text = tree.text(&name);
            assert!(!text.contains("packer"), "{name}: {text}");
            let others = before.lines().filter(|line| !line.contains("packer"));
            others.for_each(|line| assert!(text.contains(line), "{name} has lost {line}"));
            let about = fs::metadata(tree.root.join(&name)).expect("a file");
            assert_eq!((about.mode() & 0o7777, about.gid()), (mode, 42), "{name}");
        }
    }
    assert!(tree.text("etc/group").contains("sudo:x:27:ann\n"), "{}", tree.text("etc/group"));
    assert_eq!(tree.complaints(), [""; 0]);
    for gone in ["srv/packer", "var/mail/packer", "var/spool/cron/packer"] {
        assert!(!tree.has(gone), "{gone} is left");
    }
    for stays in ["home/ann/.ssh/id_rsa", "var/mail/ann", "srv/bob/inner/notes"] {
        assert!(tree.has(stays), "{stays} is gone");
    }
    assert!(tree.findings(&["packer"]).1.is_empty(), "a second prepare finds something to do");
    // The journal lies in the image: what was in shadow is not in it.
    let found = Command::new("grep").args(["-r", "salt"]).arg(&tree.state).output().expect("grep");
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
}

#[test]
fn a_home_that_is_not_an_accounts_own_stays() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    // Another lives in it.
    tree.prepare(&["bob"]);
    assert!(!tree.text("etc/passwd").contains("bob:") && tree.has("srv/bob/inner/notes"));
    // It belongs to somebody else.
    chown(tree.root.join("home/ann"), Some(0), None).expect("an owner");
    tree.prepare(&["ann"]);
    assert!(!tree.text("etc/passwd").contains("ann:") && tree.has("home/ann/inner/notes"));
}

#[test]
fn what_was_cut_short_is_finished() {
    if !is_root() {
        return;
    }
    let whole = Tree::new();
    whole.prepare(&["packer"]);
    // Cut short before each of the files in turn, from the first to the one that comes last.
    for cut in 0..FILES.len() {
        let tree = Tree::new();
        for name in ["subuid", "subgid", "gshadow", "group", "shadow"].iter().take(cut) {
            for name in [format!("etc/{name}-"), format!("etc/{name}")] {
                // What came out as it was exchanged.
                let out = name.replace("etc/", "etc/.guestprep-account-") + ".out";
                tree.put(&out, &tree.text(&name));
                tree.put(&name, &whole.text(&name));
            }
        }
        tree.put("etc/.guestprep-account-passwd", "half a fi");
        tree.prepare(&["packer"]);
        for (name, ..) in FILES {
            let name = format!("etc/{name}");
            assert_eq!(tree.text(&name), whole.text(&name), "cut {cut}: {name}");
        }
        let left: Vec<_> = fs::read_dir(tree.root.join("etc"))
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .filter(|name| name.starts_with(".guestprep"))
            .collect();
        assert_eq!(left, [""; 0], "cut {cut}");
    }
}

/// An account that somebody else makes in the very moment of a kill came out with the old file, and
/// nobody put it back.
#[test]
fn what_somebody_else_wrote_in_the_moment_of_a_cut_stays() {
    if !is_root() {
        return;
    }
    let whole = Tree::new();
    whole.prepare(&["packer"]);
    let tree = Tree::new();
    let theirs = format!("{}newbie:!:20000::::::\n", tree.text("etc/shadow"));
    tree.put("etc/.guestprep-account-shadow.out", &theirs);
    tree.put("etc/shadow", &whole.text("etc/shadow"));
    tree.prepare(&["packer"]);
    let wanted = format!("{}newbie:!:20000::::::\n", whole.text("etc/shadow"));
    assert_eq!(tree.text("etc/shadow"), wanted);
    assert!(!tree.has("etc/.guestprep-account-shadow.out"));
}
