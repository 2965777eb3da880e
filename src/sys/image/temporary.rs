//! A file without a name, sparse, that vanishes with the last process that has it open.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Error, ErrorKind, Result};

/// What is tested for being zeros, in bytes: the block size of the usual filesystems. A smaller
/// hole would not free anything.
const BLOCK: usize = 4096;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A file for a disk that is unpacked or converted.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    /// Where its blocks lie.
    pub(super) directory: PathBuf,
    /// Bytes of it that are no holes.
    written: u64,
}

impl Temporary {
    /// Make one in `TMPDIR`, or in /var/tmp, which unlike /tmp is never kept in memory
    /// (file-hierarchy(7)).
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn create() -> Result<Self> {
        let directory = std::env::var_os("TMPDIR")
            .map(PathBuf::from)
            .filter(|directory| directory.is_absolute())
            .unwrap_or_else(|| PathBuf::from("/var/tmp"));
        let file = nameless(&directory)?;
        Ok(Self { file, directory, written: 0 })
    }

    /// Give it its size in bytes; all of it is a hole then.
    ///
    /// # Errors
    /// What the system says: a filesystem has a largest size for a file.
    pub(super) fn set_size(&self, size: u64) -> Result<()> {
        self.file.set_len(size).map_err(|e| {
            let error = Error::io("make", self.shown(), &e);
            error.explained(format!("the unpacked disk has {size} bytes; {ELSEWHERE}"))
        })
    }

    /// Write bytes at an offset, and holes for what is zero of them. `left` is how many bytes
    /// beside these may still come.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] before the filesystem is full, with how much is wanted.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], left: u64) -> Result<()> {
        let mut run: Option<usize> = None;
        let mut at = 0;
        while at < bytes.len() {
            let into_block = usize::try_from((offset + at as u64) % BLOCK as u64).unwrap_or(0);
            let end = bytes.len().min(at + BLOCK - into_block);
            let is_zero = bytes[at..end] == ZEROS[..end - at];
            match run {
                Some(start) if is_zero => {
                    self.write_run(offset + start as u64, &bytes[start..at], left)?;
                    run = None;
                }
                None if !is_zero => run = Some(at),
                _ => {}
            }
            at = end;
        }
        match run {
            Some(start) => self.write_run(offset + start as u64, &bytes[start..], left),
            None => Ok(()),
        }
    }

    fn write_run(&mut self, offset: u64, bytes: &[u8], left: u64) -> Result<()> {
        let length = bytes.len() as u64;
        let wanted = self.written.saturating_add(length).saturating_add(left);
        let no_room = || {
            let cause = format!(
                "there is no room for it: the unpacked disk takes up to {wanted} bytes there; \
                 {ELSEWHERE}"
            );
            Error::new("make", self.shown(), ErrorKind::NoSpace, cause)
        };
        // Root may use up what is reserved for the system's own needs, and shall not.
        if free_space(&self.file).is_some_and(|free| free < length) {
            return Err(no_room());
        }
        self.file.write_all_at(bytes, offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => no_room(),
            _ => Error::io("write", self.shown(), &e),
        })?;
        self.written += length;
        Ok(())
    }

    /// As a message names it.
    pub(super) fn shown(&self) -> String {
        format!("a temporary file in {}", self.directory.display())
    }
}

/// What to do when it does not fit.
pub(super) const ELSEWHERE: &str = "set TMPDIR to a directory with more room";

/// What an unprivileged process could still write to a file's filesystem, in bytes.
pub(super) fn free_space(file: &File) -> Option<u64> {
    let filesystem = rustix::fs::fstatvfs(file).ok()?;
    Some(filesystem.f_bavail.saturating_mul(filesystem.f_frsize))
}

fn nameless(directory: &Path) -> Result<File> {
    let fail = |e| Error::errno("make a temporary file in", directory.display(), e);
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags | OFlags::TMPFILE, mode) {
        Ok(file) => return Ok(file.into()),
        // open(2): a filesystem without O_TMPFILE; before 3.11 the flag means a directory.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
        Err(e) => return Err(fail(e)),
    }
    // Its name is gone at once; only a process that is killed between these two calls leaves it.
    for attempt in 0..1000 {
        let path = directory.join(format!(".guestprep-{}-{attempt}", std::process::id()));
        match rustix::fs::open(&path, flags | OFlags::CREATE | OFlags::EXCL, mode) {
            Ok(file) => {
                rustix::fs::unlink(&path).map_err(fail)?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) => {}
            Err(e) => return Err(fail(e)),
        }
    }
    Err(fail(Errno::EXIST))
}
