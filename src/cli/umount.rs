//! `guestprep umount`

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::args::{Cli, UmountArgs};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use crate::change::{order_mounts, unmount, unmount_only};
use crate::guest::{Guest, Mounts, is_system_target};
use crate::model::{GuestPath, MountRecord, Policy};
use crate::parse::mountinfo::Mount;
use crate::sys;

pub fn run(_cli: &Cli, args: &UmountArgs) -> Outcome {
    setup::require_root("umount")?;
    let targets: Vec<_> =
        args.targets.iter().map(|t| sys::absolute(t)).collect::<sys::Result<_>>()?;
    sys::leave_directory()?;
    setup::finish_interrupted(None, None)?;
    let guest = setup::guest(None, Policy::default())?;
    let mut wanted: Vec<MountRecord> = Vec::new();
    for target in &targets {
        for mount in meant(&guest, target)? {
            if !wanted.iter().any(|known| known.id == mount.id) {
                wanted.push(Mounts::record(mount, None));
            }
        }
    }
    let wanted = order_mounts(wanted);
    let obstacles = unmount_only(&guest, &wanted)?;
    if !obstacles.is_empty() {
        let lines: Vec<&str> = obstacles.iter().map(|o| o.message.as_str()).collect();
        return Err(Trouble::new(
            Exit::NotReady,
            format!("nothing was unmounted: {}", lines.join("\n  ")),
        )
        .hint("end what holds it, then run the command again"));
    }
    for mount in &wanted {
        unmount(&guest, mount).map_err(|error| Trouble::new(Exit::Failed, error))?;
        sys::tell(&format!("unmounted {} ({})", mount.target, mount.source));
    }
    Ok(Exit::Done)
}

/// The mounts that a target means: the one there and all inside it, or all of a device.
fn meant<'a>(guest: &'a Guest, target: &Path) -> Result<Vec<&'a Mount>, Trouble> {
    let mounts = &guest.mounts()?.own;
    let path = GuestPath::new(target.as_os_str().as_bytes());
    let mut found: Vec<&Mount> = match mounts.at(path.as_bytes()) {
        Some(mount) => vec![mount],
        None => of_device(guest, &path)?,
    };
    if found.is_empty() {
        return Err(Trouble::usage(format!("{path} is not mounted"))
            .hint("`guestprep disks` shows what is mounted where"));
    }
    // What stands on a mount has to go before it.
    let mut at = 0;
    while at < found.len() {
        let inside =
            mounts.mounts.iter().filter(|m| m.parent == found[at].id && m.id != found[at].id);
        let new: Vec<&Mount> = inside.filter(|m| !found.iter().any(|f| f.id == m.id)).collect();
        found.extend(new);
        at += 1;
    }
    for mount in &found {
        let point = GuestPath::new(&mount.mount_point.value);
        if is_system_target(&point) {
            return Err(Trouble::usage(format!("{point} is part of the system and stays mounted")));
        }
    }
    Ok(found)
}

fn of_device<'a>(guest: &'a Guest, path: &GuestPath) -> Result<Vec<&'a Mount>, Trouble> {
    let disks = guest.disks()?;
    let Some(device) = guest.find_device(path.as_bytes())? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for mount in &guest.mounts()?.own.mounts {
        let devices = guest.devices_of_mount(mount)?.unwrap_or_default();
        if devices.iter().any(|at| *at == device || disks.lies_on(*at, device)) {
            found.push(mount);
        }
    }
    Ok(found)
}
