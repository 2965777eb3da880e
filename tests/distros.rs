//! A clean guest of each distribution is READY, running and as a tree, and its whole report is
//! the one that was reviewed (`tests/snapshots`).

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use common::audit::audit;
use common::fixture::{Fixture, distros};
use guestprep::catalog::{self, CHECKS};
use guestprep::guest::Mode;
use guestprep::model::{Decision, Policy, Report, Severity, VerdictName};
use serde_json::{Value, json};

/// How full a filesystem is only a real one says (`tests/mounted_tree.rs` has some), and whether it
/// has errors only its superblock, where the kernel is too old to count them. Both could be
/// blockers, so that a recorded guest is UNDETERMINED with these checks and READY without them.
const UNMEASURED: [&str; 2] = ["disk-full", "filesystem-errors"];

/// What cannot be judged of a guest that is only files: mode, check, part of the reason.
const UNKNOWN: [(Mode, &str, &str); 6] = [
    // A recorded kernel has no filesystem to measure and no superblock to read.
    (Mode::Live, "disk-full", "was not recorded"),
    // KERNEL(2.6.32): ext4 has no errors_count in /sys.
    (Mode::Live, "filesystem-errors", "the superblock of /dev/vda1"),
    // The database of rpm is in no skeleton.
    (Mode::Live, "security-package-old", "package database"),
    (Mode::Tree, "security-package-old", "package database"),
    (Mode::Live, "filesystem-features", "the superblock of /dev/vda"),
    // DISTRO(el6): its udev noted no partition table; on a guest that runs the disk itself is read.
    (Mode::Live, "partition-layout", "/dev/vda cannot be read"),
];

/// What every guest has that has run, and no clone is to share; it warns of that, and is no false alarm.
const OF_EVERY_GUEST: [&str; 1] = ["machine-id"];

#[test]
fn a_clean_guest_is_ready() {
    let mut wrong = Vec::new();
    let names = distros();
    assert_eq!(names.len(), 12, "{names:?}");
    for name in names {
        let fixture = Fixture::distro_in_memory(&name);
        for mode in [Mode::Live, Mode::Tree] {
            let report = audit(&fixture.guest(mode, Policy::default()), &[]);
            let at = format!("{name} {}", mode.as_str());
            let profile = catalog::profile("clone").expect("the default profile");
            let asked = CHECKS.iter().filter(|spec| profile.severity_of(spec).is_some()).count();
            assert_eq!(report.checks.len(), asked, "{at}: every check of the profile is asked");
            let measured = match mode {
                Mode::Live => audit(&fixture.guest(mode, Policy::default()), &UNMEASURED),
                Mode::Tree | Mode::Image => report.clone(),
            };
            if measured.verdict != Decision::Ready {
                wrong.push(format!("{at} is {:?}", measured.verdict));
            }
            for check in &report.checks {
                let reason = check.reason.as_deref().unwrap_or_default();
                let is_named = UNKNOWN.iter().any(|(in_mode, id, part)| {
                    *in_mode == mode && *id == check.id.as_str() && reason.contains(part)
                });
                if check.verdict == VerdictName::Unknown && !is_named {
                    wrong.push(format!("{at} {}: {reason}", check.id));
                }
                if check.verdict == VerdictName::NotApplicable && !reason.ends_with('.') {
                    wrong.push(format!("{at} {}: [en.not-applicable] has no {reason}", check.id));
                }
                if OF_EVERY_GUEST.contains(&check.id.as_str()) {
                    continue;
                }
                let findings = check.findings.iter().filter(|f| f.severity != Severity::Advice);
                wrong.extend(findings.map(|f| format!("{at} {}: {}", check.id, f.message)));
            }
            insta::assert_snapshot!(format!("{name}-{}", mode.as_str()), redacted(&report));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The JSON report without what differs from run to run and from version to version.
fn redacted(report: &Report) -> String {
    let mut value: Value = serde_json::to_value(report).expect("a report is JSON");
    for (field, shown) in [("started", "[time]"), ("digest", "[digest]")] {
        let text = value[field].as_str().expect("a text");
        assert!(!text.is_empty(), "{field} says something");
        value[field] = json!(shown);
    }
    assert!(value["duration_ms"].is_u64(), "a duration in milliseconds");
    value["duration_ms"] = json!("[milliseconds]");
    value["tool"]["version"] = json!("[version]");
    serde_json::to_string_pretty(&value).expect("a text")
}
