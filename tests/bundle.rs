//! A bundle answers as the guest did that it was collected from.
//!
//! The oracle is the audit of the guest itself: its report and its plan have to be those of the
//! bundle, for every clean distribution and for every fixture of a check, as a tree and as it ran.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::case::Case;
use common::fixture::{Fixture, fixtures};
use guestprep::catalog::{self, Config, Language};
use guestprep::change::compose;
use guestprep::engine::{self, Selection, Settings};
use guestprep::guest::{Bundle, Guest, Mode, SavedSettings};
use guestprep::model::{GuestPath, Policy, Tool};
use guestprep::parse::archive;
use guestprep::sys::Space;
use serde_json::{Value, json};

/// The check that cannot be judged from a bundle.
const CONTENT_SCAN: &str = "secret-in-file";

/// The report and the plan of a guest, without what differs from run to run.
fn judged(guest: &Guest) -> String {
    let config = Config::default();
    let settings = Settings {
        profile: catalog::profile("share").expect("a profile"),
        config: &config,
        language: Language::En,
        fail_on: guestprep::model::Severity::Blocker,
        // It reads all contents, which no bundle has: there it is Unknown.
        selection: Selection { skip: vec![CONTENT_SCAN.into()], ..Selection::default() },
    };
    let audit = engine::audit(guest, &settings);
    let plan = match compose(guest, "share", &audit.edits) {
        Ok(plan) => serde_json::to_value(plan).expect("a plan is JSON"),
        Err(error) => json!(error.to_string()),
    };
    let mut value = json!({ "report": audit.report, "plan": plan });
    for field in ["started", "duration_ms"] {
        value["report"][field] = Value::Null;
    }
    for (pointer, was) in [("/report/guest/mode", guest.comes_from()), ("/plan/guest/mode", "")] {
        if let Some(mode) = value.pointer_mut(pointer) {
            assert!(was.is_empty() || *mode == was, "{mode}");
            *mode = Value::Null;
        }
    }
    // A plan's own digest is of its guest's mode too.
    if let Some(digest) = value.pointer_mut("/plan/digest") {
        *digest = Value::Null;
    }
    serde_json::to_string_pretty(&value).expect("a text")
}

/// Collect a bundle of a guest: what it was judged, and the file.
fn collect(guest: Guest) -> (String, Vec<u8>) {
    let recorder = Guest::recorder();
    let mode = guest.mode();
    let guest = guest.recorded_by(&recorder);
    let judged = judged(&guest);
    let tool = Tool { name: "guestprep".to_owned(), version: "1".to_owned() };
    let created = "2026-01-01T00:00:00Z".to_owned();
    let bundle = Bundle::new(&recorder, mode, SavedSettings::default(), created, tool);
    (judged, bundle.write().expect("a bundle"))
}

fn open(bundle: &[u8], policy: Policy) -> Guest {
    let bundle = Bundle::read(bundle).expect("a bundle that can be read");
    Guest::bundle(bundle, policy).expect("a guest")
}

