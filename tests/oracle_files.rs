//! What is read of resolv.conf and of sshd's configuration, against glibc and sshd themselves; and what repairs leave,
//! against augeas.
//!
//! Each test runs itself again in a mount namespace of its own, where the files of this machine are covered by its own.
//! Packages of Debian: openssh-server augeas-tools python3.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "common"]
mod common {
    #[allow(dead_code)]
    pub mod command;
    pub mod own_mounts;
}

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::command::left_out;
use common::own_mounts::in_own_mounts;
use guestprep::guest::Guest;
use guestprep::model::Policy;
use guestprep::parse::resolv_conf::{ResolvConf, is_single_request_reopen};
use guestprep::parse::sshd_config::{
    GLOBALS, KEYWORDS, OF_SOME, SWITCHES, SshdConfig, Taken, is_global, is_of_some, refused, takes,
};
use guestprep::parse::sshd_program::SshdProgram;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Run a test's body in a mount namespace of its own, where `covered` has a copy in a temporary directory mounted on it.
fn alone(test: &str, tools: &[&str], covered: &str, body: impl FnOnce(&Path)) {
    let missing: Vec<_> = tools.iter().filter(|tool| !Path::new(tool).exists()).collect();
    if !missing.is_empty() {
        return left_out(&format!("{test}: there is no {missing:?}"));
    }
    in_own_mounts(test, || cover(covered, body));
}

fn cover(covered: &str, body: impl FnOnce(&Path)) {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let own = temp.path().join("own");
    if Path::new(covered).is_dir() {
        fs::create_dir(&own).expect("a directory");
    } else {
        fs::write(&own, "").expect("a file");
    }
    let status = Command::new("mount").arg("--bind").arg(&own).arg(covered).status();
    assert!(status.expect("mount runs").success(), "{covered} can be covered");
    body(&own);
    let _ = Command::new("umount").arg(covered).status();
}

fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: std::fmt::Debug,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, test).unwrap_or_else(|e| panic!("{e}"));
}

/// For each line of input, reads resolv.conf as a new process would, and prints the flags of the resolver.
const RESOLVER: &str = "
import ctypes, sys
libc = ctypes.CDLL('libc.so.6')
state = libc.__res_state
state.restype = ctypes.c_void_p
for line in sys.stdin:
    # What is set already stays, unless nothing is.
    ctypes.c_ulong.from_address(state() + 8).value = 0
    libc.__res_init()
    # struct __res_state: int retrans, int retry, unsigned long options.
    options = ctypes.c_ulong.from_address(state() + 8).value
    print(options & 0x400000 != 0, options & 0x4000 != 0, flush=True)
";

