//! Every kind of edit that a check may offer, on trees of files: composed, taken and rolled back.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::digest;
use guestprep::change::{
    ComposeError, Interrupt, Phase2, RunKind, Store, compose, execute, preflight, roll_back,
};
use guestprep::guest::{Guest, Starts};
use guestprep::model::{CheckId, Edit, GuestPath, LineChange, Plan, Policy};
use proptest::prelude::*;
use rustix::fs::{XattrFlags, lsetxattr};

/// A tree with files, links and a directory to work in.
fn tree() -> tempfile::TempDir {
    // In memory where there is a place for that: every step waits for its disk.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("one");
    let etc = dir.path().join("root/etc");
    fs::create_dir_all(etc.join("systemd/system")).expect("a directory");
    fs::create_dir_all(dir.path().join("root/opt")).expect("a directory");
    for (name, text) in [
        ("plain", "one\ntwo\nthree\n"),
        ("no-end", "one\ntwo"),
        ("dos", "one\r\ntwo\r\nthree\r\n"),
        ("empty", ""),
    ] {
        fs::write(etc.join(name), text).expect("a file");
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(981_173_106, 5);
        let times = fs::FileTimes::new().set_modified(old);
        fs::File::options().write(true).open(etc.join(name)).unwrap().set_times(times).unwrap();
        fs::set_permissions(etc.join(name), fs::Permissions::from_mode(0o640)).unwrap();
    }
    symlink("plain", etc.join("link")).expect("a link");
    symlink("/opt/gone", etc.join("dangling")).expect("a link");
    for (name, attribute) in [
        ("plain", &b"user.\xff"[..]),
        ("no-end", b"trusted.a\\x41"),
        ("link", b"trusted.\xfe"),
        ("dangling", b"security.note"),
    ] {
        // Where the filesystem or this user cannot, there is less to lose.
        let _ = lsetxattr(etc.join(name), attribute, b"kept", XattrFlags::empty());
    }
    dir
}

fn guest(dir: &Path) -> Guest {
    Guest::tree(&dir.join("root"), Policy::default()).expect("a tree")
}

fn prepare(dir: &Path, edits: &[Edit]) -> Result<(Plan, Store), ComposeError> {
    let edits: Vec<(CheckId, Edit)> =
        edits.iter().map(|edit| (CheckId::from("disk-full"), edit.clone())).collect();
    let plan = compose(&guest(dir), "clone", &edits)?;
    assert_eq!(preflight(&guest(dir), &plan).expect("preflight"), []);
    let store = Store::create(&guest(dir), Some(&dir.join("state"))).expect("a store");
    let quiet = &mut |_: &_| {};
    execute(
        &guest(dir),
        &store,
        &plan,
        RunKind::Command,
        Phase2::Now,
        &Interrupt::default(),
        quiet,
    )
    .expect("every step is taken");
    Ok((plan, store))
}

fn roll_all_back(dir: &Path, store: &Store) {
    let mut run = store.runs().expect("runs").pop().expect("a run");
    let result = roll_back(&guest(dir), &mut run).expect("the same guest");
    assert_eq!(result.left, []);
}

fn read(dir: &Path, path: &str) -> String {
    fs::read_to_string(dir.join("root").join(path)).expect("a file")
}

/// The lines of the files that edits name, so that what is expected of them is right.
const LINES: [&str; 3] = ["one", "two", "three"];

