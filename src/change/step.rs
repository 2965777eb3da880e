//! Taking one step: what must be saved before, and the doing.

use std::ffi::OsStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::guest::Guest;
use crate::model::{Action, ByteString, GuestPath, LineEdit, MountRecord, Step, sha256_hex};
use crate::parse::lines::{self, LineEnding};
use crate::sys::write::{RootMut, Spot};
use crate::sys::{Attributes, Dir, Error, ErrorKind, FileKind, InodeFlags, Result, Time};

/// How long mount, umount, swapon and swapoff may take. Writing back a slow disk's cache, or a
/// full swap, takes its time; a minute per step would end real ones.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(600);

/// Everything that undoing a step needs. Written to the journal before the step is taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// Put a file back.
    File {
        /// The file, links resolved.
        path: GuestPath,
        /// Under what name the run keeps its content.
        saved: String,
        /// What it was.
        attributes: Attributes,
        /// SHA-256 before and after the step.
        before: String,
        /// SHA-256 after the step.
        after: String,
        /// The name of the new file until it takes the old one's.
        temporary: String,
        /// Whether the content is to be written into the file that is there.
        in_place: bool,
        /// The directory's times before the step.
        directory: (Time, Time),
    },
    /// Set the flags again.
    Flags {
        /// The file, links resolved.
        path: GuestPath,
        /// The flags before.
        flags: InodeFlags,
    },
    /// Mount again.
    Mount {
        /// The mount.
        mount: MountRecord,
        /// Where a bind mount's original directory can be reached.
        origin: Option<GuestPath>,
    },
    /// Swap again.
    Swap {
        /// The device or file.
        device: GuestPath,
        /// Its priority.
        priority: i32,
    },
    /// Take the mask away and put back what was there.
    Unit {
        /// The link in /etc/systemd/system.
        path: GuestPath,
        /// What was there.
        before: UnitBefore,
        /// The directory's times before the step.
        directory: (Time, Time),
    },
}

/// What stood where a mask goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitBefore {
    /// Nothing.
    Absent,
    /// A link.
    Link {
        /// Where it points.
        target: ByteString,
        /// What it was.
        attributes: Attributes,
    },
    /// A unit file.
    File {
        /// Under what name the run keeps its content.
        saved: String,
        /// What it was.
        attributes: Attributes,
    },
}

/// What the guest is after a step, for rollback to know it again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct After {
    /// When the directory of a changed file was last modified.
    pub directory_modified: Option<Time>,
}

/// Look, save the original into the run's directory, and say how the step is undone. Changes
/// nothing of the guest.
pub fn save(guest: &Guest, root: &RootMut, run: &Dir, id: &str, step: &Step) -> Result<Undo> {
    match &step.action {
        Action::EditFile { result_sha256, .. } => {
            let spot = root.spot_of_file(required_path(step)?)?;
            let (content, attributes) = read_whole(&spot)?;
            let before = sha256_hex(&content);
            if step.expects.sha256.as_deref() != Some(before.as_str()) {
                return Err(moved(&spot.path));
            }
            let saved = format!("saved-{}", step.id);
            run.remove(saved.as_bytes())?;
            run.write_new(&saved, &content)?;
            Ok(Undo::File {
                in_place: attributes.links > 1 || is_mount_point(guest, &spot.path),
                directory: spot.dir.times()?,
                temporary: format!(".guestprep-{id}-{}", step.id),
                after: result_sha256.clone(),
                path: spot.path,
                saved,
                attributes,
                before,
            })
        }
        Action::SetFlags { .. } => {
            let spot = root.spot_of_file(required_path(step)?)?;
            Ok(Undo::Flags { flags: spot.flags()?, path: spot.path })
        }
        Action::Unmount { mount } => {
            Ok(Undo::Mount { mount: mount.clone(), origin: origin_of_bind(guest, mount) })
        }
        Action::SwapOff { device, priority } => {
            Ok(Undo::Swap { device: device.clone(), priority: *priority })
        }
        Action::Unit { unit, .. } => {
            let path = GuestPath::from(format!("/etc/systemd/system/{unit}").as_str());
            let spot = root.spot(&path)?;
            let directory = spot.dir.times()?;
            let before = match spot.attributes()? {
                None => UnitBefore::Absent,
                Some(attributes) if attributes.kind == FileKind::Symlink => UnitBefore::Link {
                    target: ByteString::from(spot.link_target()?.unwrap_or_default()),
                    attributes,
                },
                Some(_) => {
                    let (content, attributes) = read_whole(&spot)?;
                    let saved = format!("saved-{}", step.id);
                    run.remove(saved.as_bytes())?;
                    run.write_new(&saved, &content)?;
                    UnitBefore::File { saved, attributes }
                }
            };
            Ok(Undo::Unit { path, before, directory })
        }
    }
}

