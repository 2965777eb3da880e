//! `capture` with a fault at every call: whatever becomes of it, the guest is as it was, and its
//! command is run on a prepared guest or not at all.

use std::fs;
use std::sync::PoisonError;

use crate::common::command::Done;
use crate::common::live::{Live, alone};
use crate::common::state::{assert_same, difference};
use crate::every::{most_in_turn, panicked, points, report, was_killed};
use crate::subject::Subject;

/// How many points a sample has.
const SAMPLE: usize = 24;

/// Few checks, so that the calls that matter are not lost among those that read the rest of the
/// guest. The command notes what it finds: a filesystem that mkfs.ext4(8) made has a lost+found.
const CAPTURE: [&str; 9] = [
    "capture",
    "--check",
    "fstab-data-disk",
    "--check",
    "data-disk-mounted",
    "--",
    "sh",
    "-c",
    "if [ -d /data/lost+found ]; then echo mounted; else echo prepared; fi >/run/seen",
];

/// What the command found, where it was run.
fn seen(live: &Live) -> Option<String> {
    let text = fs::read_to_string(live.at("/run/seen")).ok()?;
    fs::remove_file(live.at("/run/seen")).expect("what was seen");
    Some(text)
}

fn judge(
    subject: &Subject,
    live: &Live,
    before: &str,
    done: &Done,
    at: usize,
) -> Result<(), String> {
    let said = || format!("it says {}: {}", done.code, done.err);
    let seen = seen(live);
    if panicked(done)
        || seen.as_deref() == Some("mounted\n")
        || done.code == 0 && seen.as_deref() != Some("prepared\n")
    {
        return Err(format!("{}; its command saw {seen:?}", said()));
    }
    // As its command may have been, which it says nothing of the guest by.
    let is_promised = !was_killed(done) && done.code != 5 || done.err.contains("is rolled back\n");
    if is_promised && subject.state() != before {
        return Err(format!("{}, and the guest is not as before", said()));
    }
    let next: &[&str] = match at % 3 {
        _ if done.code == 5 => &["rollback", "--yes"],
        0 => &["runs"],
        1 => &CAPTURE,
        _ => &["rollback", "--yes"],
    };
    let answer = subject.guestprep(next);
    // 2: there is no run left to roll back.
    let is_told = answer.code == 0 || next[0] == "rollback" && answer.code == 2;
    let now = subject.state();
    if !is_told || now != before {
        let diff = difference(before, &now);
        return Err(format!("{}; then {next:?}: {answer:?}\n{diff}", said()));
    }
    subject.assert_no_temporary(&said());
    subject.forget();
    Ok(())
}

#[test]
fn with_a_fault_at_every_call() {
    let _shared = crate::DISKS.read().unwrap_or_else(PoisonError::into_inner);
    alone(&["strace"], |live| {
        live.data();
        let subject = Subject::Live(live);
        let before = subject.state();
        let points = points(&subject, &CAPTURE);
        assert_eq!(seen(live).as_deref(), Some("prepared\n"), "its command is run");
        assert_same(&before, &subject.state(), "a capture without fault");
        subject.forget();
        let trials = most_in_turn(&points, SAMPLE);
        report("capture", points.len(), trials, |point, fault, at| {
            let (done, _) = subject.faulty(&CAPTURE, &point.call, fault, point.number);
            judge(&subject, live, &before, &done, at)
        });
    });
}
