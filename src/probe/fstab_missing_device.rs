//! `fstab-missing-device`: an entry that boot would act on names a device that the guest does not
//! have, or needs one that does.

use super::entries::{self, Entry};
use super::{Answer, Guest};
use crate::guest::{Absence, Place, Pull};
use crate::model::{Finding, Impact, LineChange, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(entries) = entries::read(guest)? else {
        return Ok(Verdict::NotApplicable("no-fstab"));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for entry in &entries.list {
        if entry.item.pull == Pull::Never {
            continue;
        }
        if let Absence::Untold(why) = &entry.item.absence
            && entry.item.impact() != Impact::Harmless
        {
            doubts.push(format!("/etc/fstab:{}: {why}", entry.line));
        }
        let cause = &entries.boot.items[entries.boot.root_cause(entry.at)];
        if entry.item.absence == Absence::Present || cause.place != Place::Missing {
            continue;
        }
        findings.push(found(entry, &cause.shown_target()));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn found(entry: &Entry, on: &str) -> Finding {
    let impact = entry.item.impact();
    let finding = match entry.item.absence {
        Absence::Through(_) => entry
            .finding(match impact {
                Impact::StopsBoot => "depends-stops-boot",
                Impact::DelaysBoot => "depends-delays-boot",
                Impact::Harmless => "depends-harmless",
            })
            .with("on", on),
        _ => entry.finding(match impact {
            Impact::StopsBoot => "stops-boot",
            Impact::DelaysBoot => "delays-boot",
            Impact::Harmless => "harmless",
        }),
    };
    let finding = match impact {
        Impact::DelaysBoot => finding.with("seconds", entry.item.seconds()),
        _ => finding,
    };
    let fix = (!entry.is_of_the_system()).then(|| entry.edit(LineChange::Park));
    finding.impact(impact).fix(fix)
}
