//! What a run of guestprep costs, and the law that it is held against.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::common::command::{Done, left_out};
use crate::common::live::{self, GUESTPREP, Live};

/// How much longer twice as much may take, above what a guest without any takes: twice in
/// proportion, four times where each is compared with each.
const TWICE: f64 = 3.0;

/// GNU time, which says what a command cost.
const TIME: &str = "/usr/bin/time";

/// What a command cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Processor time, in seconds.
    pub seconds: f64,
    /// The most memory that it had, in KiB.
    pub memory: f64,
}

/// One guest at a time: an audit reads the mounts of the guests beside its own, too.
static ONE: Mutex<()> = Mutex::new(());

/// As `live::alone`, with no other guest of these tests beside it.
pub fn alone(tools: &[&str], test: impl FnOnce(&mut Live) + Send) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    live::alone(tools, test);
}

/// Whether costs can be had here.
pub fn is_measured() -> bool {
    let has = PathBuf::from(TIME).exists();
    if !has {
        left_out(&format!("there is no {TIME}"));
    }
    has
}

/// Run guestprep in a guest three times; the least that it cost, and what it said the last time.
pub fn of(live: &Live, args: &[&str], code: i32) -> (Cost, Done) {
    let mut least = Cost { seconds: f64::MAX, memory: f64::MAX };
    let mut last = None;
    for _ in 0..3 {
        let mut command = Command::new(TIME);
        command.args(["--quiet", "-f", "cost: %U %S %M", "chroot"]).arg(&live.root);
        command.arg(GUESTPREP).args(args);
        let done = Done::of(command.output().expect("time")).exits(code);
        let line = done.err.lines().rev().find_map(|line| line.strip_prefix("cost: "));
        let numbers: Vec<f64> =
            line.expect("a cost").split(' ').map(|number| number.parse().unwrap()).collect();
        least.seconds = least.seconds.min(numbers[0] + numbers[1]);
        least.memory = least.memory.min(numbers[2]);
        last = Some(done);
    }
    (least, last.expect("a run"))
}

/// Hold three costs against the law: without any, with `many`, and with twice as many.
pub fn grows_in_proportion(what: &str, many: usize, costs: [Cost; 3], bytes_each: f64) {
    let [none, once, twice] = costs;
    let factor = (twice.seconds - none.seconds) / (once.seconds - none.seconds).max(0.01);
    let bytes = (twice.memory - none.memory) * 1024.0 / (2 * many) as f64;
    println!(
        "{what}: {factor:.2} times the time for twice as many, {bytes:.0} bytes each: {costs:.2?}"
    );
    assert!(factor <= TWICE, "{what}: twice of {many} takes {factor:.2} times as long: {costs:?}");
    assert!(bytes <= bytes_each, "{what}: {bytes:.0} bytes each, {bytes_each} allowed: {costs:?}");
}