/// The first lines that differ.
fn differences(a: &str, b: &str) -> Option<String> {
    let diff = similar::TextDiff::from_lines(a, b);
    let text = diff.unified_diff().context_radius(3).to_string();
    (a != b).then(|| text.lines().take(40).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_clean_guest_is_judged_alike() {
    for name in names(&fixtures().join("distros")) {
        let name = name.file_name().expect("a name").to_string_lossy().into_owned();
        let fixture = Fixture::distro_in_memory(&name);
        for mode in [Mode::Live, Mode::Tree] {
            let direct = judged(&fixture.guest(mode, Policy::default()));
            let (noted, bundle) = collect(fixture.guest(mode, Policy::default()));
            assert_eq!(differences(&direct, &noted), None, "{name}: what is noted is as before");
            let again = judged(&open(&bundle, Policy::default()));
            if let Some(differences) = differences(&direct, &again) {
                panic!("{name} {}:\n{differences}", mode.as_str());
            }
        }
    }
}

#[test]
fn every_fixture_is_judged_alike() {
    let checks = names(&fixtures().join("checks"));
    let cases: Vec<PathBuf> = checks.iter().flat_map(|check| names(check)).collect();
    let cases: Vec<&PathBuf> =
        cases.iter().filter(|case| case.join("case.toml").is_file()).collect();
    assert!(cases.len() > 300, "{} fixtures", cases.len());
    let half = |first: usize| -> Vec<String> {
        cases.iter().skip(first).step_by(2).filter_map(|folder| case_differs(folder)).collect()
    };
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        [half(0), other.join().expect("a thread")].concat()
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn case_differs(folder: &Path) -> Option<String> {
    let case = Case::read(&folder.join("case.toml"));
    let fixture = case.fixture(folder);
    let guest = case.guest(&fixture);
    let policy = guest.policy().clone();
    let (direct, bundle) = collect(guest);
    drop(fixture);
    let again = judged(&open(&bundle, policy));
    differences(&direct, &again).map(|lines| format!("{}:\n{lines}", folder.display()))
}

type Contents = BTreeMap<String, Vec<u8>>;

const SECRET: &str = "Xyzzy7Plugh";

/// Files of a Debian guest that the checks read, each with secrets in it.
const SEEDED: &[(&str, &str)] = &[
    (
        "etc/shadow",
        "root:$6$SECRETsalt$SECRET/SECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRETSECRET:19000:0:99999:7:::\na:!$y$j9T$SECRET$SECRETSECRETSECRETSECRETSECRET:1::::::\n",
    ),
    ("etc/gshadow", "root:SECRET::\n"),
    (
        "etc/fstab",
        "UUID=98ec47de-82c4-574b-8ec6-84ccd4f06082 / ext4 defaults 0 1\n//s/x /mnt cifs username=u,password=SECRET,_netdev 0 0\n",
    ),
    (
        "etc/rc.local",
        "#!/bin/sh\nSMB_PASSWORD=SECRET mount -o password=SECRET //s/x /mnt\ncurl -H 'Authorization: Bearer SECRET' https://u:SECRET@host/\n",
    ),
    ("etc/crontab", "@reboot root mount -o pass=SECRET //s/y /y\n"),
    (
        "etc/NetworkManager/system-connections/w.nmconnection",
        "[connection]\nid=w\ntype=wifi\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=SECRET and SECRET\nwep-key0=SECRET\n[802-1x]\npassword=SECRET\nprivate-key-password=SECRET\n",
    ),
    (
        "etc/systemd/network/wg.netdev",
        "[NetDev]\nName=wg0\nKind=wireguard\n[WireGuard]\nPrivateKey=SECRET=\n",
    ),
    ("etc/systemd/network/a.network", "[Match]\nName=wg0\n[WireGuardPeer]\nPresharedKey=SECRET\n"),
    (
        "etc/network/interfaces",
        "auto lo\niface lo inet loopback\niface wlan0 inet dhcp\n  wpa-ssid a\n  wpa-psk SECRET\n  wireless-key SECRET\n",
    ),
    (
        "etc/netplan/9.yaml",
        "network:\n  wifis:\n    w:\n      access-points:\n        a:\n          password: \"SECRET x\"\n",
    ),
    (
        "etc/cloud/cloud.cfg",
        "password: SECRET\nchpasswd:\n  list: |\n    root:SECRET\nusers:\n- name: a\n  hashed_passwd: $6$SECRET$SECRETSECRETSECRETSECRETSECRET\n  plain_text_passwd: SECRET\nssh_keys:\n  rsa_private: |\n    SECRET\nwrite_files:\n- path: /a\n  content: |\n    SECRET\n",
    ),
    (
        "boot/grub/grub.cfg",
        "set superusers=\"a\"\npassword_pbkdf2 a grub.pbkdf2.sha512.10000.SECRET\npassword b SECRET\nmenuentry 'a' {\n linux /boot/vmlinuz-6.1.0-56-amd64 root=UUID=98ec47de-82c4-574b-8ec6-84ccd4f06082 rd.luks.key=SECRET systemd.set_credential=a:SECRET\n initrd /boot/initrd.img-6.1.0-56-amd64\n}\n",
    ),
    ("etc/default/grub", "GRUB_CMDLINE_LINUX=\"rd.iscsi.password=SECRET quiet\"\n"),
    (
        "root/.ssh/authorized_keys",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAISECRETSECRETSECRETSECRETSECRETSECRETSECRET me@host\n",
    ),
    ("etc/apt/sources.list", "deb https://u:SECRET@mirror.example.com/debian bookworm main\n"),
    (
        "etc/systemd/system/a.service",
        "[Service]\nEnvironment=\"A_TOKEN=SECRET x\" B=c\nSetCredential=k:SECRET\nExecStart=/bin/mount -o password=SECRET //s/z /z\n[Install]\nWantedBy=multi-user.target\n",
    ),
    ("etc/kdump.conf", "ftp ftp://u:SECRET@host/\n"),
    ("etc/dhcp/dhclient.conf", "key a { algorithm hmac-md5;\n secret SECRET;\n}\n"),
    (
        "etc/motd",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET\n-----END OPENSSH PRIVATE KEY-----\n",
    ),
];

fn seeded(distro: &str) -> Fixture {
    let fixture = Fixture::distro_in_memory(distro);
    for (path, text) in SEEDED {
        let path = fixture.root.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, text.replace("SECRET", SECRET)).expect("a file");
    }
    let wants = fixture.root.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).expect("a directory");
    std::os::unix::fs::symlink("/etc/systemd/system/a.service", wants.join("a.service"))
        .expect("a link");
    fs::set_permissions(fixture.root.join("etc/rc.local"), fs::Permissions::from_mode(0o755))
        .expect("a mode");
    fixture
}

fn has(bytes: &[u8], wanted: &str) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

#[test]
fn no_secret_gets_into_a_bundle() {
    // That nothing was found is to say something: some guest's checks do read these files.
    let mut unread: Vec<&str> = SEEDED.iter().map(|(path, _)| *path).collect();
    for distro in ["debian-12", "ubuntu-24.04", "rocky-9", "alinux-2", "centos-7"] {
        let fixture = seeded(distro);
        let kernel = fixture.kernel.as_ref().expect("a kernel");
        let line =
            format!("root=/dev/vda1 rd.luks.key={SECRET} systemd.set_credential=a:{SECRET}\n");
        fs::write(kernel.join("proc/cmdline"), line).expect("a command line");
        for mode in [Mode::Live, Mode::Tree] {
            let (_, bundle) = collect(fixture.guest(mode, Policy::default()));
            let tar = zstd::decode_all(bundle.as_slice()).expect("zstd");
            let at = tar.windows(SECRET.len()).position(|window| window == SECRET.as_bytes());
            let around = |at: usize| {
                String::from_utf8_lossy(&tar[at.saturating_sub(300)..at + 100]).into_owned()
            };
            assert!(at.is_none(), "{distro}: {}", around(at.unwrap_or_default()));
            let unpacked = archive::unpack(&bundle).expect("an archive");
            assert!(unpacked.values().all(|content| !has(content, SECRET)));
            unread.retain(|path| !unpacked.contains_key(&format!("root/{path}")));
        }
    }
    // No check reads these; should one begin to, nothing is to be forgotten.
    assert_eq!(unread, ["etc/systemd/network/wg.netdev", "etc/dhcp/dhclient.conf", "etc/motd"]);
}

fn guestprep() -> Command {
    let mut command = Command::cargo_bin("guestprep").expect("the program");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Run to the end: exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = guestprep().args(arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_tree_is_collected_and_judged_when_it_is_gone() {
    let fixture = seeded("debian-12");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a.bundle");
    let (file, root) = (file.to_str().expect("UTF-8"), fixture.root.display().to_string());
    let direct = run(&["audit", "--root", &root]);
    let plan = run(&["plan", "--root", &root, "--format", "json"]);
    let (code, out, err) = run(&["collect", "--root", &root, "-o", file]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(
        err.contains("/etc/shadow (2)") && err.contains("look at it before it is sent"),
        "{err}"
    );
    let mode = fs::metadata(file).expect("the bundle").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1);
    let piped =
        guestprep().args(["collect", "--root", &root, "-o", "-"]).output().expect("it runs");
    assert!(Bundle::read(&piped.stdout).is_ok());

    drop(fixture);
    let again = run(&["audit", "--bundle", file]);
    // What can be pasted names the tree, which a bundle has not.
    let target = format!(" --root {root}");
    let shown = |text: &str| {
        let text = text.replace(SECRET, "reduced").replace(&target, "");
        text.split("\nNext:\n").next().unwrap_or_default().to_owned()
    };
    assert_eq!((again.0, again.2.as_str()), (direct.0, ""));
    assert_eq!(differences(&shown(&direct.1), &shown(&again.1)), None);
    let report = run(&["audit", "--bundle", file, "--format", "json"]).1;
    assert!(report.contains("\"mode\": \"bundle\""), "{report}");
    let plan_again = run(&["plan", "--bundle", file, "--format", "json"]);
    assert_eq!(plan_again.0, plan.0);
    let steps = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["steps"].clone();
    let summaries = |steps: &Value| {
        steps.as_array().expect("steps").iter().map(|s| s["summary"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(summaries(&steps(&plan.1)), summaries(&steps(&plan_again.1)));
    assert!(!summaries(&steps(&plan.1)).is_empty());
}

#[test]
fn a_bundle_brings_its_settings() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("config"), "[checks.image-size]\nwaive = \"small, and it is to be\"\n")
        .expect("a file");
    let root = fixture.root.display().to_string();
    let arguments = ["collect", "--root", &root, "--profile", "share", "--config", &path("config")];
    let (code, _, err) = run(&[&arguments[..], &["-o", &path("b")]].concat());
    assert_eq!(code, 0, "{err}");
    let report = |more: &[&str]| -> Value {
        let b = path("b");
        let own = ["audit", "--format", "json", "--skip", CONTENT_SCAN, "--bundle", &b];
        let arguments = [&own, more].concat();
        serde_json::from_str(&run(&arguments).1).expect("JSON")
    };
    assert_eq!(report(&[])["profile"], "share");
    assert_eq!(report(&["--profile", "clone"])["profile"], "clone");
    let direct = run(&[
        "audit",
        "--format",
        "json",
        "--skip",
        CONTENT_SCAN,
        "--root",
        &root,
        "--profile",
        "share",
        "--config",
        &path("config"),
    ]);
    let direct: Value = serde_json::from_str(&direct.1).expect("JSON");
    assert_eq!(direct["digest"], report(&[])["digest"]);
    assert_eq!(direct["waived"], report(&[])["waived"]);
}

#[test]
fn a_bundle_that_is_judged_otherwise_is_said_to_be() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let issue = fixture.root.join("etc/issue");
    // What dpkg knows of the file is the digest of its secret too.
    let text = b"Debian \\l password=Xyzzy7Plugh\n";
    fs::write(&issue, text).expect("a file");
    let digest = md5(text);
    let status = fixture.root.join("var/lib/dpkg/status");
    let known = fs::read_to_string(&status).expect("the status");
    let mut lines: Vec<String> = known.lines().map(str::to_owned).collect();
    let line = lines.iter_mut().find(|line| line.starts_with(" /etc/issue ")).expect("a conffile");
    *line = format!(" /etc/issue {digest}");
    fs::write(&status, lines.join("\n") + "\n").expect("a file");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("b").display().to_string();
    let root = fixture.root.display().to_string();
    let (code, _, err) = run(&["collect", "--root", &root, "-o", &file]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("differs from that of the guest: release-file-altered"), "{err}");
    assert!(Path::new(&file).is_file());
}

fn md5(bytes: &[u8]) -> String {
    use md5::Digest;
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_was_not_asked_is_unknown_and_not_absent() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let (_, bytes) = collect(fixture.guest(Mode::Live, Policy::default()));
    let mut bundle = Bundle::read(&bytes).expect("a bundle");
    let files = bundle.notes.files.get_mut(&Space::Root).expect("files");
    assert!(files.remove(&GuestPath::from("/etc/fstab")).is_some());
    let report = judged(&Guest::bundle(bundle, Policy::default()).expect("a guest"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let checks = report["report"]["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["id"] == "fstab-data-disk").expect("the check");
    assert_eq!(check["verdict"], "unknown");
    let reason = check["reason"].as_str().expect("a reason");
    assert!(reason.contains("/etc/fstab: the bundle does not hold it"), "{reason}");
}

#[test]
fn no_file_of_a_guest_is_opened_for_a_bundle() {
    if !Path::new("/usr/bin/strace").exists() {
        println!("left out: strace is not installed");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    // Of this machine, so that whatever is asked of it by mistake would have an answer.
    let (code, _, err) = run(&["collect", "-o", &path("b")]);
    assert!(code == 0 || code == 3, "{err}");
    let program = env!("CARGO_BIN_EXE_guestprep");
    let traced = std::process::Command::new("/usr/bin/strace")
        .args(["-f", "-qq", "-e", "trace=%file,%network,statfs,fstatfs,execve", "-o", &path("log")])
        .args([program, "audit", "--bundle", &path("b")])
        .env_clear()
        .stdout(std::process::Stdio::null())
        .status()
        .expect("strace runs");
    let log = fs::read_to_string(path("log")).unwrap_or_default();
    if log.is_empty() {
        println!("left out: strace cannot trace here: {traced}");
        return;
    }
    let mut calls = 0;
    for line in log.lines() {
        let Some((_, rest)) = line.split_once('"') else {
            assert!(!line.contains("socket(") && !line.contains("connect("), "{line}");
            continue;
        };
        let named = rest.split('"').next().unwrap_or_default();
        calls += 1;
        let is_own = named == program
            || named.starts_with(&dir.path().display().to_string())
            || named.is_empty()
            // The dynamic linker, and what the standard library asks for threads and memory.
            || named.starts_with("/etc/ld.so.")
            || named.starts_with("/lib/x86_64-linux-gnu/")
            || named.starts_with("/lib64/")
            || named.starts_with("/proc/self/")
            || named.starts_with("/sys/fs/cgroup/")
            || named.starts_with("/sys/kernel/mm/");
        assert!(is_own, "{line}");
    }
    assert!(calls > 3, "{log}");
}

#[test]
fn a_broken_bundle_is_refused_by_name() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let (_, bytes) = collect(fixture.guest(Mode::Tree, Policy::default()));
    let contents = archive::unpack(&bytes).expect("an archive");
    let description = contents["bundle.json"].clone();
    let pack = |change: &dyn Fn(&mut Contents)| {
        let mut contents = contents.clone();
        change(&mut contents);
        let description = contents.remove("bundle.json").unwrap_or_default();
        archive::pack(("bundle.json", &description), &contents, 0).expect("an archive")
    };
    let text = String::from_utf8(description).expect("UTF-8");
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let text = text.replace(from, to).into_bytes();
        pack(&move |contents| drop(contents.insert("bundle.json".to_owned(), text.clone())))
    };
    let no_name = zstd::encode_all(&[0u8; 1024][..], 1).expect("zstd");
    for (file, said) in [
        (bytes[..bytes.len() / 2].to_vec(), "damaged"),
        (b"no bundle".to_vec(), "it is no zstd-compressed tar"),
        (no_name, "bundle.json is not in it"),
        (
            pack(&|contents| drop(contents.remove("root/etc/fstab"))),
            "root/etc/fstab: bundle.json names it",
        ),
        (
            pack(&|contents| drop(contents.insert("root/x".into(), vec![]))),
            "root/x: bundle.json does not name it",
        ),
        (with("guestprep.bundle/1", "guestprep.bundle/2"), "its schema is guestprep.bundle/2"),
        (with("\"mode\": \"root\"", "\"mode\": \"host\""), "unknown variant `host`"),
        (with("\"now\":", "\"then\":"), "unknown field `then`"),
    ] {
        let error = Bundle::read(&file).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("b").display().to_string();
        fs::write(&path, &file).expect("a file");
        let (code, out, err) = run(&["audit", "--bundle", &path]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(&path) && err.contains(said), "{err}");
        assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1);
    }
    let (code, _, err) = run(&["audit", "--bundle", "/nowhere/b"]);
    assert!(code == 2 && err.contains("/nowhere/b: there is no such file"), "{err}");
    let (code, _, err) = run(&["prepare", "--bundle", "/nowhere/b"]);
    assert!(code == 2 && err.contains("--bundle"), "{err}");
}

/// A whole disk with a partition table and one filesystem, as a cloud exports it.
fn disk_image(fixture: &Fixture, dir: &Path) -> Option<PathBuf> {
    let done = |program: &str, arguments: &[&str], stdin: &str| {
        let output = Command::new(program).args(arguments).write_stdin(stdin.to_owned()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let (disk, filesystem) = (dir.join("disk.raw"), dir.join("root.ext4"));
    fs::write(&filesystem, b"").expect("a file");
    fs::File::create(&disk).and_then(|file| file.set_len(130 << 20)).expect("a disk");
    let root = fixture.root.display().to_string();
    let made = done(
        "/usr/sbin/mkfs.ext4",
        &[
            "-q",
            "-F",
            "-U",
            "98ec47de-82c4-574b-8ec6-84ccd4f06082",
            "-d",
            &root,
            &filesystem.display().to_string(),
            "128M",
        ],
        "",
    ) && done(
        "/usr/sbin/sfdisk",
        &["-q", &disk.display().to_string()],
        "label: dos\n2048,,L,*\n",
    );
    if !made {
        return None;
    }
    let mut file = fs::OpenOptions::new().write(true).open(&disk).expect("the disk");
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(1 << 20)).expect("a place");
    std::io::copy(&mut fs::File::open(&filesystem).expect("the filesystem"), &mut file)
        .expect("a copy");
    Some(disk)
}

#[test]
fn a_disk_image_is_collected_and_judged_when_it_is_gone() {
    let fixture = seeded("debian-12");
    let dir = tempfile::tempdir().expect("a directory");
    let Some(disk) = disk_image(&fixture, dir.path()) else {
        println!("left out: mkfs.ext4 and sfdisk make no image here");
        return;
    };
    let (image, file) = (disk.display().to_string(), dir.path().join("b").display().to_string());
    let direct = run(&["audit", "--image", &image, "--format", "json"]);
    if direct.1.is_empty() {
        println!("left out: no image can be looked at here: {}", direct.2);
        return;
    }
    let (code, _, err) = run(&["collect", "--image", &image, "-o", &file]);
    assert_eq!(code, 0, "{err}");
    fs::remove_file(&disk).expect("the disk goes");
    let again = run(&["audit", "--bundle", &file, "--format", "json"]);
    let value = |text: &str| {
        let mut value: Value = serde_json::from_str(text).expect("JSON");
        for field in ["started", "duration_ms"] {
            value[field] = Value::Null;
        }
        value
    };
    let (direct, mut again) = (value(&direct.1), value(&again.1));
    assert_eq!(direct["guest"]["mode"], "image");
    assert_eq!(again["guest"]["mode"], "bundle");
    again["guest"]["mode"] = json!("image");
    // That of a line with a secret is the digest of another text.
    again["digest"] = direct["digest"].clone();
    let shown = |value: &Value| {
        serde_json::to_string_pretty(value).expect("a text").replace(SECRET, "reduced")
    };
    assert_eq!(differences(&shown(&direct), &shown(&again)), None);
    let tar = zstd::decode_all(fs::File::open(&file).expect("the bundle")).expect("zstd");
    assert!(!has(&tar, SECRET));
}

/// Whatever a description says, no check breaks on it.
#[test]
fn a_changed_description_breaks_nothing() {
    let fixture = Fixture::distro_in_memory("debian-12");
    let (_, bytes) = collect(fixture.guest(Mode::Live, Policy::default()));
    let contents = archive::unpack(&bytes).expect("an archive");
    let text = &contents["bundle.json"];
    let mut seed = 7u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("a number") % below
    };
    let mut read = 0;
    for _ in 0..60 {
        let mut contents = contents.clone();
        let mut text = text.clone();
        for _ in 0..3 {
            let at = next(text.len());
            match text[at] {
                digit if digit.is_ascii_digit() => {
                    text[at] = b'0' + u8::try_from(next(10)).expect("a digit")
                }
                letter if letter.is_ascii_lowercase() => {
                    text[at] = b'a' + u8::try_from(next(26)).expect("a letter")
                }
                _ => {}
            }
        }
        let keys: Vec<String> =
            contents.keys().filter(|key| *key != "bundle.json").cloned().collect();
        for _ in 0..20 {
            let content = contents.get_mut(&keys[next(keys.len())]).expect("a content");
            if !content.is_empty() {
                let at = next(content.len());
                content[at] = u8::try_from(next(256)).expect("a byte");
            }
        }
        contents.remove("bundle.json");
        let packed = archive::pack(("bundle.json", &text), &contents, 0).expect("an archive");
        if let Ok(bundle) = Bundle::read(&packed) {
            read += 1;
            let report = judged(&Guest::bundle(bundle, Policy::default()).expect("a guest"));
            assert!(!report.contains("the probe broke"), "{report}");
        }
    }
    assert!(read > 10, "{read} of 60 could be read");
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.retain(|path| path.is_dir());
    names.sort();
    names
}
