//! `sys::Root` over hostile trees: never outside, never blocked, and the same answers as a chroot.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use guestprep::model::GuestPath;
use guestprep::sys::{ErrorKind, Root};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[path = "common/old_kernel.rs"]
mod old_kernel;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "secret"];

/// What a tree may hold at a name.
#[derive(Clone, Debug)]
enum Node {
    File,
    Directory,
    Link(String),
}

fn node() -> impl Strategy<Value = Node> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
    ];
    let target =
        (any::<bool>(), proptest::collection::vec(part, 1..6)).prop_map(|(absolute, parts)| {
            format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
        });
    prop_oneof![Just(Node::File), Just(Node::Directory), target.prop_map(Node::Link)]
}

/// A path of up to three names, and what lies there.
fn tree() -> impl Strategy<Value = Vec<(String, Node)>> {
    let name = proptest::sample::select(&NAMES[..4]);
    let path = proptest::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"));
    proptest::collection::vec((path, node()), 1..12)
}

fn build(root: &Path, tree: &[(String, Node)]) {
    for (path, node) in tree {
        let full = root.join(path);
        // What cannot be made, because a link or file is in the way, is simply not there. Nothing
        // is made through a link.
        let parents_are_real = Path::new(path)
            .ancestors()
            .skip(1)
            .all(|p| fs::symlink_metadata(root.join(p)).is_ok_and(|m| m.is_dir()));
        if !parents_are_real || fs::symlink_metadata(&full).is_ok() {
            continue;
        }
        match node {
            Node::File => fs::write(&full, path).unwrap(),
            Node::Directory => fs::create_dir(&full).unwrap(),
            Node::Link(target) => symlink(target, &full).unwrap(),
        }
    }
}

/// What a process that is confined to the tree by the kernel reads there.
fn in_chroot(root: &Path, path: &str) -> Option<Vec<u8>> {
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--root"])
        .arg(root)
        .args(["/cat", path])
        .output()
        .unwrap();
    output.status.success().then_some(output.stdout)
}

/// A static `cat`, so that the tree needs nothing else; none where it cannot be built.
fn static_cat(dir: &Path) -> Option<std::path::PathBuf> {
    let source = dir.join("cat.c");
    fs::write(
        &source,
        "#include <fcntl.h>\n#include <unistd.h>\nint main(int n,char**a){char b[4096];int f=open(a[1],O_RDONLY|O_NONBLOCK);\
         long r;if(f<0)return 1;while((r=read(f,b,sizeof b))>0)if(write(1,b,r)<0)return 1;return r<0;}",
    )
    .unwrap();
    let program = dir.join("cat");
    let built = Command::new("gcc").arg("-static").arg("-o").arg(&program).arg(&source).status();
    built.is_ok_and(|status| status.success()).then_some(program)
}

#[test]
fn reads_what_a_chroot_reads() {
    let tools = tempfile::tempdir().unwrap();
    let Some(cat) = static_cat(tools.path()) else {
        println!(
            "left out: the chroot as the oracle of sys::Root: gcc cannot make a static program"
        );
        return;
    };
    let mut runner =
        TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let paths = proptest::collection::vec(proptest::sample::select(&NAMES[..]), 1..5);
    let case = (tree(), proptest::collection::vec(paths, 4));
    runner
        .run(&case, |(tree, paths)| {
            let outside = tempfile::tempdir().unwrap();
            // What an escape would find.
            fs::write(outside.path().join("secret"), "outside").unwrap();
            let inside = outside.path().join("root");
            fs::create_dir(&inside).unwrap();
            build(&inside, &tree);
            fs::copy(&cat, inside.join("cat")).unwrap();
            let root = Root::open(&inside).unwrap();
            for path in paths {
                let path = format!("/{}", path.join("/"));
                let ours = root.read(&GuestPath::from(path.as_str()), 1 << 16).ok().flatten();
                prop_assert_ne!(ours.as_deref(), Some(&b"outside"[..]), "{} of {:?}", path, tree);
                prop_assert_eq!(&ours, &in_chroot(&inside, &path), "{} of {:?}", path, tree);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn never_opens_what_could_block_and_never_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("root");
    fs::create_dir_all(inside.join("etc")).unwrap();
    fs::write(dir.path().join("secret"), "outside").unwrap();
    assert!(Command::new("mkfifo").arg(inside.join("etc/fifo")).status().unwrap().success());
    symlink("fifo", inside.join("etc/link-to-fifo")).unwrap();
    symlink("../../../../../../secret", inside.join("etc/up")).unwrap();
    symlink(dir.path().join("secret"), inside.join("etc/absolute")).unwrap();
    symlink("loop", inside.join("etc/loop")).unwrap();
    symlink("/proc/self/root", inside.join("etc/magic")).unwrap();
    let root = Root::open(&inside).unwrap();
    let read = |path: &str| root.read(&GuestPath::from(path), 100);
    let started = Instant::now();
    for path in ["/etc/fifo", "/etc/link-to-fifo"] {
        assert_eq!(read(path).unwrap_err().kind(), ErrorKind::NotRegular);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    for path in
        ["/etc/up", "/etc/absolute", "/etc/magic/etc/passwd", "/../secret", "/etc/../../secret"]
    {
        assert_eq!(read(path).ok().flatten(), None, "{path}");
    }
    assert!(read("/etc/loop").is_err());
    assert_eq!(read("/etc").unwrap_err().kind(), ErrorKind::NotRegular);
    fs::write(inside.join("etc/large"), vec![b'x'; 101]).unwrap();
    let error = read("/etc/large").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "cannot read /etc/large: it is larger than 100 bytes");
}

/// Where paths are walked a name at a time.
#[test]
fn the_same_on_an_old_kernel() {
    old_kernel::the_same_on_an_old_kernel(&[]);
}

#[test]
fn the_same_behind_an_old_filter() {
    old_kernel::the_same_behind_an_old_filter(&[]);
}
