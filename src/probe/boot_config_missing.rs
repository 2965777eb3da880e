//! `boot-config-missing`: no boot loader's configuration, or none that boots anything; on UEFI, no loader that a new
//! instance's firmware would start.

use super::{Answer, Guest};
use crate::guest::{Family, FileKind, Loader, Unknown};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// Where firmware without any boot variable of its own looks (UEFI 2.10, 3.5.1.1), for each architecture of ECS.
const REMOVABLE: [&str; 2] = ["BOOTX64.EFI", "BOOTAA64.EFI"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let menu = guest.boot_entries()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let subject = Subject::file(&menu.config);
    match menu.loader {
        Loader::Missing if guest.os()?.family == Family::Immutable => {
            doubts.push("this system does not keep its boot loader where others do".to_owned());
        }
        Loader::Missing => {
            findings.push(Finding::new("no-configuration", subject).with("path", &menu.config));
        }
        Loader::Other(_) => {}
        Loader::Grub2 | Loader::GrubLegacy if !menu.doubts.is_empty() => {
            doubts.extend(menu.doubts.iter().cloned());
        }
        Loader::Grub2 | Loader::GrubLegacy if menu.entries.is_empty() => {
            findings.push(Finding::new("no-entries", subject).with("path", &menu.config));
        }
        Loader::Grub2 | Loader::GrubLegacy => {}
    }
    if needs_removable_loader(guest)? {
        match no_removable_loader(guest) {
            Ok(finding) => findings.extend(finding),
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// Whether nothing but UEFI can start the system: it was started by it, or it is on a disk that has
/// an EFI system partition and no code for a BIOS.
fn needs_removable_loader(guest: &Guest) -> Result<bool, Unknown> {
    let Some(image) = guest.disk_image() else { return Ok(guest.booted_by_efi()? == Some(true)) };
    let has_esp =
        ["/boot/efi", "/efi"].iter().any(|esp| image.at(&GuestPath::from(*esp)).is_some());
    Ok(has_esp && !image.has_boot_code())
}

/// A new instance has no boot variables: its firmware starts the loader of the removable path alone.
fn no_removable_loader(guest: &Guest) -> Result<Option<Finding>, Unknown> {
    for target in ["/boot/efi", "/efi", "/boot"] {
        let esp = GuestPath::from(target);
        let mounted = match guest.disk_image() {
            Some(image) => image.at(&esp).map(|filesystem| filesystem.fstype.clone()),
            None => {
                let mount = guest.mounts()?.own.at(target.as_bytes());
                mount.map(|mount| String::from_utf8_lossy(&mount.fstype.value).into_owned())
            }
        };
        if mounted.is_none_or(|fstype| target == "/boot" && fstype != "vfat") {
            continue;
        }
        // FAT does not tell upper from lower case; a tree of files may.
        for directory in named(guest, &esp.join(b"EFI"), &["BOOT"])? {
            for file in named(guest, &directory, &REMOVABLE)? {
                if guest.stat(&file)?.is_some_and(|about| about.kind == FileKind::Regular) {
                    return Ok(None);
                }
            }
        }
        let path = esp.join(b"EFI/BOOT").join(REMOVABLE[0].as_bytes());
        return Ok(Some(
            Finding::new("no-removable-loader", Subject::file(&path)).with("path", &path),
        ));
    }
    let why = "the guest was started by UEFI, and its EFI system partition is not mounted: mount it \
               on /boot/efi and run the command again";
    Err(Unknown(why.to_owned()))
}

fn named(guest: &Guest, directory: &GuestPath, names: &[&str]) -> Result<Vec<GuestPath>, Unknown> {
    let is_directory = guest.stat(directory)?.is_some_and(|a| a.kind == FileKind::Directory);
    if !is_directory {
        return Ok(Vec::new());
    }
    let found = guest.root().list(directory)?.unwrap_or_default();
    let is_meant = |name: &Vec<u8>| names.iter().any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    Ok(found.into_iter().filter(is_meant).map(|name| directory.join(&name)).collect())
}
