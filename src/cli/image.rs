//! `prepare` and `rollback` of a disk image.
//!
//! A copy is changed, which shares its blocks with the image where the filesystem can do that, and
//! with `--in-place` the image itself. The journal lies beside the image.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::args::{Cli, PrepareArgs, RollbackArgs};
use super::change::{ask, refuse_obstacles, take_asked};
use super::exit::{Exit, Outcome, Trouble};
use super::plan::make;
use super::prepare::{self, show};
use super::progress::Progress;
use super::rollback;
use super::setup::{self, Choice};
use super::target::{
    beside, open_file, open_image, private_mounts, rollback_command, state_dir_of,
};
use crate::change::{Phase2, Run, RunKind, RunState, Store, check_replay, forget};
use crate::engine;
use crate::guest::{Access, Guest, Image};
use crate::model::{Plan, Policy};
use crate::sys::{self, DiskImage, PrivateMounts, Use};

/// `prepare --image`
pub fn prepare(
    cli: &Cli,
    args: &PrepareArgs,
    choice: &Choice,
    image: &Path,
    reviewed: Option<Plan>,
) -> Outcome {
    let image = sys::absolute(image)?;
    let copy = match (&args.copy, args.in_place) {
        (_, true) => None,
        (Some(named), false) => Some(sys::absolute(named)?),
        (None, false) => Some(default_copy(&image)),
    };
    let output = args.output.output.as_deref().map(sys::absolute).transpose()?;
    let state_dir = state_dir_of(&image, &args.target)?;
    sys::leave_directory()?;
    // Before a state directory is made beside a file that is no image.
    let file = open_file(&image, if copy.is_some() { Use::Read } else { Use::Change })?;
    refuse_writers(&file)?;
    let store = Store::create_at(&state_dir).map_err(setup::nothing_changed)?;
    let _lock = store.lock().map_err(setup::nothing_changed)?;
    let mounts = private_mounts()?;
    let policy = || choice.policy(args.target.system_disk.as_deref());

    let changed = match &copy {
        Some(copy) => clear_copy(&store, copy).map(|()| copy)?,
        None => &image,
    };
    let access = if copy.is_some() { Access::Look } else { Access::Change };
    let open = Rc::new(open_image(file.clone(), &image, access, Some(&mounts))?);
    if copy.is_none() {
        setup::finish_interrupted_in(&Guest::image(&open, Policy::default())?, &store)?;
    }
    let guest = Guest::image(&open, policy())?;
    let plan = match reviewed {
        Some(plan) => {
            check_replay(&guest, &plan).map_err(Trouble::usage)?;
            plan
        }
        None => {
            let (audit, plan) = make(&guest, choice)?;
            show(args, &plan, &audit.report)?;
            plan
        }
    };
    drop(guest);
    ask(&plan, args.yes)?;

    let open = match &copy {
        None => open,
        Some(copy) if plan.steps.is_empty() => {
            sys::say(&format!("there is nothing to change, and so {} is not made", copy.display()));
            open
        }
        Some(copy) => {
            close(open)?;
            Rc::new(make_copy(&file, copy, &mounts)?)
        }
    };
    let guest = Guest::image(&open, policy())?;
    let named = args.target.state_dir.as_ref().map(|_| state_dir.as_path());
    let undone_by = rollback_command(None, Some(&image), named);
    let done = refuse_obstacles(&guest, &plan, Phase2::Now)
        .and_then(|()| take_asked(&guest, &store, &plan, RunKind::Prepare, Phase2::Now, &undone_by))
        .inspect_err(|_| copy.iter().for_each(|copy| sys::remove_named(&partial(copy))))?;
    drop(guest);
    let guest = Guest::image(&open, policy())?;
    let audit = engine::audit(&guest, &choice.settings());
    drop(guest);
    close(open)?;
    if let (Some(copy), Some(_)) = (&copy, &done) {
        sys::rename_new(&partial(copy), copy)?;
    }
    if done.is_some() {
        sys::say(&format!("prepared: {}", changed.display()));
    }
    prepare::deliver(cli, args, output, &audit.report, done.as_ref())?;
    Ok(prepare::ended(&audit.report, done.as_ref()))
}

