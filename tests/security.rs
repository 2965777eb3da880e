//! SECURITY.md says nothing that no test tries; and the lines of it that have no other home.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use common::fixture::Fixture;
use walkdir::WalkDir;

/// The rows of the table of threats, and what each says it is tried by: a file and the name of a test.
fn rows(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let table = text.lines().skip_while(|line| !line.contains("| tried by |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let last = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let quoted: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        let tests = quoted.chunks(2).map(|pair| match pair {
            [file, name] => ((*file).to_owned(), (*name).to_owned()),
            _ => panic!("a file and a test: {line}"),
        });
        (line.to_owned(), tests.collect())
    })
    .collect()
}

#[test]
fn every_line_names_a_test_that_exists() {
    let rows = rows(&fs::read_to_string("SECURITY.md").unwrap());
    assert!(rows.len() > 15, "{}", rows.len());
    for (line, tests) in rows {
        assert!(!tests.is_empty(), "no test: {line}");
        for (file, name) in tests {
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}: {line}"));
            let at =
                text.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{file} has no {name}"));
            let before: Vec<&str> = text[..at].lines().rev().take(2).collect();
            assert!(before.iter().any(|line| line.trim() == "#[test]"), "{name} is no test");
        }
    }
}

#[test]
fn the_table_is_read_as_it_is_written() {
    let text = "| Who | tried by |\n|---|---|\n| a | `f.rs` `one`; `g.rs` `two` |\n| b | |\n\nend";
    let rows = rows(text);
    assert_eq!(rows.len(), 2);
    let pair = |file: &str, name: &str| (file.to_owned(), name.to_owned());
    assert_eq!(rows[0].1, [pair("f.rs", "one"), pair("g.rs", "two")]);
    assert!(rows[1].1.is_empty());
}

/// A guest that `prepare` changes.
fn a_guest_to_change() -> Fixture {
    let fixture = Fixture::distro("debian-12");
    let fstab = "UUID=98ec47de-82c4-574b-8ec6-84ccd4f06082 / ext4 defaults 0 1\n/dev/vdb1 /data ext4 defaults 0 2\n";
    fs::write(fixture.root.join("etc/fstab"), fstab).unwrap();
    fixture
}

fn prepare(root: &Path, state_dir: Option<&Path>) -> Output {
    let mut command = Command::new("sh");
    command
        // An umask that would leave everything to everybody.
        .args(["-c", "umask 0; exec \"$0\" prepare --yes --check fstab-data-disk \"$@\""])
        .arg(env!("CARGO_BIN_EXE_guestprep"))
        .arg("--root")
        .arg(root);
    if let Some(path) = state_dir {
        command.arg("--state-dir").arg(path);
    }
    command.output().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn state_is_roots_alone() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: the modes of what guestprep keeps: only root prepares");
        return;
    }
    let fixture = a_guest_to_change();
    let prepare = prepare(&fixture.root, None);
    assert!(prepare.status.success(), "{}", String::from_utf8_lossy(&prepare.stderr));
    let state = fixture.root.join("var/lib/guestprep");
    let mut files = 0;
    for entry in WalkDir::new(state) {
        let entry = entry.unwrap();
        let mode = mode(entry.path());
        let most = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & !most, 0, "{} is {mode:o}", entry.path().display());
        files += usize::from(entry.file_type().is_file());
    }
    assert!(files > 2, "{files}");
}

