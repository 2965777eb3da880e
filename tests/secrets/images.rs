//! A guest on a disk image: mounted by the kernel, and read in user space, with the same answer.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::command::{Done, left_out, run};
use super::token;

fn image(folder: &Path) -> String {
    let tree = folder.join("tree");
    for directory in ["etc", "usr/bin", "home/a"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::write(tree.join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    fs::write(tree.join("etc/fstab"), "/dev/vda1 / ext4 defaults 0 1\n").unwrap();
    fs::write(tree.join("home/a/token"), format!("x\n{}\n", token(1))).unwrap();
    fs::hard_link(tree.join("home/a/token"), tree.join("home/a/same")).unwrap();
    fs::write(tree.join("home/a/large"), vec![b'x'; 1 << 20]).unwrap();
    run(&["gzip", "-k", tree.join("home/a/token").to_str().unwrap(), "-f"]);
    let image = folder.join("disk.raw").to_str().unwrap().to_owned();
    run(&["mke2fs", "-q", "-t", "ext4", "-d", tree.to_str().unwrap(), &image, "16M"]);
    image
}

#[test]
fn an_image_is_read_by_the_kernel_and_in_user_space() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path());
    if run(&["id", "-u"]) != "0" {
        left_out("an image that the kernel mounts: it needs root");
        return;
    }
    run(&["chmod", "0755", folder.path().to_str().unwrap()]);
    let program = folder.path().join("guestprep");
    fs::copy(env!("CARGO_BIN_EXE_guestprep"), &program).unwrap();
    let scan = |command: &mut Command| {
        let output =
            command.args(["scan", "--image", &image, "--format", "json"]).output().unwrap();
        Done::of(output).exits(1).json()
    };
    let by_root = scan(&mut Command::new(&program));
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    let by_nobody = scan(&mut nobody);
    assert_eq!(by_nobody["reader"], "user-space");
    assert_eq!(by_root["found"], by_nobody["found"]);
    let paths: Vec<&str> = by_nobody["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/home/a/same", "/home/a/token.gz"]);
    if by_root["reader"] != "kernel" {
        left_out("an image that the kernel mounts: it has no loop device here");
    }
    // The same image in the archive that the console exports.
    let packed = folder.path().join("disk.raw.tar.gz");
    let script = format!("cd {} && tar -czf disk.raw.tar.gz disk.raw", folder.path().display());
    run(&["sh", "-euc", &script]);
    let output = Command::new(&program)
        .args(["scan", "--image", packed.to_str().unwrap(), "--format", "json"])
        .output()
        .unwrap();
    assert_eq!(Done::of(output).exits(1).json()["found"], by_root["found"]);
}
