//! `boot-script-mount`: rc.local, a `@reboot` line or a service of the operator's mounts a data
//! disk or swaps to it.

use super::{Answer, Guest};
use crate::guest::{BootCommand, BootVerb, Fact, Place};
use crate::model::{Finding, GuestPath, Subject, Verdict};
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let boot = guest.boot_commands()?;
    let mut findings = Vec::new();
    let mut doubts = boot.unread.clone();
    for command in &boot.commands {
        let at = format!("{}:{}", command.path, command.line);
        let Some(written) = &command.source else {
            if !command.is_conditional {
                doubts.push(format!("{at}: what `{}` mounts cannot be told", command.text));
            }
            continue;
        };
        let source = Source::parse(written.as_bytes());
        if is_removable(&source) {
            continue;
        }
        match place(guest, &source, command.target.as_ref()) {
            Ok(Place::Data { disk, .. }) => findings.push(finding(command, &disk)),
            // Nowhere now, and on no clone either.
            Ok(Place::Missing) => findings.push(finding(command, &written.to_string())),
            Ok(Place::Untold(why)) if !command.is_conditional => {
                doubts.push(format!("{at}: {why}"))
            }
            Ok(_) => {}
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn finding(command: &BootCommand, disk: &str) -> Finding {
    let key = match command.verb {
        BootVerb::Mount => "mounts",
        BootVerb::SwapOn => "swaps-on",
    };
    Finding::new(key, Subject::line(&command.path, command.line))
        .with("path", &command.path)
        .with("disk", disk)
        .with("command", &command.text)
}

/// Where a source lies; of a file or directory, where the filesystem lies that holds it: the one
/// that is mounted there now, or the one that fstab mounts there.
fn place(guest: &Guest, source: &Source, target: Option<&GuestPath>) -> Fact<Place> {
    let place = guest.place(source, target)?;
    let Place::Inside(path) = &place else { return Ok(place) };
    if guest.kernel().is_some()
        && let Some(mount) = guest.mounts()?.holding(path.as_bytes())
    {
        for device in guest.devices_of_mount(mount)?.unwrap_or_default() {
            if let Some(disk) = guest.data_disk_under(device)? {
                return Ok(Place::Data { device: Some(device), disk });
            }
        }
    }
    let Some(fstab) = guest.fstab()? else { return Ok(place) };
    let holding = fstab
        .entries()
        .map(|entry| (GuestPath::new(&entry.target.value), entry))
        .filter(|(target, _)| target.as_bytes() != b"/" && path.is_within(target))
        .max_by_key(|(target, _)| target.as_bytes().len());
    match holding {
        Some((target, entry)) => guest.place(&Source::parse(&entry.source.value), Some(&target)),
        None => Ok(place),
    }
}

/// Optical and floppy drives, which hold no data of the guest's and may be empty.
fn is_removable(source: &Source) -> bool {
    let Source::Path(path) = source else { return false };
    [&b"/dev/sr"[..], b"/dev/cdrom", b"/dev/dvd", b"/dev/fd"]
        .iter()
        .any(|start| path.starts_with(start))
}
