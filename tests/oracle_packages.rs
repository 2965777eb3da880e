//! What is said of a package's files is what dpkg and rpm say of them.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use guestprep::guest::{Guest, PackageManager};
use guestprep::model::{Policy, Verdict};
use guestprep::parse::{rpm_verify, version};
use guestprep::probe;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Debian's release files that base-files owns.
const FILES: [&str; 3] = ["/etc/issue", "/etc/issue.net", "/etc/debian_version"];

/// Our `changed` findings about a tree, by path.
fn changed(tree: &Path) -> BTreeSet<String> {
    let guest = Guest::tree(tree, Policy::default()).expect("a guest that opens");
    let probe = probe::find("release-file-altered").expect("the probe");
    match (probe.judge)(&guest).expect("a verdict") {
        Verdict::Fail(findings) => findings
            .iter()
            .filter(|finding| finding.key == "changed")
            .map(|finding| finding.subject.to_string())
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// The same, as dpkg verifies the package of the tree.
fn dpkg_changed(tree: &Path) -> BTreeSet<String> {
    let output = Command::new("dpkg")
        .arg(format!("--root={}", tree.display()))
        .args(["--verify", "base-files"])
        .output()
        .expect("dpkg runs");
    // `??5?????? c /etc/issue`; files that are not in the tree are `missing`.
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with("??5"))
        .filter_map(|line| line.split_whitespace().last())
        .filter(|path| FILES.contains(path) || *path == "/usr/lib/os-release")
        .map(str::to_owned)
        .collect()
}

#[test]
fn dpkg_finds_the_same_files_changed() {
    if !Path::new("/var/lib/dpkg/info/base-files.md5sums").exists() {
        println!("left out: dpkg as the oracle: this machine has no base-files");
        return;
    }
    let temp = tempfile::tempdir().expect("a temporary directory");
    let tree = temp.path();
    for directory in ["etc", "usr/lib", "var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(tree.join(directory)).expect("a directory");
    }
    let copy = |path: &str| {
        fs::copy(path, tree.join(&path[1..])).unwrap_or_else(|e| panic!("{path}: {e}"));
    };
    for file in FILES {
        copy(file);
    }
    for file in
        ["status", "info/base-files.md5sums", "info/base-files.list", "info/base-files.conffiles"]
    {
        copy(&format!("/var/lib/dpkg/{file}"));
    }
    copy("/usr/lib/os-release");
    for at in 0..=FILES.len() {
        assert_eq!(changed(tree), dpkg_changed(tree), "after {at} changes");
        assert_eq!(changed(tree).len(), at);
        if let Some(file) = FILES.get(at) {
            let path = tree.join(&file[1..]);
            let text = fs::read_to_string(&path).expect("the file");
            fs::write(path, text + " ").expect("the file");
        }
    }
    let os_release = tree.join("usr/lib/os-release");
    fs::write(&os_release, fs::read_to_string(&os_release).expect("the file") + "#\n")
        .expect("the file");
    assert_eq!(changed(tree), dpkg_changed(tree));
    assert_eq!(changed(tree).len(), FILES.len() + 1);
}

const SPEC: &str = r"
Name: oracle-release
Version: 1
Release: 1
Summary: release files
License: none
BuildArch: noarch
%description
release files
%install
mkdir -p %{buildroot}/etc
echo 'A release 1' > %{buildroot}/etc/a-release
ln -s a-release %{buildroot}/etc/link
ln -s a-release %{buildroot}/etc/moved
for f in issue gone same touched; do echo text > %{buildroot}/etc/$f; done
%files
/etc/a-release
/etc/link
/etc/moved
/etc/same
/etc/touched
%config(noreplace) /etc/issue
%config(noreplace) /etc/gone
";

#[test]
fn rpm_s_own_output_is_understood() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let (top, root) = (temp.path().join("top"), temp.path().join("root"));
    fs::create_dir_all(&root).expect("a root");
    let spec = temp.path().join("oracle.spec");
    fs::write(&spec, SPEC).expect("a spec");
    let define = format!("_topdir {}", top.display());
    let built =
        Command::new("rpmbuild").args(["--quiet", "-bb", "--define", &define]).arg(&spec).output();
    if !built.as_ref().is_ok_and(|output| output.status.success()) {
        println!("left out: rpm as the oracle: rpmbuild cannot be run");
        return;
    }
    let package = top.join("RPMS/noarch/oracle-release-1-1.noarch.rpm");
    let rpm = |args: &[&str]| {
        Command::new("rpm").arg("--root").arg(&root).args(args).output().expect("rpm runs")
    };
    let installed = rpm(&["--install", "--nodeps", package.to_str().expect("a path in UTF-8")]);
    if !installed.status.success() {
        println!("left out: rpm as the oracle: a package can be installed by root alone");
        return;
    }
    let etc = root.join("etc");
    fs::write(etc.join("issue"), "Authorized users only\n").expect("issue");
    fs::write(etc.join("touched"), "text\n").expect("touched");
    fs::remove_file(etc.join("gone")).expect("gone");
    fs::remove_file(etc.join("link")).expect("link");
    fs::copy(etc.join("a-release"), etc.join("link")).expect("a file in place of a link");
    fs::remove_file(etc.join("moved")).expect("moved");
    std::os::unix::fs::symlink("same", etc.join("moved")).expect("another link");
    let output = rpm(&[
        "--verify",
        "--file",
        "--nodeps",
        "--noscripts",
        "/etc/a-release",
        "/etc/same",
        "/x",
    ]);
    let found = rpm_verify::parse(&output.stdout);
    let named = |wanted: fn(&rpm_verify::Difference) -> bool| -> BTreeSet<String> {
        let of = found.iter().filter(|d| wanted(d));
        of.map(|d| String::from_utf8_lossy(&d.path).into_owned()).collect()
    };
    let set = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(named(|d| d.is_changed), set(&["/etc/issue", "/etc/link", "/etc/moved"]));
    assert_eq!(named(|d| d.is_missing), set(&["/etc/gone"]));
}

