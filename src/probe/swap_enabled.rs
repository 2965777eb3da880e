//! `swap-enabled`: something swaps, or boot would turn swap on.

use super::absence::{ABSENT, weighed};
use super::services::switch;
use super::{Answer, Guest};
use crate::guest::{
    Absence, ActiveSwap, BootItem, ConfiguredSwap, Place, SwapOrigin, SwapSpace, Unknown,
};
use crate::model::{
    ByteString, DataDisks, Edit, Finding, GuestPath, Impact, LineChange, Subject, SwapPolicy,
    Verdict,
};

/// What masks a generator: an empty file of its name (systemd.generator(7)).
const GPT_GENERATOR: &str = "/etc/systemd/system-generators/systemd-gpt-auto-generator";
/// An empty one hides the distribution's, whose devices are gone then (zram-generator.conf(5)).
const ZRAM_GENERATOR: &str = "/etc/systemd/zram-generator.conf";

/// The file that makes up for missing swap.
const SWAP_FILE: &str = "/swapfile";
/// The unit of sizes.
const MIB: u64 = 1 << 20;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let space = guest.swap()?;
    let mut findings = Vec::new();
    let mut doubts = space.doubts.clone();
    for (at, swap) in space.configured.iter().enumerate() {
        if let Some(finding) = configured(guest, space, at, swap, &mut doubts)? {
            findings.push(finding);
        }
    }
    let wanted = matches!(guest.policy().swap, SwapPolicy::Keep | SwapPolicy::Size(_));
    if !wanted {
        for active in space.active.iter().filter(|active| active.from.is_empty()) {
            findings.extend(only_active(guest, active)?);
        }
        findings.extend(unused(guest, space)?);
        findings.extend(resume(guest, space));
    }
    findings.extend(absent_resume(space));
    if let SwapPolicy::Size(size) = guest.policy().swap {
        findings.extend(too_small(guest, space, size)?);
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// A swap that boot would turn on: bad where a clone lacks it, and where nobody asked for swap.
fn configured(
    guest: &Guest,
    space: &SwapSpace,
    at: usize,
    swap: &ConfiguredSwap,
    doubts: &mut Vec<String>,
) -> Result<Option<Finding>, Unknown> {
    let finding = match &swap.origin {
        SwapOrigin::Fstab { item, line } => {
            let item = &guest.boot()?.items[*item];
            let fstab = GuestPath::from("/etc/fstab");
            let subject = Subject::line(&fstab, *line);
            let fix = guest.fstab()?.and_then(|fstab| fstab.lines().get(line - 1)).map(|raw| {
                Edit::Line {
                    path: fstab,
                    line: *line,
                    original: ByteString::from(raw.raw.as_slice()),
                    change: LineChange::Park,
                }
            });
            return Ok(of_item(guest, item, "fstab", subject, fix, space.active_of(at), doubts));
        }
        SwapOrigin::Unit { item, name } => {
            let item = &guest.boot()?.items[*item];
            let subject = Subject::Unit { unit: name.clone() };
            let fix = Some(Edit::MaskUnit { unit: name.clone() });
            return Ok(of_item(guest, item, "unit", subject, fix, space.active_of(at), doubts));
        }
        _ if matches!(guest.policy().swap, SwapPolicy::Keep | SwapPolicy::Size(_)) => {
            return Ok(None);
        }
        SwapOrigin::PartitionType => {
            let device = Subject::Device { device: swap.what.to_string() };
            Finding::new("partition", device).fix(off(guest, [empty_file(GPT_GENERATOR)]))
        }
        SwapOrigin::ZramGenerator(path) => Finding::new("zram", Subject::file(path))
            .with("service", "zram-generator")
            .fix(off(guest, [empty_file(&hides(path))])),
        SwapOrigin::Service { name, path } => {
            let key =
                if swap.what.as_bytes().starts_with(b"/dev/zram") { "zram" } else { "service" };
            let disable = guest.service(name)?.and_then(|own| switch(guest, &own, false));
            Finding::new(key, Subject::file(path)).with("service", name).fix(off(guest, disable))
        }
        SwapOrigin::Command { path, line } => {
            Finding::new("command", Subject::line(path, *line)).with("path", path)
        }
        SwapOrigin::CloudInit { path, line } => {
            Finding::new("cloud-init", Subject::line(path, *line)).with("path", path)
        }
    };
    let stop = stop(guest, space.active_of(at));
    let is_mended = !finding.fix.is_empty();
    Ok(Some(finding.with("what", &swap.what).fix(stop.filter(|_| is_mended))))
}

/// An entry of fstab or a unit. One that a clone lacks is taken away whatever is wanted of swap,
/// unless the image carries its data disk.
fn of_item(
    guest: &Guest,
    item: &BootItem,
    key: &'static str,
    subject: Subject,
    fix: Option<Edit>,
    active: Option<&ActiveSwap>,
    doubts: &mut Vec<String>,
) -> Option<Finding> {
    let policy = guest.policy();
    let is_lacking = matches!(item.absence, Absence::Own | Absence::Through(_));
    let on_data_disk =
        matches!(item.place, Place::Data { .. }) || matches!(item.absence, Absence::Through(_));
    let is_carried = policy.data_disks == DataDisks::Keep && on_data_disk;
    if let Absence::Untold(why) = &item.absence
        && item.impact() != Impact::Harmless
    {
        doubts.push(format!("{subject}: {why}"));
    }
    let finding = if is_lacking && !is_carried {
        weighed(Finding::new(ABSENT.of(item), subject), item).fix(fix).fix(stop(guest, active))
    } else {
        match policy.swap {
            SwapPolicy::Keep | SwapPolicy::Size(_) => return None,
            SwapPolicy::Report => Finding::new(key, subject),
            SwapPolicy::Off => Finding::new(key, subject).fix(fix).fix(stop(guest, active)),
        }
    };
    Some(finding.with("what", &item.source_text))
}

/// A swap that is on and that no boot would turn on again. On a data disk it is `data-disk-mounted`
/// that says so.
fn only_active(guest: &Guest, active: &ActiveSwap) -> Result<Option<Finding>, Unknown> {
    if is_on_data_disk(guest, active)? {
        return Ok(None);
    }
    let device = GuestPath::new(&active.swap.path);
    let finding = Finding::new("active", Subject::Device { device: device.to_string() })
        .with("what", &device)
        .with("used", format!("{} KiB", active.swap.used_kib))
        .fix(stop(guest, Some(active)));
    Ok(Some(finding))
}

fn is_on_data_disk(guest: &Guest, active: &ActiveSwap) -> Result<bool, Unknown> {
    match active.device {
        Some(device) => Ok(guest.data_disk_under(device)?.is_some()),
        None => {
            let place = guest.place_inside(&GuestPath::new(&active.swap.path))?;
            Ok(matches!(place, Place::Data { .. }))
        }
    }
}

/// A signature that nothing uses. Where the operator wants no swap it is what is left of one, as
/// the remedy says.
fn unused(guest: &Guest, space: &SwapSpace) -> Result<Vec<Finding>, Unknown> {
    let mut findings = Vec::new();
    if guest.policy().swap == SwapPolicy::Off {
        return Ok(findings);
    }
    for at in &space.unused {
        let device = guest.disks()?.devices[*at].path();
        findings.push(
            Finding::new("unused", Subject::Device { device: device.clone() }).with("what", device),
        );
    }
    Ok(findings)
}

/// `resume=` of a device that a clone has; of another, the check of kernel arguments judges it.
fn resume(guest: &Guest, space: &SwapSpace) -> Vec<Finding> {
    let is_there = |place: &Place| !is_absent(place);
    space
        .resume
        .iter()
        .filter(|resume| resume.path.is_none() && is_there(&resume.place))
        .map(|resume| {
            let remove = vec!["resume".to_owned(), "resume_offset".to_owned()];
            let fix = off(guest, [Edit::KernelArguments { add: Vec::new(), remove }]);
            Finding::new("resume", Subject::Setting { setting: "resume".to_owned() })
                .with("what", &resume.device)
                .fix(fix)
        })
        .collect()
}

/// What initramfs-tools waits for, at least 30 s, before it mounts the root (local_device_setup()
/// in /usr/share/initramfs-tools/scripts/local).
fn absent_resume(space: &SwapSpace) -> Vec<Finding> {
    space
        .resume
        .iter()
        .filter(|resume| is_absent(&resume.place))
        .filter_map(|resume| {
            let (path, line) = resume.path.as_ref()?;
            let finding = Finding::new("initramfs-resume", Subject::line(path, *line));
            Some(finding.with("what", &resume.device).impact(Impact::DelaysBoot))
        })
        .collect()
}

/// Whether the next boot of a clone would not find the device.
fn is_absent(place: &Place) -> bool {
    matches!(place, Place::Data { .. } | Place::Missing | Place::Closed { .. })
}

/// Less swap on disks than the operator wants, on a guest that runs. A swap file makes up for it.
fn too_small(guest: &Guest, space: &SwapSpace, size: u64) -> Result<Option<Finding>, Unknown> {
    if guest.kernel().is_none() {
        return Ok(None);
    }
    let kept = space.active.iter().filter(|active| !active.from.is_empty() && !active.is_memory);
    let have: u64 = kept.map(|active| active.swap.size_kib * 1024).sum();
    // The kernel counts a file without its first page.
    if have.saturating_add(MIB) > size {
        return Ok(None);
    }
    let path = GuestPath::from(SWAP_FILE);
    let mut line = path.as_bytes().to_vec();
    line.extend_from_slice(b" none swap sw 0 0");
    let fix = [
        Edit::SwapFile { path: path.clone(), size: (size - have).next_multiple_of(MIB) },
        Edit::Append { path: GuestPath::from("/etc/fstab"), lines: vec![ByteString::from(line)] },
    ];
    let can_make = guest.is_running_here() && guest.root().lstat(&path)?.is_none();
    let finding = Finding::new("too-small", Subject::Setting { setting: "swap".to_owned() })
        .with("have", format!("{} MiB", have / MIB))
        .with("want", format!("{} MiB", size / MIB))
        .fix(fix.into_iter().filter(|_| can_make));
    Ok(Some(finding))
}

/// What is offered where the operator wants no swap.
fn off(guest: &Guest, edits: impl IntoIterator<Item = Edit>) -> Vec<Edit> {
    match guest.policy().swap {
        SwapPolicy::Off => edits.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What stops a swap that is on, where the operator wants none.
fn stop(guest: &Guest, active: Option<&ActiveSwap>) -> Option<Edit> {
    let active = active.filter(|_| guest.policy().swap == SwapPolicy::Off)?;
    Some(Edit::SwapOff {
        device: GuestPath::new(&active.swap.path),
        priority: active.swap.priority,
    })
}

fn empty_file(path: &str) -> Edit {
    Edit::WriteFile { path: GuestPath::from(path), content: ByteString::default(), mode: 0o644 }
}

/// The file of /etc that takes the place of a configuration of zram-generator: a drop-in's by its
/// own name.
fn hides(path: &GuestPath) -> String {
    let directory = path.parent();
    if directory.name() == b"zram-generator.conf.d" {
        let name = ByteString::from(path.name());
        return format!("{ZRAM_GENERATOR}.d/{name}");
    }
    ZRAM_GENERATOR.to_owned()
}
