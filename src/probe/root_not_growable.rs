//! `root-not-growable`: the system disk of a clone may be larger, and its filesystem would not grow
//! into it.
//!
//! The rule is that of cloud-init's modules growpart and resizefs, and of growpart(1), which moves
//! the end of a partition up to the next one.

use super::{Answer, Guest};
use crate::guest::{CloudConfig, CloudInit, DeviceKind, Disabled, Fact, Mode};
use crate::model::{Edit, Finding, GuestPath, Subject, Verdict};

/// growpart(1), and the initramfs of Debian and Ubuntu, leave the disk alone while it is there.
const SWITCH: &str = "/etc/growroot-disabled";

/// Where commands are.
const PROGRAMS: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/bin"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for found in [growers(guest), filesystem(guest), partition(guest)] {
        match found {
            Ok(found) => findings.extend(found),
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// Whether cloud-init would do it.
fn growers(guest: &Guest) -> Fact<Vec<Finding>> {
    let root = || Subject::file(&GuestPath::from("/"));
    let mut findings = Vec::new();
    let Some(cloud) = guest.cloud_init()? else {
        return Ok(vec![Finding::new("cloud-init-missing", root())]);
    };
    findings.extend(cloud.disabled.as_ref().map(off));
    let config = cloud.config.as_ref().map_err(Clone::clone)?;
    findings.extend(modules(config));
    let switch = GuestPath::from(SWITCH);
    if guest.root().lstat(&switch)?.is_some() && !ignores_switch(config) {
        let edit = Edit::Remove { path: switch.clone() };
        findings.push(Finding::new("growroot-disabled", Subject::file(&switch)).fix([edit]));
    }
    if config.grows_partition() && !has_program(guest, "growpart")? {
        findings.push(Finding::new("tool-missing", root()).with("tool", "growpart"));
    }
    findings.extend(last_run(cloud)?);
    Ok(findings)
}

fn off(why: &Disabled) -> Finding {
    let subject = match why {
        Disabled::File(path) => Subject::file(path),
        Disabled::CommandLine => Subject::Setting { setting: "cloud-init=disabled".to_owned() },
        Disabled::Service { name, .. } => Subject::Unit { unit: format!("{name}.service") },
    };
    Finding::new("cloud-init-off", subject)
}

fn modules(config: &CloudConfig) -> Vec<Finding> {
    let path = config.source_of("cloud_init_modules");
    let path = path.cloned().unwrap_or_else(|| GuestPath::from("/etc/cloud/cloud.cfg"));
    let mut findings = Vec::new();
    for (grows, module) in
        [(config.grows_partition(), "growpart"), (config.grows_filesystem(), "resizefs")]
    {
        if !grows {
            findings.push(Finding::new("module-off", Subject::file(&path)).with("module", module));
        }
    }
    findings
}

fn ignores_switch(config: &CloudConfig) -> bool {
    let growpart = config.merged.get("growpart");
    let value = growpart.and_then(|growpart| growpart.get("ignore_growroot_disabled"));
    value.and_then(|value| value.text()).as_deref() == Some("true")
}

/// What the last run said of it, on the instance that the image is made of.
fn last_run(cloud: &CloudInit) -> Fact<Vec<Finding>> {
    let Some((path, run)) = cloud.last_run.as_ref().map_err(Clone::clone)? else {
        return Ok(Vec::new());
    };
    let is_of_it = |error: &&String| error.contains("growpart") || error.contains("resizefs");
    let errors = run.errors.iter().filter(is_of_it);
    Ok(errors
        .map(|e| Finding::new("last-run-failed", Subject::file(path)).with("error", e))
        .collect())
}

/// Whether the filesystem of `/` can grow, and its tool is there.
fn filesystem(guest: &Guest) -> Fact<Vec<Finding>> {
    let Some(fstype) = root_type(guest)? else { return Ok(Vec::new()) };
    let root = Subject::file(&GuestPath::from("/"));
    let tool = match fstype.as_str() {
        "ext2" | "ext3" | "ext4" => "resize2fs",
        "xfs" => "xfs_growfs",
        "btrfs" => "btrfs",
        _ => return Ok(vec![Finding::new("type-unsupported", root).with("type", fstype)]),
    };
    let is_missing = !has_program(guest, tool)?;
    Ok(is_missing
        .then(|| Finding::new("tool-missing", root).with("tool", tool))
        .into_iter()
        .collect())
}

fn root_type(guest: &Guest) -> Fact<Option<String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if guest.mode() == Mode::Live {
        return Ok(guest.mounts()?.own.at(b"/").map(|mount| text(&mount.fstype.value)));
    }
    if let Some(filesystem) = guest.disk_image().and_then(|image| image.at(&GuestPath::from("/"))) {
        return Ok(Some(filesystem.fstype.clone()));
    }
    let Some(fstab) = guest.fstab()? else { return Ok(None) };
    let root = fstab.entries().find(|entry| entry.target.value == b"/");
    let fstype = root.map(|entry| text(&entry.fstype.value));
    Ok(fstype.filter(|fstype| fstype != "auto"))
}

/// Whether `/` lies on the last partition of its disk, directly.
fn partition(guest: &Guest) -> Fact<Vec<Finding>> {
    let Some(filesystems) = guest.system_filesystems()? else { return Ok(Vec::new()) };
    let root = filesystems.iter().find(|filesystem| filesystem.target.as_bytes() == b"/");
    let Some(at) = root.and_then(|root| root.devices.first().copied()) else {
        return Ok(Vec::new());
    };
    let disks = guest.disks()?;
    let device = &disks.devices[at];
    let subject = || Subject::Device { device: device.known_as() };
    match (&device.kind, device.parents.first()) {
        // cloud-init grows an encrypted root, and no other mapped one.
        (DeviceKind::Mapped { uuid, .. }, _) if uuid.starts_with("CRYPT-") => Ok(Vec::new()),
        (DeviceKind::Mapped { .. } | DeviceKind::Raid, _) => {
            Ok(vec![Finding::new("mapped", subject()).with("device", device.known_as())])
        }
        (DeviceKind::Partition(_), Some(disk)) => {
            let own = guest.partition_start(at)?;
            let mut behind = None;
            for other in disks.children(*disk).filter(|other| *other != at) {
                if guest.partition_start(other)? > own {
                    behind = Some(disks.devices[other].known_as());
                }
            }
            let finding = |behind| {
                let finding = Finding::new("not-last", subject());
                finding.with("device", device.known_as()).with("behind", behind)
            };
            Ok(behind.map(finding).into_iter().collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn has_program(guest: &Guest, name: &str) -> Fact<bool> {
    for directory in PROGRAMS {
        if guest.stat(&GuestPath::from(directory).join(name.as_bytes()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
