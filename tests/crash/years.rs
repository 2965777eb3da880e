//! What a guest gathers in ten years of being prepared.

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::common::command::Done;
use crate::common::state::assert_same;
use crate::every::PREPARE;
use crate::subject::{States, Subject};
use crate::tree::tree;

/// One a day.
const RUNS: usize = 4000;

/// What a service may have open, by default (systemd.exec(5), getrlimit(2)).
const OPEN_FILES: usize = 1024;

#[test]
fn ten_years_of_runs_are_no_more_than_a_process_may_have_open() {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let before = States::by(&subject, &PREPARE).before;
    subject.guestprep(&PREPARE).exits(0);
    subject.guestprep(&["rollback", "--yes"]).exits(0);
    let runs = fixture.root.join("var/lib/guestprep/runs");
    let first = fs::read_dir(&runs).expect("runs").next().expect("a run").expect("its name").path();
    let id = first.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
    let header = fs::read_to_string(first.join("run.json")).expect("a header");
    for day in 0..RUNS {
        let name = format!("20160101T000000Z-{day}");
        let run = runs.join(&name);
        fs::create_dir(&run).expect("a run");
        fs::write(run.join("run.json"), header.replace(&id, &name)).expect("its header");
        fs::copy(first.join("journal"), run.join("journal")).expect("its journal");
    }
    // What README says is said of the program as it is shipped: GUESTPREP_PROGRAM=target/release/guestprep.
    let program = std::env::var("GUESTPREP_PROGRAM");
    let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_guestprep"));
    let limited = |args: &[&str]| {
        let mut command = Command::new("prlimit");
        command.args([&format!("--nofile={OPEN_FILES}"), program]);
        command.args(args).arg("--root").arg(&fixture.root);
        let started = Instant::now();
        let done = Done::of(command.output().expect("prlimit"));
        println!("{}, after {RUNS} runs: {:.2?}", args[0], started.elapsed());
        done
    };
    let listed = limited(&["runs", "--format", "json"]).exits(0).json();
    assert_eq!(listed["runs"].as_array().map(Vec::len), Some(RUNS + 1));
    limited(&PREPARE).exits(0);
    limited(&["rollback", "--yes"]).exits(0);
    assert_same(&before, &subject.state(), "after ten years");
}