#[test]
fn options_are_those_that_glibc_reads() {
    let tools = ["/usr/bin/python3"];
    alone("options_are_those_that_glibc_reads", &tools, "/etc/resolv.conf", |own| {
        let mut python = Command::new("/usr/bin/python3")
            .args(["-c", RESOLVER])
            .env_remove("RES_OPTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let input = python.stdin.take().expect("a pipe");
        let output = BufReader::new(python.stdout.take().expect("a pipe"));
        let pipes = std::cell::RefCell::new((input, output));
        let option = prop::sample::select(vec![
            "single-request-reopen",
            "single-request-reopenx",
            "single-request",
            "Single-Request-Reopen",
            "rotate",
            "rotate,single-request-reopen",
            "timeout:2",
            "#single-request-reopen",
            "ndots:1",
        ]);
        let start = prop::sample::select(vec![
            "options ",
            "options\t",
            "options",
            " options ",
            "#options ",
            ";options ",
            "Options ",
            "nameserver ",
            "options  ",
            "search ",
            "\toptions ",
        ]);
        let blank = prop::sample::select(vec![" ", "\t", "  ", " \t "]);
        let end = prop::sample::select(vec!["\n", "\n", " \n", "\r\n", "\n\n", " # c\n", ""]);
        let line = (start, prop::collection::vec((option, blank), 0..4), end).prop_map(
            |(start, options, end)| {
                let options: String = options.iter().map(|(o, b)| format!("{o}{b}")).collect();
                format!("{start}{options}{end}")
            },
        );
        check(1024, prop::collection::vec(line, 0..5), |lines| {
            let text = lines.concat();
            fs::write(own, &text).expect("a resolv.conf");
            let (input, output) = &mut *pipes.borrow_mut();
            writeln!(input, "next").expect("python reads");
            let mut answer = String::new();
            output.read_line(&mut answer).expect("python answers");
            let file = ResolvConf::parse(text.as_bytes());
            let reopens = file.options().any(is_single_request_reopen);
            let rotates = file.options().any(|word| word.starts_with(b"rotate"));
            let said = |is: bool| if is { "True" } else { "False" };
            let ours = format!("{} {}\n", said(reopens), said(rotates));
            prop_assert_eq!(ours, answer, "{:?}", text);
            Ok(())
        });
        drop(pipes);
        let _ = python.wait();
    });
}

/// Of the keywords that are taken to be known, OpenSSH 9.2 refuses those of later releases and of Red Hat: those that are
/// not in its program.
#[test]
fn keywords_are_those_that_sshd_takes() {
    let sshd = Path::new("/usr/sbin/sshd");
    if !sshd.exists() {
        return println!("left out: keywords_are_those_that_sshd_takes: there is no {sshd:?}");
    }
    let is_refused =
        |keyword: &str| complaint(sshd, keyword, "yes").contains("Bad configuration option");
    let refused: Vec<&str> =
        KEYWORDS.iter().copied().filter(|keyword| is_refused(keyword)).collect();
    assert!(refused.iter().all(|keyword| is_of_some(keyword)), "{refused:?}");
    assert!(is_refused("nosuchkeyword"), "sshd takes any keyword here");
    for keyword in SWITCHES {
        let refuses = |value: &str| complaint(sshd, keyword, value).contains("unsupported option");
        assert!(refuses("maybe") && refuses("2"), "{keyword} takes more than yes and no");
        assert!(!refuses("yes") && !refuses("No"), "{keyword} is no switch");
    }
    let program = fs::read(sshd).expect("a program");
    let program = SshdProgram::parse(&program).expect("an sshd");
    for keyword in OF_SOME {
        assert_eq!(refused.contains(keyword), !program.knows(keyword), "{keyword}");
    }
    for keyword in GLOBALS.iter().filter(|keyword| !refused.contains(keyword)) {
        let said = complaint(sshd, &format!("Match User git\n{keyword}"), "1");
        assert!(said.contains("not allowed within a Match block"), "{keyword}: {said}");
    }
}

/// What sshd says of a line.
fn complaint(sshd: &Path, keyword: &str, value: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "{keyword} {value}").expect("a line");
    let done = Command::new(sshd).arg("-t").arg("-f").arg(file.path()).output();
    String::from_utf8_lossy(&done.expect("sshd runs").stderr).into_owned()
}

/// What sshd wants before it reads its configuration to the end.
fn with_host_key(own: &Path) {
    let key = own.join("ssh_host_ed25519_key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen runs").success());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::create_dir_all("/run/sshd").expect("the directory that sshd wants");
}

/// Names that every sshd knows, that some do, and that none does; patterns, and what only looks like a name.
const NAMES: [(&[&str], &str); 4] = [
    (
        &["Ciphers"],
        "aes128-ctr aes256-gcm@openssh.com 3des-cbc chacha20-poly1305@openssh.com aes128-ctr \
         arcfour rijndael-cbc@lysator.liu.se AES128-ctr aes* none",
    ),
    (
        &["MACs"],
        "hmac-sha1 hmac-md5-96 umac-64@openssh.com hmac-sha2-256-etm@openssh.com hmac-sha1 \
         hmac-ripemd160 sha2-256 umac-64 none",
    ),
    (
        &["KexAlgorithms"],
        "curve25519-sha256 sntrup761x25519-sha512 diffie-hellman-group1-sha1 ecdh-sha2-nistp256 \
         mlkem768x25519-sha256 kex-strict-s-v00@openssh.com ext-info-s gss-gex-sha1- nistp256-sha256",
    ),
    (
        &[
            "HostKeyAlgorithms",
            "PubkeyAcceptedAlgorithms",
            "PubkeyAcceptedKeyTypes",
            "CASignatureAlgorithms",
            "HostbasedAcceptedAlgorithms",
            "HostbasedAcceptedKeyTypes",
        ],
        "ssh-ed25519 ssh-rsa rsa-sha2-512 ssh-dss sk-ecdsa-sha2-nistp256@openssh.com ssh-* *nistp??? * \
         webauthn-sk-ecdsa-sha2-nistp256@openssh.com ssh-ed25519-cert-v01@openssh.com *-cert-v01* \
         RSA ed25519 !ssh-rsa ssh-ed25519@openssh.com ssh-x* SSH-* x509v3-ssh-rsa",
    ),
];

