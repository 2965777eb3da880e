//! What is left when the process is killed, and what is said when there is no room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::child::{answer, command, start};
use crate::tools::{SIZE, directory, disk, has, sh};

/// Where a process keeps an unpacked disk: the open files of it that have no name.
fn nameless_in(pid: u32, directory: &Path) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| {
            target.starts_with(directory) && target.to_string_lossy().ends_with(" (deleted)")
        })
        .count()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn nothing_is_left_of_an_unpacked_disk_by_sigkill() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    disk(directory.path());
    sh(directory.path(), "tar -czf disk.raw.tar.gz disk.raw");
    sh(directory.path(), "qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2");
    let temporary = directory.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    for image in ["disk.raw.tar.gz", "disk.qcow2"] {
        for place in ["progress", "opened"] {
            let mut command = command(&directory.path().join(image), place);
            let (mut child, _output, said) = start(command.env("TMPDIR", &temporary));
            assert_eq!(said, format!("at {place}"), "{image}");
            assert!(nameless_in(child.id(), &temporary) > 0, "{image} at {place}");
            assert!(is_empty(&temporary), "{image} at {place}: the file has a name");
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(is_empty(&temporary), "{image} at {place}");
        }
    }
}

#[test]
fn the_converter_ends_with_the_process_that_waits_for_it() {
    if !has("mke2fs") || !has("qemu-img") || !has("setpriv") {
        return;
    }
    let directory = directory();
    disk(directory.path());
    sh(directory.path(), "qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2");
    // A converter that says that it begins and then takes its time.
    let path = directory.path().join("bin");
    fs::create_dir(&path).unwrap();
    let slow = path.join("qemu-img");
    fs::write(
        &slow,
        "#!/bin/sh\n[ $1 != check ] || exit 0\nprintf '    (0.00/100%%)\\r'\nexec sleep 300\n",
    )
    .unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(&directory.path().join("disk.qcow2"), "progress");
    let (mut child, _output, said) =
        start(command.env("PATH", format!("{}:/usr/bin:/bin", path.display())));
    assert_eq!(said, "at progress");
    let converter = child_of(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while is_running(&converter) {
        if Instant::now() > end {
            let pid = converter.file_name().unwrap();
            Command::new("kill").args(["-KILL".as_ref(), pid]).status().unwrap();
            panic!("the converter goes on: {}", converter.display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The one process that was started by any thread of another, in /proc.
fn child_of(pid: u32) -> PathBuf {
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        if let Some(child) = children.split_whitespace().next() {
            return PathBuf::from("/proc").join(child);
        }
    }
    panic!("{pid} has no child");
}

fn is_running(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status"));
    // Nobody may have taken its exit status yet.
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

#[test]
fn an_image_that_does_not_fit_says_how_much_it_takes() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    disk(directory.path());
    sh(directory.path(), "tar -czf disk.raw.tar.gz disk.raw; mkdir small");
    sh(directory.path(), "qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2");
    // The files in the disk take 1 MB.
    let mount = "mount -t tmpfs -o size=512K none \"$TMPDIR\" || exit 75; exec \"$@\"";
    for image in ["disk.raw.tar.gz", "disk.qcow2"] {
        let inner = command(&directory.path().join(image), "");
        let mut outer = Command::new("unshare");
        outer.args(["-m", "bash", "-c", mount, "bash"]).arg(inner.get_program());
        outer.args(inner.get_args()).env("TMPDIR", directory.path().join("small"));
        for (name, value) in inner.get_envs() {
            outer.env(name, value.unwrap());
        }
        if !Command::new("unshare").args(["-m", "true"]).status().unwrap().success() {
            eprintln!("left out: a mount namespace cannot be had");
            return;
        }
        let said = answer(&mut outer);
        assert!(said.starts_with("failed NoSpace cannot "), "{image}: {said}");
        assert!(said.contains("set TMPDIR to a directory with more room"), "{image}: {said}");
        if image.ends_with("gz") {
            let wanted: u64 =
                said.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum();
            assert!((1_000_000..=SIZE).contains(&wanted), "{said}");
        }
    }
}

#[test]
fn without_the_converter_its_command_is_said() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    disk(directory.path());
    sh(directory.path(), "qemu-img convert -f raw -O vhdx disk.raw 'my disk.vhdx'");
    let image = directory.path().join("my disk.vhdx");
    let said = answer(command(&image, "").env("PATH", "/nowhere"));
    let shown = image.display();
    let wanted = format!("qemu-img convert -f vhdx -O raw '{shown}' '{shown}.raw'");
    assert!(said.starts_with("failed NotFound ") && said.ends_with(&wanted), "{said}");
}
