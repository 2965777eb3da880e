//! `filesystem-errors`: a system filesystem carries damage, or stops at its next check.
//!
//! A mounted filesystem is asked through its kernel and its superblock; XFS that needs repair
//! cannot be mounted, so that a live one has nothing to say.

use super::{Answer, Guest};
use crate::guest::{Fact, SystemFilesystem, Unknown};
use crate::model::{Finding, Subject, Verdict};
use crate::parse::fields::{trim, unsigned};
use crate::parse::fstab::Entry;
use crate::parse::options::Options;
use crate::parse::superblock::Detail;
use crate::parse::superblock::ext::Ext;
use crate::parse::superblock::xfs::Xfs;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(filesystems) = guest.system_filesystems()? else {
        return Ok(Verdict::NotApplicable("unseen"));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for filesystem in filesystems {
        findings.extend(read_only(guest, filesystem)?);
        for device in &filesystem.devices {
            match of_device(guest, filesystem, *device) {
                Ok(found) => findings.extend(found),
                Err(why) => doubts.push(why.0),
            }
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// What damage a device of a filesystem shows.
fn of_device(guest: &Guest, filesystem: &SystemFilesystem, at: usize) -> Fact<Vec<Finding>> {
    let device = &guest.disks()?.devices[at];
    let finding = |key: &'static str| {
        Finding::new(key, Subject::Device { device: device.known_as() })
            .with("device", device.known_as())
            .with("target", &filesystem.target)
    };
    let identity = guest.identity(at)?;
    let Some(superblock) = identity.superblock else {
        return of_kernel(guest, filesystem, &device.name, finding);
    };
    match &superblock.detail {
        Detail::Ext(ext) => {
            let mut found = of_ext(ext, filesystem.is_read_only, &finding);
            if is_checked(guest, filesystem)? && found.is_empty() {
                let is_due = ext.check_due_by_count() || ext.check_due_by_time(guest.now());
                found.extend(is_due.then(|| finding("check-due")));
            }
            Ok(found)
        }
        Detail::Xfs(xfs) => {
            Ok(needs_repair(xfs).then(|| finding("needs-repair")).into_iter().collect())
        }
        _ => of_kernel(guest, filesystem, &device.name, finding),
    }
}

/// What the superblock of ext2, ext3 or ext4 says.
fn of_ext(
    ext: &Ext,
    is_read_only: bool,
    finding: &impl Fn(&'static str) -> Finding,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if ext.error_count > 0 {
        found.push(finding("errors-counted").with("count", ext.error_count));
    } else if ext.state.errors() {
        found.push(finding("error-flag"));
    }
    // While it is mounted for writing the flag is normal; a mount for reading replays the journal,
    // unless it was told not to.
    if ext.needs_recovery() && is_read_only {
        found.push(finding("journal-not-replayed"));
    }
    found
}

/// Whether XFS cannot be mounted before xfs_repair has run, or has run to its end. Only of an
/// offline disk: what is mounted was fit for it.
fn needs_repair(xfs: &Xfs) -> bool {
    xfs.needs_repair() || xfs.in_progress
}

/// What the kernel counts of a mounted filesystem, where the device may not be read.
fn of_kernel(
    guest: &Guest,
    filesystem: &SystemFilesystem,
    name: &str,
    finding: impl Fn(&'static str) -> Finding,
) -> Fact<Vec<Finding>> {
    let Some(kernel) = guest.kernel() else {
        return match filesystem.fstype.as_str() {
            "ext2" | "ext3" | "ext4" | "xfs" => Err(unread(name)),
            _ => Ok(Vec::new()),
        };
    };
    let errors = match filesystem.fstype.as_str() {
        // KERNEL(4.19): older ones do not have the file, and then only the superblock tells.
        "ext2" | "ext3" | "ext4" => {
            let path = format!("/fs/ext4/{name}/errors_count");
            let text = kernel.sys(&path)?.ok_or_else(|| unread(name))?;
            unsigned(trim(&text, |b| b.is_ascii_whitespace()))
                .ok_or_else(|| Unknown(format!("/sys{path}:1: not a number")))?
        }
        "btrfs" => btrfs_errors(guest, name)?,
        _ => 0u64,
    };
    let finding = (errors > 0).then(|| finding("errors-counted").with("count", errors));
    Ok(finding.into_iter().collect())
}

fn unread(name: &str) -> Unknown {
    Unknown(format!("the superblock of /dev/{name} cannot be read"))
}

/// What `btrfs device stats` sums up for a device.
fn btrfs_errors(guest: &Guest, name: &str) -> Fact<u64> {
    let Some(kernel) = guest.kernel() else { return Ok(0) };
    let at = guest.disks()?.by_name(name);
    let uuid = at.map(|at| guest.identity(at)).transpose()?.and_then(|identity| identity.uuid);
    let Some(uuid) = uuid.and_then(|uuid| String::from_utf8(uuid).ok()) else { return Ok(0) };
    let base = format!("/fs/btrfs/{uuid}/devinfo");
    let mut errors = 0u64;
    // KERNEL(5.14): error_stats came then; without it nothing is known to be wrong.
    for id in kernel.sys_list(&base)?.unwrap_or_default() {
        let id = String::from_utf8_lossy(&id).into_owned();
        let path = format!("{base}/{id}/error_stats");
        for (index, line) in
            kernel.sys(&path)?.unwrap_or_default().split(|b| *b == b'\n').enumerate()
        {
            let Some(number) = line.rsplit(|b| *b == b' ').next().filter(|n| !n.is_empty()) else {
                continue;
            };
            let number: u64 = unsigned(number)
                .ok_or_else(|| Unknown(format!("/sys{path}:{}: not a number", index + 1)))?;
            errors = errors.saturating_add(number);
        }
    }
    Ok(errors)
}

/// A running guest whose filesystem went read-only, although fstab mounts it for writing: what the
/// kernel does on an error, and what boot does when a check fails.
fn read_only(guest: &Guest, filesystem: &SystemFilesystem) -> Fact<Option<Finding>> {
    if guest.kernel().is_none() || !filesystem.is_read_only {
        return Ok(None);
    }
    let Some(fstab) = guest.fstab()? else { return Ok(None) };
    let Some(entry) = entry(fstab.entries(), filesystem) else { return Ok(None) };
    let options = entry.options.as_ref().map(|field| field.value.as_slice()).unwrap_or_default();
    let wants_ro = Options::libmount(options).switch("ro", "rw") == Some(true);
    let finding = Finding::new("read-only", Subject::file(&filesystem.target))
        .with("target", &filesystem.target);
    Ok((!wants_ro).then_some(finding))
}

/// Whether boot checks the filesystem: its sixth field in fstab is not 0.
fn is_checked(guest: &Guest, filesystem: &SystemFilesystem) -> Fact<bool> {
    let Some(fstab) = guest.fstab()? else { return Ok(false) };
    let entry = entry(fstab.entries(), filesystem);
    Ok(entry.and_then(|entry| entry.passno.as_ref()).is_some_and(|number| number.value != 0))
}

fn entry<'a>(
    mut entries: impl Iterator<Item = &'a Entry>,
    filesystem: &SystemFilesystem,
) -> Option<&'a Entry> {
    entries.find(|entry| entry.target.value == filesystem.target.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::superblock::{self, ext::Incompat, xfs};
    use crate::parse::window::Window;

    /// The superblock of an empty ext4, with some fields changed.
    fn ext(change: impl FnOnce(&mut [u8])) -> Ext {
        let mut bytes = vec![0; 4096];
        bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[1024 + 0x3a] = 1;
        change(&mut bytes[1024..]);
        let mut window = Window::new(4096);
        window.insert(0, bytes);
        match superblock::identify(&window).expect("a superblock").expect("one").detail {
            Detail::Ext(ext) => *ext,
            other => panic!("{other:?}"),
        }
    }

    fn keys(ext: &Ext, is_read_only: bool) -> Vec<&'static str> {
        let finding = |key| Finding::new(key, Subject::Device { device: String::new() });
        of_ext(ext, is_read_only, &finding).iter().map(|finding| finding.key).collect()
    }

    #[test]
    fn each_flag_of_a_superblock() {
        assert!(keys(&ext(|_| {}), true).is_empty());
        assert_eq!(keys(&ext(|sb| sb[0x3a] = 3), false), ["error-flag"]);
        assert_eq!(keys(&ext(|sb| sb[0x194] = 2), false), ["errors-counted"]);
        let replay = ext(|sb| sb[0x60] = Incompat::NEEDS_RECOVERY.0 as u8);
        assert_eq!(keys(&replay, true), ["journal-not-replayed"]);
        assert!(keys(&replay, false).is_empty());
    }

    #[test]
    fn xfs_that_was_left_in_the_middle_of_a_repair() {
        let sound = Xfs {
            sb_version: 5,
            incompat: xfs::Incompat::FTYPE,
            ro_compat: xfs::RoCompat(0),
            meta_uuid: None,
            block_size: 4096,
            sector_size: 512,
            blocks: 1 << 20,
            free_blocks: 1 << 19,
            in_progress: false,
            external_log: false,
        };
        assert!(!needs_repair(&sound));
        // The key is "needs-repair".
        assert!(needs_repair(&Xfs { incompat: xfs::Incompat::NEEDS_REPAIR, ..sound.clone() }));
        assert!(needs_repair(&Xfs { in_progress: true, ..sound }));
    }
}
