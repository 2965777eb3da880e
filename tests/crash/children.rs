//! What guestprep starts is killed, or fails: the tool is the place of the fault, and not guestprep.
//!
//! In the guest a script stands before each tool, which starts it under strace when a trial says so.
//! What a tool had done by then counts for nothing that it says: umount(8) that is killed after its
//! umount2(2) has unmounted.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::PoisonError;

use crate::common::command::Done;
use crate::common::live::{Live, alone};
use crate::every::{Point, judge, report, trials};
use crate::live::guest;
use crate::subject::{Fault, States, Subject};

/// How many points a sample has.
const SAMPLE: usize = 16;

/// What they start, on this guest.
const TOOLS: [&str; 4] = ["umount", "mount", "swapoff", "swapon"];

/// Killed, and refused as by a broken disk: whatever a tool was refused, it says no more than that
/// it failed.
const FAULTS: [Fault; 2] = [Fault::Kill, Fault::Once("EIO")];

const PREPARE: [&str; 8] = [
    "prepare",
    "--yes",
    "--check",
    "fstab-data-disk",
    "--check",
    "data-disk-mounted",
    "--check",
    "swap-enabled",
];

/// What stands before each tool: /usr/sbin is looked in before /usr/bin, where the tools are.
const BEFORE: &str = r#"#!/bin/sh
tool=${0##*/}
number=1
while [ -e /run/trial/$tool.$number ]; do number=$((number + 1)); done
if [ -d /run/trial ]; then : >/run/trial/$tool.$number; fi
if [ -e /run/trial/how ]; then . /run/trial/how; fi
exec /usr/bin/$tool "$@"
"#;

/// Note every call of every tool.
const LIST: &str = r#"exec strace -qq -o /run/trial/$tool.$number /usr/bin/$tool "$@""#;

fn put_before_the_tools(live: &Live) {
    live.bring("strace");
    fs::create_dir_all(live.at("/usr/sbin")).expect("a directory");
    for tool in TOOLS {
        let path = live.at(&format!("/usr/sbin/{tool}"));
        let _ = fs::remove_file(&path);
        fs::write(&path, BEFORE).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
}

/// Run guestprep with what comes of its tools.
fn with_tools(live: &Live, args: &[&str], how: &str) -> Done {
    let trial = PathBuf::from(live.at("/run/trial"));
    fs::create_dir(&trial).expect("a trial");
    fs::write(trial.join("how"), how).expect("what comes of them");
    Subject::Live(live).guestprep(args)
}

/// The next command meets no fault.
fn end_trial(live: &Live) {
    fs::remove_dir_all(live.at("/run/trial")).expect("the trial");
}

/// A call of a tool: which start of the tool it is of, from 1, stands before its name.
fn points(live: &Live, args: &[&str]) -> Vec<Point> {
    with_tools(live, args, LIST).exits(0);
    let mut points = Vec::new();
    for tool in TOOLS {
        for start in 1.. {
            let log = live.at(&format!("/run/trial/{tool}.{start}"));
            let Ok(text) = fs::read_to_string(log) else { break };
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for line in text.lines() {
                let Some((call, _)) = line.split_once('(') else { continue };
                if matches!(call, "execve" | "exit_group") || call.contains(' ') {
                    continue;
                }
                let number = counts.entry(call).or_default();
                *number += 1;
                points.push(Point { call: format!("{tool} {start} {call}"), number: *number });
            }
        }
    }
    end_trial(live);
    points
}

/// What the script does at a point.
fn how(point: &Point, fault: Fault) -> String {
    let words: Vec<&str> = point.call.split(' ').collect();
    let [tool, start, call] = words[..] else { panic!("{point:?}") };
    let what = fault.injected(point.number);
    format!(
        "if [ $tool.$number = {tool}.{start} ]; then exec strace -qq -o /run/trial/log \
         -e trace={call} -e inject={call}:{what} /usr/bin/$tool \"$@\"; fi"
    )
}

fn every_call_of_what_is_started(victim: &str) {
    let _shared = crate::DISKS.read().unwrap_or_else(PoisonError::into_inner);
    alone(&["strace", "mkswap"], |live| {
        guest(live);
        put_before_the_tools(live);
        let subject = Subject::Live(live);
        let states = States::by(&subject, &PREPARE);
        let args: &[&str] = if victim == "prepare" { &PREPARE } else { &["rollback", "--yes"] };
        let begin = || {
            if victim == "rollback" {
                subject.guestprep(&PREPARE).exits(0);
            }
        };
        begin();
        let points = points(live, args);
        subject.guestprep(&["rollback", "--yes"]);
        subject.forget();
        let of = |tool: &str| points.iter().any(|point| point.call.starts_with(tool));
        let [mounts, swaps] =
            if victim == "prepare" { ["umount ", "swapoff "] } else { ["mount ", "swapon "] };
        assert!(of(mounts) && of(swaps), "{victim} starts neither: {points:?}");
        let title = format!("what {victim} starts");
        report(&title, points.len(), trials(&points, &FAULTS, SAMPLE), |point, fault, at| {
            begin();
            let done = with_tools(live, args, &how(point, fault));
            end_trial(live);
            judge(&subject, &states, victim, &done, at)
        });
    });
}

#[test]
fn what_prepare_starts_fails_at_every_call() {
    every_call_of_what_is_started("prepare");
}

#[test]
fn what_rollback_starts_fails_at_every_call() {
    every_call_of_what_is_started("rollback");
}
