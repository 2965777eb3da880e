//! What is said of services is what systemctl, systemd and update-rc.d say of them, on the
//! skeletons and on the units that Debian's packages put on this machine.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::fixture::{Fixture, copy_tree, fixtures};
use guestprep::guest::{Guest, StartedBy, Starts};
use guestprep::model::Policy;
use tempfile::TempDir;

const UNITS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// Say that a test cannot be had here, and why.
fn left_out(why: &str) {
    println!("left out: {why}");
}

fn has_systemctl() -> bool {
    Command::new("systemctl").arg("--version").output().is_ok_and(|out| out.status.success())
}

fn guest(root: &Path) -> Guest {
    Guest::tree(root, Policy::default()).expect("a guest that opens")
}

/// The units and links of this machine, as a tree of their own.
fn own_tree() -> Option<TempDir> {
    if !Path::new("/usr/lib/systemd/system/multi-user.target").exists() {
        return None;
    }
    let temp = tempfile::tempdir().expect("a temporary directory");
    for directory in ["etc/systemd", "usr/lib/systemd/system", "etc/init.d"] {
        let to = temp.path().join(directory);
        fs::create_dir_all(&to).expect("a directory");
        copy_tree(&Path::new("/").join(directory), &to);
    }
    fs::write(temp.path().join("usr/lib/systemd/systemd"), "").expect("a file");
    fs::copy("/etc/os-release", temp.path().join("etc/os-release")).expect("a file");
    symlink("usr/lib", temp.path().join("lib")).expect("a link");
    Some(temp)
}

/// Every tree that systemd boots, with its name; what holds the temporary ones is returned too.
fn trees() -> (Vec<(String, PathBuf)>, Vec<Fixture>, Option<TempDir>) {
    let (mut trees, mut held) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(fixtures().join("distros")).expect("the skeletons") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        if name == "centos-6" {
            continue;
        }
        let fixture = Fixture::distro(&name);
        trees.push((name, fixture.root.clone()));
        held.push(fixture);
    }
    let own = own_tree();
    match &own {
        Some(temp) => trees.push(("this machine".to_owned(), temp.path().to_owned())),
        None => left_out("units of packages: this machine has no systemd"),
    }
    (trees, held, own)
}

/// The services that have a file, templates left out.
fn services(root: &Path) -> BTreeSet<String> {
    let listed = UNITS.iter().filter_map(|directory| fs::read_dir(root.join(directory)).ok());
    listed
        .flatten()
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter_map(|name| name.strip_suffix(".service").map(str::to_owned))
        .filter(|name| !name.ends_with('@'))
        .collect()
}

fn systemctl(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new("systemctl")
        .env("SYSTEMCTL_SKIP_SYSV", "1")
        .arg(format!("--root={}", root.display()))
        .args(arguments)
        .output()
        .expect("systemctl runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_service_is_enabled_where_systemctl_says_so() {
    if !has_systemctl() {
        return left_out("is-enabled: there is no systemctl");
    }
    let (trees, _held, _own) = trees();
    let mut compared = BTreeMap::new();
    for (tree, root) in &trees {
        let guest = guest(root);
        for name in services(root) {
            let said = systemctl(root, &["is-enabled", &format!("{name}.service")]);
            let service = guest.service(&name).expect("a fact");
            let ours = match &service {
                None => "not found",
                Some(service) if service.starts == Starts::Masked => "masked",
                Some(service) => {
                    let is_configured = |path: &guestprep::model::GuestPath| {
                        path.as_bytes().starts_with(b"/etc/systemd/system/")
                    };
                    if service.links.iter().any(is_configured) { "enabled" } else { "not enabled" }
                }
            };
            let theirs = match said.as_str() {
                "static" | "disabled" | "indirect" | "transient" => "not enabled",
                "" => "not found",
                // Of the name that was asked for; the unit that it names may be either.
                "alias" | "linked" => continue,
                other => other,
            };
            assert_eq!(ours, theirs, "{tree}: {name} is {said}: {service:?}");
            *compared.entry(theirs.to_owned()).or_insert(0) += 1;
        }
    }
    println!("{compared:?}");
    assert!(compared["enabled"] > 60 && compared["not enabled"] > 60, "{compared:?}");
}

/// Every link below a directory, with its target.
fn links(root: &Path) -> BTreeMap<String, String> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path_is_symlink())
        .map(|entry| {
            let path = entry.path().strip_prefix(root).expect("below it");
            let target = fs::read_link(entry.path()).expect("a link");
            // Debian's systemctl names what /usr/lib holds by the link /lib.
            let target = target.display().to_string().replace("/usr/lib/", "/lib/");
            (path.display().to_string(), target)
        })
        .collect()
}

