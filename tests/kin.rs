//! A clone is told from its source by what the firmware and cloud-init call the machine; where neither
//! names it, what goes on in the boot of the run is the source.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::path::Path;

use guestprep::change::{Header, Kin, RunKind, kin};
use guestprep::guest::Guest;
use guestprep::model::{Plan, PlanGuest, Policy};

const ZEROS: &str = "00000000-0000-0000-0000-000000000000";

/// The boot of a run, and a later one.
const FIRST: &str = "16b983b3-ac49-4952-bfed-f957edea288c";
const LATER: &str = "5d0c5d1c-6a0a-4bd5-8b5e-0f1f7a4f6e55";

/// A machine: its DMI product UUID, its instance id, and whether cloud-init has asked at this boot.
#[derive(Clone, Copy)]
struct Machine(Option<&'static str>, Option<&'static str>, bool);

impl Machine {
    fn guest(self, at: &Path, boot: &str) -> Guest {
        let (root, kernel) = (at.join("root"), at.join("kernel"));
        let put = |path: std::path::PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for directory in ["proc", "sys"] {
            fs::create_dir_all(kernel.join(directory)).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        put(kernel.join("proc/sys/kernel/random/boot_id"), &format!("{boot}\n"));
        if let Some(uuid) = self.0 {
            // The kernel prints it in upper case on some releases.
            put(
                kernel.join("sys/class/dmi/id/product_uuid"),
                &format!("{}\n", uuid.to_uppercase()),
            );
        }
        if let Some(id) = self.1 {
            put(root.join("var/lib/cloud/data/instance-id"), &format!("{id}\n"));
        }
        if self.2 {
            put(root.join("run/cloud-init/instance-data.json"), "{}");
        }
        Guest::recorded(&root, &kernel, Policy::default()).unwrap()
    }
}

fn run_of(machine: Machine, root: &str, boot: Option<&str>) -> Header {
    Header {
        schema: Header::SCHEMA.to_owned(),
        id: "20260101T000000Z-1".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        version: "0.1.0".to_owned(),
        kind: RunKind::Prepare,
        root: root.to_owned(),
        dmi_uuid: machine.0.map(str::to_owned),
        cloud_id: machine.1.map(str::to_owned),
        boot_id: boot.map(str::to_owned),
        ends: None,
        image: None,
        plan: Plan {
            schema: Plan::SCHEMA.to_owned(),
            profile: "clone".to_owned(),
            guest: PlanGuest { mode: "live".to_owned(), hostname: None, instance_id: None },
            digest: String::new(),
            steps: Vec::new(),
        },
        carried: Vec::new(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Own,
    Source,
    Elsewhere,
    Untold,
}

fn told(theirs: Machine, ours: Machine, boot: &str) -> Told {
    let dir = tempfile::tempdir().unwrap();
    let run = run_of(theirs, "/", Some(FIRST));
    match kin(&ours.guest(dir.path(), boot), &run) {
        Kin::Own => Told::Own,
        Kin::Source { theirs, ours } => {
            assert!(theirs != ours && !theirs.is_empty() && !ours.is_empty());
            Told::Source
        }
        Kin::Elsewhere => Told::Elsewhere,
        Kin::Untold(why) => {
            assert!(why.contains("20260101T000000Z-1"), "{why}");
            Told::Untold
        }
    }
}

#[test]
fn what_tells_a_clone_from_its_source() {
    let (a, b) = (Some("aaaa"), Some("bbbb"));
    let (x, y) = (Some("i-x"), Some("i-y"));
    let zeros = Some(ZEROS);
    let none = None;
    for (theirs, ours, wanted) in [
        // The firmware's name decides, at once.
        (Machine(a, none, false), Machine(b, none, false), Told::Source),
        (Machine(a, none, false), Machine(a, none, false), Told::Own),
        (Machine(a, x, false), Machine(a, x, false), Told::Own),
        // Before cloud-init has asked, a clone still has its source's id on the disk.
        (Machine(a, x, false), Machine(b, x, false), Told::Source),
        (Machine(none, x, false), Machine(none, x, false), Told::Untold),
        (Machine(none, x, false), Machine(none, x, true), Told::Own),
        (Machine(none, x, false), Machine(none, y, false), Told::Source),
        // One machine with two ids, or a hypervisor that calls all of them alike.
        (Machine(a, x, false), Machine(a, y, true), Told::Untold),
        (Machine(zeros, x, false), Machine(zeros, y, true), Told::Source),
        (Machine(zeros, none, false), Machine(zeros, none, false), Told::Untold),
        (Machine(zeros, none, false), Machine(b, none, false), Told::Untold),
        // Nothing, or no longer anything, to compare with.
        (Machine(none, none, false), Machine(a, x, true), Told::Untold),
        (Machine(a, x, false), Machine(none, none, false), Told::Untold),
        (Machine(a, none, false), Machine(none, x, true), Told::Untold),
    ] {
        let shown = format!("{:?} {:?} on {:?} {:?}", theirs.0, theirs.1, ours.0, ours.1);
        assert_eq!(told(theirs, ours, LATER), wanted, "{shown}");
        // In the same boot what names do not tell is told.
        let in_boot = match wanted {
            Told::Untold if !is_contrary(theirs, ours) => Told::Own,
            told => told,
        };
        assert_eq!(told(theirs, ours, FIRST), in_boot, "{shown}, in the same boot");
    }
}

/// One machine that goes by two instance ids.
fn is_contrary(theirs: Machine, ours: Machine) -> bool {
    theirs.0 == ours.0
        && theirs.0 != Some(ZEROS)
        && theirs.1.is_some()
        && theirs.1 != ours.1
        && ours.1.is_some()
}

#[test]
fn a_run_of_an_earlier_version_names_no_boot() {
    let dir = tempfile::tempdir().unwrap();
    let nameless = Machine(None, None, false);
    let header = serde_json::to_value(run_of(nameless, "/", None)).unwrap();
    assert_eq!(header.get("boot_id"), None);
    let header: Header = serde_json::from_value(header).unwrap();
    assert!(matches!(kin(&nameless.guest(dir.path(), FIRST), &header), Kin::Untold(_)));
}

#[test]
fn a_tree_is_known_by_where_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let nameless = Machine(None, None, false);
    let tree = Guest::tree(dir.path(), Policy::default()).unwrap();
    assert_eq!(kin(&tree, &run_of(nameless, root, None)), Kin::Own);
    assert_eq!(kin(&tree, &run_of(nameless, "/", None)), Kin::Elsewhere);
    // What runs is not undone as a tree, whose names nobody can ask for.
    assert_eq!(kin(&tree, &run_of(nameless, root, Some(FIRST))), Kin::Elsewhere);
    let live = Machine(Some("aaaa"), None, false);
    let guest = live.guest(&dir.path().join("live"), FIRST);
    assert_eq!(kin(&guest, &run_of(live, "/mnt/disk", None)), Kin::Elsewhere);
}
