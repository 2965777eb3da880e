//! Starting a unit of systemd, and mounting what fstab has at a target, with the way back.
//!
//! Both ways back look first, and have nothing to do where nothing came of the step.

use std::ffi::OsStr;

use super::step::{COMMAND_LIMIT, command};
use crate::guest::Guest;
use crate::model::GuestPath;
use crate::parse::mountinfo::Mountinfo;
use crate::sys::{Error, ErrorKind, Result};

/// Have systemd read its files again, which an earlier step may have changed, and start a unit.
/// With `wait` its job is waited for.
///
/// # Errors
/// What systemctl says.
pub fn start(guest: &Guest, unit: &str, wait: bool) -> Result<()> {
    systemctl(guest, &["daemon-reload"], unit)?;
    let start: &[&str] = if wait { &["start", "--"] } else { &["--no-block", "start", "--"] };
    systemctl(guest, &[start, &[unit]].concat(), unit)?;
    Ok(())
}

/// Stop a unit that is up, or coming up.
///
/// # Errors
/// What systemctl says.
pub fn stop(guest: &Guest, unit: &str) -> Result<()> {
    // `show` answers for a unit that there is not, too; `stop` does not.
    let state = systemctl(guest, &["show", "--property=ActiveState", "--", unit], unit)?;
    if matches!(state.trim_ascii(), b"ActiveState=inactive" | b"ActiveState=failed") {
        return Ok(());
    }
    systemctl(guest, &["stop", "--", unit], unit).map(|_| ())
}

fn systemctl(guest: &Guest, arguments: &[&str], unit: &str) -> Result<Vec<u8>> {
    let argv = [&["systemctl"], arguments].concat();
    let output = guest.runner().run(&argv, COMMAND_LIMIT)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(Error::new("start", unit, ErrorKind::Other, output.complaint()))
}

/// Mount what fstab has at a target.
///
/// # Errors
/// What mount(8) says.
pub fn mount(guest: &Guest, target: &GuestPath) -> Result<()> {
    let argv = [OsStr::new("mount"), OsStr::new("--"), target.as_os_str()];
    command(guest, &argv, "mount", target)
}

/// Unmount it again.
///
/// # Errors
/// What umount(8) says.
pub fn unmount(guest: &Guest, target: &GuestPath) -> Result<()> {
    // Asked of the kernel anew: the guest's own facts are from before.
    let Some(kernel) = guest.kernel() else { return Ok(()) };
    let now = Mountinfo::parse(&kernel.proc("/self/mountinfo")?.unwrap_or_default());
    if now.at(target.as_bytes()).is_none() {
        return Ok(());
    }
    let argv = [OsStr::new("umount"), OsStr::new("--"), target.as_os_str()];
    command(guest, &argv, "unmount", target)
}
