//! `mount-unit-data-disk`: a mount, automount or swap unit that boot would start, or an autofs
//! map, needs a data disk or a device that is not there.

use super::absence::{ABSENT, MISSING, weighed};
use super::{Answer, Guest};
use crate::guest::{Absence, BootItem, Origin, Place};
use crate::model::{ByteString, Edit, Finding, GuestPath, Impact, Subject, Verdict};
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let boot = guest.boot()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let mut any = false;
    for (at, item) in boot.items.iter().enumerate() {
        let Origin::Unit { name, path } = &item.origin else { continue };
        any = true;
        match &item.absence {
            Absence::Untold(why) if item.impact() != Impact::Harmless => {
                doubts.push(format!("{path}: {why}"));
            }
            Absence::Own | Absence::Through(_) => {
                let cause = &boot.items[boot.root_cause(at)];
                findings.push(found(name, path, item, &cause.place));
            }
            _ => {}
        }
    }
    for map in autofs_devices(guest)? {
        any = true;
        let place = guest.place(&Source::parse(map.device.as_bytes()), None)?;
        if let Place::Data { disk, .. } = place {
            findings.push(
                Finding::new("autofs", Subject::line(&map.path, map.line))
                    .with("map", &map.path)
                    .with("what", &map.device)
                    .with("disk", disk)
                    .impact(Impact::Harmless),
            );
        }
    }
    if !any {
        return Ok(Verdict::NotApplicable("no-units"));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn found(name: &str, path: &GuestPath, item: &BootItem, cause: &Place) -> Finding {
    let subject = Subject::Unit { unit: name.to_owned() };
    let finding = match cause {
        Place::Data { disk, .. } => Finding::new(ABSENT.of(item), subject).with("disk", disk),
        _ => Finding::new(MISSING.of(item), subject),
    };
    weighed(finding, item)
        .with("unit", name)
        .with("what", &item.source_text)
        .evidence(path)
        .fix([Edit::MaskUnit { unit: name.to_owned() }])
}

/// A device that an autofs map mounts on access.
struct MapDevice {
    path: GuestPath,
    line: usize,
    device: ByteString,
}

/// The local devices in the maps that /etc/auto.master names (auto.master(5), autofs(5)): a
/// location that starts with a colon.
fn autofs_devices(guest: &Guest) -> Result<Vec<MapDevice>, crate::guest::Unknown> {
    let mut masters: Vec<GuestPath> =
        ["/etc/auto.master", "/etc/autofs/auto.master"].map(GuestPath::from).into();
    let directory = GuestPath::from("/etc/auto.master.d");
    for name in guest.root().list(&directory)?.unwrap_or_default() {
        if name.ends_with(b".autofs") {
            masters.push(directory.join(&name));
        }
    }
    let mut found = Vec::new();
    for master in masters {
        let Some(text) = guest.file(&master)? else { continue };
        for line in text.split(|b| *b == b'\n').filter(|line| !line.starts_with(b"#")) {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
            let Some(map) = words.nth(1) else { continue };
            let map = map.strip_prefix(b"file:").unwrap_or(map);
            if !map.starts_with(b"/") {
                continue;
            }
            let path = GuestPath::new(map);
            let Some(text) = guest.file(&path)? else { continue };
            for (index, line) in text.split(|b| *b == b'\n').enumerate() {
                let word = line
                    .split(u8::is_ascii_whitespace)
                    .filter(|w| !w.is_empty() && !line.starts_with(b"#"))
                    .find_map(|w| w.strip_prefix(b":"));
                found.extend(word.filter(|w| w.starts_with(b"/dev/")).map(|device| MapDevice {
                    path: path.clone(),
                    line: index + 1,
                    device: ByteString::from(device),
                }));
            }
        }
    }
    Ok(found)
}