#[test]
fn a_state_directory_that_others_may_write_is_not_trusted() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: state directories of other users: only root makes them");
        return;
    }
    const NOBODY: u32 = 65534;
    let fixture = a_guest_to_change();
    let fstab = || fs::read(fixture.root.join("etc/fstab")).unwrap();
    let before = fstab();
    let temp = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = temp.path().join(name);
        fs::create_dir_all(path.join("runs")).unwrap();
        path
    };
    let [theirs, their_runs, anybodys, anybodys_runs, target] =
        ["theirs", "their-runs", "anybodys", "anybodys-runs", "target"].map(make);
    chown(&theirs, Some(NOBODY), None).unwrap();
    chown(their_runs.join("runs"), Some(NOBODY), None).unwrap();
    let all = || fs::Permissions::from_mode(0o777);
    fs::set_permissions(&anybodys, all()).unwrap();
    fs::set_permissions(anybodys_runs.join("runs"), all()).unwrap();
    let link = temp.path().join("link");
    symlink(&target, &link).unwrap();
    let slash = temp.path().join("link/");
    for path in [&theirs, &their_runs, &anybodys, &anybodys_runs, &link, &slash] {
        let refused = prepare(&fixture.root, Some(path));
        let words = String::from_utf8_lossy(&refused.stderr);
        assert!(words.contains("cannot trust "), "{}: {words}", path.display());
        assert_eq!(refused.status.code(), Some(4), "{words}");
        assert_eq!(fstab(), before);
        assert_eq!(fs::read_dir(path.join("runs")).unwrap().count(), 0, "{}", path.display());
        let runs = Command::new(env!("CARGO_BIN_EXE_guestprep"))
            .args(["runs", "--root"])
            .arg(&fixture.root)
            .arg("--state-dir")
            .arg(path)
            .output()
            .unwrap();
        assert!(!runs.status.success(), "{}", path.display());
    }
    // New ones are root's alone, and one that others may read, as there were, is taken.
    let new = temp.path().join("new/below");
    let prepared = prepare(&fixture.root, Some(&new));
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    assert_eq!((mode(&temp.path().join("new")), mode(&new)), (0o700, 0o700));
    fs::write(fixture.root.join("etc/fstab"), before).unwrap();
    let readable = make("readable");
    for path in [&readable, &readable.join("runs")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let prepared = prepare(&fixture.root, Some(&readable));
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
}

/// What moves a terminal's cursor (CSI, as one character of C1) and what turns the text that follows.
const HOSTILE: &str = "\u{9b}2J\u{202e}";

#[track_caller]
fn is_seen_escaped(output: &Output) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        let is_raw = |c: char| c.is_control() && !['\n', '\t'].contains(&c) || c == '\u{202e}';
        assert!(!text.contains(is_raw), "{text:?}");
    }
    let all = [&output.stdout[..], &output.stderr].concat();
    assert!(String::from_utf8_lossy(&all).contains("\\u{202e}"), "{output:?}");
}

#[test]
fn what_a_guest_says_reaches_no_terminal_raw() {
    let fixture = a_guest_to_change();
    let root = fixture.root.to_str().unwrap();
    let guestprep = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_guestprep")).args(arguments).output().unwrap()
    };
    let fstab = fixture.root.join("etc/fstab");
    let line = format!("/dev/vdb1 /data{HOSTILE} ext4 defaults 0 2\n");
    fs::write(&fstab, fs::read_to_string(&fstab).unwrap() + &line).unwrap();
    is_seen_escaped(&guestprep(&["plan", "--root", root]));

    let env = format!("root/{HOSTILE}.env");
    fs::write(fixture.root.join(env), "DB_PASSWORD=cAnArY-9f8e7d6c5b\n").unwrap();
    is_seen_escaped(&guestprep(&["scan", "--root", root]));

    fs::write(fixture.root.join("etc/hostname"), format!("web\u{1b}[2J{HOSTILE}\n")).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let report = temp.path().join("report.json");
    let report = report.to_str().unwrap();
    guestprep(&["audit", "--root", root, "--format", "json", "-o", report]);
    is_seen_escaped(&guestprep(&["verify", report]));

    is_seen_escaped(&guestprep(&["audit", "--root", &format!("/no/such/{HOSTILE}")]));

    if !rustix::process::geteuid().is_root() {
        println!("left out: what a planted record of a run says: only root prepares");
        return;
    }
    is_seen_escaped(&prepare(&fixture.root, None));
    let runs = fixture.root.join("var/lib/guestprep/runs");
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path().join("run.json");
    let mut header: serde_json::Value = serde_json::from_slice(&fs::read(&run).unwrap()).unwrap();
    header["plan"]["steps"][0]["summary"] = format!("\u{1b}]0;title\u{7}{HOSTILE}").into();
    fs::write(&run, header.to_string()).unwrap();
    is_seen_escaped(&guestprep(&["runs", "--root", root]));
}
