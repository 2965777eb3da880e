//! Secrets are put into every kind of file, and everything that the program writes is searched for
//! them: both streams as loud as they get, every form, the report of the audit, and a bundle.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use super::command::{left_out, run, until};
use super::{guestprep, scan_tree, token};

/// Words that are secrets in the files below, and nothing else.
const PASSWORD: &str = "cAnAry7-pa55w0rd!Zq";
const HASH: &str =
    "$6$cAnArySalt12$cAnAryHaShcAnAryHaShcAnAryHaShcAnAryHaShcAnAryHaSh0123456789abcdefghijk";

fn seed(root: &Path) -> Vec<String> {
    let mut key = String::from_utf8(
        std::process::Command::new("openssl")
            .args(["genrsa", "1024"])
            .output()
            .expect("openssl")
            .stdout,
    )
    .unwrap();
    if key.is_empty() {
        key = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    }
    let body = key.lines().nth(2).unwrap_or_default().to_owned();
    let files = [
        ("srv/app/.env", format!("DB_PASSWORD={PASSWORD}\n")),
        ("root/.bash_history", format!("mysql -uroot -p{PASSWORD} app\n")),
        ("root/.netrc", format!("machine a.b login c password {PASSWORD}\n")),
        ("srv/url", format!("postgres://u:{}@h/db\n", PASSWORD.replace('!', "x"))),
        ("root/shadow.old", format!("root:{HASH}:1:0:99999:7:::\n")),
        ("root/key.pem", key),
        ("root/token", format!("{}\n", token(1))),
        ("root/binary", format!("\0\0\0{}\0", token(2))),
        ("etc/fstab", format!("//nas/x /mnt cifs user=u,password={PASSWORD} 0 0\n")),
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n".to_owned()),
    ];
    for (path, content) in &files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    run(&[
        "sh",
        "-euc",
        &format!("cd {}/root && gzip -k token && tar -cf all.tar token key.pem", root.display()),
    ]);
    vec![PASSWORD.to_owned(), PASSWORD.replace('!', "x"), HASH.to_owned(), body, token(1), token(2)]
}

#[track_caller]
fn holds_none(what: &str, written: &[u8], canaries: &[String]) {
    for canary in canaries {
        assert!(
            memchr::memmem::find(written, canary.as_bytes()).is_none(),
            "{what} holds {canary}"
        );
    }
}

#[test]
fn no_secret_leaves_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let canaries = seed(&root);
    let shown = root.to_str().unwrap();
    assert!(scan_tree(&root).found.len() >= 9, "{:?}", scan_tree(&root).found);
    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    for format in ["text", "json", "sarif"] {
        for more in [&[][..], &["--trust-packages"], &["--no-unpack"], &["-o", out]] {
            let mut arguments = vec!["-vv", "scan", "--root", shown, "--format", format];
            arguments.extend(more);
            let done = guestprep(&arguments).exits(1);
            holds_none(format, done.out.as_bytes(), &canaries);
            holds_none("stderr", done.err.as_bytes(), &canaries);
        }
        holds_none("the file of the answer", &fs::read(out).unwrap(), &canaries);
    }
    for format in ["text", "json", "ndjson", "junit", "tap"] {
        let arguments =
            ["-vv", "audit", "--root", shown, "--check", "secret-in-file", "--format", format];
        let done = guestprep(&arguments).exits(1).says("secret-in-file");
        holds_none("audit", (done.out + &done.err).as_bytes(), &canaries);
    }
    // Nothing of what is scanned goes into a bundle.
    let bundle = folder.path().join("bundle");
    let bundle_path = bundle.to_str().unwrap();
    guestprep(&["collect", "--root", shown, "--profile", "share", "-o", bundle_path]);
    let unpacked = std::process::Command::new("zstd").args(["-dcq", bundle_path]).output().unwrap();
    assert!(unpacked.stdout.len() > 1024, "zstd unpacked nothing");
    holds_none("the bundle", &unpacked.stdout, &canaries);
    let done = guestprep(&["audit", "--bundle", bundle_path, "--profile", "share"]);
    assert!(done.out.contains("a bundle holds no contents"), "{}", done.out);
}

/// Start a command that may leave a core, abort it once `ready` says so, and say whether it left one.
fn leaves_core(command: &str, ready: impl Fn(&str) -> bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("ulimit -c unlimited && exec {command}");
    let mut child =
        Command::new("sh").args(["-c", &script]).current_dir(folder.path()).spawn().unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    until("the command is at work", || {
        ready(&fs::read_to_string(&limits).unwrap_or_default()) || !Path::new(&limits).exists()
    });
    run(&["kill", "-ABRT", &child.id().to_string()]);
    child.wait().unwrap().core_dumped()
}

/// A scan that is ended by a signal leaves no memory behind, where another program would.
#[test]
fn no_core_is_written() {
    let control = leaves_core("sleep 60", |limits| limits.contains("unlimited"));
    if !control {
        left_out("the core of a scan: this machine writes none of any program");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("many"), format!("{}\n", token(1)).repeat(4_000_000)).unwrap();
    let command =
        format!("{} scan --root {}", env!("CARGO_BIN_EXE_guestprep"), folder.path().display());
    let refuses = |limits: &str| {
        limits.lines().any(|line| {
            line.starts_with("Max core file size") && line.split_whitespace().nth(4) == Some("0")
        })
    };
    assert!(!leaves_core(&command, refuses));
}
