//! Mounts that no other process sees, and that go when this process goes, whatever ends it.
//!
//! The process leaves the machine's mount namespace for a copy of its own, in which nothing is
//! shared with the machine, and mounts there. The kernel takes the copy and every mount in it apart
//! when the last process in it has ended, SIGKILL included; a loop device that mount(8) made goes
//! with its mount (LO_FLAGS_AUTOCLEAR of loop(4)). A device is named by the descriptor that is open
//! already, so that no name is resolved twice.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::resolve::open_in_root;
use super::{Error, ErrorKind, FileKind, Filesystem, Result, Runner};
use crate::model::GuestPath;

/// Where the mounts of this process begin. It stays, empty, in a filesystem in memory.
const BASE: &str = "/run/guestprep/mnt";

/// How long a mount may take: a filesystem that was not unmounted replays its journal.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a mount may be busy before it is.
const LET_GO: Duration = Duration::from_millis(500);

/// A mount namespace of this process's own, with a directory in memory to mount in.
#[derive(Debug)]
pub struct PrivateMounts {
    base: PathBuf,
    /// What is mounted below the base, in that order.
    mounted: RefCell<Vec<PathBuf>>,
    /// How many directories were made.
    made: Cell<usize>,
}

/// What is mounted: a range of an open file.
#[derive(Clone, Debug)]
pub struct Volume<'a> {
    /// The file.
    pub file: BorrowedFd<'a>,
    /// The bytes of it that are the filesystem.
    pub range: Range<u64>,
    /// The filesystem's type.
    pub fstype: &'a str,
    /// Its mount options, with commas between.
    pub options: &'a str,
}

impl PrivateMounts {
    /// Leave the machine's mount namespace. To be called before any thread is started.
    ///
    /// # Errors
    /// When the kernel refuses it: without root, and in most containers.
    pub fn enter() -> Result<Self> {
        let base = PathBuf::from(BASE);
        std::fs::create_dir_all(&base).map_err(|e| Error::io("make", BASE, &e))?;
        nix::sched::unshare(CloneFlags::CLONE_NEWNS)
            .map_err(|e| Error::io("leave", "the mount namespace", &e.into()))?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private)
            .map_err(|e| Error::errno("make private", "the mounts", e))?;
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount("guestprep", &base, "tmpfs", flags, Some(c"mode=0700"))
            .map_err(|e| Error::errno("mount on", BASE, e))?;
        Ok(Self { base, mounted: RefCell::default(), made: Cell::new(0) })
    }

    /// Make a new directory to mount on.
    ///
    /// # Errors
    /// What the system says.
    pub fn directory(&self) -> Result<PathBuf> {
        let number = self.made.get();
        self.made.set(number + 1);
        let path = self.base.join(number.to_string());
        std::fs::create_dir(&path).map_err(|e| Error::io("make", path.display(), &e))?;
        Ok(path)
    }

    /// Mount a filesystem through a loop device that goes with it.
    ///
    /// # Errors
    /// When there is no mount(8), no loop device can be had, or the kernel cannot mount it.
    pub fn mount(&self, volume: &Volume, shown: &str, on: &Path) -> Result<()> {
        let options = format!(
            "{},nodev,nosuid,noexec,loop,offset={},sizelimit={}",
            volume.options,
            volume.range.start,
            volume.range.end - volume.range.start
        );
        let file = format!("/proc/{}/fd/{}", std::process::id(), volume.file.as_raw_fd());
        let on = on.as_os_str();
        let argv = [
            "mount".as_ref(),
            "-n".as_ref(),
            "-t".as_ref(),
            volume.fstype.as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            file.as_ref(),
            on,
        ];
        let output = Runner::live().run(&argv, LIMIT)?;
        if output.success() {
            self.mounted.borrow_mut().push(PathBuf::from(on));
            return Ok(());
        }
        let complaint = output.complaint();
        // `mount: /run/...: wrong fs type, ...` speaks of a directory that nobody else sees.
        let cause = complaint.rsplit_once(": ").map_or(complaint.as_str(), |(_, cause)| cause);
        Err(Error::new("mount", shown, ErrorKind::Other, cause))
    }

    /// Copy a filesystem that is read in user space into memory, where nobody can write to it.
    ///
    /// # Errors
    /// What cannot be read of it, and more than 64 MiB.
    pub fn unpack(&self, filesystem: &dyn Filesystem, shown: &str) -> Result<PathBuf> {
        let on = self.directory()?;
        let fail = |e| Error::errno("mount on", on.display(), e);
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount("guestprep", &on, "tmpfs", flags, Some(c"mode=0755,size=64m"))
            .map_err(fail)?;
        self.mounted.borrow_mut().push(on.clone());
        unpack(filesystem, filesystem.root(), &on, MAX_DEPTH, shown)?;
        rustix::mount::mount_remount(&on, flags | MountFlags::RDONLY, c"").map_err(fail)?;
        Ok(on)
    }

    /// Show a directory at a path inside a root too; `false` when there is no such directory in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(&self, directory: &Path, root: &Path, target: &GuestPath) -> Result<bool> {
        let fail = |e| Error::errno("mount on", target, e);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty()).map_err(fail)?;
        let has_openat2 = Cell::new(true);
        let on = match open_in_root(root.as_fd(), target.as_bytes(), flags, &has_openat2) {
            Ok(on) => on,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(e) => return Err(fail(e)),
        };
        let on = format!("/proc/self/fd/{}", on.as_raw_fd());
        rustix::mount::mount_bind(directory, &on).map_err(fail)?;
        let seen = std::fs::read_link(&on).map_err(|e| Error::io("mount on", target, &e))?;
        self.mounted.borrow_mut().push(seen);
        Ok(true)
    }

    /// Unmount everything that was mounted, the last first, and wait until the filesystems have it
    /// all.
    ///
    /// # Errors
    /// What the system says.
    pub fn unmount_all(&self) -> Result<()> {
        loop {
            let last = self.mounted.borrow().last().cloned();
            let Some(on) = last else { return Ok(()) };
            unmount(&on).map_err(|e| Error::errno("unmount", on.display(), e))?;
            self.mounted.borrow_mut().pop();
        }
    }
}