#[test]
fn enabling_and_disabling_links_what_systemctl_links() {
    if !has_systemctl() {
        return left_out("enable and disable: there is no systemctl");
    }
    let (trees, _held, _own) = trees();
    let (mut same, mut refused) = (0, 0);
    // Of the skeletons, three that differ in their ways; systemctl takes its time.
    let is_tried =
        |tree: &str| ["this machine", "ubuntu-24.04", "sles-15", "alinux-2"].contains(&tree);
    for (tree, root) in trees.iter().filter(|(tree, _)| is_tried(tree)) {
        let etc = root.join("etc/systemd/system");
        let kept = tempfile::tempdir().expect("a temporary directory");
        copy_tree(&etc, kept.path());
        for name in services(root) {
            for (word, enable) in [("disable", false), ("enable", true)] {
                // Each begins where the other ends, so that both have something to do.
                let before = links(&etc);
                let guest = guest(root);
                let ours = guest.service_links(&name, enable);
                systemctl(root, &[word, &format!("{name}.service")]);
                let after = links(&etc);
                let Ok(changes) = ours else {
                    assert_eq!(before, after, "{tree}: {word} {name}: {ours:?}");
                    refused += 1;
                    continue;
                };
                let mut expected = before.clone();
                for (path, target) in &changes {
                    let path = path.to_string();
                    let path = path.strip_prefix("/etc/systemd/system/").expect("a link of it");
                    match target {
                        Some(target) => {
                            let target = target.to_string().replace("/usr/lib/", "/lib/");
                            expected.insert(path.to_owned(), target)
                        }
                        None => expected.remove(path),
                    };
                }
                assert_eq!(expected, after, "{tree}: {word} {name}");
                same += usize::from(before != after);
            }
            fs::remove_dir_all(&etc).expect("a directory");
            fs::create_dir_all(&etc).expect("a directory");
            copy_tree(kept.path(), &etc);
        }
    }
    println!("{same} changes are the same, {refused} refused");
    assert!(same > 100, "{same} changes");
}

