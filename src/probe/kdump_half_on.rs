//! `kdump-half-on`: a part of kdump is on and another is not, so that memory is kept for nothing or
//! a crash leaves no dump.

use super::services::switch;
use super::{Answer, Guest};
use crate::guest::{Asked, DumpTarget, Kdump, Place, Stored};
use crate::model::{
    ByteString, Edit, Finding, GuestPath, KdumpPolicy, LineChange, Subject, Verdict,
};
use crate::parse::lines;

/// Where dumps go where the configuration says nothing.
const DEFAULT_PATH: &str = "/var/crash";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let kdump = guest.kdump()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let Some(configured) = kdump.configured() else {
        return Ok(match kdump.is_enabled() {
            false => Verdict::Pass,
            true => Verdict::from_parts(
                findings,
                vec!["what memory the next boot reserves is not known".to_owned()],
            ),
        });
    };
    let asked = configured.asked(kdump.memory, kdump.way.takes_auto);
    let on = kdump.is_enabled();
    let setting = || Subject::Setting { setting: "crashkernel".to_owned() };
    let shown = configured.shown();
    match (asked, on) {
        (Asked::Malformed, _) => {
            findings.push(
                Finding::new("malformed", setting())
                    .with("value", &shown)
                    .fix(reservation(guest, kdump)),
            );
        }
        (Asked::Nothing, true) => {
            let finding = Finding::new("not-reserved", service(kdump));
            findings
                .push(finding.with("service", kdump.way.service).fix(not_reserved(guest, kdump)));
        }
        (Asked::Nothing, false) => {}
        (_, false) if kdump.service.is_none() => {
            let finding = Finding::new("not-installed", setting())
                .with("value", &shown)
                .with("package", kdump.way.package)
                .with("command", kdump.way.install);
            findings.push(finding.fix(without_memory(guest)));
        }
        (_, false) => {
            let finding = Finding::new("not-enabled", service(kdump))
                .with("value", &shown)
                .with("service", kdump.way.service);
            findings.push(finding.fix(not_enabled(guest, kdump)));
        }
        (_, true) => findings.extend(running(kdump, asked, &shown)),
    }
    if on {
        doubts.extend(kdump.doubts.iter().cloned());
        findings.extend(target(guest, kdump, &mut doubts));
    }
    findings.extend(wanted(guest, kdump, on, asked));
    Ok(Verdict::from_parts(findings, doubts))
}

/// What the running kernel made of it, where the next boot asks for the same.
fn running(kdump: &Kdump, asked: Asked, shown: &str) -> Option<Finding> {
    if kdump.needs_reboot() || asked == Asked::Bytes(0) {
        return None;
    }
    let setting = Subject::Setting { setting: "crashkernel".to_owned() };
    match (kdump.reserved?, kdump.loaded) {
        (0, _) => Some(Finding::new("refused", setting).with("value", shown)),
        (_, Some(false)) => {
            Some(Finding::new("not-loaded", service(kdump)).with("service", kdump.way.service))
        }
        _ => None,
    }
}

/// Whether dumps go where a clone has room for them.
fn target(guest: &Guest, kdump: &Kdump, doubts: &mut Vec<String>) -> Option<Finding> {
    match &kdump.target {
        DumpTarget::Directory(stored) => directory(guest, kdump, stored, doubts),
        DumpTarget::Raw { device, place, line } => {
            let subject = Subject::line(&GuestPath::from(kdump.way.config), *line);
            absent(place, subject, &device.to_string(), doubts)
                .map(|finding| finding.fix(park(guest, kdump, *line)))
        }
        DumpTarget::Remote(_) | DumpTarget::Untold => None,
    }
}

fn directory(
    guest: &Guest,
    kdump: &Kdump,
    stored: &Stored,
    doubts: &mut Vec<String>,
) -> Option<Finding> {
    let config = GuestPath::from(kdump.way.config);
    if let Some((source, line)) = &stored.filesystem {
        let subject = Subject::line(&config, *line);
        let finding = absent(&stored.place, subject, &source.to_string(), doubts)?;
        return Some(finding.fix(park(guest, kdump, *line)));
    }
    let subject = match &stored.named_by {
        Some((path, line)) => Subject::line(path, *line),
        None => Subject::file(&stored.path),
    };
    if let Some(finding) = absent(&stored.place, subject.clone(), &stored.path.to_string(), doubts)
    {
        return Some(finding.fix(default_path(guest, kdump, stored)));
    }
    // kdump-config and SUSE's kdump make it; mkdumprd of kexec-tools refuses to go on without it.
    if stored.exists == Some(false) && kdump.way.config == "/etc/kdump.conf" {
        return Some(Finding::new("path-missing", subject).with("path", &stored.path));
    }
    is_short(stored.free?, kdump.used?).then(|| {
        Finding::new("space-low", subject)
            .with("path", &stored.path)
            .with("free", format!("{} MiB", stored.free.unwrap_or(0) >> 20))
            .with("used", format!("{} MiB", kdump.used.unwrap_or(0) >> 20))
    })
}

/// Whether a dump may not fit: it leaves out free and cached pages, and is compressed.
fn is_short(free: u64, used: u64) -> bool {
    free < used
}

/// A place that a clone lacks.
fn absent(
    place: &Place,
    subject: Subject,
    shown: &str,
    doubts: &mut Vec<String>,
) -> Option<Finding> {
    match place {
        Place::Data { disk, .. } => {
            Some(Finding::new("on-data-disk", subject).with("path", shown).with("disk", disk))
        }
        Place::Missing | Place::Closed { .. } => {
            Some(Finding::new("target-missing", subject).with("path", shown))
        }
        Place::Untold(why) => {
            doubts.push(format!("{subject}: {why}"));
            None
        }
        _ => None,
    }
}

