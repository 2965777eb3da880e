//! Kernel arguments changed in every place that a boot to come takes them from, on clean guests of every family: the next
//! boot and the next kernel agree, the files still parse, and rollback leaves every byte as it was.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};

use common::fixture::{Fixture, distros};
use guestprep::change::compose;
use guestprep::guest::{Guest, Mode};
use guestprep::model::{CheckId, Edit, Finding, GuestPath, Policy, Subject, Verdict};

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// Bad until every configured command line is as wanted.
fn judge(guest: &Guest, add: &[&str], remove: &[&str]) -> Verdict {
    let menu = guest.boot_entries().expect("a menu");
    let lines = guest.command_lines().expect("command lines");
    let is_so = |line: &guestprep::parse::kernel_arguments::KernelArguments| {
        add.iter().all(|a| line.has(a) || a.starts_with("root=") && line.last("root").is_none())
            && !remove.iter().any(|r| line.has(r) || line.last(r).is_some())
    };
    let recovery = |title: &str| title.contains("recovery");
    let entries = menu.kernels().filter(|e| !recovery(&e.title.to_string())).map(|e| &e.arguments);
    if entries.chain(lines.configured()).all(is_so) {
        return Verdict::Pass;
    }
    let edit = Edit::KernelArguments { add: owned(add), remove: owned(remove) };
    Verdict::Fail(vec![Finding::new("test", Subject::file(&GuestPath::from("/"))).fix([edit])])
}

/// Whether GRUB's own checker and augeas take the files; what is not installed is said once.
fn check_with_tools(root: &Path, said: &RefCell<Vec<String>>) {
    for config in ["boot/grub2/grub.cfg", "boot/grub/grub.cfg"].map(|path| root.join(path)) {
        if config.exists() {
            run("grub-script-check", &[config.to_str().expect("UTF-8")], said);
        }
    }
    if root.join("etc/default/grub").exists() {
        let shellvars = "set /augeas/load/Shellvars/lens Shellvars.lns\nset /augeas/load/Shellvars/incl /etc/default/grub\nload\nmatch /augeas//error\n";
        let root = root.to_str().expect("UTF-8");
        let output = Command::new("augtool")
            .args(["-A", "-r", root])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = output else {
            said.borrow_mut().push("augtool".to_owned());
            return;
        };
        std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), shellvars.as_bytes())
            .expect("a pipe");
        let output = child.wait_with_output().expect("an answer");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && !text.contains("/error"),
            "{root}/etc/default/grub: {text}"
        );
    }
}

