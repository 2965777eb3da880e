//! `fstab-data-disk`: an entry that boot would act on lies on a data disk, or needs one that does.

use super::entries::{self, Entry};
use super::{Answer, Guest};
use crate::guest::{Absence, Place, Pull};
use crate::model::{DataDisks, Edit, Finding, Impact, LineChange, Verdict};
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(entries) = entries::read(guest)? else {
        return Ok(Verdict::NotApplicable("no-fstab"));
    };
    let policy = guest.policy().data_disks;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for entry in &entries.list {
        let item = entry.item;
        if item.pull == Pull::Never {
            continue;
        }
        if let Absence::Untold(why) = &item.absence
            && item.impact() != Impact::Harmless
        {
            doubts.push(format!("/etc/fstab:{}: {why}", entry.line));
        }
        let cause = entries.boot.root_cause(entry.at);
        let Place::Data { disk, .. } = &entries.boot.items[cause].place else { continue };
        let own = cause == entry.at;
        match policy {
            DataDisks::Comment => findings.push(found(entry, &entries, disk, LineChange::Park)),
            DataDisks::Nofail if item.impact() == Impact::Harmless => {}
            DataDisks::Nofail => {
                findings.push(found(entry, &entries, disk, without_waiting(entry)))
            }
            DataDisks::Keep if own => findings.extend(kept(guest, entry)),
            DataDisks::Keep => {}
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn found(entry: &Entry, entries: &entries::Entries, disk: &str, change: LineChange) -> Finding {
    let impact = entry.item.impact();
    let finding = match entry.item.absence {
        Absence::Through(_) => {
            let key = match impact {
                Impact::StopsBoot => "depends-stops-boot",
                Impact::DelaysBoot => "depends-delays-boot",
                Impact::Harmless => "depends-harmless",
            };
            let cause = &entries.boot.items[entries.boot.root_cause(entry.at)];
            entry.finding(key).with("on", cause.shown_target())
        }
        _ => entry.finding(match impact {
            Impact::StopsBoot => "stops-boot",
            Impact::DelaysBoot => "delays-boot",
            Impact::Harmless => "harmless",
        }),
    };
    let finding = finding.with("disk", disk).impact(impact).fix([entry.edit(change)]);
    match impact {
        Impact::DelaysBoot => finding.with("seconds", entry.item.seconds()),
        _ => finding,
    }
}

/// What keeps an entry without making boot wait for it: `nofail`, which does not help a swap.
fn without_waiting(entry: &Entry) -> LineChange {
    if entry.item.target.is_some() {
        LineChange::AddOptions(vec!["nofail".to_owned()])
    } else {
        LineChange::Park
    }
}

/// Under the policy `keep` the image carries the data disk's snapshot: the entry stays, and has to
/// find the new disk whatever it is called, and to let boot go on without it.
fn kept(guest: &Guest, entry: &Entry) -> Vec<Finding> {
    let mut findings = Vec::new();
    if entry.item.impact() != Impact::Harmless {
        findings.push(
            entry
                .finding("keep-without-nofail")
                .impact(entry.item.impact())
                .fix([entry.edit(without_waiting(entry))]),
        );
    }
    if matches!(entry.item.source, Source::Path(_))
        && !entry.item.source_text.as_bytes().starts_with(b"/dev/mapper/")
    {
        let uuid = match entry.item.place {
            Place::Data { device: Some(device), .. } => entries::uuid_of(guest, device),
            _ => None,
        };
        let fix: Option<Edit> = uuid.map(|uuid| entry.edit(entries::by_uuid(&uuid)));
        findings.push(entry.finding("keep-unstable").fix(fix));
    }
    findings
}
