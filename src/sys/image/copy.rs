//! A copy of an image file: its blocks shared where the filesystem can do that, else its data
//! copied and its holes left holes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::open::check_stamp;
use super::temporary::free_space;
use super::{Error, ErrorKind, Result, Stamp};

/// How much is copied between two words about the progress, in bytes.
const STEP: u64 = 32 << 20;
/// How much is copied at a time where the kernel cannot do it alone, in bytes.
const PIECE: usize = 1 << 20;

/// How an image was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The copy shares the blocks of the original, and took no time.
    pub cloned: bool,
    /// How many bytes were copied: none of a clone, and none for holes.
    pub bytes: u64,
}

/// Copy an open file to a new one, which its owner alone may read, and see it written to the disk.
/// Until it is complete it has no name, so that nothing half copied is ever left; only a filesystem
/// without O_TMPFILE (open(2)) shows it before, and there an error removes it again. `shown` is the
/// original as a message names it; `progress` is told how many bytes are copied, and of how many.
///
/// # Errors
/// What the system says; an existing target is never touched. [`ErrorKind::NoSpace`], before
/// anything is copied, where less is free than the data needs; [`ErrorKind::Changed`] when the
/// original changed meanwhile.
pub(super) fn copy(
    source: &File,
    shown: &str,
    to: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<Copied> {
    let stat = rustix::fs::fstat(source).map_err(|e| Error::errno("look at", shown, e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let cause = "it is a block device, and only files are copied";
        return Err(Error::new("copy", shown, ErrorKind::NotRegular, cause));
    }
    let stamp = Stamp::from_stat(&stat);
    // st_blocks counts 512 bytes, whatever the filesystem's own blocks are (stat(2)).
    let data = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512).min(stamp.size);
    let target = Target::create(to)?;
    let cloned = rustix::fs::ioctl_ficlone(&target.file, source).is_ok();
    let mut copy =
        Copy { source, shown, size: stamp.size, target: &target, done: 0, of: data, progress };
    if !cloned {
        check_space(&target, data)?;
        copy.all()?;
    }
    let bytes = copy.done;
    progress(data, data);
    check_stamp(source, shown, stamp)?;
    target.keep()?;
    Ok(Copied { cloned, bytes })
}

fn check_space(target: &Target, wanted: u64) -> Result<()> {
    match free_space(&target.file) {
        Some(free) if free < wanted => {
            let cause = format!("the copy takes {wanted} bytes there, and {free} are free");
            Err(Error::new("make", &target.shown, ErrorKind::NoSpace, cause))
        }
        _ => Ok(()),
    }
}

struct Copy<'a> {
    source: &'a File,
    shown: &'a str,
    /// The original's, in bytes.
    size: u64,
    target: &'a Target,
    /// Bytes.
    done: u64,
    of: u64,
    progress: &'a dyn Fn(u64, u64),
}

impl Copy<'_> {
    fn all(&mut self) -> Result<()> {
        let size = self.size;
        self.target.file.set_len(size).map_err(|e| Error::io("make", &self.target.shown, &e))?;
        let mut at = 0;
        while at < size {
            let start = match self.seek(SeekFrom::Data(at)) {
                Ok(start) => start,
                // Nothing but a hole up to the end.
                Err(Errno::NXIO) => break,
                // A filesystem that does not tell: all of it may be data.
                Err(Errno::INVAL) => at,
                Err(e) => return Err(Error::errno("read", self.shown, e)),
            };
            let end = self.seek(SeekFrom::Hole(start)).unwrap_or(size).min(size);
            self.data(start, end)?;
            at = end.max(start + 1);
        }
        Ok(())
    }

    fn seek(&self, to: SeekFrom) -> rustix::io::Result<u64> {
        rustix::fs::seek(self.source, to)
    }

    fn data(&mut self, start: u64, end: u64) -> Result<()> {
        let mut at = start;
        while at < end {
            let wanted = (end - at).min(STEP);
            let copied = match self.by_kernel(at, wanted)? {
                0 => self.by_hand(at, wanted)?,
                copied => copied,
            };
            at += copied;
            self.done += copied;
            (self.progress)(self.done.min(self.of), self.of);
        }
        Ok(())
    }

    /// How many bytes the kernel copied; none where it cannot, between these filesystems or at all.
    fn by_kernel(&self, at: u64, wanted: u64) -> Result<u64> {
        let (mut from, mut to) = (at, at);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let (source, target) = (self.source, &self.target.file);
        match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), wanted) {
            Ok(copied) => Ok(copied as u64),
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::INTR) => Ok(0),
            // KERNEL(4.5): older ones lack it; a seccomp filter from before it says EPERM.
            Err(Errno::NOSYS | Errno::PERM) => Ok(0),
            Err(e) => Err(self.failed(&e.into())),
        }
    }

    fn by_hand(&self, at: u64, wanted: u64) -> Result<u64> {
        let mut piece = vec![0; usize::try_from(wanted).unwrap_or(PIECE).min(PIECE)];
        let read = match self.source.read_at(&mut piece, at) {
            Ok(read) => read,
            Err(e) => return Err(Error::io("read", self.shown, &e)),
        };
        if read == 0 {
            let cause = "it became shorter while it was copied";
            return Err(Error::new("copy", self.shown, ErrorKind::Changed, cause));
        }
        self.target.file.write_all_at(&piece[..read], at).map_err(|e| self.failed(&e))?;
        Ok(read as u64)
    }

    fn failed(&self, cause: &io::Error) -> Error {
        Error::io("write", &self.target.shown, cause)
    }
}

/// The file that becomes the copy.
struct Target {
    file: File,
    path: PathBuf,
    shown: String,
    /// Whether it has its name already, and loses it again unless it is kept.
    is_named: bool,
}

impl Target {
    fn create(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let fail = |e| Error::errno("make", &shown, e);
        // Said before minutes are spent on it, and found out again when it gets its name.
        match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(fail(Errno::EXIST)),
            Err(e) => return Err(fail(e)),
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let opened = rustix::fs::open(directory(path), flags | OFlags::TMPFILE, mode);
        let (file, is_named) = match opened {
            Ok(file) => (file, false),
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => {
                let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                (rustix::fs::open(path, flags, mode).map_err(fail)?, true)
            }
            Err(e) => return Err(fail(e)),
        };
        Ok(Self { file: file.into(), path: path.to_owned(), shown, is_named })
    }

    /// Write it to the disk and let it have its name.
    fn keep(mut self) -> Result<()> {
        let fail = |e| Error::errno("make", &self.shown, e);
        self.file.sync_all().map_err(|e| Error::io("make", &self.shown, &e))?;
        if !self.is_named {
            // The way of open(2) that needs no capability.
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, own, CWD, &self.path, AtFlags::SYMLINK_FOLLOW).map_err(fail)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(directory(&self.path), flags, Mode::empty()).map_err(fail)?;
        rustix::fs::fsync(parent).map_err(fail)?;
        self.is_named = false;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_named {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
