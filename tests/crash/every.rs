//! Every system call of every kind, each with every fault.
//!
//! One run under strace lists the calls; then each of them is the place of a fault, and the next
//! command has to make the guest whole. `EVERY_CALL=1` tries all of them; without it a sample is
//! tried, the same at every run, with the faults in turn.

use std::collections::BTreeMap;

use crate::common::command::Done;
use crate::common::state::{assert_same, difference};
use crate::subject::{CALLS, Fault, States, Subject, without_times};
use crate::tree::tree;

/// A kill, a broken disk, a full one, and a signal that comes while the call waits.
pub const FAULTS: [Fault; 4] =
    [Fault::Kill, Fault::Once("EIO"), Fault::Once("ENOSPC"), Fault::Once("EINTR")];

/// How many points a sample has.
const SAMPLE: usize = 60;

/// Calls that always succeed, or fail with nothing but EINTR, which a program may rely on. close(2) has closed
/// whatever it says; one that strace lets fail has not, and whoever reads that pipe waits for ever.
const CANNOT_FAIL: [&str; 8] = [
    "clock_nanosleep",
    "close",
    "exit_group",
    "geteuid",
    "getpid",
    "getppid",
    "gettid",
    "restart_syscall",
];

/// After how many faults a whole run says how far it is.
const PROGRESS: usize = 50;

/// More failures than a person reads.
const MOST_SHOWN: usize = 20;

/// What is prepared: every kind of step that a tree has. Few checks, so that the calls that matter
/// are not lost among those that read the rest of the guest.
pub const PREPARE: [&str; 10] = [
    "prepare",
    "--yes",
    "--check",
    "fstab-data-disk",
    "--check",
    "crypttab-data-disk",
    "--check",
    "mount-unit-data-disk",
    "--check",
    "cloud-init-broken",
];

/// A system call of a command: the Nth of its name.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name.
    pub call: String,
    /// Which of that name, from 1.
    pub number: usize,
}

/// Whether all points are to be tried.
pub fn all() -> bool {
    std::env::var_os("EVERY_CALL").is_some()
}

/// The system calls that guestprep makes from its first thread, in order.
pub fn points(subject: &Subject, args: &[&str]) -> Vec<Point> {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let path = log.path().to_str().expect("UTF-8");
    subject.wrapped(&["strace", "-f", "-qq", "-o", path], args);
    let text = std::fs::read_to_string(path).expect("what strace saw");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    let first = text.split(' ').next().unwrap_or_default();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(first) else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        // `<... read resumed>` and `--- SIGCHLD {...}` begin no call.
        if !call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        if CANNOT_FAIL.contains(&call) {
            continue;
        }
        let number = counts.entry(call).or_default();
        *number += 1;
        // What comes before guestprep itself: strace's own start of it, and chroot(8).
        if call == "execve" {
            points.clear();
            continue;
        }
        points.push(Point { call: call.to_owned(), number: *number });
    }
    assert!(points.len() > 100, "strace saw {} calls: {text}", points.len());
    points
}

/// What is tried: all points with all faults, or a sample.
pub fn trials(points: &[Point], faults: &[Fault], sample: usize) -> Vec<(Point, Fault)> {
    if all() {
        let each =
            |point: &Point| -> Vec<_> { faults.iter().map(|f| (point.clone(), *f)).collect() };
        return points.iter().flat_map(each).collect();
    }
    let count = sample.min(points.len());
    (0..count)
        .map(|at| (points[at * points.len() / count].clone(), faults[at % faults.len()]))
        .collect()
}

/// As [`trials`], of a command on a running guest, which looks at every process of the machine: of the
/// calls that only read each meets one fault, in turn, and those that change something meet all.
pub fn most_in_turn(points: &[Point], sample: usize) -> Vec<(Point, Fault)> {
    if !all() {
        return trials(points, &FAULTS, sample);
    }
    let of = |(at, point): (usize, &Point)| -> Vec<(Point, Fault)> {
        let faults = match CALLS.contains(&point.call.as_str()) {
            true => &FAULTS[..],
            false => &FAULTS[at % FAULTS.len()..][..1],
        };
        faults.iter().map(|fault| (point.clone(), *fault)).collect()
    };
    points.iter().enumerate().flat_map(of).collect()
}

/// Run trials, print how many and what failed, and fail if any did.
pub fn report(
    title: &str,
    points: usize,
    trials: Vec<(Point, Fault)>,
    mut trial: impl FnMut(&Point, Fault, usize) -> Result<(), String>,
) {
    let count = trials.len();
    let mut failures = Vec::new();
    for (at, (point, fault)) in trials.into_iter().enumerate() {
        if let Err(why) = trial(&point, fault, at) {
            let failure = format!("{fault:?} at {} {}: {why}", point.call, point.number);
            eprintln!("{title}: {failure}");
            failures.push(failure);
        }
        if failures.len() == MOST_SHOWN {
            break;
        }
        // Hours, where all are tried: whoever waits sees how far it is.
        if all() && (at + 1) % PROGRESS == 0 {
            eprintln!("{title}: {} of {count} faults tried, {} failures", at + 1, failures.len());
        }
    }
    println!("{title}: {points} calls, {count} faults tried, {} failures", failures.len());
    assert!(failures.is_empty(), "{title}:\n{}", failures.join("\n"));
}

