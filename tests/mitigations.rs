//! `guestprep mitigations` on the tree of a guest: shown, switched, rolled back.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::path::Path;

use assert_cmd::Command;
use common::digest;
use common::fixture::Fixture;

fn guestprep(root: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("guestprep").expect("the program");
    let state = root.with_file_name("state");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(args);
    command.arg("--root").arg(root).arg("--state-dir").arg(state);
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn off_and_back_on_every_family() {
    if !is_root() {
        println!("left out: guestprep changes a guest as root alone");
        return;
    }
    for (name, arguments) in [
        ("centos-6", "nopti spectre_v2=off"),
        ("centos-7", "nopti spectre_v2=off"),
        ("centos-8", "nopti spectre_v2=off"),
        ("rocky-9", "mitigations=off"),
        ("alinux-3", "mitigations=off"),
        ("debian-12", "mitigations=off"),
        ("ubuntu-18.04", "nopti spectre_v2=off"),
        ("sles-15", "mitigations=off"),
    ] {
        let fixture = Fixture::distro_in_memory(name);
        let root = fixture.root.as_path();
        let before = digest::of_tree(root);
        let (code, text) = guestprep(root, &["mitigations", "status"]);
        assert_eq!(
            (code, text.as_str()),
            (0, "next boot       nothing is switched off\n"),
            "{name}"
        );

        let (code, text) = guestprep(root, &["mitigations", "off", "--yes"]);
        assert_eq!(code, 0, "{name}: {text}");
        let (_, text) = guestprep(root, &["mitigations", "status"]);
        assert_eq!(text, format!("next boot       switched off by {arguments}\n"), "{name}");
        let (_, text) = guestprep(root, &["mitigations", "status", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON alone");
        let by: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(json["switched_off"]["next_boot"], serde_json::json!(by), "{name}");
        let (code, text) = guestprep(root, &["mitigations", "off", "--yes"]);
        assert_eq!((code, text.contains("nothing was changed")), (0, true), "{name}: {text}");

        let (code, text) = guestprep(root, &["mitigations", "on", "--yes"]);
        assert_eq!(code, 0, "{name}: {text}");
        let (_, text) = guestprep(root, &["mitigations", "status"]);
        assert_eq!(text, "next boot       nothing is switched off\n", "{name}");

        for _ in 0..2 {
            let (code, text) = guestprep(root, &["rollback", "--yes"]);
            assert_eq!(code, 0, "{name}: {text}");
        }
        assert_eq!(
            digest::differences(&before, &digest::of_tree(root)),
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_done() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let before = digest::of_tree(&fixture.root);
    let (code, text) = guestprep(&fixture.root, &["mitigations", "off"]);
    assert_eq!(code, 2, "{text}");
    assert_eq!(digest::differences(&before, &digest::of_tree(&fixture.root)), Vec::<String>::new());
}

#[test]
fn a_guest_without_a_boot_loader_is_undetermined() {
    let fixture = Fixture::distro_in_memory("debian-12");
    std::fs::write(fixture.root.join("boot/grub/grub.cfg"), "menuentry {").expect("a file");
    let (code, text) = guestprep(&fixture.root, &["mitigations", "status"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("/boot/grub/grub.cfg:1"), "{text}");
}
