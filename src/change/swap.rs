//! Swap: making a file that the kernel swaps to, turning swaps on and off, and the way back.

use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::preflight::{Obstacle, ObstacleKind};
use super::step::{COMMAND_LIMIT, command};
use crate::guest::{Guest, Unknown};
use crate::model::{GuestPath, Step};
use crate::parse::superblock::{self, Kind};
use crate::parse::swaps::Swaps;
use crate::parse::window::Window;
use crate::sys::write::{RootMut, Spot};
use crate::sys::{Attributes, Blocks, Error, ErrorKind, FileKind, Result, Time};

/// Filesystems whose files the kernel swaps to (swapon(8) and the `swap_activate` of each).
const FILESYSTEMS: [&[u8]; 6] = [b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"f2fs"];

/// What is left free of a filesystem, in hundredths of its size: as much as mke2fs(8) keeps for
/// root by default.
const KEPT_FREE: u64 = 5;

/// The largest page of a machine that Linux runs on; the header of a swap is a page.
const LARGEST_PAGE: u64 = 64 << 10;

/// What a swap file was when it was made. The kernel writes its pages past the filesystem, which changes
/// none of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its inode's number.
    inode: u64,
    /// Its size in bytes.
    size: u64,
    /// When it was written.
    modified: Time,
}

impl Made {
    fn of(file: &Attributes) -> Self {
        Self { inode: file.inode, size: file.size, modified: file.modified }
    }
}

/// Make a file of `size` bytes, format it and swap to it.
///
/// The blocks are reserved where the filesystem can do that, which is done at once; a kernel that
/// takes such a file for one with holes has it written with zeros.
///
/// # Errors
/// What the system, mkswap(8) or swapon(8) says.
pub fn make_file(guest: &Guest, spot: &Spot, size: u64) -> Result<Made> {
    let blocks = spot.create_swap_file(size)?;
    format(guest, &spot.path)?;
    let first = turn_on(guest, &spot.path);
    if first.is_err() && blocks == Blocks::Reserved {
        spot.fill_with_zeros(size)?;
        format(guest, &spot.path)?;
        turn_on(guest, &spot.path)?;
    } else {
        first?;
    }
    let gone = || Error::new("swap to", &spot.path, ErrorKind::NotFound, "it is gone");
    Ok(Made::of(&spot.dir.lstat(&spot.name)?.ok_or_else(gone)?))
}

fn format(guest: &Guest, path: &GuestPath) -> Result<()> {
    let argv = [OsStr::new("mkswap"), path.as_os_str()];
    command(guest, &argv, "format as swap", path)
}

/// Swap to a device or file, and see that the kernel does.
///
/// # Errors
/// What swapon(8) says.
pub fn turn_on(guest: &Guest, path: &GuestPath) -> Result<()> {
    turn_on_at(guest, path, None)
}

/// As [`turn_on`], with the priority that it had. Negative ones are the kernel's own choice and
/// cannot be asked for (swapon(2)).
///
/// # Errors
/// What swapon(8) says.
pub fn turn_on_at(guest: &Guest, path: &GuestPath, priority: Option<i32>) -> Result<()> {
    if is_on(guest, path)? {
        return Ok(());
    }
    let number = priority.unwrap_or(-1).to_string();
    let mut argv: Vec<&OsStr> = vec![OsStr::new("swapon")];
    if priority.is_some_and(|priority| priority >= 0) {
        argv.extend([OsStr::new("-p"), OsStr::new(&number)]);
    }
    argv.extend([OsStr::new("--"), path.as_os_str()]);
    let output = guest.runner().run(&argv, COMMAND_LIMIT)?;
    if !output.success() {
        return Err(Error::new("swap to", path, ErrorKind::Other, output.complaint()));
    }
    if is_on(guest, path)? {
        return Ok(());
    }
    let cause = "swapon said that it succeeded, and /proc/swaps does not show it";
    Err(Error::new("swap to", path, ErrorKind::Other, cause))
}

/// Stop swapping to a device or file.
///
/// # Errors
/// What swapoff(8) says.
pub fn turn_off(guest: &Guest, path: &GuestPath) -> Result<()> {
    if !is_on(guest, path)? {
        return Ok(());
    }
    let argv = [OsStr::new("swapoff"), OsStr::new("--"), path.as_os_str()];
    command(guest, &argv, "stop swapping to", path)
}

/// Whether the kernel swaps to it now: asked anew, as the guest's own facts are from before.
fn is_on(guest: &Guest, path: &GuestPath) -> Result<bool> {
    let Some(kernel) = guest.kernel() else { return Ok(false) };
    let swaps = Swaps::parse(&kernel.proc("/swaps")?.unwrap_or_default());
    Ok(swaps.swaps.iter().any(|swap| swap.path == path.as_bytes()))
}

/// Take away what [`make_file`] made, which is `made` where it came to its end: nothing stood at the name
/// before.
///
/// # Errors
/// What the system says; what somebody else put at the name is left alone.
pub fn remove_file(guest: &Guest, spot: &Spot, made: Option<&Made>) -> Result<()> {
    let Some(file) = spot.dir.lstat(&spot.name)? else { return Ok(()) };
    let is_ours = match made {
        _ if file.kind != FileKind::Regular => false,
        Some(made) => Made::of(&file) == *made,
        None => may_be_half_made(spot)?,
    };
    if !is_ours {
        let cause = "it was changed after the run, and is left as it is";
        return Err(Error::new("remove", &spot.path, ErrorKind::Changed, cause));
    }
    turn_off(guest, &spot.path)?;
    spot.remove()
}

/// Whether a file begins as one does that [`make_file`] was at: empty, with nothing, or as a swap.
fn may_be_half_made(spot: &Spot) -> Result<bool> {
    let beginning = spot.beginning(LARGEST_PAGE)?;
    if beginning.iter().all(|byte| *byte == 0) {
        return Ok(true);
    }
    let found = superblock::identify(&Window::of(beginning));
    Ok(found.is_ok_and(|found| found.is_some_and(|found| found.kind == Kind::Swap)))
}

/// What stands in the way of making a swap file.
///
/// # Errors
/// A fact that could not be had.
pub fn obstacles(
    guest: &Guest,
    step: &Step,
    size: u64,
) -> std::result::Result<Vec<Obstacle>, Unknown> {
    let Some(path) = &step.path else { return Ok(Vec::new()) };
    let blocked = |message: String| vec![Obstacle { kind: ObstacleKind::Blocked, message }];
    if !guest.is_running_here() {
        return Ok(blocked(format!("cannot swap to {path}: the guest does not run")));
    }
    if RootMut::new(guest.root()).spot(path)?.dir.lstat(path.name())?.is_some() {
        return Ok(blocked(format!("cannot make {path}: it is there already")));
    }
    let directory = path.parent();
    if let Some(mount) = guest.mounts()?.holding(path.as_bytes()) {
        let fstype = mount.fstype.value.as_slice();
        if !FILESYSTEMS.contains(&fstype) {
            return Ok(blocked(format!(
                "cannot swap to {path}: the kernel swaps to no file of a {} filesystem",
                String::from_utf8_lossy(fstype)
            )));
        }
    }
    let Some(space) = guest.fs_use(&directory)? else { return Ok(Vec::new()) };
    let kept = space.size / 100 * KEPT_FREE;
    if space.available < size.saturating_add(kept) {
        return Ok(blocked(format!(
            "cannot make {path}: {} MiB are free in {directory}, and {} MiB beside the {} MiB of \
             swap stay free",
            space.available >> 20,
            kept >> 20,
            size >> 20
        )));
    }
    Ok(Vec::new())
}