fn edit() -> impl Strategy<Value = Edit> {
    let file = prop::sample::select(vec!["/etc/plain", "/etc/dos", "/etc/link"]);
    let change = prop_oneof![
        Just(LineChange::Park),
        "[a-z=]{0,8}".prop_map(|line| LineChange::Replace(line.as_str().into())),
        "[a-z=]{0,8}".prop_map(|line| LineChange::InsertAfter(line.as_str().into())),
    ];
    let line = (file, 1..=3_usize, change).prop_map(|(path, line, change)| Edit::Line {
        path: path.into(),
        line,
        original: LINES[line - 1].into(),
        change,
    });
    let old = prop::sample::select(vec!["/etc/plain", "/etc/no-end", "/etc/dos", "/etc/empty"]);
    let append = (old, prop::collection::vec("[a-z]{0,5}", 0..3)).prop_map(|(path, lines)| {
        let lines = lines.iter().map(|line| line.as_str().into()).collect();
        Edit::Append { path: path.into(), lines }
    });
    let anywhere = prop::sample::select(vec![
        "/etc/new",
        "/etc/new.d/one",
        "/etc/new.d/deep/er/two",
        "/etc/empty",
        "/etc/no-end",
        "/var/lib/x/y",
    ]);
    let write =
        (anywhere, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(path, content)| {
            Edit::WriteFile { path: path.into(), content: content.into(), mode: 0o600 }
        });
    let goes = prop::sample::select(vec!["/etc/link", "/etc/dangling", "/etc/no-end"]);
    let remove = goes.prop_map(|path| Edit::Remove { path: path.into() });
    let unit = prop::sample::select(vec!["a.service", "b.mount"]);
    let mask = unit.prop_map(|unit| Edit::MaskUnit { unit: unit.to_owned() });
    prop_oneof![3 => line, 2 => append, 3 => write, 1 => remove, 1 => mask]
}

