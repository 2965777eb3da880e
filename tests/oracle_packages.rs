//! What is said of a package's files is what dpkg and rpm say of them.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use guestprep::guest::Guest;
use guestprep::model::{Policy, Verdict};
use guestprep::parse::rpm_verify;
use guestprep::probe;

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
