//! Mounting again what was unmounted: whether there is a way, and the doing.
//!
//! A mount of a part of a filesystem, as a bind mount is, can be made again from a mount of more of it
//! alone. Where there is none it is not unmounted in the first place.

use std::ffi::OsStr;

use super::execute::runs_systemd;
use super::mount_order::within;
use super::preflight::{Obstacle, ObstacleKind};
use super::start;
use super::step::{COMMAND_LIMIT, command};
use crate::guest::Guest;
use crate::model::{GuestPath, MountRecord};
use crate::parse::mountinfo::Mountinfo;
use crate::parse::unit_name;
use crate::sys::{Error, ErrorKind, Result};

/// For a mount of a part: where the directory can be reached through another mount.
pub fn origin(guest: &Guest, mount: &MountRecord) -> Option<GuestPath> {
    if is_whole(mount) || is_removed(mount) {
        return None;
    }
    let mounts = guest.mounts().ok()?;
    mounts.own.mounts.iter().find_map(|other| {
        let device = format!("{}:{}", other.device.0, other.device.1);
        let (part, more) = (mount.root.as_bytes(), other.root.value.as_slice());
        if device != mount.device || other.id == mount.id || part == more || !within(part, more) {
            return None;
        }
        let rest = part.strip_prefix(more)?;
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        Some(GuestPath::new(&other.mount_point.value).join(rest))
    })
}

/// Why it could not be mounted again, where that is so.
pub fn obstacle(guest: &Guest, mount: &MountRecord) -> Option<Obstacle> {
    if is_whole(mount) || origin(guest, mount).is_some() {
        return None;
    }
    let MountRecord { target, source, root, .. } = mount;
    let why = match is_removed(mount) {
        true => format!("{root}, which has been removed"),
        false => format!("{root}, and no more of it is mounted anywhere"),
    };
    Some(Obstacle {
        kind: ObstacleKind::Blocked,
        message: format!(
            "{target} could not be mounted again: it shows of {source} {why}; `guestprep umount \
             {target}` unmounts it for good"
        ),
    })
}

/// Whether mount(8) gives it by its source and options: all of a filesystem, or a subvolume.
fn is_whole(mount: &MountRecord) -> bool {
    let subvolume =
        || mount.super_options.split(',').find_map(|option| option.strip_prefix("subvol="));
    let root = mount.root.as_bytes();
    root == b"/" || mount.fstype == "btrfs" && subvolume().map(str::as_bytes) == Some(root)
}

/// As the kernel has it of a directory that is there in its mounts alone.
fn is_removed(mount: &MountRecord) -> bool {
    mount.root.as_bytes().ends_with(b"//deleted")
}

/// Mount what was unmounted, and see that it is mounted; something else in its place is unmounted.
///
/// # Errors
/// What mount(8) says.
pub fn again(guest: &Guest, mount: &MountRecord, origin: Option<&GuestPath>) -> Result<()> {
    let before = mounts_now(guest)?;
    if is_mounted(&before, mount) {
        return Ok(());
    }
    let options = mount_options(mount);
    let mut argv: Vec<&OsStr> = vec![OsStr::new("mount")];
    let bind;
    match (origin, &mount.loop_file) {
        (Some(origin), _) => {
            bind = format!("bind,{}", mount.options);
            argv.extend([
                OsStr::new("-o"),
                OsStr::new(&bind),
                OsStr::new("--"),
                origin.as_os_str(),
            ]);
        }
        (None, Some(file)) => {
            bind = format!("loop,{options}");
            argv.extend([OsStr::new("-t"), OsStr::new(&mount.fstype)]);
            argv.extend([OsStr::new("-o"), OsStr::new(&bind), OsStr::new("--"), file.as_os_str()]);
        }
        (None, None) => {
            argv.extend([OsStr::new("-t"), OsStr::new(&mount.fstype)]);
            argv.extend([OsStr::new("-o"), OsStr::new(&options), OsStr::new("--")]);
            argv.push(mount.source.as_os_str());
        }
    }
    argv.push(mount.target.as_os_str());
    if let Err(error) = command(guest, &argv, "mount", &mount.target) {
        start_unit(guest, mount).map_err(|()| error)?;
    }
    let after = mounts_now(guest)?;
    if is_mounted(&after, mount) {
        return Ok(());
    }
    let count = |mounts: &Mountinfo| mounts.all_at(mount.target.as_bytes()).count();
    if count(&after) > count(&before) {
        start::unmount(guest, &mount.target)?;
    }
    let cause = "mount said that it succeeded, and it is not mounted there";
    Err(Error::new("mount", &mount.target, ErrorKind::Other, cause))
}

/// Have systemd mount by the restored fstab, which sets up what the device needs first: after a
/// reboot an encrypted volume whose crypttab line was parked is not open.
fn start_unit(guest: &Guest, mount: &MountRecord) -> std::result::Result<(), ()> {
    let device = GuestPath::new(mount.source.as_bytes());
    let is_there = !matches!(guest.stat(&device), Ok(None));
    if !device.as_bytes().starts_with(b"/dev/") || is_there || !runs_systemd(guest) {
        return Err(());
    }
    let unit = unit_name::for_path(mount.target.as_bytes(), "mount").ok_or(())?;
    let argv = ["systemctl", "start", "--", &unit];
    match guest.runner().run(&argv, COMMAND_LIMIT) {
        Ok(output) if output.success() => Ok(()),
        _ => Err(()),
    }
}

/// The options that make the mount what it was: those of the mount, and those of the superblock
/// that are options of mount(8) too.
fn mount_options(mount: &MountRecord) -> String {
    let of_super = mount.super_options.split(',').filter(|option| {
        // `seclabel` is a statement of the kernel, no option; rw and ro stand among the others.
        !matches!(*option, "seclabel" | "rw" | "ro" | "")
    });
    mount.options.split(',').chain(of_super).collect::<Vec<_>>().join(",")
}

/// Asked of the kernel anew: the guest's own facts are from before.
fn mounts_now(guest: &Guest) -> Result<Mountinfo> {
    let text = match guest.kernel() {
        Some(kernel) => kernel.proc(&format!("/{}/mountinfo", kernel.view()))?,
        None => None,
    };
    Ok(Mountinfo::parse(&text.unwrap_or_default()))
}

fn is_mounted(mounts: &Mountinfo, mount: &MountRecord) -> bool {
    mounts.at(mount.target.as_bytes()).is_some_and(|now| {
        let same_source = now.source.value == mount.source.as_bytes() || mount.loop_file.is_some();
        same_source && now.root.value == mount.root.as_bytes()
    })
}
