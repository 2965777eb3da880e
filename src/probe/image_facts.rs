//! `image-facts`: what the operator is asked for when the image is made or imported. It is said,
//! and never judged: a fact that cannot be had is left out.

use super::image_size::shown;
use super::{Answer, Guest};
use crate::guest::{Fact, SystemDisks};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// The dynamic loaders, by the architecture that the console lists (the psABI of each).
const LOADERS: [(&str, &str); 5] = [
    ("/lib64/ld-linux-x86-64.so.2", "x86_64"),
    ("/usr/lib64/ld-linux-x86-64.so.2", "x86_64"),
    ("/lib/ld-linux-aarch64.so.1", "arm64"),
    ("/usr/lib/ld-linux-aarch64.so.1", "arm64"),
    ("/lib/ld-linux.so.2", "i386"),
];

/// The ends of kernel releases, by the same.
const RELEASES: [(&str, &str); 5] = [
    ("x86_64", "x86_64"),
    ("-amd64", "x86_64"),
    ("aarch64", "arm64"),
    ("-arm64", "arm64"),
    ("i686", "i386"),
];

/// Where GRUB keeps its modules for firmware of the old kind.
const BIOS: [&str; 4] =
    ["/boot/grub2/i386-pc", "/boot/grub/i386-pc", "/boot/grub/stage2", "/boot/grub/grub.conf"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut file = |key, setting: &str, value: Option<String>| {
        let subject = Subject::Setting { setting: setting.to_owned() };
        findings.extend(value.map(|value| Finding::new(key, subject).with("value", value)));
    };
    let os = guest.os()?;
    let system = match (&os.pretty_name, &os.id) {
        (Some(pretty), _) => Some(pretty.clone()),
        (None, Some(id)) => {
            Some(format!("{id} {}", os.version_id.as_deref().unwrap_or_default()).trim().to_owned())
        }
        (None, None) => None,
    };
    file("system", "system", system);
    file("architecture", "architecture", architecture(guest)?.map(str::to_owned));
    file("boot-mode", "boot mode", boot_mode(guest)?.map(str::to_owned));
    file("disk-size", "system disk", disk_size(guest));
    file("kernel", "kernel", guest.kernel_release());
    Ok(Verdict::from_parts(findings, Vec::new()))
}

fn architecture(guest: &Guest) -> Fact<Option<&'static str>> {
    for (loader, name) in LOADERS {
        if guest.stat(&GuestPath::from(loader))?.is_some() {
            return Ok(Some(name));
        }
    }
    let modules = guest.root().list(&GuestPath::from("/lib/modules"))?.unwrap_or_default();
    let ends = |(end, _): &&(&str, &str)| modules.iter().any(|m| m.ends_with(end.as_bytes()));
    Ok(RELEASES.iter().find(ends).map(|(_, name)| *name))
}

/// What firmware the image boots with, by the loaders that it carries; a running guest has at least
/// the one that it was started by.
fn boot_mode(guest: &Guest) -> Fact<Option<&'static str>> {
    let booted = guest.booted_by_efi()?;
    let mut bios = booted == Some(false);
    for path in BIOS.map(GuestPath::from) {
        bios = bios || guest.stat(&path)?.is_some();
    }
    let efi = GuestPath::from("/boot/efi/EFI");
    let has_efi = guest.root().list(&efi)?.is_some_and(|names| !names.is_empty());
    Ok(match (booted == Some(true) || has_efi, bios) {
        (true, true) => Some("UEFI, BIOS"),
        (true, false) => Some("UEFI"),
        (false, true) => Some("BIOS"),
        (false, false) => None,
    })
}

fn disk_size(guest: &Guest) -> Option<String> {
    let SystemDisks::Known(known) = guest.system_disks().ok()? else { return None };
    let disks = guest.disks().ok()?;
    let sizes: Vec<_> = known.iter().map(|at| shown(disks.devices[*at].size)).collect();
    (!sizes.is_empty()).then(|| sizes.join(" + "))
}