/// `rollback --image`
pub fn rollback(args: &RollbackArgs, image: &Path) -> Outcome {
    let image = sys::absolute(image)?;
    let state_dir = state_dir_of(&image, &args.target)?;
    sys::leave_directory()?;
    let store = Store::open_at(&state_dir)
        .map_err(setup::nothing_changed)?
        .ok_or_else(rollback::nothing)?;
    let _lock = store.lock().map_err(setup::nothing_changed)?;
    let own_dir = args.target.state_dir.is_none();
    let mut runs = runs_on(&store, &image, own_dir)?;
    let at = match rollback::choose(&runs, args.run.as_deref())? {
        rollback::Chosen::Run(at) => at,
        rollback::Chosen::Done => return Ok(Exit::Done),
    };
    let run = &mut runs[at];
    rollback::ask(run, args.yes)?;
    let changed = PathBuf::from(&run.header.root);
    if is_in_place(run, &image) {
        let file = open_file(&image, Use::Change)?;
        refuse_writers(&file)?;
        let mounts = private_mounts()?;
        // Known as it was then: the image may have been given another name since.
        let open = Rc::new(open_image(file, &changed, Access::Change, Some(&mounts))?);
        let guest = Guest::image(&open, Policy::default())?;
        let ended = rollback::carry_out(&guest, run);
        drop(guest);
        close(open)?;
        return ended;
    }
    // The image was never touched; what the run made goes. A record may be anybody's, and has no say
    // in what is removed elsewhere.
    let fate = match run.header.image {
        Some(made) if changed == default_copy(&image) => {
            let removed = sys::remove_made(&partial(&changed), made.id)
                .and_then(|()| sys::remove_made(&changed, made.id));
            removed.map_err(|error| {
                Trouble::new(Exit::Failed, error).hint("move it away and run the command again")
            })?;
            "is removed"
        }
        _ => "is left, and yours to remove",
    };
    forget(run)?;
    sys::tell(&format!(
        "Run {} is rolled back: {} {fate}; {} was never changed.",
        run.header.id,
        changed.display(),
        image.display()
    ));
    Ok(Exit::Done)
}

/// The runs that were made on an image. Beside it lies its own state directory; another may be that
/// of many images.
fn runs_on(store: &Store, image: &Path, own_dir: bool) -> Result<Vec<Run>, Trouble> {
    let (ours, others): (Vec<Run>, Vec<Run>) = store.runs()?.into_iter().partition(|run| {
        let is_copy = run.header.image.is_some_and(|changed| !changed.in_place);
        is_in_place(run, image)
            || Path::new(&run.header.root) == default_copy(image)
            || own_dir && is_copy
    });
    match others.last() {
        Some(other) if ours.is_empty() => {
            let root = sys::command_argument(&other.header.root).into_owned();
            Err(Trouble::usage(format!(
                "the runs in {} were made on another image, the last on {root}; nothing was changed",
                store.path()
            ))
            .hint(format!("name that image, or give {} its name again", image.display())))
        }
        _ => Ok(ours),
    }
}

/// Whether a run changed this image itself, which may have been given another name since.
fn is_in_place(run: &Run, image: &Path) -> bool {
    match run.header.image {
        Some(changed) if !changed.in_place => false,
        Some(changed) if sys::file_id(image).is_ok_and(|id| id == changed.id) => true,
        _ => Path::new(&run.header.root) == image,
    }
}

/// `disk.prepared.raw` of `disk.raw`, `disk.qcow2` and `disk.raw.tar.gz`.
fn default_copy(image: &Path) -> PathBuf {
    let name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = [".raw.tar.gz", ".tar.gz", ".tgz", ".raw", ".img", ".qcow2", ".vhd", ".vmdk"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|stem| !stem.is_empty())
        .unwrap_or(&name);
    image.with_file_name(format!("{stem}.prepared.raw"))
}

/// What the copy is called until it is prepared.
fn partial(copy: &Path) -> PathBuf {
    beside(copy, ".partial")
}

/// Take away what a killed run left of a copy, and refuse to overwrite one that was made.
fn clear_copy(store: &Store, copy: &Path) -> Result<(), Trouble> {
    let own = copy.display().to_string();
    for mut run in store.runs()? {
        if run.header.root != own || run.state() == RunState::RolledBack {
            continue;
        }
        if run.is_unfinished() || !sys::exists(copy) {
            forget(&mut run)?;
        }
    }
    sys::remove_named(&partial(copy));
    if sys::exists(copy) {
        return Err(Trouble::usage(format!("{own} is there already; nothing was changed")).hint(
            "`guestprep rollback --image` removes the copy of an earlier run; --copy names another",
        ));
    }
    Ok(())
}

fn make_copy(file: &DiskImage, copy: &Path, mounts: &Rc<PrivateMounts>) -> Result<Image, Trouble> {
    let partial = partial(copy);
    let progress = Progress::new("copying");
    let copied = file
        .copy_to(&partial, &|done, of| progress.at(done, of))
        .map_err(setup::nothing_changed)?;
    drop(progress);
    let way = if copied.cloned { "shares the blocks of the image" } else { "copied" };
    sys::say(&format!("{}: {way}, {} bytes", copy.display(), copied.bytes));
    open_file(&partial, Use::Change)
        .and_then(|file| open_image(file, copy, Access::ChangeCopy, Some(mounts)))
        .inspect_err(|_| sys::remove_named(&partial))
}

/// An image that something else writes to is neither changed nor copied.
fn refuse_writers(file: &DiskImage) -> Result<(), Trouble> {
    let writers = file.writers();
    if writers.is_empty() {
        return Ok(());
    }
    let shown = file.path().display();
    Err(Trouble::usage(format!("{shown} is in use by {}; nothing was changed", writers.join(", ")))
        .hint("unmount what is mounted of it, and detach it with `losetup -d`"))
}

/// Unmount an image's filesystems.
fn close(image: Rc<Image>) -> Result<(), Trouble> {
    match Rc::into_inner(image) {
        Some(image) => Ok(image.close()?),
        None => Ok(()),
    }
}
