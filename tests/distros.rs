//! A clean guest of each distribution is judged without a blocker, running and as a tree.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use common::fixture::{Fixture, fixtures};
use guestprep::catalog;
use guestprep::guest::Mode;
use guestprep::model::{Policy, Severity, Verdict};
use guestprep::probe::PROBES;

/// What cannot be judged of a guest that is only files: mode, check, part of the reason.
const UNKNOWN: [(Mode, &str, &str); 2] = [
    // A recorded kernel has no filesystem to measure and no superblock to read.
    (Mode::Live, "disk-full", "was not recorded"),
    (Mode::Live, "filesystem-features", "the superblock of /dev/vda"),
];

#[test]
fn a_clean_guest_has_no_blocker() {
    let mut wrong = Vec::new();
    let mut guests = 0;
    for name in distros() {
        let fixture = Fixture::distro(&name);
        for mode in [Mode::Live, Mode::Tree] {
            guests += 1;
            for probe in PROBES {
                let spec = catalog::check(probe.id).expect("a check of the probe's name");
                let guest = fixture.guest(mode, Policy::default());
                let verdict = (probe.judge)(&guest)
                    .unwrap_or_else(|why| Verdict::Unknown { reason: why.0, findings: Vec::new() });
                let at = format!("{name} {} {}", mode.as_str(), probe.id);
                let findings = match verdict {
                    Verdict::Pass | Verdict::NotApplicable(_) => continue,
                    Verdict::Fail(findings) => findings,
                    Verdict::Unknown { reason, findings } => {
                        let is_named = UNKNOWN.iter().any(|(in_mode, id, part)| {
                            *in_mode == mode && *id == probe.id && reason.contains(part)
                        });
                        if !is_named {
                            wrong.push(format!("{at}: unknown: {reason}"));
                        }
                        findings
                    }
                };
                for finding in findings {
                    let own = finding.severity.or_else(|| spec.finding_severity(finding.key));
                    if own.unwrap_or(spec.severity) == Severity::Blocker {
                        wrong.push(format!(
                            "{at}: {}",
                            spec.en.message(finding.key, &finding.values)
                        ));
                    }
                }
            }
        }
    }
    assert_eq!(guests, 24, "twelve guests, each in two ways");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn distros() -> Vec<String> {
    let folder = fixtures().join("distros");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the distributions")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
