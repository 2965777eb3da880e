//! Garbage in any file of a guest: nothing panics, and what rests on the file does not pass.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::fixture::{Fixture, fixtures};
use guestprep::guest::Mode;
use guestprep::model::{Policy, Report, VerdictName};
use walkdir::WalkDir;

/// Neither text nor a structure of any format: a NUL, no UTF-8, quotes and brackets that nothing
/// closes, a line that is only a separator.
const GARBAGE: &[u8] = b"\x00\xff{]: open \"quote\n\tkey key key = = [\n<<<\n=\n";

fn audit(fixture: &Fixture, mode: Mode) -> Report {
    common::audit::audit(&fixture.guest(mode, Policy::default()), &[])
}

#[track_caller]
fn assert_whole(report: &Report, at: &str) {
    for check in &report.checks {
        let reason = check.reason.as_deref().unwrap_or_default();
        assert!(!reason.contains("the probe broke"), "{at}: {}: {reason}", check.id);
    }
}

/// Everything that a fixture holds but programs, of which only the presence counts.
fn files(below: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(below).sort_by_file_name().into_iter();
    let files = entries.map(|entry| entry.expect("an entry")).filter(|e| e.file_type().is_file());
    let relative = |e: walkdir::DirEntry| e.path().strip_prefix(below).expect("below").to_owned();
    let is_program = |path: &PathBuf| {
        ["usr/bin", "usr/sbin", "usr/lib/modules"].iter().any(|p| path.starts_with(p))
    };
    files.map(relative).filter(|path| !is_program(path)).collect()
}

/// Each file of each clean guest in turn becomes garbage, empty, and its own first half.
#[test]
fn no_file_makes_a_probe_panic() {
    let entries = fs::read_dir(fixtures().join("distros")).expect("the distributions");
    let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
    let names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    let tried: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = names
            .chunks(names.len().div_ceil(2))
            .map(|names| {
                scope.spawn(|| names.iter().map(|name| break_each_file(name)).sum::<usize>())
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| panic!("see above")))
            .sum::<usize>()
    });
    println!("{tried} audits of a guest with one broken file");
    assert!(tried > 1000, "{tried}");
}

fn break_each_file(name: &str) -> usize {
    let fixture = Fixture::distro_in_memory(name);
    let kernel = fixture.kernel.clone().expect("a recorded kernel");
    let mut tried = 0;
    for (below, mode) in [(fixture.root.as_path(), Mode::Tree), (kernel.as_path(), Mode::Live)] {
        for path in files(below) {
            let original = fs::read(below.join(&path)).expect("a file");
            for content in [GARBAGE, b"", &original[..original.len() / 2]] {
                fs::write(below.join(&path), content).expect("a file");
                let at = format!("{name}: {} of {} bytes", path.display(), content.len());
                assert_whole(&audit(&fixture, mode), &at);
                tried += 1;
            }
            fs::write(below.join(&path), &original).expect("a file");
        }
    }
    tried
}

/// Distribution, mode, file, and the checks that rest on it.
const RESTS: &[(&str, Mode, &str, &[&str])] = &[
    ("debian-12", Mode::Tree, "etc/fstab", &["fstab-malformed"]),
    ("debian-12", Mode::Tree, "boot/grub/grub.cfg", &["boot-entry-broken", "boot-config-missing"]),
    ("debian-12", Mode::Tree, "etc/network/interfaces", &["address-static"]),
    ("debian-12", Mode::Tree, "etc/ssh/sshd_config", &["sshd-unreachable"]),
    ("debian-12", Mode::Tree, "etc/shadow", &["shadow-locked"]),
    ("debian-12", Mode::Tree, "etc/cloud/cloud.cfg", &["cloud-init-broken", "root-not-growable"]),
    ("debian-12", Mode::Tree, "etc/os-release", &["release-file-altered"]),
    ("centos-6", Mode::Tree, "boot/grub/grub.conf", &["boot-config-missing"]),
    ("centos-7", Mode::Tree, "etc/resolv.conf", &["dns-no-single-request-reopen"]),
    ("centos-7", Mode::Tree, "etc/sysconfig/network-scripts/ifcfg-eth0", &["address-static"]),
    ("alinux-2", Mode::Tree, "etc/kdump.conf", &["kdump-half-on"]),
    ("ubuntu-18.04", Mode::Tree, "etc/netplan/99-netcfg.yaml", &["address-static"]),
    ("rocky-9", Mode::Live, "etc/selinux/config", &["selinux-unbootable"]),
];

#[test]
fn what_rests_on_garbage_does_not_pass() {
    let mut wrong = Vec::new();
    for (name, mode, path, checks) in RESTS {
        let fixture = Fixture::distro_in_memory(name);
        let file = fixture.root.join(path);
        assert!(file.exists(), "{name} has no {path}");
        fs::remove_file(&file).expect("a file"); // Where it is a link, the file behind it stays.
        fs::write(&file, GARBAGE).expect("a file");
        let report = audit(&fixture, *mode);
        for id in *checks {
            let check =
                report.checks.iter().find(|check| check.id.as_str() == *id).expect("a check");
            if matches!(check.verdict, VerdictName::Pass | VerdictName::NotApplicable) {
                wrong
                    .push(format!("{name} {path}: {id} is {:?} {:?}", check.verdict, check.reason));
            }
            if check.verdict == VerdictName::Unknown {
                let reason = check.reason.as_deref().unwrap_or_default();
                let names = reason.contains(&format!("/{path}"));
                if !names {
                    wrong.push(format!("{name} {path}: {id} does not name it: {reason}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The initial ramdisk of each kernel that boots.
#[test]
fn an_initramfs_that_is_garbage_is_unknown() {
    for (name, image) in
        [("debian-12", "initrd.img-"), ("rocky-9", "initramfs-"), ("sles-15", "initrd-")]
    {
        let fixture = Fixture::distro_in_memory(name);
        let mut broken = 0;
        for entry in fs::read_dir(fixture.root.join("boot")).expect("/boot") {
            let path = entry.expect("an entry").path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file.starts_with(image) {
                fs::write(path, GARBAGE).expect("a file");
                broken += 1;
            }
        }
        assert!(broken > 0, "{name} has no initial ramdisk");
        let report = audit(&fixture, Mode::Tree);
        let check = report.checks.iter().find(|c| c.id.as_str() == "driver-virtio").expect("one");
        assert_eq!(check.verdict, VerdictName::Unknown, "{name}: {check:?}");
        assert!(check.reason.as_deref().is_some_and(|why| why.contains("/boot/")), "{check:?}");
    }
}
