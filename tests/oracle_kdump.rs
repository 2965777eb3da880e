//! Our reading of /etc/default/kdump-tools against the real kdump-config of the Debian package
//! kdump-tools, which sources the file.
//!
//! Each configuration is mounted over the machine's own in a mount namespace that ends with the
//! command. Nothing is loaded: `kdump-config test` and `show` only say what they would do.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CONFIG: &str = "/etc/default/kdump-tools";

/// Why it cannot be tried here.
fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root");
    }
    if !Path::new("/usr/sbin/kdump-config").exists() || !Path::new(CONFIG).exists() {
        return Some("kdump-tools is not installed");
    }
    let unshare = Command::new("unshare").args(["-m", "true"]).status();
    (!unshare.is_ok_and(|status| status.success())).then_some("no mount namespace")
}

/// A command with this configuration in the place of the machine's, and its output.
fn with(config: &Path, command: &str) -> String {
    // kdump-config makes KDUMP_COREDIR: on a tmpfs.
    let script = format!(
        "mount -t tmpfs tmpfs /srv && mount --bind {} {CONFIG} && {command}",
        config.display()
    );
    let output = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("unshare");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What both read: whether kdump is switched on, and where dumps go (`remote` for another machine).
fn read_both(text: &str) -> ((bool, String), (bool, String)) {
    let config = tempfile::NamedTempFile::new().expect("a file");
    fs::write(config.path(), text).expect("the configuration");
    let said = with(config.path(), "kdump-config test; kdump-config show");
    let value = |key: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let theirs_on = !said.contains("USE_KDUMP is not set or zero");
    let is_remote = ["SSH:", "NFS:", "FTP:"].iter().any(|key| value(key).is_some());
    let theirs =
        if is_remote { "remote".to_owned() } else { value("KDUMP_COREDIR:").expect("a directory") };

    // The tree of a guest that has the service, so that the configuration decides.
    let tree = tempfile::tempdir().expect("a directory");
    let put = |path: &str, text: &str| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    put("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    put("usr/lib/systemd/systemd", "");
    put("usr/lib/systemd/system/kdump-tools.service", "[Install]\nWantedBy=basic.target\n");
    put("usr/lib/systemd/system/multi-user.target", "[Unit]\nRequires=basic.target\n");
    put("usr/lib/systemd/system/basic.target", "[Unit]\n");
    put("boot/grub/grub.cfg", "menuentry 'Debian' {\n linux /boot/vmlinuz root=UUID=1 ro\n}\n");
    put("boot/vmlinuz", "");
    put("etc/default/kdump-tools", text);
    let wants = tree.path().join("etc/systemd/system/basic.target.wants");
    fs::create_dir_all(&wants).expect("a directory");
    std::os::unix::fs::symlink(
        "/usr/lib/systemd/system/kdump-tools.service",
        wants.join("kdump-tools.service"),
    )
    .expect("a link");
    std::os::unix::fs::symlink(
        "multi-user.target",
        tree.path().join("usr/lib/systemd/system/default.target"),
    )
    .expect("a link");
    let output = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["kdump", "status", "--format", "json", "--root"])
        .arg(tree.path())
        .output()
        .expect("guestprep");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let ours_on = status["enabled"].as_bool().expect("a word");
    let ours = match status["target"]["kind"].as_str() {
        Some("remote") => "remote".to_owned(),
        _ => status["target"]["path"].as_str().expect("a path").to_owned(),
    };
    ((theirs_on, theirs), (ours_on, ours))
}

#[test]
fn what_the_package_ships() {
    if let Some(why) = missing() {
        return println!("left out: {why}");
    }
    let text =
        fs::read_to_string("/usr/share/kdump-tools/kdump-tools.conf").expect("the package's");
    let (theirs, ours) = read_both(&text);
    assert_eq!(theirs, (true, "/var/crash".to_owned()));
    assert_eq!(ours, theirs);
}

#[test]
fn any_configuration_of_these_lines() {
    if let Some(why) = missing() {
        return println!("left out: {why}");
    }
    let line = prop::sample::select(vec![
        "USE_KDUMP=1",
        "USE_KDUMP=0",
        "USE_KDUMP=",
        "USE_KDUMP=\"1\"",
        "USE_KDUMP='0' # not now",
        "#USE_KDUMP=1",
        "  USE_KDUMP=1",
        "export USE_KDUMP=1",
        "KDUMP_COREDIR=/srv/a",
        "KDUMP_COREDIR=\"/srv/with blank\"",
        "KDUMP_COREDIR='/srv/b'#c",
        "KDUMP_COREDIR=/srv/d\\ e",
        "KDUMP_COREDIR=",
        "#KDUMP_COREDIR=/srv/no",
        "NFS=\"\"",
        "NFS=\"dumps.example.com:/x\"",
        "#SSH=\"<user at server>\"",
        "MAKEDUMP_ARGS=\"-c -d 31\"",
        "",
    ]);
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    runner
        .run(&prop::collection::vec(line, 0..6), |lines| {
            let (theirs, ours) = read_both(&(lines.join("\n") + "\n"));
            prop_assert_eq!(ours, theirs);
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}
