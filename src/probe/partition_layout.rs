//! `partition-layout`: the system disk's partitions against the way in which it boots, and against the one root
//! partition that an image is to have.

use super::{Answer, Guest};
use crate::guest::{DeviceKind, Disks, Fact, Identity, Mode, SystemDisks};
use crate::model::{Finding, Subject, Verdict};

/// Partition types by what they are for: GPT's, and MBR's as blkid(8) prints it.
const ESP: [&str; 2] = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"];
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
const SWAP: [&str; 2] = ["0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "0x82"];
const EXTENDED: [&str; 3] = ["0x5", "0xf", "0x85"];
/// What a master boot record can address, in sectors of 512 bytes: 2 TiB.
const MBR_LIMIT: u64 = 2 << 40;

/// Where the one root partition and what boots it are mounted.
const WANTED: [&str; 4] = ["/", "/boot", "/boot/efi", "/efi"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let (Mode::Live | Mode::Image, SystemDisks::Known(system)) =
        (guest.mode(), guest.system_disks()?)
    else {
        return Ok(Verdict::NotApplicable("unseen"));
    };
    let disks = guest.disks()?;
    let by_efi = guest.booted_by_efi()? == Some(true);
    let mut found = Found { guest, disks, findings: Vec::new(), doubts: Vec::new() };
    let mut has_esp = false;
    for disk in system {
        has_esp |= found.disk(*disk, by_efi)?;
    }
    let is_sure = found.doubts.is_empty();
    if by_efi && !has_esp && is_sure && !system.is_empty() {
        let names = disks.names(&system.iter().copied().collect::<Vec<_>>());
        found.findings.push(
            Finding::new("efi-without-esp", Subject::Device { device: names.clone() })
                .with("disk", names),
        );
    }
    Ok(Verdict::from_parts(found.findings, found.doubts))
}

struct Found<'a> {
    guest: &'a Guest,
    disks: &'a Disks,
    findings: Vec<Finding>,
    doubts: Vec<String>,
}

impl Found<'_> {
    /// Judge one disk; answers whether it has an EFI system partition.
    fn disk(&mut self, disk: usize, by_efi: bool) -> Fact<bool> {
        let device = &self.disks.devices[disk];
        let name = device.path();
        let scheme = match self.guest.table_kind(disk) {
            Ok(Some(scheme)) => scheme,
            // A filesystem on the whole disk: the loader lies before it, and nothing is to be told apart.
            Ok(None) => return Ok(false),
            Err(why) => {
                self.doubts.push(why.0);
                return Ok(false);
            }
        };
        let subject = || Subject::Device { device: name.clone() };
        let finding = |key| Finding::new(key, subject()).with("disk", &name);
        let mut types = Vec::new();
        for at in self.partitions(disk) {
            let identity = match self.guest.identity(at) {
                Ok(identity) => identity,
                Err(why) => {
                    self.doubts.push(why.0);
                    continue;
                }
            };
            if let Some(extra) = self.extra(at, &identity)? {
                self.findings.push(extra);
            }
            types.extend(identity.part_type);
        }
        if scheme == "dos" && by_efi {
            self.findings.push(finding("efi-on-mbr"));
        }
        if scheme == "dos" && device.size > MBR_LIMIT {
            self.findings.push(finding("mbr-too-small"));
        }
        let has = |wanted: &[&str]| types.iter().any(|kind| wanted.contains(&kind.as_str()));
        if scheme == "gpt" && !by_efi && !has(&[BIOS_BOOT]) {
            self.findings.push(finding("no-bios-boot"));
        }
        Ok(has(&ESP))
    }

    fn partitions(&self, disk: usize) -> Vec<usize> {
        let is_of = |at: &usize| {
            let device = &self.disks.devices[*at];
            matches!(device.kind, DeviceKind::Partition(_)) && device.parents.contains(&disk)
        };
        (0..self.disks.devices.len()).filter(is_of).collect()
    }

    /// A partition that is neither under the system's mounts nor one that boots it. Swap is another check's matter.
    fn extra(&self, at: usize, identity: &Identity) -> Fact<Option<Finding>> {
        let kind = identity.part_type.as_deref().unwrap_or_default();
        let is_helper = ESP.contains(&kind)
            || SWAP.contains(&kind)
            || EXTENDED.contains(&kind)
            || kind == BIOS_BOOT
            || identity.fstype.as_deref() == Some("swap");
        if is_helper {
            return Ok(None);
        }
        let mounts = &self.guest.mounts()?.own;
        let mut mounted_on = None;
        for mount in &mounts.mounts {
            let devices = self.guest.devices_of_mount(mount)?.unwrap_or_default();
            if !devices.iter().any(|device| *device == at || self.disks.lies_on(*device, at)) {
                continue;
            }
            let point = String::from_utf8_lossy(&mount.mount_point.value).into_owned();
            if WANTED.contains(&point.as_str()) {
                return Ok(None);
            }
            mounted_on.get_or_insert(point);
        }
        let device = self.disks.devices[at].path();
        let key = if mounted_on.is_some() { "extra-mounted" } else { "extra" };
        let finding =
            Finding::new(key, Subject::Device { device: device.clone() }).with("device", device);
        Ok(Some(match mounted_on {
            Some(target) => finding.with("target", target),
            None => finding,
        }))
    }
}
