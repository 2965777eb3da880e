//! `disk-full`: a system filesystem has little space or few inodes left.

use super::{Answer, Guest};
use crate::guest::FsUse;
use crate::guest::{Mode, Unknown};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// Percent in use from which a first boot is at risk, and from which it is likely to fail. The
/// cloud publishes no limits of its own; these are ours.
const LOW: u64 = 80;
const FULL: u64 = 95;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    // A recorded kernel's filesystems lie on the machine that replays it, whose numbers are not
    // the guest's.
    if guest.mode() == Mode::Live && !guest.is_running_here() {
        return Err(Unknown("how full the filesystems were was not recorded".to_owned()));
    }
    let Some(filesystems) = guest.system_filesystems()? else {
        return Ok(Verdict::NotApplicable("unseen"));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for filesystem in filesystems {
        match guest.fs_use(&filesystem.target) {
            Ok(Some(used)) => findings.extend(full(&filesystem.target, &used)),
            Ok(None) => {}
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn full(target: &GuestPath, used: &FsUse) -> Vec<Finding> {
    let space = used.size.saturating_sub(used.free);
    let inodes = used.inodes.saturating_sub(used.inodes_free);
    [
        ("space-low", "space-full", percent(space, space.saturating_add(used.available))),
        ("inodes-low", "inodes-full", percent(inodes, used.inodes)),
    ]
    .into_iter()
    .filter_map(|(low, full, percent)| {
        let percent = percent.filter(|percent| *percent >= LOW)?;
        let key = if percent >= FULL { full } else { low };
        let finding = Finding::new(key, Subject::file(target));
        Some(finding.with("target", target).with("percent", percent))
    })
    .collect()
}

/// A part of a whole in percent, rounded up, as df(1) prints it; `None` of nothing. What ordinary
/// users cannot have is no part of df's whole.
fn percent(part: u64, whole: u64) -> Option<u64> {
    let percent = (u128::from(part) * 100).checked_div(u128::from(whole))?;
    let is_exact = percent * u128::from(whole) == u128::from(part) * 100;
    u64::try_from(percent + u128::from(!is_exact)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(used: &FsUse) -> Vec<(&'static str, String)> {
        let found = full(&GuestPath::from("/"), used);
        found.iter().map(|f| (f.key, f.values["percent"].clone())).collect()
    }

    #[test]
    fn the_limits_are_of_the_rounded_percentage() {
        let used = |part: u64| FsUse {
            size: 1100,
            available: 1000 - part,
            free: 1100 - part,
            inodes: 0,
            inodes_free: 0,
            read_only: false,
            id: 0,
        };
        assert_eq!(keys(&used(790)), []);
        assert_eq!(keys(&used(791)), [("space-low", "80".to_owned())]);
        assert_eq!(keys(&used(940)), [("space-low", "94".to_owned())]);
        assert_eq!(keys(&used(941)), [("space-full", "95".to_owned())]);
        assert_eq!(keys(&used(1000)), [("space-full", "100".to_owned())]);
        let inodes = FsUse { inodes: 100, inodes_free: 5, ..used(0) };
        assert_eq!(keys(&inodes), [("inodes-full", "95".to_owned())]);
        let inodes = FsUse { inodes: 100, inodes_free: 20, ..used(0) };
        assert_eq!(keys(&inodes), [("inodes-low", "80".to_owned())]);
    }

    #[test]
    fn a_filesystem_of_no_size_is_not_judged() {
        let nothing = FsUse {
            size: 0,
            available: 0,
            free: 0,
            inodes: 0,
            inodes_free: 0,
            read_only: false,
            id: 0,
        };
        assert_eq!(keys(&nothing), []);
        assert_eq!(percent(u64::MAX, u64::MAX), Some(100));
    }
}