#[test]
fn scripts_are_switched_as_update_rc_d_does() {
    if !Path::new("/usr/sbin/update-rc.d").exists() {
        return left_out("update-rc.d: it is not here");
    }
    // The head of the script is looked for on this machine, whatever the root.
    let scripts = fs::read_dir("/etc/init.d").into_iter().flatten().flatten();
    let mut names = scripts.filter_map(|entry| entry.file_name().into_string().ok());
    let Some(name) = names.find(|name| name.bytes().all(|b| b.is_ascii_lowercase())) else {
        return left_out("update-rc.d: this machine has no init script");
    };
    let temp = tempfile::tempdir().expect("a temporary directory");
    let root = temp.path();
    for directory in ["etc/init.d", "etc/rc2.d", "etc/rc3.d", "etc/rc4.d", "etc/rc5.d", "etc/rc0.d"]
    {
        fs::create_dir_all(root.join(directory)).expect("a directory");
    }
    fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=7\n").expect("a file");
    fs::write(root.join("etc/inittab"), "id:2:initdefault:\n").expect("a file");
    fs::write(root.join("etc/init.d").join(&name), "#!/bin/sh\n").expect("a file");
    for level in [2, 3, 4, 5] {
        symlink(format!("../init.d/{name}"), root.join(format!("etc/rc{level}.d/S03{name}")))
            .expect("a link");
    }
    symlink(format!("../init.d/{name}"), root.join(format!("etc/rc0.d/K01{name}")))
        .expect("a link");
    for (word, enable) in [("disable", false), ("enable", true)] {
        let guest = guest(root);
        let service = guest.service(&name).expect("a fact").expect("a service");
        assert_eq!((service.by, service.starts.is_enabled()), (StartedBy::SysV, !enable));
        let mut expected = links(root);
        for (path, target) in guest.service_links(&name, enable).expect("links") {
            let path = path.to_string()[1..].to_owned();
            match target {
                Some(target) => expected.insert(path, target.to_string()),
                None => expected.remove(&path),
            };
        }
        let status = Command::new("/usr/sbin/update-rc.d")
            .env("DPKG_ROOT", root)
            .env("_SKIP_SYSTEMD_NATIVE", "1")
            .args([name.as_str(), word, "2", "3", "4", "5"])
            .output()
            .expect("update-rc.d runs");
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        assert_eq!(expected, links(root), "{word}");
    }
}

#[test]
fn a_script_of_el6_is_switched_by_its_head() {
    let fixture = Fixture::distro("centos-6");
    let guest = guest(&fixture.root);
    let ntpd = guest.service("ntpd").expect("a fact").expect("a service");
    assert_eq!((ntpd.by, ntpd.starts), (StartedBy::SysV, Starts::AtBoot));
    let kdump = guest.service("kdump").expect("a fact").expect("a service");
    assert_eq!(kdump.starts, Starts::Never);
    assert_eq!(guest.service("nothing").expect("a fact"), None);
    assert_eq!(guest.service_links("kdump", false).expect("links"), []);
    let changes = guest.service_links("ntpd", false).expect("links");
    let shown: Vec<_> = changes.iter().map(|(path, _)| path.to_string()).take(2).collect();
    assert_eq!(shown, ["/etc/rc.d/rc2.d/S58ntpd", "/etc/rc.d/rc2.d/K74ntpd"]);
    assert_eq!(changes.len(), 8);
}

/// The units in the transaction that systemd would begin boot with, as `systemd --test` prints it.
/// It refuses to be root.
fn initial_transaction() -> Option<BTreeSet<String>> {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i"])
        .args(["/usr/lib/systemd/systemd", "--test", "--system", "--log-target=console"])
        .output()
        .ok()?;
    let said = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&said);
    let started = text.lines().filter_map(|line| {
        let unit = line.trim().strip_prefix("Action: ")?.strip_suffix(" -> start")?;
        Some(unit.to_owned())
    });
    let started: BTreeSet<String> = started.collect();
    started.contains("multi-user.target").then_some(started)
}

#[test]
fn boot_starts_what_systemd_would_start() {
    let (Some(theirs), Some(own)) = (initial_transaction(), own_tree()) else {
        return left_out("systemd --test: it is not here, or this is not root");
    };
    let guest = guest(own.path());
    let (mut started, mut not_started, mut wrong) = (0, 0, Vec::new());
    for name in services(own.path()) {
        let Some(service) = guest.service(&name).expect("a fact") else { continue };
        // Generators ask for these: of gettys in a container, and of fstab.
        if ["console-getty", "systemd-remount-fs"].contains(&service.name.as_str()) {
            continue;
        }
        // An alias stands for the unit that it names.
        let unit = format!("{}.service", service.name);
        let ours = service.starts == Starts::AtBoot;
        if ours != theirs.contains(&unit) {
            wrong.push(format!("{name}: {service:?}"));
        }
        *(if ours { &mut started } else { &mut not_started }) += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{started} services are started, {not_started} are not");
    assert!(started > 10 && not_started > 10, "{started} {not_started}");
}
