//! What a package installed and nobody changed, by dpkg's own database.

use std::fs;
use std::path::Path;

use guestprep::secrets::Options;
use md5::{Digest, Md5};

use super::{guestprep, places, scan_tree, scan_with, token};

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// dpkg's lists of a package that has these files.
fn package(root: &Path, name: &str, files: &[(&str, &str)]) {
    let sums: String = files
        .iter()
        .map(|(path, content)| {
            let digest = Md5::digest(content.as_bytes());
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{digits}  {path}\n")
        })
        .collect();
    write(root, &format!("var/lib/dpkg/info/{name}.md5sums"), &sums);
    let list: String = files.iter().map(|(path, _)| format!("/{path}\n")).collect();
    write(root, &format!("var/lib/dpkg/info/{name}.list"), &list);
}

fn set_modified(path: &Path, ago: u64) {
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(ago);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn the_digest_decides() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (same, changed) = (token(1), token(2));
    package(
        root,
        "example",
        &[
            ("usr/share/example/test-key", same.as_str()),
            ("usr/share/example/changed", "as it came"),
            ("lib/example/merged", same.as_str()),
        ],
    );
    write(root, "usr/share/example/test-key", &same);
    write(root, "usr/share/example/changed", &changed);
    write(root, "usr/lib/example/merged", &same);
    write(root, "home/user/key", &same);
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    // The list was written long before the files: their times prove nothing.
    set_modified(&root.join("var/lib/dpkg/info/example.list"), 1_000_000);

    let all = scan_tree(root);
    let paths: Vec<String> = all.found.iter().map(|found| found.at.path.to_string()).collect();
    assert_eq!(
        paths,
        [
            "/home/user/key",
            "/usr/lib/example/merged",
            "/usr/share/example/changed",
            "/usr/share/example/test-key"
        ]
    );
    let trusting = scan_with(root, &Options::default());
    assert_eq!(places(&trusting), ["/home/user/key:1:1", "/usr/share/example/changed:1:1"]);
    assert_eq!(trusting.trusted, 2);
}

#[test]
fn a_time_of_change_within_the_hour_of_unpacking_spares_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // A digest that is wrong shows that it was not asked for.
    package(root, "example", &[("usr/share/example/key", "another content")]);
    write(root, "usr/share/example/key", &token(1));
    let list = root.join("var/lib/dpkg/info/example.list");
    fs::write(&list, "").unwrap();
    let scanned = scan_with(root, &Options::default());
    assert_eq!((places(&scanned), scanned.trusted), (vec![], 1));
    // Two hours later, or a second earlier than the file: it was written after dpkg was done, or is
    // of another time.
    for ago in [7200, 5] {
        set_modified(&list, ago);
        let scanned = scan_with(root, &Options::default());
        assert_eq!(places(&scanned), ["/usr/share/example/key:1:1"], "{ago}");
    }
}

/// rpm's files are read, and who asked for their trust is told so.
#[test]
fn without_a_database_of_dpkg_nothing_is_trusted_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "var/lib/rpm/rpmdb.sqlite", "");
    write(root, "usr/share/example/key", &token(1));
    let shown = root.to_str().unwrap();
    let said = "no package is trusted: there is no database of dpkg";
    guestprep(&["scan", "--root", shown, "--trust-packages"]).exits(1).says(said);
    let all = guestprep(&["scan", "--root", shown]).exits(1);
    assert!(!all.out.contains("trusted"), "{}", all.out);
    package(root, "example", &[("usr/share/example/other", "text")]);
    let trusting = guestprep(&["scan", "--root", shown, "--trust-packages"]).exits(1);
    assert!(!trusting.out.contains("trusted"), "{}", trusting.out);
}
