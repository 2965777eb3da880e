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

/// Where a source lies; of a file or directory, where the filesystem lies that holds it.
fn place(guest: &Guest, source: &Source, target: Option<&GuestPath>) -> Fact<Place> {
    match guest.place(source, target)? {
        Place::Inside(path) => guest.place_inside(&path),
        place => Ok(place),
    }
}

/// Optical and floppy drives, which hold no data of the guest's and may be empty.
fn is_removable(source: &Source) -> bool {
    let Source::Path(path) = source else { return false };
    [&b"/dev/sr"[..], b"/dev/cdrom", b"/dev/dvd", b"/dev/fd"]
        .iter()
        .any(|start| path.starts_with(start))
}
