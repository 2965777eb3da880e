//! Exit codes, the same for every command.

use std::fmt;
use std::process::ExitCode;

use crate::guest::Unknown;
use crate::model::Decision;
use crate::sys::{self, ErrorKind};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: ready, or done.
    Done,
    /// 1: not ready.
    NotReady,
    /// 2: wrong use or configuration.
    Usage,
    /// 3: undetermined.
    Undetermined,
    /// 4: a change failed, and the guest is as it was.
    Failed,
    /// 5: a change failed, and the rollback is incomplete.
    Incomplete,
    /// 75: another run holds the lock (EX_TEMPFAIL of sysexits.h).
    Locked,
    /// The exit code of the operator's own command.
    Of(u8),
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::NotReady => 1,
            Exit::Usage => 2,
            Exit::Undetermined => 3,
            Exit::Failed => 4,
            Exit::Incomplete => 5,
            Exit::Locked => 75,
            Exit::Of(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl From<Decision> for Exit {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Ready => Exit::Done,
            Decision::NotReady => Exit::NotReady,
            Decision::Undetermined => Exit::Undetermined,
        }
    }
}

/// What a command comes to.
pub type Outcome = Result<Exit, Trouble>;

/// Why a command could not do its work: what happened, and what to do next.
#[derive(Debug)]
pub struct Trouble {
    /// The exit code.
    pub exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Trouble {
    /// Trouble of that exit code.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// Wrong use.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Say what to do next.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

impl From<sys::Error> for Trouble {
    fn from(error: sys::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Busy => Exit::Locked,
            ErrorKind::NoSpace | ErrorKind::ReadOnly => Exit::Failed,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

impl From<Unknown> for Trouble {
    fn from(unknown: Unknown) -> Self {
        Self::new(Exit::Undetermined, unknown)
    }
}
