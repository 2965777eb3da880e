//! Taking one step: what must be saved before, and the doing.

use std::ffi::OsStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::{self, NameUndo, Standing};
use super::{remount, start, swap};
use crate::guest::Guest;
use crate::model::{Action, ByteString, GuestPath, LineEdit, MountRecord, Step, sha256_hex};
use crate::parse::lines::{self, LineEnding};
use crate::sys::write::{RootMut, Spot};
use crate::sys::{Attributes, Dir, Error, ErrorKind, InodeFlags, Result, Time};

/// How long mount, umount, swapon and swapoff may take. Writing back a slow disk's cache, or a
/// full swap, takes its time; a minute per step would end real ones.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(600);

/// The permission bits of a directory that a step makes.
const DIRECTORY_MODE: u32 = 0o755;

/// Everything that undoing a step needs. Written to the journal before the step is taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// Put a file back.
    File {
        /// The file, links resolved.
        path: GuestPath,
        /// What it was.
        attributes: Attributes,
        /// SHA-256 before the step.
        before: String,
        /// SHA-256 after the step.
        after: String,
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
    /// Stop swapping to it.
    SwapOn {
        /// The device or file.
        device: GuestPath,
    },
    /// Stop swapping to a file that was made, and remove it.
    SwapFile {
        /// The file.
        path: GuestPath,
        /// The directory's times before the step.
        directory: (Time, Time),
    },
    /// Unmount it.
    Mounted {
        /// The mount point.
        target: GuestPath,
    },
    /// Stop it.
    Started {
        /// The unit's full name.
        unit: String,
    },
    /// Put back what stood at a name.
    Name(NameUndo),
    /// Put back the files that a command wrote, then run another.
    Command {
        /// What stood at each name that it writes.
        names: Vec<NameUndo>,
        /// The command that is run once they are back; empty for none.
        then: Vec<String>,
    },
}

/// What a step needs in order to be undone, and to know what it left again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct After {
    /// When each directory in which it changed a name was last modified then.
    #[serde(default)]
    pub directories: Vec<(GuestPath, Time)>,
    /// What a command left at each name that it writes, in their order.
    #[serde(default)]
    pub written: Vec<Standing>,
    /// The swap file that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_file: Option<swap::Made>,
}

/// Look, save the original into the run's directory, and say how the step is undone. Changes
/// nothing of the guest.
pub fn save(guest: &Guest, root: &RootMut, run: &Dir, step: &Step) -> Result<Undo> {
    match &step.action {
        Action::EditFile { result_sha256, .. } => {
            let spot = root.spot_of_file(required_path(step)?)?;
            save_file(run, step, spot, result_sha256.clone())
        }
        Action::SetFlags { .. } => {
            let spot = root.spot_of_file(required_path(step)?)?;
            Ok(Undo::Flags { flags: spot.flags()?, path: spot.path })
        }
        Action::Unmount { mount } => {
            Ok(Undo::Mount { mount: mount.clone(), origin: remount::origin(guest, mount) })
        }
        Action::SwapOff { device, priority } => {
            Ok(Undo::Swap { device: device.clone(), priority: *priority })
        }
        Action::SwapOn { device } => Ok(Undo::SwapOn { device: device.clone() }),
        Action::Mount => Ok(Undo::Mounted { target: required_path(step)?.clone() }),
        Action::Start { unit, .. } => Ok(Undo::Started { unit: unit.clone() }),
        Action::SwapFile { .. } => {
            let spot = root.spot(required_path(step)?)?;
            if spot.dir.lstat(&spot.name)?.is_some() {
                return Err(moved(&spot.path));
            }
            Ok(Undo::SwapFile { directory: spot.dir.times()?, path: spot.path })
        }
        Action::WriteFile { content, .. } => {
            let spot = root.spot_of_file(required_path(step)?)?;
            let after = sha256_hex(content.as_bytes());
            if spot.attributes()?.is_none() {
                expect_absent(step, &spot.path)?;
                let after = Standing::File { sha256: after };
                return Ok(Undo::Name(name::save(&spot, run, &step.id, after)?));
            }
            save_file(run, step, spot, after)
        }
        Action::MakeDir => {
            let spot = root.spot(required_path(step)?)?;
            expect_absent(step, &spot.path)?;
            Ok(Undo::Name(name::save(&spot, run, &step.id, Standing::Directory)?))
        }
        action if action.is_for_good() => Err(irreversible(step)),
        Action::Truncate { .. } | Action::DropAccount { .. } => Err(irreversible(step)),
        Action::Remove { .. } => {
            let spot = root.spot(required_path(step)?)?;
            let undo = name::save(&spot, run, &step.id, Standing::Absent)?;
            if !undo.before.is_expected(&step.expects) {
                return Err(moved(&spot.path));
            }
            Ok(Undo::Name(undo))
        }
        Action::Unit { target, .. } => {
            let spot = root.spot(required_path(step)?)?;
            let after = match target {
                Some(target) => Standing::Link { target: target.clone() },
                None => Standing::Absent,
            };
            let undo = name::save(&spot, run, &step.id, after)?;
            if !undo.before.is_expected(&step.expects) {
                return Err(moved(&spot.path));
            }
            Ok(Undo::Name(undo))
        }
        Action::Run { writes, undo, .. } => {
            let mut names = Vec::new();
            for (number, path) in writes.iter().enumerate() {
                let spot = root.spot_of_file(path)?;
                let key = key(&step.id, number);
                names.push(name::save(&spot, run, &key, Standing::Unforeseen)?);
            }
            Ok(Undo::Command { names, then: undo.clone() })
        }
    }
}

