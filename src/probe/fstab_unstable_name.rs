//! `fstab-unstable-name`: a filesystem of the system disk is named by something that an instance
//! of the image need not share: the kernel's name of the disk, or the disk's serial number.

use super::entries;
use super::{Answer, Guest};
use crate::guest::{Place, Pull, disk_of_kernel_name};
use crate::model::{Impact, Severity, Verdict};
use crate::parse::source::Source;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(entries) = entries::read(guest)? else {
        return Ok(Verdict::NotApplicable("no-fstab"));
    };
    let mut findings = Vec::new();
    for entry in entries.list.iter().filter(|entry| entry.item.pull != Pull::Never) {
        let (key, device) = match entry.item.place {
            Place::System { device } if is_kernel_name(&entry.item.source) => {
                ("kernel-name", device)
            }
            Place::Serial { device } => ("hardware-id", Some(device)),
            _ => continue,
        };
        let finding = match device.and_then(|device| entries::uuid_of(guest, device)) {
            Some(uuid) => {
                entry.finding(key).with("uuid", &uuid).fix([entry.edit(entries::by_uuid(&uuid))])
            }
            None if key == "hardware-id" => entry.finding(key).with("uuid", "?"),
            None => entry.finding("kernel-name-unknown"),
        };
        findings.push(match (key, entry.item.impact()) {
            // A kernel name is there on most instances; a serial number is on none.
            ("hardware-id", Impact::Harmless) => {
                finding.impact(Impact::Harmless).severity(Severity::Warning)
            }
            ("hardware-id", impact) => finding.impact(impact),
            _ => finding,
        });
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

fn is_kernel_name(source: &Source) -> bool {
    let Source::Path(path) = source else { return false };
    let name = path.strip_prefix(b"/dev/").and_then(|name| std::str::from_utf8(name).ok());
    name.is_some_and(|name| disk_of_kernel_name(name).is_some())
}