fn run(program: &str, args: &[&str], said: &RefCell<Vec<String>>) {
    match Command::new(program).args(args).output() {
        Err(_) => said.borrow_mut().push(program.to_owned()),
        Ok(output) => {
            assert!(
                output.status.success(),
                "{args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn arguments_come_and_go_everywhere_on_every_family() {
    let said = RefCell::new(Vec::new());
    let cases: [(&[&str], &[&str]); 3] = [
        (&["crashkernel=192M", "guestprep.test=a,b"], &["net.ifnames"]),
        (&["mitigations=off"], &["noibrs", "console=tty0", "biosdevname=0"]),
        (&["root=UUID=01234567-89ab-4cde-8f01-23456789abcd"], &[]),
    ];
    for name in distros() {
        for mode in [Mode::Live, Mode::Tree] {
            for (add, remove) in cases {
                let fixture = Fixture::distro_in_memory(&name);
                let guest = || fixture.guest(mode, Policy::default());
                let judge = |guest: &Guest| {
                    // The files are the same, however the guest is looked at.
                    if mode == Mode::Tree {
                        check_with_tools(&fixture.root, &said);
                    }
                    judge(guest, add, remove)
                };
                let plan = common::repair::repair("fstab-locked", &fixture.root, &guest, &judge)
                    .unwrap_or_else(|why| panic!("{name} {mode:?} {add:?}: {why}"))
                    .unwrap_or_else(|| panic!("{name} {mode:?} {add:?}: nothing to do"));
                for step in &plan.steps {
                    assert!(step.diff.is_some(), "{name}: {} shows no diff", step.summary);
                }
            }
        }
    }
    let mut said = said.into_inner();
    said.dedup();
    said.sort();
    said.dedup();
    for program in said {
        println!("left out: {program} is not installed");
    }
}

#[test]
fn a_block_without_room_is_said_and_nothing_is_planned() {
    let fixture = Fixture::distro_in_memory("centos-8");
    let guest = fixture.guest(Mode::Tree, Policy::default());
    let long = format!("guestprep.test={}", "x".repeat(900));
    let edit = Edit::KernelArguments { add: vec![long], remove: Vec::new() };
    let error = compose(&guest, "clone", &[(CheckId::from("a"), edit)]).expect_err("no room");
    assert!(
        error.to_string().contains("/boot/grub2/grubenv:1: the environment block has no room"),
        "{error}"
    );
}

#[test]
fn two_checks_that_want_opposites_are_a_conflict() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let guest = fixture.guest(Mode::Tree, Policy::default());
    let edit = |add: &[&str], remove: &[&str]| Edit::KernelArguments {
        add: owned(add),
        remove: owned(remove),
    };
    let plan = |first: Edit, second: Edit| {
        compose(&guest, "clone", &[(CheckId::from("a"), first), (CheckId::from("b"), second)])
    };
    for (first, second) in [
        (edit(&["x=1"], &[]), edit(&["x=2"], &[])),
        (edit(&["x=1"], &[]), edit(&[], &["x"])),
        (edit(&[], &["x=1"]), edit(&["x=1"], &[])),
    ] {
        let error = plan(first, second).expect_err("a conflict");
        assert!(
            error.to_string().contains("a and b want different things of this kernel argument"),
            "{error}"
        );
    }
    let plan = plan(edit(&["x=1"], &["y"]), edit(&["x=1", "z"], &["y=2"])).expect("they agree");
    assert!(plan.steps.iter().all(|step| step.checks.len() == 2));
}

#[test]
fn the_places_of_each_family() {
    let expected: [(&str, &[&str]); 5] = [
        ("centos-6", &["/boot/grub/grub.conf"]),
        ("centos-8", &["/boot/grub2/grub.cfg", "/boot/grub2/grubenv", "/etc/default/grub"]),
        ("debian-12", &["/boot/grub/grub.cfg", "/etc/default/grub"]),
        (
            "rocky-9",
            &[
                "/boot/loader/entries/26b5198f03c5bab5e258b41a80a94437-5.14.0-427.13.1.el9_4.x86_64.conf",
                "/etc/default/grub",
                "/etc/kernel/cmdline",
            ],
        ),
        ("sles-15", &["/boot/grub2/grub.cfg", "/etc/default/grub"]),
    ];
    for (name, expected) in expected {
        let fixture = Fixture::distro_in_memory(name);
        let guest = fixture.guest(Mode::Tree, Policy::default());
        let edit = Edit::KernelArguments { add: owned(&["guestprep.test=1"]), remove: Vec::new() };
        let plan = compose(&guest, "clone", &[(CheckId::from("a"), edit)]).expect("a plan");
        let paths: Vec<String> =
            plan.steps.iter().filter_map(|s| s.path.as_ref()).map(ToString::to_string).collect();
        assert_eq!(paths, expected, "{name}");
    }
}

/// `..` in a link counts from where the link really lies, which is elsewhere than its name says.
#[test]
fn a_relative_link_below_a_linked_directory_is_followed() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let path = |name: &str| fixture.root.join(name);
    std::fs::create_dir_all(path("srv/settings")).expect("a directory");
    std::fs::rename(path("etc/default"), path("srv/settings/default")).expect("moved");
    std::os::unix::fs::symlink("../srv/settings/default", path("etc/default")).expect("a link");
    std::fs::rename(path("srv/settings/default/grub"), path("srv/settings/grub")).expect("moved");
    std::os::unix::fs::symlink("../grub", path("srv/settings/default/grub")).expect("a link");
    let guest = fixture.guest(Mode::Tree, Policy::default());
    let edit = Edit::KernelArguments { add: owned(&["guestprep.test=1"]), remove: Vec::new() };
    let plan = compose(&guest, "clone", &[(CheckId::from("a"), edit)]).expect("a plan");
    let paths: Vec<String> =
        plan.steps.iter().filter_map(|s| s.path.as_ref()).map(ToString::to_string).collect();
    assert_eq!(paths, ["/boot/grub/grub.cfg", "/srv/settings/grub"]);
}