/// Take the step.
pub fn take(guest: &Guest, root: &RootMut, step: &Step, undo: &Undo) -> Result<After> {
    match (&step.action, undo) {
        (
            Action::EditFile { edits, result_sha256 },
            Undo::File { path, attributes, temporary, .. },
        ) => {
            let spot = root.spot(path)?;
            let (content, _) = read_whole(&spot)?;
            let result = edited(&content, edits)
                .filter(|result| sha256_hex(result) == *result_sha256)
                .ok_or_else(|| moved(path))?;
            spot.replace(temporary, &result, attributes, false)?;
            let (written, now) = read_whole(&spot)?;
            if written != result || !same_but_times(&now, attributes) {
                return Err(Error::new(
                    "verify",
                    path,
                    ErrorKind::Other,
                    "it is not what was written",
                ));
            }
            Ok(After { directory_modified: Some(spot.dir.times()?.1) })
        }
        (Action::SetFlags { .. }, Undo::Flags { path, .. }) => {
            root.spot(path)?.set_flags(InodeFlags::default())?;
            Ok(After::default())
        }
        (Action::Unmount { mount }, _) => {
            unmount(guest, mount)?;
            Ok(After::default())
        }
        (Action::SwapOff { device, .. }, _) => {
            let argv = [OsStr::new("swapoff"), OsStr::new("--"), device.as_os_str()];
            command(guest, &argv, "stop swapping to", device)?;
            Ok(After::default())
        }
        (Action::Unit { .. }, Undo::Unit { path, .. }) => {
            let spot = root.spot(path)?;
            spot.remove()?;
            spot.link_to(b"/dev/null")?;
            Ok(After { directory_modified: Some(spot.dir.times()?.1) })
        }
        _ => Err(Error::new("take", &step.id, ErrorKind::Other, "its undo is of another kind")),
    }
}

/// Unmount one mount, never lazily and never by force.
///
/// # Errors
/// What umount(8) says.
pub fn unmount(guest: &Guest, mount: &MountRecord) -> Result<()> {
    let argv = [OsStr::new("umount"), OsStr::new("--"), mount.target.as_os_str()];
    command(guest, &argv, "unmount", &mount.target)
}

/// Run a command whose failure is the step's.
pub fn command(
    guest: &Guest,
    argv: &[&OsStr],
    operation: &'static str,
    subject: &GuestPath,
) -> Result<()> {
    let output = guest.runner().run(argv, COMMAND_LIMIT)?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new(operation, subject, ErrorKind::Busy, output.complaint()))
}

/// The content with lines replaced; `None` when a line is not what the plan expects there.
pub fn edited(base: &[u8], edits: &[LineEdit]) -> Option<Vec<u8>> {
    let mut result = Vec::with_capacity(base.len() + 64);
    let mut left = edits.iter().peekable();
    for (index, (raw, ending)) in lines::split(base).enumerate() {
        match left.next_if(|edit| edit.line == index + 1) {
            Some(edit) if edit.original.as_bytes() == raw => {
                result.extend_from_slice(edit.replacement.as_bytes());
            }
            Some(_) => return None,
            None => result.extend_from_slice(raw),
        }
        result.extend_from_slice(match ending {
            LineEnding::None => b"",
            LineEnding::Lf => b"\n",
            LineEnding::CrLf => b"\r\n",
        });
    }
    left.peek().is_none().then_some(result)
}

/// A regular file's content and everything else about it.
pub fn read_whole(spot: &Spot) -> Result<(Vec<u8>, Attributes)> {
    let gone = || Error::new("read", &spot.path, ErrorKind::NotFound, "it is gone");
    let attributes = spot.attributes()?.ok_or_else(gone)?;
    let content = spot.read()?.ok_or_else(gone)?;
    Ok((content, attributes))
}

fn same_but_times(now: &Attributes, before: &Attributes) -> bool {
    now.mode == before.mode
        && now.uid == before.uid
        && now.gid == before.gid
        && now.xattrs == before.xattrs
}

fn required_path(step: &Step) -> Result<&GuestPath> {
    step.path
        .as_ref()
        .ok_or_else(|| Error::new("take", &step.id, ErrorKind::Other, "the step names no path"))
}

/// The plan's base has moved.
pub fn moved(path: &GuestPath) -> Error {
    let cause = "it is not what the plan was made for; make the plan again";
    Error::new("edit", path, ErrorKind::Changed, cause)
}

fn is_mount_point(guest: &Guest, path: &GuestPath) -> bool {
    guest.mounts().is_ok_and(|mounts| mounts.own.at(path.as_bytes()).is_some())
}

/// For a bind mount: where its directory can be reached through a mount of the whole filesystem.
fn origin_of_bind(guest: &Guest, mount: &MountRecord) -> Option<GuestPath> {
    if mount.root.as_bytes() == b"/" || mount.fstype == "btrfs" {
        return None;
    }
    let mounts = guest.mounts().ok()?;
    mounts.own.mounts.iter().find_map(|other| {
        let device = format!("{}:{}", other.device.0, other.device.1);
        if device != mount.device || other.id == mount.id || other.root.value != b"/" {
            return None;
        }
        let point = GuestPath::new(&other.mount_point.value);
        Some(point.join(mount.root.as_bytes().strip_prefix(b"/")?))
    })
}
