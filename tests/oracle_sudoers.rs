//! What is said of sudoers is what sudo's own tools say of it: visudo, whether a file can be read,
//! and cvtsudoers, who is asked for no password.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::io::Write;
use std::process::{Command, Stdio};

use guestprep::parse::sudoers::Sudoers;
use serde_json::Value;

/// Parts of lines; every combination of them is tried.
const WHO: [&str; 6] = ["ann", "%wheel", "#1000", "ann, %wheel", "\"a b\"", "!ann, ALL"];
const WHERE: [&str; 3] = ["ALL", "web, db", "!web"];
const WHAT: [&str; 22] = [
    "ALL",
    "(ALL) ALL",
    "(ALL:ALL) NOPASSWD: ALL",
    "NOPASSWD:ALL",
    "NOPASSWD : /bin/ls",
    "(root) NOPASSWD: PASSWD: /bin/ls",
    "PASSWD: /bin/ls, NOPASSWD: /bin/cat",
    "NOPASSWD: /bin/ls, PASSWD: /bin/cat",
    "SETENV: NOPASSWD: /bin/ls -l, /bin/cat",
    "NOEXEC: /bin/ls",
    "/bin/echo NOPASSWD\\: x",
    "/bin/ls : web = NOPASSWD: /bin/cat",
    "NOPASSWD: /bin/ls : web = /bin/cat",
    // Not CWD=: cvtsudoers of 1.9.13 writes JSON for it that nobody can read.
    "TIMEOUT=5m NOPASSWD: /bin/ls",
    "TIMEOUT=5m /bin/ls",
    "(ann, %wheel : adm) NOPASSWD: sudoedit /etc/a",
    "NOPASSWD: LIST, !/bin/sh",
    "NOPASSWD:",
    "",
    "(root ALL",
    "NOPASSWD: ALL # why",
    "\\\n  NOPASSWD: ALL",
];

/// Whole files beside the combinations.
const FILES: [&str; 16] = [
    "",
    "# a comment \\\nann ALL = NOPASSWD: ALL\n",
    "Defaults env_reset\n",
    "Defaults !authenticate\n",
    "Defaults:ann !authenticate, env_reset\n",
    "Defaults@web !authenticate\n",
    "Defaults secure_path=\"/usr/sbin:/usr/bin\", !authenticate\n",
    "Defaults\n",
    "ann\n",
    "ann ALL\n",
    "User_Alias OPS = ann, bob : DEV = eve\nOPS ALL = NOPASSWD: ALL\n",
    "Cmnd_Alias LS = /bin/ls\nann ALL = NOPASSWD: LS\n",
    "User_Alias ops = ann\n",
    "Host_Alias WEB =\n",
    "\tann\tALL\t=\tNOPASSWD:\tALL\t\n",
    "ann ALL = NOPASSWD: ALL",
];

fn files() -> Vec<String> {
    let mut files: Vec<String> = FILES.map(str::to_owned).to_vec();
    for who in WHO {
        for host in WHERE {
            files.extend(WHAT.map(|what| format!("{who} {host} = {what}\n")));
        }
    }
    files
}

/// What a tool answers to a file on its standard input; `None` where it refuses it.
fn ask(argv: &[&str], input: &str) -> Option<Vec<u8>> {
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sudo's tool");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    output.status.success().then_some(output.stdout)
}

/// How many user specifications ask for no password, and how many settings of the defaults.
fn free(json: &[u8]) -> (usize, usize) {
    // Of a file without a rule it writes nothing at all.
    let text = if json.is_empty() { b"{}" } else { json };
    let value: Value = serde_json::from_slice(text).expect("cvtsudoers writes JSON");
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let asks_none = |options: &Value| options["authenticate"] == Value::Bool(false);
    let of_commands = |spec: &Value| {
        list(spec, "Cmnd_Specs")
            .iter()
            .any(|command| list(command, "Options").iter().any(asks_none))
    };
    let specs = list(&value, "User_Specs");
    let defaults = list(&value, "Defaults");
    let by_default = defaults.iter().filter(|d| list(d, "Options").iter().any(asks_none));
    (specs.iter().filter(|spec| of_commands(spec)).count(), by_default.count())
}

#[test]
fn sudo_reads_them_the_same() {
    if Command::new("cvtsudoers").arg("-V").output().is_err() {
        println!("left out: sudoers as sudo reads it: there is no cvtsudoers");
        return;
    }
    let (mut taken, mut refused, mut differ) = (0, 0, Vec::new());
    for file in files() {
        let own = Sudoers::parse(file.as_bytes());
        // visudo -c of standard input checks the grammar alone.
        let Some(_) = ask(&["visudo", "-c", "-q", "-f", "-"], &file) else {
            refused += 1;
            if own.errors.is_empty() {
                differ.push(format!("{file:?} is refused by visudo"));
            }
            continue;
        };
        taken += 1;
        if let Some(error) = own.errors.first() {
            differ.push(format!("{file:?} is taken by visudo: {}", error.reason));
            continue;
        }
        let json = ask(&["cvtsudoers", "-f", "json", "-"], &file).expect("visudo took it");
        let wanted = free(&json);
        let by_tag = own.free.iter().filter(|free| free.by_tag).count();
        // One line is one of ours; sudo has one for each part after a colon.
        let same = (by_tag > 0) == (wanted.0 > 0) && own.free.len() - by_tag == wanted.1;
        if !same {
            differ.push(format!("{file:?}: sudo has {wanted:?}, read were {:?}", own.free));
        }
    }
    assert!(taken > 200 && refused > 20, "taken {taken}, refused {refused}");
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}
