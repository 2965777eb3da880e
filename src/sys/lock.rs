//! One run at a time: an advisory lock (flock(2)) that dies with its holder, however it dies.

use std::fs::{File, TryLockError};

use super::{Dir, Error, ErrorKind, Result};

/// The lock on a state directory, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Take the lock without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when another process holds it.
    pub fn try_take(dir: &Dir) -> Result<Self> {
        let file = dir.open_lock_file("lock")?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                "lock",
                dir.shown("lock"),
                ErrorKind::Busy,
                "another guestprep run holds it; wait for it to end",
            )),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", dir.shown("lock"), &source)),
        }
    }
}
