//! Reports to merge: real ones, of the guests in fixtures/distros, and varied copies of them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::common::command::Done;
use crate::common::fixture::Fixture;

/// A report of each of some distributions, as the program prints it.
pub static REAL: LazyLock<Vec<Value>> =
    LazyLock::new(|| DISTROS.map(|distro| audited(&Fixture::distro(distro), "json")).to_vec());

/// The distributions of [`REAL`].
pub const DISTROS: [&str; 5] = ["alinux-3", "centos-7", "debian-12", "sles-15", "ubuntu-24.04"];

/// A report of a guest in a form that is JSON.
pub fn audited(fixture: &Fixture, format: &str) -> Value {
    let root = fixture.root.to_str().expect("a path of text");
    Done::of(guestprep(&["audit", "--format", format, "--root", root]).output().unwrap()).json()
}

/// The program, in English.
pub fn guestprep(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestprep"));
    command.args(["--lang", "en"]).args(arguments).stdin(Stdio::null());
    command
}

/// Run `fleet report` over paths.
pub fn merged(paths: &[&Path], more: &[&str]) -> Done {
    let mut command = guestprep(&["fleet", "report"]);
    Done::of(command.args(paths).args(more).output().unwrap())
}

/// Run `fleet report -` over bytes.
pub fn merged_input(input: &[u8], more: &[&str]) -> Done {
    let mut command = guestprep(&["fleet", "report", "-"]);
    command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        Done::of(child.wait_with_output().unwrap())
    })
}

/// A small deterministic source of choices (xorshift of Marsaglia).
pub struct Dice(pub u64);

impl Dice {
    /// One of so many.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

/// A report of one host of a fleet: a real one, with another name, another time and some other verdicts.
pub fn varied(dice: &mut Dice, hosts: usize) -> Value {
    let mut report = REAL[dice.roll(REAL.len())].clone();
    let host = dice.roll(hosts);
    report["guest"]["hostname"] = json!(format!("host-{host:05}"));
    if host.is_multiple_of(3) {
        report["guest"]["instance_id"] = json!(format!("i-bp1{host:017x}"));
    }
    // Often the same, so that the order of the input would show.
    let (day, second) = (1 + dice.roll(4), dice.roll(2));
    report["started"] = json!(format!("2026-11-{day:02}T01:02:{second:02}Z"));
    for check in report["checks"].as_array_mut().unwrap() {
        if dice.roll(40) == 0 {
            check["verdict"] = json!(["pass", "fail", "unknown"][dice.roll(3)]);
            check["severity"] = json!(["advice", "warning", "blocker"][dice.roll(3)]);
        }
    }
    let has = |verdict: &str| {
        let mut checks = report["checks"].as_array().unwrap().iter();
        checks.any(|check| check["severity"] == "blocker" && check["verdict"] == verdict)
    };
    report["verdict"] = json!(match (has("fail"), has("unknown")) {
        (true, _) => "not-ready",
        (false, true) => "undetermined",
        (false, false) => "ready",
    });
    report
}

/// The row of a host that did not answer.
pub fn unreached(host: &str) -> Value {
    json!({
        "schema": "guestprep.unreached/1",
        "started": "2026-11-30T00:00:00Z",
        "guest": { "hostname": host },
        "reason": "no route to host",
    })
}

/// Reports as one line each.
pub fn lines(reports: &[Value]) -> Vec<u8> {
    reports.iter().flat_map(|report| format!("{report}\n").into_bytes()).collect()
}

/// Reports indented, one after the other.
pub fn indented(reports: &[Value]) -> Vec<u8> {
    reports.iter().flat_map(|report| format!("{report:#}\n").into_bytes()).collect()
}