fn save_file(run: &Dir, step: &Step, spot: Spot, after: String) -> Result<Undo> {
    let (content, attributes) = read_whole(&spot)?;
    let before = sha256_hex(&content);
    if step.expects.sha256.as_deref() != Some(before.as_str()) {
        return Err(moved(&spot.path));
    }
    let saved = name::saved(&step.id);
    run.remove(saved.as_bytes())?;
    run.write_new(&saved, &content)?;
    Ok(Undo::File { directory: spot.dir.times()?, path: spot.path, attributes, before, after })
}

/// By what the original of the name at an index of a command's is saved.
pub fn key(step: &str, index: usize) -> String {
    format!("{step}-{}", index + 1)
}

fn expect_absent(step: &Step, path: &GuestPath) -> Result<()> {
    if step.expects.absent.is_none() { Err(moved(path)) } else { Ok(()) }
}

/// Take the step. A new file has the name `temporary` until it takes its own.
pub fn take(
    guest: &Guest,
    root: &RootMut,
    temporary: &str,
    step: &Step,
    undo: &Undo,
) -> Result<After> {
    match (&step.action, undo) {
        (Action::EditFile { edits, append, result_sha256 }, Undo::File { path, .. }) => {
            let spot = root.spot(path)?;
            let (content, _) = read_whole(&spot)?;
            let result = edited(&content, edits, append)
                .filter(|result| sha256_hex(result) == *result_sha256)
                .ok_or_else(|| moved(path))?;
            replace(&spot, temporary, &content, &result, undo)
        }
        (Action::WriteFile { content, .. }, Undo::File { path, .. }) => {
            let spot = root.spot(path)?;
            let (now, _) = read_whole(&spot)?;
            if step.expects.sha256.as_deref() != Some(sha256_hex(&now).as_str()) {
                return Err(moved(path));
            }
            replace(&spot, temporary, &now, content.as_bytes(), undo)
        }
        (Action::WriteFile { content, mode }, Undo::Name(undo)) => {
            let spot = root.spot(&undo.path)?;
            spot.create(temporary, content.as_bytes(), *mode)?;
            left(&spot, undo)
        }
        (Action::MakeDir, Undo::Name(undo)) => {
            let spot = root.spot(&undo.path)?;
            spot.make_dir(DIRECTORY_MODE)?;
            left(&spot, undo)
        }
        (Action::Remove { .. }, Undo::Name(undo)) => {
            let spot = root.spot(&undo.path)?;
            spot.remove()?;
            left(&spot, undo)
        }
        (Action::Unit { target, .. }, Undo::Name(undo)) => {
            let spot = root.spot(&undo.path)?;
            spot.remove()?;
            if let Some(target) = target {
                spot.link_to(target.as_bytes())?;
            }
            left(&spot, undo)
        }
        (Action::Run { argv, .. }, Undo::Command { names, .. }) => {
            run_tool(guest, argv)?;
            let mut after = After::default();
            for name in names {
                let spot = root.spot(&name.path)?;
                after.written.push(name::standing(&spot)?);
                after.directories.push((name.path.parent(), spot.dir.times()?.1));
            }
            Ok(after)
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
            swap::turn_off(guest, device)?;
            Ok(After::default())
        }
        (Action::SwapOn { device }, _) => {
            swap::turn_on(guest, device)?;
            Ok(After::default())
        }
        (Action::Mount, Undo::Mounted { target }) => {
            start::mount(guest, target)?;
            Ok(After::default())
        }
        (Action::Start { unit, wait }, _) => {
            start::start(guest, unit, *wait)?;
            Ok(After::default())
        }
        (Action::SwapFile { size }, Undo::SwapFile { path, .. }) => {
            let spot = root.spot(path)?;
            let swap_file = Some(swap::make_file(guest, &spot, *size)?);
            let directories = vec![(spot.path.parent(), spot.dir.times()?.1)];
            Ok(After { directories, swap_file, ..After::default() })
        }
        _ => Err(Error::new("take", &step.id, ErrorKind::Other, "its undo is of another kind")),
    }
}

