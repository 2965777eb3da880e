//! `machine-id`: clones would share the id that systemd, D-Bus and DHCP clients know a machine by.

use super::{Answer, Guest};
use crate::guest::{FileKind, Init, MachineId};
use crate::model::{Edit, Erasure, ErasureKind, Finding, GuestPath, Subject, Verdict};

/// Where systemd keeps it.
const OWN: &str = "/etc/machine-id";
/// D-Bus's copy, which systemd takes over where it has none of its own (machine-id(5)).
const OF_DBUS: &str = "/var/lib/dbus/machine-id";

/// The permission bits that systemd gives the file.
const MODE: u32 = 0o444;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let (own, copy) = (GuestPath::from(OWN), GuestPath::from(OF_DBUS));
    let is_link = |path: &GuestPath| -> Result<bool, crate::guest::Unknown> {
        let attributes = guest.root().lstat(path)?;
        Ok(attributes.is_some_and(|there| there.kind == FileKind::Symlink))
    };
    let maker = guest.machine_id_maker()?;
    let is_linked = is_link(&own)?;
    let mut findings = Vec::new();
    match guest.machine_id(&own)? {
        MachineId::Set if is_linked => {
            findings.push(Finding::new("linked", Subject::file(&own)).with("path", &own));
        }
        // An empty file, and not none: with a root that is mounted read-only at first, systemd
        // cannot make a file that is not there.
        MachineId::Set => findings.push(set(&own, maker, Some(ErasureKind::Truncate))),
        MachineId::Absent if guest.init()? == Init::Systemd => {
            let content = Default::default();
            let empty = Edit::WriteFile { path: own.clone(), content, mode: MODE };
            let finding = Finding::new("absent", Subject::file(&own)).with("path", &own);
            findings.push(finding.fix([empty]));
        }
        MachineId::Absent | MachineId::Empty | MachineId::Uninitialized | MachineId::Invalid => {}
    }
    // A link to the file above has what that has; and without the copy a link to it would lead nowhere.
    if !is_link(&copy)? && guest.machine_id(&copy)? == MachineId::Set {
        findings.push(set(&copy, maker, (!is_linked).then_some(ErasureKind::Remove)));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

fn set(path: &GuestPath, maker: Option<&str>, how: Option<ErasureKind>) -> Finding {
    let subject = Subject::file(path);
    match maker {
        Some(maker) => Finding::new("kept", subject)
            .with("path", path)
            .with("maker", maker)
            .fix(how.map(|how| Edit::Erase { targets: vec![Erasure::of(path, how)] })),
        None => Finding::new("not-made-again", subject).with("path", path),
    }
}
