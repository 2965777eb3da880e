//! `fstab-missing-device`: an entry that boot would act on names a device that the guest does not
//! have, or that lies in an encrypted volume which boot does not open; or it needs one that does.

use super::absence::{ABSENT, CLOSED, DEPENDS, weighed};
use super::entries::{self, Entry};
use super::{Answer, Guest};
use crate::guest::{Absence, Place};
use crate::model::{Finding, Impact, LineChange, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(entries) = entries::read(guest)? else {
        return Ok(Verdict::NotApplicable("no-fstab"));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for entry in &entries.list {
        if !entry.item.is_tried() {
            continue;
        }
        if let Absence::Untold(why) = &entry.item.absence
            && entry.item.impact() != Impact::Harmless
        {
            doubts.push(format!("/etc/fstab:{}: {why}", entry.line));
        }
        let cause = &entries.boot.items[entries.boot.root_cause(entry.at)];
        if entry.item.absence == Absence::Present
            || !matches!(cause.place, Place::Missing | Place::Closed { .. })
        {
            continue;
        }
        findings.push(found(entry, &cause.shown_target()));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn found(entry: &Entry, on: &str) -> Finding {
    let finding = match (&entry.item.absence, &entry.item.place) {
        (Absence::Through(_), _) => entry.finding(DEPENDS.of(entry.item)).with("on", on),
        (_, Place::Closed { volume, .. }) => {
            entry.finding(CLOSED.of(entry.item)).with("volume", volume)
        }
        _ => entry.finding(ABSENT.of(entry.item)),
    };
    let fix = (!entry.is_of_the_system()).then(|| entry.edit(LineChange::Park));
    weighed(finding, entry.item).fix(fix)
}
