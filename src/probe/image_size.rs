//! `image-size`: the system disk has a size that limits what can be done with its image.

use super::{Answer, Guest};
use crate::guest::SystemDisks;
use crate::model::{Finding, Subject, Verdict};

const GIB: u64 = 1 << 30;
/// The sizes that the cloud recommends, and the one from which it wants snapshots copied.
const SMALL: u64 = 40 * GIB;
const LARGE: u64 = 500 * GIB;
const HUGE: u64 = 2048 * GIB;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let known = match guest.system_disks()? {
        SystemDisks::Known(known) if !known.is_empty() => known,
        _ => return Ok(Verdict::NotApplicable("unseen")),
    };
    let disks = guest.disks()?;
    let mut findings = Vec::new();
    for disk in known.iter().map(|at| &disks.devices[*at]) {
        let key = match disk.size {
            size if size < SMALL => "too-small",
            size if size <= LARGE => continue,
            size if size <= HUGE => "too-large",
            _ => "copy-snapshots",
        };
        let finding = Finding::new(key, Subject::Device { device: disk.path() });
        findings.push(finding.with("size", shown(disk.size)));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// A size in GiB, to the tenth below where it is no whole number: never rounded over a limit.
pub(super) fn shown(size: u64) -> String {
    match (size / GIB, size % GIB * 10 / GIB) {
        (whole, 0) if size.is_multiple_of(GIB) => format!("{whole} GiB"),
        (whole, tenth) => format!("{whole}.{tenth} GiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_short_and_never_rounded_up() {
        for (size, text) in [
            (40 * GIB, "40 GiB"),
            (40 * GIB - 512, "39.9 GiB"),
            (40 * GIB + 512, "40.0 GiB"),
            (GIB / 2, "0.5 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(shown(size), text);
        }
    }
}