/// A program that another thread starts has for a moment, until it is itself, every file that this
/// process has open, those on what is to be unmounted too.
fn unmount(on: &Path) -> rustix::io::Result<()> {
    let until = Instant::now() + LET_GO;
    loop {
        match rustix::mount::unmount(on, UnmountFlags::empty()) {
            Err(Errno::BUSY) if Instant::now() < until => std::thread::sleep(LET_GO / 50),
            result => return result,
        }
    }
}

/// Directories in a filesystem of this kind lie no deeper.
const MAX_DEPTH: usize = 16;
/// And hold no more names.
const MAX_NAMES: usize = 4096;

/// Copy what is below a directory.
fn unpack(
    filesystem: &dyn Filesystem,
    directory: u64,
    to: &Path,
    depth: usize,
    shown: &str,
) -> Result<()> {
    let fail = |cause: String| Error::new("read", shown, ErrorKind::Other, cause);
    if depth == 0 {
        return Err(fail("its directories lie too deep".to_owned()));
    }
    for name in filesystem.names(directory, MAX_NAMES).map_err(fail)? {
        let Some(inode) = filesystem.child(directory, &name).map_err(fail)? else { continue };
        if name.contains(&b'/') {
            return Err(fail("a name in it has a slash".to_owned()));
        }
        let path = to.join(OsStr::from_bytes(&name));
        let io = |e: &std::io::Error| Error::io("make", path.display(), e);
        let about = filesystem.attributes(inode).map_err(fail)?;
        if about.kind == FileKind::Directory {
            std::fs::create_dir(&path).map_err(|e| io(&e))?;
            unpack(filesystem, inode, &path, depth - 1, shown)?;
        } else {
            let length = usize::try_from(about.size.min(MAX_COPY)).unwrap_or(0);
            let content = filesystem.read(inode, 0, length).map_err(fail)?;
            std::fs::write(&path, content).map_err(|e| io(&e))?;
        }
    }
    Ok(())
}

/// No file of an EFI system partition that is read here is larger.
const MAX_COPY: u64 = 64 << 20;