/// Whether a command fell over its own feet.
pub fn panicked(done: &Done) -> bool {
    let is_told = ["panicked", "broke off"].iter().any(|word| done.err.contains(word));
    !was_killed(done) && (done.code == 101 || is_told)
}

/// Whether it says nothing of the guest: it was killed, or as good as that. Rust's start aborts where it gets
/// no stack for signals, and std where the kernel refuses what it never refuses, such as to close a directory;
/// ld.so(8), which starts a debug build, where it cannot read.
pub fn was_killed(done: &Done) -> bool {
    let said = |words: &str| done.err.contains(words);
    let by_std = said("broke off at /rustc/");
    let by_loader =
        said("error while loading shared libraries") || said("cannot set up thread-local storage");
    done.code >= 128 || by_std || done.code == 127 && by_loader
}

/// What must hold after a command that met a fault, and after the next one.
pub fn judge(
    subject: &Subject,
    states: &States,
    victim: &str,
    done: &Done,
    at: usize,
) -> Result<(), String> {
    let which = |state: &str| {
        if state == states.before {
            Ok("before")
        } else if without_times(state) == states.after {
            Ok("after")
        } else {
            Err(format!("neither before nor after:\n{}", difference(&states.before, state)))
        }
    };
    let said = || format!("it says {}: {}", done.code, done.err);
    if panicked(done) {
        return Err(said());
    }
    // Something could not be read, so that less was prepared; its report says what is left to do.
    let is_less = victim == "prepare"
        && (matches!(done.code, 1 | 3) || done.code == 0 && !done.out.contains("failed 0"));
    // What it says of the guest has to be so. Other codes say nothing of it.
    let promised = match (victim, done.code) {
        ("prepare", 0) if is_less => None,
        ("prepare", 0) | ("rollback", 4) => Some("after"),
        ("rollback", 0) | ("prepare", 4) => Some("before"),
        _ => None,
    };
    if let Some(promised) = promised {
        let is = which(&subject.state())?;
        if is != promised {
            return Err(format!("{}, and the guest is as {is}", said()));
        }
    }
    // The next command, whichever it is; `rollback`, where there is something that only that ends.
    let prepare: Vec<&str> = states.prepare.iter().map(String::as_str).collect();
    let next: &[&str] = match at % 3 {
        _ if is_less || done.code == 5 => &["rollback", "--yes"],
        0 => &["runs"],
        1 => &prepare,
        _ => &["rollback", "--yes"],
    };
    let answer = subject.guestprep(next);
    let is = which(&subject.state())
        .map_err(|why| format!("{}; then {next:?}: {answer:?}: {why}", said()))?;
    let wanted = match (next[0], is) {
        ("prepare", is) => is == "after",
        ("rollback", is) => is == "before",
        _ => true,
    };
    if !wanted || (answer.code != 0 && !(next[0] == "rollback" && answer.code == 2)) {
        return Err(format!("{}; then {next:?} leaves it as {is}: {answer:?}", said()));
    }
    subject.assert_no_temporary(&said());
    // One run after another: 2 says that there is none left. A fault may have parted one in two.
    let undone =
        (0..3).map(|_| subject.guestprep(&["rollback", "--yes"])).find(|done| done.code != 0);
    if subject.state() != states.before || undone.as_ref().is_none_or(|done| done.code != 2) {
        let difference = difference(&states.before, &subject.state());
        return Err(format!("{}; rollback: {undone:?}\n{difference}", said()));
    }
    subject.forget();
    Ok(())
}

fn every_call(victim: &str) {
    let Some(mut fixture) = tree() else { return };
    let mut states = States::by(&Subject::Tree(&fixture.root, None), &PREPARE);
    let args: &[&str] = if victim == "prepare" { &PREPARE } else { &["rollback", "--yes"] };
    let prepare = |subject: &Subject| {
        if victim == "rollback" {
            subject.guestprep(&PREPARE).exits(0);
        }
    };
    let subject = Subject::Tree(&fixture.root, None);
    prepare(&subject);
    let points = points(&subject, args);
    subject.guestprep(&["rollback", "--yes"]);
    subject.forget();
    assert_same(&states.before, &subject.state(), "after the calls were listed");

    report(victim, points.len(), trials(&points, &FAULTS, SAMPLE), |point, fault, at| {
        let subject = Subject::Tree(&fixture.root, None);
        prepare(&subject);
        let (done, _) = subject.faulty(args, &point.call, fault, point.number);
        let judged = judge(&subject, &states, victim, &done, at);
        if judged.is_err() {
            fixture = tree().expect("there was one before");
            states = States::by(&Subject::Tree(&fixture.root, None), &PREPARE);
        }
        judged
    });
}

#[test]
fn prepare_with_a_fault_at_every_call() {
    every_call("prepare");
}

#[test]
fn rollback_with_a_fault_at_every_call() {
    every_call("rollback");
}
