//! A second opinion on every file that a repair edits: what augtool(1) could read before it, it
//! can read after it.
//!
//! Augeas has a reader ("lens") of its own for each format, written without knowledge of ours. A
//! lens that cannot read the original says nothing about the repair.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::case::Case;
use common::fixture::fixtures;
use guestprep::change::{Interrupt, Phase2, RunKind, Store, compose, execute};
use guestprep::model::{Action, CheckId, Edit, GuestPath, Verdict};
use guestprep::probe::PROBES;
use walkdir::WalkDir;

/// The lens of a file, by its path in the guest.
fn lens(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let below = |folder: &str| path.starts_with(folder);
    Some(match path {
        "/etc/fstab" => "Fstab.lns",
        "/etc/crypttab" => "Crypttab.lns",
        "/etc/resolv.conf" => "Resolv.lns",
        "/etc/hosts" => "Hosts.lns",
        "/etc/kdump.conf" => "Kdump.lns",
        "/etc/ssh/sshd_config" => "Sshd.lns",
        "/boot/grub/menu.lst" | "/boot/grub/grub.conf" | "/etc/grub.conf" => "Grub.lns",
        "/boot/grub2/grubenv" | "/boot/grub/grubenv" => "Grubenv.lns",
        "/etc/initramfs-tools/modules" => "Modules.lns",
        "/etc/dhcp/dhclient.conf" => "Dhclient.lns",
        "/etc/kernel/cmdline" => "Cmdline.lns",
        _ if below("/etc/network/interfaces") => "Interfaces.lns",
        _ if below("/etc/NetworkManager/system-connections/") => "NetworkManager.lns",
        _ if below("/etc/sysctl") => "Sysctl.lns",
        _ if below("/etc/yum.repos.d/") => "Yum.lns",
        _ if below("/etc/default/") || below("/etc/sysconfig/") || below("/etc/selinux/") => {
            if name.starts_with("route-") { return None } else { "Shellvars.lns" }
        }
        _ if below("/etc/systemd/") && name.ends_with(".conf") => "Systemd.lns",
        _ if below("/etc/systemd/network/") => "Systemd.lns",
        _ => return None,
    })
}

/// The files of all repairs of the fixtures, before and after, laid out below one directory; and
/// for each copy its lens.
fn lay_out(into: &Path) -> BTreeMap<PathBuf, &'static str> {
    let mut copies = BTreeMap::new();
    let cases = WalkDir::new(fixtures().join("checks")).sort_by_file_name();
    for entry in cases.into_iter().map(|entry| entry.expect("an entry")) {
        if entry.file_name() != "case.toml" {
            continue;
        }
        let folder = entry.path().parent().expect("a folder");
        let check = folder.parent().and_then(Path::file_name).expect("a check").to_string_lossy();
        let case = Case::read(entry.path());
        let fixture = case.fixture(folder);
        let guest = case.guest(&fixture);
        // A list of paths has no probe, and takes away what it names; nothing is left to be read.
        let Some(probe) = PROBES.iter().find(|probe| probe.id == check) else { continue };
        let (Ok(Verdict::Fail(findings)) | Ok(Verdict::Unknown { findings, .. })) =
            (probe.judge)(&guest)
        else {
            continue;
        };
        let edits: Vec<(CheckId, Edit)> = findings
            .into_iter()
            .flat_map(|finding| finding.fix)
            .filter(common::repair::is_of_files)
            .map(|edit| (CheckId::from(probe.id), edit))
            .collect();
        let plan = compose(&guest, "clone", &edits).expect("a plan");
        let files: Vec<&GuestPath> = plan
            .steps
            .iter()
            .filter(|s| matches!(s.action, Action::EditFile { .. } | Action::WriteFile { .. }))
            .filter_map(|step| step.path.as_ref())
            .collect();
        if files.iter().all(|path| lens(&path.to_string()).is_none()) {
            continue;
        }
        let mut keep = |when: &str| {
            for path in &files {
                let Some(lens) = lens(&path.to_string()) else { continue };
                let Ok(Some(content)) = case.guest(&fixture).root().read(path, 1 << 20) else {
                    continue;
                };
                let name = folder.strip_prefix(fixtures()).expect("below").join(when);
                let copy = name.join(path.to_string().trim_start_matches('/'));
                fs::create_dir_all(into.join(&copy).parent().expect("one")).expect("a directory");
                fs::write(into.join(&copy), content).expect("a file");
                copies.insert(copy, lens);
            }
        };
        keep("before");
        let store = Store::create(&guest, Some(&fixture.root.with_file_name("state")));
        let store = store.expect("a store");
        let quiet = &mut |_: &_| {};
        execute(&guest, &store, &plan, RunKind::Prepare, Phase2::Now, &Interrupt::default(), quiet)
            .expect("every step is taken");
        keep("after");
    }
    copies
}

/// What augtool says of each copy that its lens cannot read.
fn complaints(root: &Path, copies: &BTreeMap<PathBuf, &'static str>) -> BTreeMap<PathBuf, String> {
    let mut script = String::new();
    for (copy, lens) in copies {
        writeln!(script, "transform {lens} incl /{}", copy.display()).expect("a string");
    }
    script.push_str("load\nprint /augeas//error\n");
    let mut augtool = Command::new("augtool")
        .args(["--noautoload", "--root"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("augtool (Debian package augeas-tools)");
    let mut stdin = augtool.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, script.as_bytes()).expect("a reader");
    drop(stdin);
    let output = augtool.wait_with_output().expect("augtool");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    for line in text.lines() {
        let Some((path, said)) =
            line.strip_prefix("/augeas/files/").and_then(|line| line.split_once("/error"))
        else {
            continue;
        };
        found.entry(PathBuf::from(path)).or_default().push_str(&format!("{said}\n"));
    }
    found
}

#[test]
fn what_augeas_could_read_before_a_repair_it_can_read_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let copies = lay_out(dir.path());
    let complaints = complaints(dir.path(), &copies);
    let unread = |copy: &Path| complaints.get(copy);
    let mut bad = Vec::new();
    let (mut compared, mut unreadable) = (BTreeMap::new(), 0);
    for (copy, lens) in &copies {
        let text = copy.to_string_lossy();
        if !text.contains("/after/") {
            continue;
        }
        let before = PathBuf::from(text.replacen("/after/", "/before/", 1));
        // A new file has no before: it has to be readable.
        if copies.contains_key(&before) && unread(&before).is_some() {
            unreadable += 1;
            continue;
        }
        *compared.entry(*lens).or_insert(0) += 1;
        if let Some(said) = unread(copy) {
            let content = fs::read(dir.path().join(copy)).expect("the copy");
            bad.push(format!("{text} ({lens}):\n{said}{}", String::from_utf8_lossy(&content)));
        }
    }
    println!("compared {compared:?}; {unreadable} that augeas cannot read before either");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(compared.values().sum::<usize>() > 60, "only {compared:?} were compared");
    assert!(compared.get("Fstab.lns").is_some_and(|count| *count > 20), "{compared:?}");
}
