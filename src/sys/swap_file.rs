//! A file that the kernel can swap to: without holes, and on btrfs without copy-on-write.

use std::io::{IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, IFlags, OFlags};
use rustix::io::Errno;

use super::write::Spot;
use super::{Error, ErrorKind, Result};

/// How much is written at a time.
const PIECE: usize = 1 << 20;

/// How often a person is told how far the writing is.
const PAUSE: Duration = Duration::from_millis(200);

/// How a file gets its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// They are reserved and not written: at once.
    Reserved,
    /// Zeros are written to each. XFS before 4.18 takes reserved blocks for holes, and a filesystem
    /// such as ext3 reserves none.
    Written,
}

impl Spot {
    /// Make a new file of `size` bytes that root alone may read, without copy-on-write where the
    /// filesystem has that. Gives how its blocks came about: reserved where that is possible.
    ///
    /// # Errors
    /// What the system says; an existing name is refused. What was made so far stays.
    pub fn create_swap_file(&self, size: u64) -> Result<Blocks> {
        let file = self.dir.create_new(&self.name)?;
        // swapon(8): btrfs takes a file without copy-on-write only, and that is decided while the
        // file is empty. Other filesystems know no such flag.
        match rustix::fs::ioctl_getflags(&file) {
            Ok(flags) => match rustix::fs::ioctl_setflags(&file, flags | IFlags::NOCOW) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOTTY) => {}
                Err(e) => return Err(Error::errno("set the flags of", &self.path, e)),
            },
            Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(e) => return Err(Error::errno("read the flags of", &self.path, e)),
        }
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
            Ok(()) => {
                file.sync_all().map_err(|e| Error::io("make", &self.path, &e))?;
                self.dir.sync()?;
                Ok(Blocks::Reserved)
            }
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                drop(file);
                self.fill_with_zeros(size)?;
                Ok(Blocks::Written)
            }
            Err(e) => Err(Error::errno("make", &self.path, e)),
        }
    }

    /// The first bytes of a file, so many or all.
    ///
    /// # Errors
    /// What the system says, and when the file is gone.
    pub fn beginning(&self, length: u64) -> Result<Vec<u8>> {
        let Some(file) = self.dir.open_regular(&self.name, OFlags::RDONLY)? else {
            return Err(Error::new("read", &self.path, ErrorKind::NotFound, "it is gone"));
        };
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(|e| Error::io("read", &self.path, &e))?;
        Ok(bytes)
    }

    /// Write zeros to all of a file, so that it has no hole; says on a terminal how far it is.
    ///
    /// # Errors
    /// What the system says, and when the file is gone.
    pub fn fill_with_zeros(&self, size: u64) -> Result<()> {
        let fail = |e: &std::io::Error| Error::io("write", &self.path, e);
        let Some(mut file) = self.dir.open_regular(&self.name, OFlags::WRONLY)? else {
            return Err(Error::new("write", &self.path, ErrorKind::NotFound, "it is gone"));
        };
        let zeros = vec![0; PIECE];
        let mut progress = Progress::new(size);
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            file.write_all(&zeros[..length]).map_err(|e| fail(&e))?;
            left -= length as u64;
            progress.show(&self.path.to_string(), size - left);
        }
        file.sync_all().map_err(|e| fail(&e))?;
        progress.end();
        self.dir.sync()
    }
}

/// One line on standard error that is written over and over; nothing where that is no terminal.
struct Progress {
    total: u64,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    fn new(total: u64) -> Self {
        Self { total, shown: None, is_terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, path: &str, done: u64) {
        if !self.is_terminal || self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = u128::from(done) * 100 / u128::from(self.total.max(1));
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r{path}: {} of {} MiB, {percent} %", done >> 20, self.total >> 20);
        let _ = stderr.flush();
    }

    fn end(&self) {
        if self.shown.is_some() {
            let _ = writeln!(std::io::stderr().lock());
        }
    }
}
