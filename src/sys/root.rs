//! A guest's files.
//!
//! Every path is resolved inside the guest's root as if it were `/`: absolute links are followed
//! inside it and `..` is clamped at it. A `Root` only reads.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::confined::Confined;
use super::contents::{self, FirstNames, Reads, Tally, Wanted};
use super::files::{Files, FsUse};
use super::record::{Notes, Recorder, Recording, Replay, Space};
use super::sweep::{Census, Reach};
use super::trace::{self, Question};
use super::walk::{Filesystem, Walk};
use super::{Attributes, Error, ErrorKind, InodeFlags, Result, Stamp, Stream};
use crate::model::{ByteString, Erasure, GuestPath};

/// The root of a guest: a directory of this machine, or what is read without one.
#[derive(Clone, Debug)]
pub struct Root {
    files: Rc<dyn Files>,
    /// The directory, where there is one: only there can anything be changed.
    directory: Option<Rc<Confined>>,
    /// The filesystems that are read without being mounted, where that is so.
    unmounted: Option<Rc<Walk>>,
    path: PathBuf,
    /// Which files they are.
    space: Space,
}

impl Root {
    /// Take a directory of this machine as a guest's root.
    ///
    /// # Errors
    /// When it does not exist, is not a directory, or may not be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        // The operator's own path may have links; what is opened below it has none. A slash at its
        // end would have glibc ask faccessat2(2), which a seccomp filter from before it refuses.
        let path: PathBuf = path.components().collect();
        let full = path.canonicalize().map_err(|e| Error::io("open", &shown, &e))?;
        if !full.is_dir() {
            return Err(Error::new("open", shown, ErrorKind::NotRegular, "it is not a directory"));
        }
        let directory = Rc::new(Confined::open(&full)?);
        Ok(Self {
            files: directory.clone(),
            directory: Some(directory),
            unmounted: None,
            path: full,
            space: Space::Root,
        })
    }

    /// The root that process 1 has, through its own mounts, where this process lives in a mount
    /// namespace in which some are hidden or read-only.
    ///
    /// # Errors
    /// Without the right to look at process 1 (CAP_SYS_PTRACE).
    pub fn of_init() -> Result<Self> {
        let directory = Rc::new(Confined::open_through("/proc/1/root")?);
        let files = directory.clone();
        let path = PathBuf::from("/");
        let directory = Some(directory);
        Ok(Self { files, directory, unmounted: None, path, space: Space::Root })
    }

    /// The same root, whose answers a recorder notes. Nothing can be changed through it.
    pub fn recorded_by(&self, recorder: &Recorder, space: Space) -> Self {
        let files = Rc::new(Recording::new(Rc::clone(&self.files), recorder.clone(), space));
        Self { files, directory: None, unmounted: None, path: self.path.clone(), space }
    }

    /// A root that answers from notes; nothing of this machine is opened.
    pub fn replayed(notes: &Rc<Notes>, space: Space, path: PathBuf) -> Self {
        let files = Rc::new(Replay::new(Rc::clone(notes), space));
        Self { files, directory: None, unmounted: None, path, space }
    }

    /// A guest's root in filesystems that are read without being mounted: the first is `/`, each
    /// other one is mounted on a directory of those before it. Where there is no such directory it
    /// is left out, as boot could not mount it either.
    ///
    /// `path` is what messages call the root.
    ///
    /// # Errors
    /// When a directory to mount on cannot be looked for.
    pub fn unmounted(
        path: &Path,
        root: Rc<dyn Filesystem>,
        mounts: &[(GuestPath, Rc<dyn Filesystem>)],
    ) -> Result<Self> {
        let mut walk = Walk::new(root);
        for (on, filesystem) in mounts {
            walk.mount(Rc::clone(filesystem), on)?;
        }
        let walk = Rc::new(walk);
        Ok(Self {
            files: walk.clone(),
            directory: None,
            unmounted: Some(walk),
            path: path.to_owned(),
            space: Space::Root,
        })
    }

    /// The same root as that of other files than a guest's own.
    pub(super) fn of(mut self, space: Space) -> Self {
        self.space = space;
        self
    }

    fn asked(&self, path: &GuestPath) {
        trace::asked(|| Question::File(self.space, path.clone()));
    }

    /// Where the root lies on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, for a writer.
    pub(super) fn directory(&self) -> Result<&Confined> {
        self.directory.as_deref().ok_or_else(|| {
            let cause = "it is read without being mounted";
            Error::new("change", self.path.display(), ErrorKind::ReadOnly, cause)
        })
    }

    /// What a path is, links followed; `None` when it names nothing.
    ///
    /// # Errors
    /// When the path cannot be walked: no permission, a link loop.
    pub fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        self.asked(path);
        self.files.stat(path)
    }

    /// What a path is, a link at its end not followed; `None` when it names nothing.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        self.asked(path);
        self.files.lstat(path)
    }

    /// A regular file's content, links followed; `None` when the path names nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotRegular`] for anything that is not a regular file (it is not opened),
    /// [`ErrorKind::TooLarge`] beyond `limit` bytes, and what the system says.
    pub fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>> {
        self.asked(path);
        self.files.read(path, limit)
    }

    /// A regular file to be read as a stream, links followed; `None` when the path names nothing.
    ///
    /// # Errors
    /// As [`Root::read`].
    pub fn open_stream(&self, path: &GuestPath, limit: u64) -> Result<Option<Stream>> {
        self.asked(path);
        self.files.open_stream(path, limit)
    }

    /// When a regular file last changed, links followed; `None` when the path names nothing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn stamp(&self, path: &GuestPath) -> Result<Option<Stamp>> {
        self.asked(path);
        self.files.stamp(path)
    }

    /// A symbolic link's target, unresolved; `None` when the path names nothing or no link.
    ///
    /// # Errors
    /// As [`Root::stat`].
    pub fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>> {
        self.asked(path);
        self.files.read_link(path)
    }

    /// The names in a directory, sorted, without `.` and `..`; `None` when the path names nothing.
    ///
    /// # Errors
    /// When it is not a directory or holds an absurd number of names.
    pub fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>> {
        trace::asked(|| Question::Names(self.space, path.clone()));
        self.files.list(path)
    }

    /// The immutable and append-only flags of a regular file or directory, links followed; `None`
    /// when the path names nothing.
    ///
    /// A filesystem that has no such flags has none set.
    ///
    /// # Errors
    /// When neither way may be gone.
    pub fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>> {
        self.asked(path);
        self.files.flags(path)
    }

    /// One extended attribute of a regular file or directory, links followed; `None` when it is not set or not supported.
    ///
    /// # Errors
    /// When the file may not be opened.
    pub fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>> {
        self.asked(path);
        self.files.xattr(path, name)
    }

    /// Space and inodes of the filesystem that a path lies on; `None` when it names nothing.
    ///
    /// # Errors
    /// What statvfs says.
    pub fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>> {
        trace::asked(|| Question::FreeSpace(path.clone()));
        self.files.fs_use(path)
    }

    /// Read every regular file below some directories, with a thread a reader; of filesystems that
    /// are not mounted with the first reader alone. Nothing is noted of it, and a guest that answers
    /// from notes has no contents to read.
    ///
    /// The answer is the first name, by order, of each file that has several.
    ///
    /// # Errors
    /// When a start cannot be found, and where there are no contents. What else cannot be read is
    /// told to a reader.
    pub fn read_contents<R: Reads>(
        &self,
        wanted: &Wanted,
        readers: &mut [R],
        tally: &Tally,
        tick: &dyn Fn(),
    ) -> Result<FirstNames> {
        match (&self.directory, &self.unmounted, readers) {
            (Some(directory), _, readers) => {
                contents::read(directory, wanted, readers, tally, tick)
            }
            (None, Some(walk), [first, ..]) => {
                contents::read_unmounted(walk, wanted, first, tally, tick)
            }
            _ => {
                let cause = "a bundle holds no contents";
                Err(Error::new("read all of", self.path.display(), ErrorKind::Refused, cause))
            }
        }
    }

    /// Count the files that each list of patterns names.
    ///
    /// # Errors
    /// When the root or a mount point cannot be opened, or a pattern is none. What else could not
    /// be looked at is in the answer.
    pub fn census(&self, lists: &[&[Erasure]], reach: &Reach) -> Result<Vec<Census>> {
        trace::asked(|| Question::Census);
        self.files.census(lists, reach)
    }

    /// Whether its files are read in user space, without being mounted.
    pub fn is_unmounted(&self) -> bool {
        self.unmounted.is_some()
    }
}
