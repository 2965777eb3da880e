//! `guestprep swap`

mod status;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::args::{Cli, SwapArgs, SwapCommand, SwapOffArgs, SwapOnArgs, SwapSizeArgs};
use super::change::{Change, carry_out};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use super::wishes::Wishes;
use crate::guest::{Guest, Place, SwapOrigin};
use crate::model::{ByteString, CheckId, Edit, GuestPath, LineChange, Policy, SwapPolicy};
use crate::parse::fstab::Fstab;
use crate::parse::source::Source;
use crate::parse::{marker, size};
use crate::sys;

/// The check whose repairs these commands are.
const CHECK: &str = "swap-enabled";

pub fn run(cli: &Cli, args: &SwapArgs) -> Outcome {
    match &args.command {
        SwapCommand::Status(args) => status::run(args),
        SwapCommand::Off(args) => off(cli, args),
        SwapCommand::On(args) => on(args),
        SwapCommand::Size(args) => make(args),
    }
}

fn off(cli: &Cli, args: &SwapOffArgs) -> Outcome {
    let (root, state_dir) = setup::absolute(&args.target)?;
    sys::leave_directory()?;
    let change = Change {
        command: "swap off",
        root: root.as_deref(),
        state_dir: state_dir.as_deref(),
        policy: Policy {
            swap: SwapPolicy::Off,
            system_disk: args.target.system_disk.clone(),
            ..Policy::default()
        },
        yes: args.yes,
    };
    let language = setup::language(cli);
    let mut left = Vec::new();
    let done = carry_out(&change, |guest| {
        let wishes = Wishes::of(guest, CHECK, language)?;
        left = wishes.left;
        Ok(wishes.edits)
    })?;
    if done.is_none() && left.is_empty() {
        sys::say("nothing swaps, and nothing would at the next boot");
    }
    for message in &left {
        sys::say(&format!("left to you: {message}"));
    }
    Ok(if left.is_empty() { Exit::Done } else { Exit::NotReady })
}

/// Turn on what boot would turn on, and what `swap off` commented out in fstab.
fn on(args: &SwapOnArgs) -> Outcome {
    let state_dir = args.state_dir.as_deref().map(sys::absolute).transpose()?;
    sys::leave_directory()?;
    let change = Change {
        command: "swap on",
        root: None,
        state_dir: state_dir.as_deref(),
        policy: Policy::default(),
        yes: args.yes,
    };
    if carry_out(&change, turn_on)?.is_none() {
        let guest = setup::guest(None, Policy::default())?;
        if guest.swap()?.active.is_empty() {
            return Err(Trouble::new(
                Exit::NotReady,
                "no swap is configured that could be turned on",
            )
            .hint("`guestprep swap size 2GiB` makes a swap file"));
        }
        sys::say("every swap that is configured is on");
    }
    Ok(Exit::Done)
}

fn turn_on(guest: &Guest) -> Result<Vec<(CheckId, Edit)>, Trouble> {
    let mut edits = Vec::new();
    let mut devices = Vec::new();
    let space = guest.swap()?;
    for (at, swap) in space.configured.iter().enumerate() {
        if matches!(swap.origin, SwapOrigin::Fstab { .. } | SwapOrigin::Unit { .. })
            && space.active_of(at).is_none()
        {
            devices.extend(device(guest, &Source::parse(swap.what.as_bytes()))?);
        }
    }
    if let Some(fstab) = guest.fstab()? {
        for line in fstab.lines() {
            let Some((check, original)) = marker::unpark(&line.raw) else { continue };
            let parked = Fstab::parse(original);
            let Some(entry) = parked.entries().find(|entry| entry.fstype.value == b"swap") else {
                continue;
            };
            // One that another check put away is not there.
            let found = device(guest, &Source::parse(&entry.source.value))?;
            if check != CHECK || found.is_none() {
                continue;
            }
            devices.extend(found);
            edits.push(Edit::Line {
                path: GuestPath::from("/etc/fstab"),
                line: line.number,
                original: ByteString::from(line.raw.as_slice()),
                change: LineChange::Replace(ByteString::from(original)),
            });
        }
    }
    let active =
        |path: &GuestPath| space.active.iter().any(|active| active.swap.path == path.as_bytes());
    devices.retain(|path| !active(path));
    edits.extend(devices.into_iter().map(|device| Edit::SwapOn { device }));
    Ok(edits.into_iter().map(|edit| (CheckId::from(CHECK), edit)).collect())
}

/// What swapon(8) is to be given for a source of fstab; `None` where it is not there.
fn device(guest: &Guest, source: &Source) -> Result<Option<GuestPath>, Trouble> {
    Ok(match guest.place(source, None)? {
        Place::Inside(path) => guest.stat(&path)?.map(|_| path),
        place => match place.device() {
            Some(at) => Some(GuestPath::from(guest.disks()?.devices[at].path().as_str())),
            None => None,
        },
    })
}

/// Make a swap file, swap to it, and have every boot swap to it.
fn make(args: &SwapSizeArgs) -> Outcome {
    let Some(size) = size::human(&args.size) else {
        return Err(Trouble::usage(format!("{} is no size", args.size))
            .hint("a size is a number and a unit: 2GiB, 512 MiB"));
    };
    // The kernel wants whole pages, and mkswap(8) at least ten.
    let size = size.next_multiple_of(PAGE);
    if size < MIN_SIZE {
        return Err(Trouble::usage(format!("{} is too little: swap begins at 1 MiB", args.size)));
    }
    let path = sys::absolute(args.file.as_deref().unwrap_or(Path::new("/swapfile")))?;
    let path = GuestPath::new(path.as_os_str().as_bytes());
    if path.as_bytes().iter().any(|b| b.is_ascii_whitespace() || matches!(b, b'\\' | b'#')) {
        return Err(Trouble::usage(format!(
            "{path} has characters that fstab does not take as they are"
        )));
    }
    let state_dir = args.state_dir.as_deref().map(sys::absolute).transpose()?;
    sys::leave_directory()?;
    let change = Change {
        command: "swap size",
        root: None,
        state_dir: state_dir.as_deref(),
        policy: Policy::default(),
        yes: args.yes,
    };
    carry_out(&change, |guest| {
        if guest.fstab()?.is_none() {
            return Err(Trouble::new(Exit::Failed, "there is no /etc/fstab; nothing was changed"));
        }
        let mut line = path.as_bytes().to_vec();
        line.extend_from_slice(b" none swap sw 0 0");
        let line = Edit::Append {
            path: GuestPath::from("/etc/fstab"),
            lines: vec![ByteString::from(line)],
        };
        let file = Edit::SwapFile { path: path.clone(), size };
        Ok([file, line].map(|edit| (CheckId::from(CHECK), edit)).into())
    })?;
    Ok(Exit::Done)
}

/// The largest page of the machines that this program runs on.
const PAGE: u64 = 4096;
/// Less is of no use to anybody.
const MIN_SIZE: u64 = 1 << 20;