/// What we say that sshd takes it starts with, and what we say that it refuses it ends at.
#[test]
fn algorithms_are_those_that_sshd_takes() {
    let tools = ["/usr/sbin/sshd", "/usr/bin/ssh-keygen"];
    alone("algorithms_are_those_that_sshd_takes", &tools, "/etc/ssh", |own| {
        with_host_key(own);
        let program = fs::read("/usr/sbin/sshd").expect("a program");
        let program = SshdProgram::parse(&program).expect("an sshd");
        let line = prop::sample::select(NAMES.to_vec()).prop_flat_map(|(keywords, names)| {
            let names: Vec<&str> = names.split_ascii_whitespace().collect();
            let rare = prop::sample::select(vec!["", "no-such-name", "hmac-sha1", "ssh-rsa"]);
            let name = prop_oneof![12 => prop::sample::select(names), 1 => rare];
            let before = prop::sample::select(vec!["", "", "", "+", "-", "^", "\"", "Match"]);
            let between = prop_oneof![20 => Just(","), 1 => Just(", "), 1 => Just(" ")];
            let keyword = prop::sample::select(keywords);
            (keyword, before, prop::collection::vec(name, 1..4), between)
        });
        let line = line.prop_map(|(keyword, before, names, between)| {
            let list = names.join(between);
            match before {
                "Match" => format!("Match User git\n{keyword} {list}\nMatch all"),
                "\"" => format!("{keyword} \"{list}\""),
                _ => format!("{keyword} {before}{list}"),
            }
        });
        let (taken, refused_too) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        check(400, prop::collection::vec(line, 1..3), |lines| {
            let text = lines.join("\n");
            let file = own.join("sshd_config");
            fs::write(&file, &text).expect("a file");
            let done = Command::new("/usr/sbin/sshd").arg("-t").arg("-f").arg(&file).output();
            let done = done.expect("sshd runs");
            let said = String::from_utf8_lossy(&done.stderr);
            match ours(&program, &text) {
                Some(true) => {
                    prop_assert!(done.status.success(), "{text}: {said}");
                    taken.set(taken.get() + 1);
                }
                Some(false) => {
                    prop_assert!(!done.status.success(), "{text} is taken");
                    refused_too.set(refused_too.get() + 1);
                }
                None => {}
            }
            Ok(())
        });
        let counts = (taken.get(), refused_too.get());
        assert!(counts.0 > 50 && counts.1 > 50, "{counts:?} were compared");
    });
}

/// Whether sshd starts with this configuration; `None` where not every release does the same.
fn ours(program: &SshdProgram, text: &str) -> Option<bool> {
    let config = SshdConfig::parse(text.as_bytes());
    if !config.errors().is_empty() {
        return Some(false);
    }
    let mut is_clear = true;
    let mut is_of_all = true;
    for directive in config.directives() {
        let value = String::from_utf8_lossy(&directive.arguments[0]);
        if directive.keyword == "match" {
            is_of_all = value == "all";
            continue;
        }
        let keyword = &directive.keyword;
        if refused(directive).is_some()
            || !is_of_all && is_global(keyword)
            || is_of_some(keyword) && !program.knows(keyword)
        {
            return Some(false);
        }
        match takes(program, keyword, &value) {
            Taken::Yes => {}
            Taken::No(_) => return Some(false),
            Taken::Unclear(_) => is_clear = false,
        }
    }
    is_clear.then_some(true)
}