#[test]
fn dpkg_names_the_same_versions() {
    let format = "${Package}\\t${db:Status-Status}\\t${Version}\\n";
    let Ok(output) = Command::new("dpkg-query").args(["-W", "-f", format]).output() else {
        println!("left out: versions as dpkg-query has them: it is not here");
        return;
    };
    let temp = tempfile::tempdir().expect("a temporary directory");
    let directory = temp.path().join("var/lib/dpkg");
    fs::create_dir_all(&directory).expect("a directory");
    fs::copy("/var/lib/dpkg/status", directory.join("status")).expect("the status");
    let guest = Guest::tree(temp.path(), Policy::default()).expect("a guest that opens");
    assert_eq!(guest.package_manager(), Ok(PackageManager::Dpkg));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut compared = 0;
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let installed = (fields[1] == "installed").then(|| fields[2].to_owned());
        assert_eq!(guest.package(fields[0]), Ok(installed), "{line}");
        compared += 1;
    }
    assert!(compared > 100, "{compared} packages");
    assert_eq!(guest.package("no-such-package"), Ok(None));
}

#[test]
fn an_rpm_database_in_a_tree_is_unknown() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let guest = || Guest::tree(temp.path(), Policy::default()).expect("a guest that opens");
    assert!(guest().package("bash").is_err());
    fs::create_dir_all(temp.path().join("var/lib/rpm")).expect("a directory");
    assert_eq!(guest().package_manager(), Ok(PackageManager::Rpm));
    let why = guest().package("bash").expect_err("an unknown").0;
    assert!(why.contains("running guest"), "{why}");
}

/// Versions that are near one another, so that every rule decides some.
fn pairs(pattern: &str, count: usize) -> Vec<(String, String)> {
    let mut runner = TestRunner::deterministic();
    let one = || proptest::string::string_regex(pattern).expect("a pattern");
    let both = (one(), one());
    (0..count).map(|_| both.new_tree(&mut runner).expect("a pair").current()).collect()
}

#[test]
fn dpkg_orders_versions_alike() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        println!("left out: dpkg --compare-versions: it is not here");
        return;
    }
    let mut orders = BTreeSet::new();
    for (left, right) in pairs("([01]:)?[01][1.~+aA:-]{0,4}(-[01~+a]{1,2})?", 400) {
        let is = |relation: &str| {
            let output = Command::new("dpkg")
                .args(["--compare-versions", &left, relation, &right])
                .output()
                .expect("dpkg runs");
            // It warns of what is no version, and compares it all the same.
            output.stderr.is_empty().then(|| output.status.success())
        };
        let theirs = is("lt").zip(is("gt")).map(|told| match told {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => Ordering::Equal,
        });
        assert_eq!(version::compare_deb(&left, &right), theirs, "{left} {right}");
        orders.insert(theirs);
    }
    assert_eq!(orders.len(), 4, "every answer was had: {orders:?}");
}

#[test]
fn rpm_orders_versions_alike() {
    let pairs = pairs("([01]:)?[1.0~^aAb]{1,5}-[01.a~^]{1,3}", 2000);
    let mut script = String::from("%{lua: ");
    for (left, right) in &pairs {
        let _ = writeln!(script, "print(rpm.vercmp('{left}','{right}')..' ')");
    }
    script.push('}');
    let output = Command::new("rpm").args(["--eval", &script]).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        println!("left out: rpm.vercmp: rpm with Lua is not here");
        return;
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<_> = text.split_whitespace().collect();
    assert_eq!(answers.len(), pairs.len());
    for ((left, right), answer) in pairs.iter().zip(answers) {
        let theirs = answer.parse::<i32>().expect("a number").cmp(&0);
        assert_eq!(version::compare_rpm(left, right), theirs, "{left} {right}");
    }
}