/// Whether two edits are of one thing in ways that no check of ours combines: a file that is both
/// written whole and edited by its lines, or removed as well.
fn clash(edits: &[Edit]) -> bool {
    let name = |edit: &Edit| match edit {
        Edit::Line { path, .. } | Edit::Append { path, .. } => {
            let link = *path == GuestPath::from("/etc/link");
            Some((0, if link { "/etc/plain".into() } else { path.clone() }, path.clone()))
        }
        Edit::WriteFile { path, .. } => Some((1, path.clone(), path.clone())),
        Edit::Remove { path } => Some((2, path.clone(), path.clone())),
        _ => None,
    };
    let named: Vec<_> = edits.iter().filter_map(name).collect();
    named.iter().enumerate().any(|(at, (kind, file, path))| {
        named[at + 1..].iter().any(|(other, same, by)| {
            let is_one_file = file == same || path == by;
            if kind == other { file == same && path != by } else { is_one_file }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_is_wanted_is_rolled_back(edits in prop::collection::vec(edit(), 1..8)) {
        prop_assume!(!clash(&edits));
        let dir = tree();
        let root = dir.path().join("root");
        let before = digest::of_tree(&root);
        let Ok((plan, store)) = prepare(dir.path(), &edits) else {
            return Ok(()); // Two wishes for one line or file that differ.
        };
        for edit in &edits {
            if let Edit::WriteFile { path, content, .. } = edit {
                let path = root.join(path.to_string().trim_start_matches('/'));
                prop_assert_eq!(fs::read(path).unwrap(), content.as_bytes());
            }
            if let Edit::Remove { path } = edit {
                let path = root.join(path.to_string().trim_start_matches('/'));
                prop_assert!(fs::symlink_metadata(path).is_err());
            }
        }
        if !plan.steps.is_empty() {
            roll_all_back(dir.path(), &store);
        }
        let left = digest::differences(&before, &digest::of_tree(&root));
        prop_assert!(left.is_empty(), "{left:#?}\n{plan:#?}");
    }
}

#[test]
fn lines_are_replaced_followed_and_added_in_the_form_of_the_file() {
    let dir = tree();
    let line = |path: &str, line: usize, change| Edit::Line {
        path: path.into(),
        line,
        original: LINES[line - 1].into(),
        change,
    };
    let edits = [
        line("/etc/plain", 2, LineChange::Replace("2".into())),
        line("/etc/plain", 2, LineChange::InsertAfter("2.5".into())),
        line("/etc/dos", 1, LineChange::InsertAfter("1.5".into())),
        line("/etc/dos", 3, LineChange::Park),
        Edit::Append { path: "/etc/no-end".into(), lines: vec!["three".into()] },
        Edit::Append { path: "/etc/no-end".into(), lines: vec!["three".into(), "four".into()] },
        Edit::Append { path: "/etc/empty".into(), lines: vec!["first".into()] },
    ];
    prepare(dir.path(), &edits).expect("a plan");
    assert_eq!(read(dir.path(), "etc/plain"), "one\n2\n2.5\nthree\n");
    assert_eq!(read(dir.path(), "etc/dos"), "one\r\n1.5\r\ntwo\r\n#guestprep[disk-full] three\r\n");
    assert_eq!(read(dir.path(), "etc/no-end"), "one\ntwo\nthree\nfour\n");
    assert_eq!(read(dir.path(), "etc/empty"), "first\n");
}

#[test]
fn a_new_file_has_the_mode_that_is_asked_for_and_the_directories_it_lacks() {
    let dir = tree();
    let edits = [Edit::WriteFile { path: "/etc/a/b/c".into(), content: "x\n".into(), mode: 0o644 }];
    let (plan, _) = prepare(dir.path(), &edits).expect("a plan");
    let actions: Vec<&str> = plan.steps.iter().map(|step| step.action.name()).collect();
    assert_eq!(actions, ["make-dir", "make-dir", "write-file"]);
    let mode = |path: &str| {
        fs::metadata(dir.path().join("root").join(path)).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!((mode("etc/a"), mode("etc/a/b"), mode("etc/a/b/c")), (0o755, 0o755, 0o644));
}

#[test]
fn a_file_that_is_as_wanted_needs_no_step() {
    let dir = tree();
    let edits = [Edit::WriteFile { path: "/etc/empty".into(), content: "".into(), mode: 0o644 }];
    let (plan, _) = prepare(dir.path(), &edits).expect("a plan");
    assert_eq!(plan.steps, []);
}

#[test]
fn two_contents_for_one_file_are_a_conflict() {
    let dir = tree();
    let write =
        |text: &str| Edit::WriteFile { path: "/etc/new".into(), content: text.into(), mode: 0o644 };
    let conflict = prepare(dir.path(), &[write("a"), write("b")]).unwrap_err();
    assert!(matches!(conflict, ComposeError::FileConflict { .. }), "{conflict}");
}

#[test]
fn what_somebody_changed_after_the_run_is_left_alone() {
    let dir = tree();
    let edits = [
        Edit::WriteFile { path: "/etc/new.d/one".into(), content: "ours".into(), mode: 0o644 },
        Edit::Remove { path: "/etc/link".into() },
    ];
    let (_, store) = prepare(dir.path(), &edits).expect("a plan");
    let etc = dir.path().join("root/etc");
    fs::write(etc.join("new.d/one"), "theirs").unwrap();
    fs::write(etc.join("link"), "theirs").unwrap();
    let mut run = store.runs().expect("runs").pop().expect("a run");
    let result = roll_back(&guest(dir.path()), &mut run).expect("the same guest");
    let steps: Vec<&str> = result.left.iter().map(|left| left.step.as_str()).collect();
    assert_eq!(steps, ["s3", "s2", "s1"], "{result:?}");
    assert_eq!(fs::read(etc.join("new.d/one")).unwrap(), b"theirs");
    assert_eq!(fs::read(etc.join("link")).unwrap(), b"theirs");
}

/// The first journals have attributes as an object, with names that stand as they are, none of
/// links, and a field that nobody reads.
#[test]
fn a_journal_of_the_first_form_is_rolled_back() {
    let dir = tree();
    let root = dir.path().join("root");
    let link = root.join("etc/dangling");
    fs::remove_file(&link).unwrap();
    symlink("/opt/gone", &link).unwrap();
    let (name, flags) = ("user.a\\x41", XattrFlags::empty());
    let has_attributes = lsetxattr(root.join("etc/dos"), name, b"kept\xff", flags).is_ok();
    let before = digest::of_tree(&root);
    let (original, change) = (LINES[0].into(), LineChange::Park);
    let edits = [
        Edit::Line { path: "/etc/dos".into(), line: 1, original, change },
        Edit::Remove { path: "/etc/dangling".into() },
    ];
    let (_, store) = prepare(dir.path(), &edits).expect("a plan");
    let run = store.runs().expect("runs").pop().expect("a run").header.id;
    let journal = dir.path().join("state/runs").join(run).join("journal");
    let (mut text, mut files) = (String::new(), 0);
    for line in fs::read_to_string(&journal).unwrap().lines().filter(|line| !line.is_empty()) {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        if record["how"]["undo"] == "file" {
            record["how"]["in_place"] = false.into();
            record["how"]["attributes"]["xattrs"] = match has_attributes {
                true => serde_json::json!({ name: "kept\\xff" }),
                false => serde_json::json!({}),
            };
            files += 1;
        }
        if let Some(link) = record.pointer_mut("/how/before/link/attributes") {
            link.as_object_mut().unwrap().remove("xattrs");
            files += 1;
        }
        text.push_str(&format!("{record}\n"));
    }
    assert_eq!(files, 2, "{text}");
    fs::write(&journal, text).unwrap();
    roll_all_back(dir.path(), &store);
    let left = digest::differences(&before, &digest::of_tree(&root));
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_file_with_other_names_is_not_removed() {
    let dir = tree();
    let etc = dir.path().join("root/etc");
    fs::hard_link(etc.join("plain"), etc.join("other")).unwrap();
    let edits = [(CheckId::from("disk-full"), Edit::Remove { path: "/etc/other".into() })];
    let plan = compose(&guest(dir.path()), "clone", &edits).expect("a plan");
    let obstacles = preflight(&guest(dir.path()), &plan).expect("preflight");
    assert!(obstacles[0].message.contains("hard links"), "{obstacles:?}");
}

#[test]
fn a_service_is_switched_by_its_links_and_back() {
    let dir = tree();
    let root = dir.path().join("root");
    let units = root.join("usr/lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::create_dir_all(root.join("sbin")).unwrap();
    symlink("/usr/lib/systemd/systemd", root.join("sbin/init")).unwrap();
    fs::write(root.join("usr/lib/systemd/systemd"), "").unwrap();
    fs::write(units.join("multi-user.target"), "[Unit]\n").unwrap();
    symlink("multi-user.target", units.join("default.target")).unwrap();
    let unit = "[Service]\nExecStart=/bin/a\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(units.join("agent.service"), unit).unwrap();
    let before = digest::of_tree(&root);
    let switch = |enable| Edit::Service { service: "agent".to_owned(), enable };
    let starts = || guest(dir.path()).service("agent").unwrap().expect("it is there").starts;

    let (plan, store) = prepare(dir.path(), &[switch(true)]).expect("a plan");
    let actions: Vec<&str> = plan.steps.iter().map(|step| step.action.name()).collect();
    assert_eq!(actions, ["make-dir", "unit"]);
    assert_eq!(starts(), Starts::AtBoot);
    let (_, _) = prepare(dir.path(), &[switch(false)]).expect("a plan");
    assert_eq!(starts(), Starts::Never);
    roll_all_back(dir.path(), &store);
    assert_eq!(starts(), Starts::AtBoot);
    let mut run = store.runs().expect("runs").remove(0);
    assert_eq!(roll_back(&guest(dir.path()), &mut run).expect("the same guest").left, []);
    let left = digest::differences(&before, &digest::of_tree(&root));
    assert!(left.is_empty(), "{left:#?}");

    let conflict = prepare(dir.path(), &[switch(true), switch(false)]).unwrap_err();
    assert!(matches!(conflict, ComposeError::ServiceConflict { .. }), "{conflict}");
}