#[test]
fn settings_are_those_that_sshd_says() {
    let tools = ["/usr/sbin/sshd", "/usr/bin/ssh-keygen"];
    alone("settings_are_those_that_sshd_says", &tools, "/etc/ssh", |own| {
        with_host_key(own);
        fs::create_dir(own.join("sshd_config.d")).expect("a directory");
        let setting = prop_oneof![
            4 => "(PermitRootLogin|permitrootlogin) ?(=| |\t|  ) ?(yes|no|prohibit-password|\"no\")",
            4 => "PasswordAuthentication (yes|no|'no')",
            4 => "KbdInteractiveAuthentication (yes|no)",
            1 => "UsePAM (yes|no)",
            1 => "Port (22|2222|\"443\")( # why)?",
            1 => "ListenAddress (0\\.0\\.0\\.0|127\\.0\\.0\\.1:2022|\\[::1\\]:23|::)",
            1 => "(# Port 1|)",
            4 => "Match (all|all|all|User root|ALL|Address 10\\.0\\.0\\.0/8)",
            1 => "Include (/etc/ssh/)?sshd_config\\.d/(\\*\\.conf|a\\.conf|\\?\\.conf|b\\*|none\\.conf)",
        ];
        // Port and ListenAddress, UsePAM too, may not stand in a Match.
        let file = || prop::collection::vec(setting.clone(), 0..6);
        let is_refused = |lines: &[String]| {
            let is =
                |line: &String, words: &[&str]| words.iter().any(|word| line.starts_with(word));
            let first = lines.iter().position(|line| is(line, &["Match"])).unwrap_or(lines.len());
            lines[first..].iter().any(|line| is(line, &["Port", "ListenAddress", "UsePAM"]))
        };
        let compared = std::cell::Cell::new(0);
        check(600, (file(), file(), file()), |(main, a, b)| {
            // One file of three includes; endless inclusion is another matter.
            let without = |lines: &[String]| -> Vec<String> {
                lines.iter().filter(|line| !line.starts_with("Include")).cloned().collect()
            };
            let (a, b) = (without(&a), without(&b));
            let behind_match = main.iter().skip_while(|l| !l.starts_with("Match"));
            if [&main, &a, &b].iter().any(|lines| is_refused(lines))
                || behind_match.clone().any(|line| line.starts_with("Include"))
            {
                return Ok(());
            }
            fs::write(own.join("sshd_config"), main.join("\n")).expect("a file");
            fs::write(own.join("sshd_config.d/a.conf"), a.join("\n")).expect("a file");
            fs::write(own.join("sshd_config.d/b.conf"), b.join("\n")).expect("a file");
            let output = Command::new("/usr/sbin/sshd")
                .args(["-T", "-f", "/etc/ssh/sshd_config"])
                .output()
                .expect("sshd runs");
            let shown = String::from_utf8_lossy(&output.stderr).into_owned();
            prop_assert!(output.status.success(), "{shown}");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let theirs = |keyword: &str| -> Vec<String> {
                let lines = text.lines().filter_map(|line| line.split_once(' '));
                lines
                    .filter(|(key, _)| *key == keyword)
                    .map(|(_, value)| value.to_owned())
                    .collect()
            };
            let guest = Guest::tree(Path::new("/"), Policy::default()).expect("a guest");
            let sshd = guest.sshd().expect("a configuration").expect("one");
            for (keyword, default) in [
                ("permitrootlogin", "prohibit-password"),
                ("passwordauthentication", "yes"),
                ("kbdinteractiveauthentication", "yes"),
                ("usepam", "no"),
            ] {
                let ours = sshd.value(keyword).unwrap_or_else(|| default.to_owned());
                let theirs =
                    theirs(keyword).concat().replace("without-password", "prohibit-password");
                prop_assert_eq!(ours, theirs, "{} of {:?} {:?} {:?}", keyword, main, a, b);
            }
            let mut ports: Vec<u16> = theirs("listenaddress")
                .iter()
                .filter_map(|address| address.rsplit_once(':')?.1.parse().ok())
                .collect();
            ports.sort_unstable();
            ports.dedup();
            prop_assert_eq!(sshd.ports(), ports, "ports of {:?} {:?} {:?}", main, a, b);
            compared.set(compared.get() + 1);
            Ok(())
        });
        assert!(compared.get() > 100, "only {} were compared", compared.get());
    });
}

/// What augeas reads of a file by a lens; `None` where augeas is not here.
fn augeas(lens: &str, text: &str) -> Option<Result<String, String>> {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("file"), text).expect("a file");
    let mut child = Command::new("augtool")
        .args(["--noautoload", "--noload", "--root"])
        .arg(root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let script = format!(
        "set /augeas/load/X/lens {lens}\nset /augeas/load/X/incl /file\nload\nprint /files/file\nprint /augeas/files/file/error\n"
    );
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("augtool reads");
    let output = child.wait_with_output().expect("augtool ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(if text.contains("/error") { Err(text) } else { Ok(text) })
}

#[test]
fn augeas_reads_what_repairs_write() {
    let usual = "timeout:2 attempts:3 rotate single-request-reopen";
    for (lens, text, wanted) in [
        (
            "Resolv.lns",
            format!(
                "; generated by /usr/sbin/dhclient-script\nnameserver 1.1.1.1\noptions {usual}\n"
            ),
            "single-request-reopen",
        ),
        ("Shellvars.lns", format!("PEERNTP=no\nRES_OPTIONS=\"{usual}\"\n"), "RES_OPTIONS"),
        ("Shellvars.lns", "# c\nSELINUX=disabled\nSELINUXTYPE=targeted\n".to_owned(), "disabled"),
        (
            "NetworkManager.lns",
            "[ipv4]\ndns-options=rotate;single-request-reopen;\nmethod=auto\n".to_owned(),
            "dns-options",
        ),
    ] {
        match augeas(lens, &text) {
            None => {
                return println!("left out: augeas_reads_what_repairs_write: there is no augtool");
            }
            Some(Err(why)) => panic!("{lens} does not read {text:?}: {why}"),
            Some(Ok(tree)) => assert!(tree.contains(wanted), "{lens}: {tree}"),
        }
    }
}