/// Replace a saved file's content and see that it is replaced.
fn replace(spot: &Spot, temporary: &str, read: &[u8], result: &[u8], undo: &Undo) -> Result<After> {
    let Undo::File { attributes, .. } = undo else { return Ok(After::default()) };
    spot.replace(temporary, read, result, attributes, false)?;
    let (written, now) = read_whole(spot)?;
    if written != result || !same_but_times(&now, attributes) {
        return Err(not_written(&spot.path));
    }
    Ok(After { directories: vec![(spot.path.parent(), spot.dir.times()?.1)], ..After::default() })
}

/// See that a name is what the step was to make it.
fn left(spot: &Spot, undo: &NameUndo) -> Result<After> {
    if name::standing(spot)? != undo.after {
        return Err(not_written(&spot.path));
    }
    Ok(After { directories: vec![(spot.path.parent(), spot.dir.times()?.1)], ..After::default() })
}

fn not_written(path: &GuestPath) -> Error {
    Error::new("verify", path, ErrorKind::Other, "it is not what was written")
}

/// Run one of the guest's own tools to its end.
pub fn run_tool(guest: &Guest, argv: &[String]) -> Result<()> {
    let output = guest.runner().run(argv, COMMAND_LIMIT)?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new("run", argv.join(" "), ErrorKind::Other, output.complaint()))
}

/// How often a busy mount is tried again, and after how long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Unmount one mount, never lazily and never by force.
///
/// # Errors
/// What umount(8) says.
pub fn unmount(guest: &Guest, mount: &MountRecord) -> Result<()> {
    let argv = [OsStr::new("umount"), OsStr::new("--"), mount.target.as_os_str()];
    let mut tries = 0;
    loop {
        let refused = match command(guest, &argv, "unmount", &mount.target) {
            Err(refused) if refused.kind() == ErrorKind::Busy => refused,
            done => return done,
        };
        // A loop device whose mount has gone holds its file until the last who looks at it has
        // closed it: no process is named for that, and it is over soon.
        if tries == TRIES {
            return Err(refused);
        }
        tries += 1;
        std::thread::sleep(PAUSE);
    }
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

/// The content with lines replaced and lines added at its end; `None` when a line is not what the plan expects there.
pub fn edited(base: &[u8], edits: &[LineEdit], append: &[ByteString]) -> Option<Vec<u8>> {
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
    for line in append {
        if !result.is_empty() && result.last() != Some(&b'\n') {
            result.push(b'\n');
        }
        result.extend_from_slice(line.as_bytes());
        result.push(b'\n');
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

/// Steps of phase 2 have no undo to be saved, and are taken by [`super::erase`].
fn irreversible(step: &Step) -> Error {
    Error::new("save", &step.id, ErrorKind::Other, "the step cannot be undone")
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
