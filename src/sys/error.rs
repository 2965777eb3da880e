//! What a failed look at the machine says: the operation, the path and the cause, once each.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// The result of an operation on the machine.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation. Displays as `cannot read /etc/shadow: Permission denied`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    operation: Cow<'static, str>,
    // Boxed, since every result in the program has room for an error.
    path: Box<str>,
    kind: ErrorKind,
    cause: Box<str>,
}

/// The classes of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// No such file or directory.
    NotFound,
    /// The caller may not.
    Permission,
    /// The filesystem is mounted read-only.
    ReadOnly,
    /// No space or no inodes left.
    NoSpace,
    /// A directory, device, FIFO or socket where a regular file was expected.
    NotRegular,
    /// Larger than the caller was willing to read.
    TooLarge,
    /// It changed between looking at it and opening it.
    Changed,
    /// In use; mounted over; another run holds it.
    Busy,
    /// A command took longer than its limit.
    Timeout,
    /// Commands are not run for this guest.
    Refused,
    /// A bundle does not hold the answer.
    NotHeld,
    /// Anything else.
    Other,
}

impl Error {
    /// An error with a cause in words.
    pub fn new(
        operation: &'static str,
        path: impl fmt::Display,
        kind: ErrorKind,
        cause: impl fmt::Display,
    ) -> Self {
        Self {
            operation: operation.into(),
            path: path.to_string().into(),
            kind,
            cause: cause.to_string().into(),
        }
    }

    /// An error of a system call.
    pub fn io(operation: &'static str, path: impl fmt::Display, source: &io::Error) -> Self {
        let kind = source.raw_os_error().map_or(ErrorKind::Other, kind_of_errno);
        let text = source.to_string();
        // "(os error 13)" says to a reader what the words before it said already.
        let cause: Box<str> = text.split(" (os error ").next().unwrap_or(&text).into();
        Self { operation: operation.into(), path: path.to_string().into(), kind, cause }
    }

    /// An error of a rustix call.
    pub(super) fn errno(
        operation: &'static str,
        path: impl fmt::Display,
        errno: rustix::io::Errno,
    ) -> Self {
        Self::io(operation, path, &io::Error::from(errno))
    }

    /// Add what the bare cause does not say, in parentheses.
    pub fn explained(mut self, why: impl fmt::Display) -> Self {
        self.cause = format!("{} ({why})", self.cause).into();
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The path that the operation was about.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn kind_of_errno(errno: i32) -> ErrorKind {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(errno) {
        // ENOTDIR: a component of the path is a file, so the path names nothing.
        Errno::NOENT | Errno::NOTDIR => ErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ErrorKind::Permission,
        Errno::ROFS => ErrorKind::ReadOnly,
        Errno::NOSPC | Errno::DQUOT => ErrorKind::NoSpace,
        Errno::BUSY | Errno::TXTBSY => ErrorKind::Busy,
        _ => ErrorKind::Other,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.path, self.cause)
    }
}

impl std::error::Error for Error {}