/// What the operator wants of a kdump that is wholly on or wholly off.
fn wanted(guest: &Guest, kdump: &Kdump, on: bool, asked: Asked) -> Option<Finding> {
    match (guest.policy().kdump, on, asked) {
        (KdumpPolicy::On, false, Asked::Nothing) => {
            let finding = Finding::new("wanted-on", service(kdump))
                .with("package", kdump.way.package)
                .with("command", kdump.way.install);
            let mut fix = enabling(guest, kdump);
            if kdump.service.is_some() {
                fix.extend(reservation(guest, kdump));
            }
            Some(finding.fix(fix))
        }
        (KdumpPolicy::Off, true, Asked::Bytes(_) | Asked::Untold) => Some(
            Finding::new("wanted-off", service(kdump))
                .with("service", kdump.way.service)
                .fix(disabling(guest, kdump))
                .fix(without_memory(guest)),
        ),
        _ => None,
    }
}

fn service(kdump: &Kdump) -> Subject {
    Subject::Setting { setting: kdump.way.service.to_owned() }
}

fn not_reserved(guest: &Guest, kdump: &Kdump) -> Vec<Edit> {
    match guest.policy().kdump {
        KdumpPolicy::Keep => Vec::new(),
        KdumpPolicy::On => reservation(guest, kdump),
        KdumpPolicy::Off => disabling(guest, kdump),
    }
}

fn not_enabled(guest: &Guest, kdump: &Kdump) -> Vec<Edit> {
    match guest.policy().kdump {
        KdumpPolicy::Keep => Vec::new(),
        KdumpPolicy::On => enabling(guest, kdump),
        KdumpPolicy::Off => without_memory(guest),
    }
}

/// Ask for memory where kdump is wanted on, and for none where it is wanted off.
fn reservation(guest: &Guest, kdump: &Kdump) -> Vec<Edit> {
    match guest.policy().kdump {
        KdumpPolicy::On => vec![Edit::KernelArguments {
            add: vec![format!("crashkernel={}", kdump.way.reservation)],
            remove: Vec::new(),
        }],
        _ => without_memory(guest),
    }
}

fn without_memory(guest: &Guest) -> Vec<Edit> {
    match guest.policy().kdump {
        KdumpPolicy::Off => {
            vec![Edit::KernelArguments { add: Vec::new(), remove: vec!["crashkernel".to_owned()] }]
        }
        _ => Vec::new(),
    }
}

fn enabling(guest: &Guest, kdump: &Kdump) -> Vec<Edit> {
    let Some(own) = &kdump.service else { return Vec::new() };
    let mut edits = Vec::new();
    if !own.starts.is_enabled() {
        edits.extend(switch(guest, own, true));
    }
    if kdump.switch == Some(false) {
        edits.extend(set(guest, kdump.way.config, "USE_KDUMP=", "USE_KDUMP=1"));
    }
    edits
}

fn disabling(guest: &Guest, kdump: &Kdump) -> Vec<Edit> {
    kdump.service.iter().filter_map(|own| switch(guest, own, false)).collect()
}

/// Dumps to the default directory, where the operator wants kdump on.
fn default_path(guest: &Guest, kdump: &Kdump, stored: &Stored) -> Vec<Edit> {
    if guest.policy().kdump != KdumpPolicy::On || stored.named_by.is_none() {
        return Vec::new();
    }
    let (key, line) = match kdump.way.config {
        "/etc/kdump.conf" => ("path", format!("path {DEFAULT_PATH}")),
        "/etc/sysconfig/kdump" => {
            ("KDUMP_SAVEDIR=", format!("KDUMP_SAVEDIR=\"file://{DEFAULT_PATH}\""))
        }
        _ => ("KDUMP_COREDIR=", format!("KDUMP_COREDIR=\"{DEFAULT_PATH}\"")),
    };
    set(guest, kdump.way.config, key, &line).into_iter().collect()
}

/// Without a target of its own the dump goes to where `path` is mounted.
fn park(guest: &Guest, kdump: &Kdump, line: usize) -> Option<Edit> {
    let wanted = guest.policy().kdump == KdumpPolicy::On;
    edit(guest, kdump.way.config, line, LineChange::Park).filter(|_| wanted)
}

/// The last line that begins with `key`, replaced; or the line added at the end.
fn set(guest: &Guest, path: &str, key: &str, line: &str) -> Option<Edit> {
    let text = guest.file(path).ok()??;
    let last = lines::split(&text)
        .enumerate()
        .filter(|(_, (raw, _))| raw.trim_ascii_start().starts_with(key.as_bytes()))
        .last();
    match last {
        Some((index, _)) => edit(guest, path, index + 1, LineChange::Replace(line.into())),
        None => Some(Edit::Append { path: path.into(), lines: vec![line.into()] }),
    }
}

fn edit(guest: &Guest, path: &str, line: usize, change: LineChange) -> Option<Edit> {
    let text = guest.file(path).ok()??;
    let (raw, _) = lines::split(&text).nth(line.checked_sub(1)?)?;
    Some(Edit::Line { path: path.into(), line, original: ByteString::from(raw), change })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_that_is_low() {
        // The key "space-low": how much is free only statvfs(2) of a real filesystem says.
        assert!(is_short(1 << 30, (1 << 30) + 1));
        assert!(!is_short(1 << 30, 1 << 30));
    }
}
