//! `fstab-data-disk`: an entry that boot would act on lies on a data disk, or needs one that does.

use super::absence::{ABSENT, DEPENDS, weighed};
use super::entries::{self, Entry};
use super::{Answer, Guest};
use crate::guest::{Absence, Place, Pull};
use crate::model::{DataDisks, Edit, Finding, Impact, LineChange, Verdict};

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
        if !item.is_tried() {
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
            DataDisks::Keep => findings.extend(kept(guest, entry, own)),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn found(entry: &Entry, entries: &entries::Entries, disk: &str, change: LineChange) -> Finding {
    let finding = match entry.item.absence {
        Absence::Through(_) => {
            let cause = &entries.boot.items[entries.boot.root_cause(entry.at)];
            entry.finding(DEPENDS.of(entry.item)).with("on", cause.shown_target())
        }
        _ => entry.finding(ABSENT.of(entry.item)),
    };
    let fix = (!entry.is_of_the_system()).then(|| entry.edit(change));
    weighed(finding, entry.item).with("disk", disk).fix(fix)
}

/// What keeps an entry without making boot wait for it: `nofail`, which helps neither a swap nor a
/// mount that a service waits for.
fn without_waiting(entry: &Entry) -> LineChange {
    if entry.item.held_by.is_some() { LineChange::Park } else { nofail(entry) }
}

fn nofail(entry: &Entry) -> LineChange {
    match entry.item.target {
        Some(_) => LineChange::AddOptions(vec!["nofail".to_owned()]),
        None => LineChange::Park,
    }
}

/// Under the policy `keep` the image carries the data disk's snapshot: the entry stays, and has to
/// find the new disk whatever it is called, and to let boot go on without it. What depends on it
/// has to let boot go on too, and names nothing of the disk: `own` is false for it.
fn kept(guest: &Guest, entry: &Entry, own: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if matches!(entry.item.pull, Pull::Required | Pull::Awaited) {
        let fix = (!entry.is_of_the_system()).then(|| entry.edit(nofail(entry)));
        findings.push(entry.finding("keep-without-nofail").impact(entry.item.impact()).fix(fix));
    }
    let device = match entry.item.place {
        Place::Data { device, .. } => device,
        _ => None,
    };
    if own && !guest.is_stored_on_disk(&entry.item.source, device) {
        let uuid = device.and_then(|device| entries::uuid_of(guest, device));
        let fix: Option<Edit> = uuid.map(|uuid| entry.edit(entries::by_uuid(&uuid)));
        findings.push(entry.finding("keep-unstable").fix(fix));
    }
    findings
}
