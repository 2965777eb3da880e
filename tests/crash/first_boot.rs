//! `firstboot` with a fault at every call: no boot waits for it longer than its limit, the clone's
//! fstab is whole at every moment, and the next boot has everything back.

use std::fs;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::common::command::{Done, run};
use crate::common::live::{Live, alone};
use crate::common::state::difference;
use crate::every::{most_in_turn, panicked, points, report, was_killed};
use crate::subject::{Subject, without_times};

/// How many points a sample has.
const SAMPLE: usize = 24;

/// The limit in seconds, and what comes of a boot: done, not begun, could not be told, failed, left
/// incomplete.
const LIMIT: &str = "20";
const CODES: [i32; 5] = [0, 2, 3, 4, 5];

const FIRST_BOOT: [&str; 3] = ["firstboot", "--limit", LIMIT];

/// What of a clone a first boot changes.
const KEPT: [&str; 2] = ["/etc/fstab", "/var/lib/guestprep"];

/// A clone that has its disk: as it boots for the first time, and what it is to be afterwards.
struct Clone<'a> {
    live: &'a Live,
    parked: String,
    back: String,
    fstabs: [String; 2],
}

impl<'a> Clone<'a> {
    fn new(live: &'a Live) -> Self {
        let fstab = live.fstab();
        live.instance("i-source");
        live.guestprep(&["prepare", "--yes"]).exits(0);
        live.instance("i-clone");
        fs::create_dir(live.at("/run/kept")).expect("a directory");
        for path in KEPT {
            run(&["cp", "-a", &live.at(path), &live.at("/run/kept")]);
        }
        let parked = without_times(&live.state());
        let fstabs = [live.fstab(), fstab];
        assert_ne!(fstabs[0], fstabs[1], "nothing is parked");
        live.guestprep(&FIRST_BOOT).exits(0).says("back: /etc/fstab:3");
        let clone = Self { live, parked, back: without_times(&live.state()), fstabs };
        assert!(clone.back.contains("mount /data/ of "), "{}", clone.back);
        clone.again();
        clone
    }

    /// As it was before its first boot.
    fn again(&self) {
        let live = self.live;
        if live.mounts().contains("mount /data/ of ") {
            live.chroot(&["umount", "/data"]).exits(0);
        }
        for path in KEPT {
            run(&["rm", "-rf", &live.at(path)]);
            let name = Path::new(path).file_name().and_then(|name| name.to_str()).expect("UTF-8");
            let parent = Path::new(path).parent().and_then(Path::to_str).expect("UTF-8");
            run(&["cp", "-a", &live.at(&format!("/run/kept/{name}")), &live.at(parent)]);
        }
        assert_eq!(without_times(&live.state()), self.parked);
    }

    fn judge(&self, subject: &Subject, done: &Done, took: Duration) -> Result<(), String> {
        let said = || format!("it says {}: {}{}", done.code, done.out, done.err);
        let was_killed = was_killed(done);
        if panicked(done) || !was_killed && !CODES.contains(&done.code) {
            return Err(said());
        }
        if took.as_secs() >= LIMIT.parse().expect("a number") {
            return Err(format!("{}, after {took:?}", said()));
        }
        let fstab = self.live.fstab();
        if !self.fstabs.contains(&fstab) {
            return Err(format!("{}; fstab is neither of the two:\n{fstab}", said()));
        }
        let now = without_times(&subject.state());
        if !was_killed && done.code != 5 && ![&self.parked, &self.back].contains(&&now) {
            return Err(format!("{}:\n{}", said(), difference(&self.parked, &now)));
        }
        let next = subject.guestprep(&FIRST_BOOT);
        let now = without_times(&subject.state());
        let runs = fs::read_dir(self.live.at("/var/lib/guestprep/runs")).expect("runs").count();
        if next.code != 0 || now != self.back || runs != 0 {
            let diff = difference(&self.back, &now);
            return Err(format!("{}; the next boot: {next:?}, {runs} runs left\n{diff}", said()));
        }
        subject.assert_no_temporary(&said());
        Ok(())
    }
}

#[test]
fn with_a_fault_at_every_call() {
    let _shared = crate::DISKS.read().unwrap_or_else(PoisonError::into_inner);
    alone(&["strace"], |live| {
        live.data();
        let clone = Clone::new(live);
        let subject = Subject::Live(live);
        let points = points(&subject, &FIRST_BOOT);
        clone.again();
        report("firstboot", points.len(), most_in_turn(&points, SAMPLE), |point, fault, _| {
            let begun = Instant::now();
            let (done, _) = subject.faulty(&FIRST_BOOT, &point.call, fault, point.number);
            let judged = clone.judge(&subject, &done, begun.elapsed());
            clone.again();
            judged
        });
    });
}
