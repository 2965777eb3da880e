//! The guest that a command is about.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::args::{ImageArgs, TargetArgs};
use super::exit::{Exit, Trouble};
use super::progress::Progress;
use super::setup;
use crate::change::Store;
use crate::guest::{Access, Guest, Image};
use crate::model::Policy;
use crate::sys::{self, DiskImage, ErrorKind, PrivateMounts, Use};

/// The guest that a command is about, and what is open of it.
pub enum Target {
    /// This machine.
    Machine,
    /// The tree below a directory.
    Tree(PathBuf),
    /// A disk image.
    Image(Rc<Image>),
}

impl Target {
    /// What is to be looked at. What a killed run left of a machine or a tree is undone first; of
    /// an image it is told, since a look does not change one.
    pub fn look(target: &TargetArgs, image: &ImageArgs) -> Result<Self, Trouble> {
        if let Some(path) = &image.image {
            let path = sys::absolute(path)?;
            warn_of_unfinished(&path, target)?;
            // Without root, and in most containers, user space reads.
            let mounts = PrivateMounts::enter().ok().map(Rc::new);
            let file = open_file(&path, Use::Read)?;
            let open = open_image(file, &path, Access::Look, mounts.as_ref())?;
            return Ok(Target::Image(Rc::new(open)));
        }
        setup::finish_interrupted(target.root.as_deref(), target.state_dir.as_deref())?;
        Ok(match &target.root {
            Some(path) => Target::Tree(path.clone()),
            None => Target::Machine,
        })
    }

    /// The guest.
    pub fn guest(&self, policy: Policy) -> Result<Guest, Trouble> {
        match self {
            Target::Machine => setup::guest(None, policy),
            Target::Tree(path) => setup::guest(Some(path), policy),
            Target::Image(image) => Ok(Guest::image(image, policy)?),
        }
    }
}

/// Where the journal of an image lies: beside it, not in it.
pub fn state_dir_of(image: &Path, target: &TargetArgs) -> Result<PathBuf, Trouble> {
    match &target.state_dir {
        Some(named) => Ok(sys::absolute(named)?),
        None => Ok(beside(image, ".guestprep")),
    }
}

/// A path with something appended to its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The mount namespace of an image's filesystems.
pub fn private_mounts() -> Result<Rc<PrivateMounts>, Trouble> {
    Ok(Rc::new(PrivateMounts::enter()?))
}

/// Open the filesystems of an image. `known_as` is what messages and journals call it.
pub fn open_image(
    file: DiskImage,
    known_as: &Path,
    access: Access,
    mounts: Option<&Rc<PrivateMounts>>,
) -> Result<Image, Trouble> {
    let writers = file.writers();
    if access == Access::Look && !writers.is_empty() {
        sys::say(&format!(
            "{} is in use by {}: what is seen of it may be half written",
            known_as.display(),
            writers.join(", ")
        ));
    }
    Image::open(file, known_as, access, mounts).map_err(|why| Trouble::new(Exit::Undetermined, why))
}

/// Open the file of an image.
pub fn open_file(path: &Path, wanted: Use) -> Result<DiskImage, Trouble> {
    let progress = Progress::new("unpacking");
    DiskImage::open(path, wanted, &|done, of| progress.at(done, of)).map_err(|error| {
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::Usage,
            _ => Exit::Undetermined,
        };
        Trouble::new(exit, error)
    })
}

/// The command that undoes what was done to a guest, as a shell takes it. The paths are absolute;
/// none for what is the default.
pub fn rollback_command(
    root: Option<&Path>,
    image: Option<&Path>,
    state_dir: Option<&Path>,
) -> String {
    let mut command = "guestprep rollback".to_owned();
    for (option, path) in [("--root", root), ("--image", image), ("--state-dir", state_dir)] {
        if let Some(path) = path {
            let path = path.display().to_string();
            command += &format!(" {option} {}", sys::command_argument(&path));
        }
    }
    command
}

/// A run on the image itself that was cut short: what is seen is neither before nor after.
fn warn_of_unfinished(image: &Path, target: &TargetArgs) -> Result<(), Trouble> {
    let store = match Store::open_at(&state_dir_of(image, target)?) {
        Ok(Some(store)) => store,
        Ok(None) => return Ok(()),
        // An ordinary user may not see the journal, and has nothing to finish there.
        Err(error) if error.kind() == ErrorKind::Permission && !sys::is_root() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let own = image.display().to_string();
    let undone_by = rollback_command(None, Some(image), target.state_dir.as_deref());
    for run in store.runs()? {
        if run.header.root == own && run.is_unfinished() {
            sys::say(&format!(
                "run {} on this image was cut short; `{undone_by}` undoes it",
                run.header.id
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_undoes_names_what_was_named() {
        let path = |path: &'static str| Some(Path::new(path));
        assert_eq!(rollback_command(None, None, None), "guestprep rollback");
        assert_eq!(
            rollback_command(path("/mnt/a guest"), None, None),
            "guestprep rollback --root '/mnt/a guest'"
        );
        assert_eq!(
            rollback_command(None, path("/srv/disk.raw"), path("/var/journal")),
            "guestprep rollback --image /srv/disk.raw --state-dir /var/journal"
        );
    }
}
