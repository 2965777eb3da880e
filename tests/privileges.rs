//! What a command that only looks may still do: the capabilities that it keeps, and Landlock around a foreign guest.
//!
//! What the two walls hold is tried in src/sys/privileges.rs; here, that the commands stand behind them, and answer
//! the same without. Packages of Debian: strace.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use common::fixture::Fixture;

/// guestprep with its calls of these names traced into a log; `None` where there is no strace.
fn traced(calls: &str, more: &[&str], arguments: &[&str]) -> Option<(Output, String)> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={calls}")])
        .args(more)
        .arg("-o")
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_guestprep"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output();
    let output = output.ok().or_else(|| {
        println!("left out: what a command may do: strace is not installed");
        None
    })?;
    Some((output, fs::read_to_string(log).unwrap_or_default()))
}

/// A report without its times.
fn timeless(output: &Output) -> serde_json::Value {
    let mut report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["started", "duration_ms"] {
        report.as_object_mut().unwrap().remove(key);
    }
    report
}

/// The capabilities of root that a log says are kept; none for an ordinary user.
fn kept(log: &str) -> Vec<String> {
    let line = log.lines().find(|line| line.contains("capset(")).expect("they are set");
    let effective = line.split("effective=").nth(1).unwrap().split(',').next().unwrap();
    let mut names: Vec<String> =
        effective.split('|').filter_map(|bit| Some(bit.split("CAP_").nth(1)?.to_owned())).collect();
    names.sort();
    names
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_foreign_tree_is_read_behind_both_walls_and_the_answer_is_the_same_without() {
    let fixture = Fixture::distro("debian-12");
    let root = fixture.root.display().to_string();
    let arguments = ["-v", "audit", "--format", "json", "--root", root.as_str()];
    let calls = "capset,landlock_restrict_self,execve";
    let Some((confined, log)) = traced(calls, &[], &arguments) else { return };
    if is_root() {
        assert_eq!(kept(&log), ["DAC_READ_SEARCH", "FOWNER"], "{log}");
    }
    assert_eq!(log.matches("execve(").count(), 1, "{log}");
    let words = String::from_utf8_lossy(&confined.stderr).into_owned();
    if log.contains("landlock_restrict_self") {
        assert!(words.contains("confines this process to the guest"), "{words}");
    } else {
        assert!(words.contains("no Landlock"), "{words}");
    }
    let absent = ["-e", "inject=landlock_create_ruleset:error=ENOSYS"];
    let calls = "landlock_create_ruleset,landlock_restrict_self";
    let (open, log) = traced(calls, &absent, &arguments).unwrap();
    assert!(!log.contains("landlock_restrict_self"), "{log}");
    let words = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(words.contains("this kernel has no Landlock"), "{words}");
    assert_eq!(confined.status.code(), open.status.code());
    assert_eq!(timeless(&confined), timeless(&open));
}

#[test]
fn what_only_looks_at_this_machine_keeps_what_reads_it() {
    for command in [&["audit"][..], &["plan"], &["scan", "/etc/hostname"], &["collect", "-o", "-"]]
    {
        let Some((_, log)) = traced("capset,landlock_restrict_self", &[], command) else { return };
        if is_root() {
            assert_eq!(kept(&log), ["DAC_READ_SEARCH", "FOWNER", "SYS_PTRACE"], "{command:?}");
        }
        // It would hide which files other processes hold.
        assert!(!log.contains("landlock_restrict_self"), "{command:?}");
    }
}

#[test]
fn a_report_is_written_where_it_is_wanted_and_nowhere_else() {
    let fixture = Fixture::distro("debian-12");
    let dir = tempfile::tempdir().unwrap();
    if is_root() {
        // Of another user: root writes there by a capability alone.
        std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    }
    let file = dir.path().join("report.json");
    let root = fixture.root.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["audit", "--format", "json", "--root", &root, "-o"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read_to_string(&file).unwrap().contains("guestprep.report/1"));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["report.json"]);
}

/// What an audit of a qcow2 image says where qemu-img tells what it may do, and does nothing else, and
/// `setpriv` is this script, or is not installed. `None` where that cannot be tried.
fn words_of_a_conversion(setpriv: Option<&str>) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk.qcow2");
    let mut create = Command::new("qemu-img");
    let made = create.args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("1M").status();
    if !made.is_ok_and(|status| status.success()) || !is_root() {
        println!("left out: the converter's capabilities: they need root and qemu-img");
        return None;
    }
    let program = |name: &str, script: &str| {
        let path = dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("qemu-img", "grep ^CapPrm /proc/self/status >&2; exit 1");
    if let Some(script) = setpriv {
        program("setpriv", script);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["audit", "--image"])
        .arg(&image)
        .env("PATH", dir.path())
        .output()
        .unwrap();
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// CAP_DAC_READ_SEARCH is the third (capabilities(7)).
const ONE_CAPABILITY: &str = "CapPrm:\t0000000000000004";

#[test]
fn the_converter_of_an_image_keeps_one_capability() {
    let Some(words) = words_of_a_conversion(Some("exec /usr/bin/setpriv \"$@\"")) else { return };
    assert!(words.contains(ONE_CAPABILITY), "{words}");
}

#[test]
fn a_setpriv_from_before_pdeathsig_will_do() {
    let old = "case \"$*\" in\n\
        *--pdeathsig*) echo 'setpriv: unrecognized option' >&2; exit 1 ;;\n\
        --help) /usr/bin/setpriv --help | grep -v pdeathsig; exit ;;\n\
        esac\n\
        exec /usr/bin/setpriv \"$@\"";
    let Some(words) = words_of_a_conversion(Some(old)) else { return };
    assert!(words.contains(ONE_CAPABILITY), "{words}");
}

#[test]
fn root_converts_nothing_without_setpriv() {
    let Some(words) = words_of_a_conversion(None) else { return };
    assert!(words.contains("setpriv is not installed; install util-linux"), "{words}");
    assert!(!words.contains("CapPrm"), "{words}");
}

/// Of this machine and not of a bundle, which is the same for everybody.
#[test]
fn who_is_not_root_is_told_that_root_may_read_more() {
    if !is_root() {
        return println!("left out: an audit by somebody else: only root can start one");
    }
    let dir = tempfile::tempdir().unwrap();
    let [program, bundle] = ["guestprep", "bundle"].map(|name| dir.path().join(name));
    fs::copy(env!("CARGO_BIN_EXE_guestprep"), &program).unwrap();
    let collect = Command::new(&program).arg("collect").arg("-o").arg(&bundle).output().unwrap();
    assert!(bundle.exists(), "{}", String::from_utf8_lossy(&collect.stderr));
    for path in [dir.path(), &program, &bundle] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let by_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        let output = command.args(arguments).output().expect("setpriv");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for command in ["audit", "plan"] {
        let shadow = [command, "--check", "account-password"];
        assert!(by_nobody(&shadow).contains("root may read more"), "{command}");
        let quiet = by_nobody(&[&shadow[..], &["-q"]].concat());
        assert!(!quiet.contains("root may read more"), "{command} -q");
    }
    let of_bundle = by_nobody(&["audit", "--bundle", bundle.to_str().unwrap()]);
    assert!(!of_bundle.contains("root may read more"), "{of_bundle}");
}
