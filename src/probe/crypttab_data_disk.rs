//! `crypttab-data-disk`: an encrypted volume that boot would open lies on a data disk, or on a
//! device that is not there.

use super::absence::{ABSENT, MISSING, weighed};
use super::{Answer, Guest};
use crate::guest::{Absence, BootItem, Origin, Place, Pull};
use crate::model::{ByteString, Edit, Finding, GuestPath, Impact, LineChange, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(crypttab) = guest.crypttab()? else {
        return Ok(Verdict::NotApplicable("no-crypttab"));
    };
    let boot = guest.boot()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for (at, item) in boot.items.iter().enumerate() {
        let Origin::Crypttab(line) = item.origin else { continue };
        if item.pull == Pull::Never {
            continue;
        }
        let raw = crypttab.lines().get(line - 1).map_or(&[][..], |l| &l.raw);
        match &item.absence {
            Absence::Untold(why) if item.impact() != Impact::Harmless => {
                doubts.push(format!("/etc/crypttab:{line}: {why}"));
            }
            Absence::Own | Absence::Through(_) => {
                let cause = &boot.items[boot.root_cause(at)];
                findings.push(found(item, &cause.place, line, raw));
            }
            _ => {}
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn found(item: &BootItem, cause: &Place, line: usize, raw: &[u8]) -> Finding {
    let path = GuestPath::from("/etc/crypttab");
    let subject = Subject::line(&path, line);
    let finding = match cause {
        Place::Data { disk, .. } => Finding::new(ABSENT.of(item), subject).with("disk", disk),
        _ => Finding::new(MISSING.of(item), subject),
    };
    let name = item.target.as_ref().map(|t| ByteString::from(t.name())).unwrap_or_default();
    weighed(finding, item)
        .with("name", name)
        .with("device", &item.source_text)
        .evidence(ByteString::from(raw))
        .fix([Edit::Line { path, line, original: ByteString::from(raw), change: LineChange::Park }])
}
