//! An fstab as no person writes one.

use std::fmt::Write;
use std::fs;

use crate::cost::{self, Cost, alone};

/// A finding for each line, with its words and its remedy, twice: as it is, and as JSON.
const BYTES: f64 = 12_000.0;

/// The guest's own lines, and this many of a data disk.
fn lines(own: &str, uuid: &str, many: usize) -> String {
    let mut text = own.to_owned();
    for number in 0..many {
        let _ = writeln!(text, "UUID={uuid} /mnt/{number} ext4 defaults 0 2");
    }
    text
}

#[test]
fn an_audit_grows_in_proportion_to_the_lines_of_fstab() {
    if !cost::is_measured() {
        return;
    }
    alone(&[], |live| {
        let disk = live.data();
        let own = live.fstab();
        let audit = |many: usize| -> Cost {
            fs::write(live.at("/etc/fstab"), lines(&own, &disk.uuid, many)).expect("fstab");
            let (cost, done) = cost::of(live, &["audit", "--format", "json"], 1);
            let report = done.json();
            let checks = report["checks"].as_array().expect("checks");
            let on_disk = checks.iter().find(|check| check["id"] == "fstab-data-disk");
            let found = on_disk.and_then(|check| check["findings"].as_array()).map_or(0, Vec::len);
            assert_eq!(found, 1 + many);
            cost
        };
        let many = 10_000;
        let costs = [audit(0), audit(many), audit(2 * many)];
        cost::grows_in_proportion("lines of fstab", many, costs, BYTES);
    });
}

/// What is larger than any fstab is not read, and not taken for one that is well.
#[test]
fn a_hundred_megabytes_are_no_fstab() {
    alone(&[], |live| {
        let fstab = fs::OpenOptions::new().write(true).open(live.at("/etc/fstab")).expect("fstab");
        fstab.set_len(100_000_000).expect("a long one");
        let (cost, done) = cost::of(live, &["audit"], 3);
        assert!(done.out.contains("/etc/fstab: it is larger than"), "{}", done.out);
        println!("an fstab of 100 MB: {cost:.2?}");
        assert!(cost.memory < 64.0 * 1024.0, "{cost:?}");
    });
}
