//! The state directory: one lock, and a directory for every run.

use std::path::Path;
use std::sync::Arc;

use super::journal::{Header, Journal, Record, RunKind, RunState};
use crate::guest::{Guest, Mode};
use crate::model::{GuestPath, Plan};
use crate::sys::write::RootMut;
use crate::sys::{Dir, Error, ErrorKind, Lock, Result, machine_state_dir, now_rfc3339, run_stamp};

/// The largest header or journal that is read.
const MAX_RECORD_FILE: u64 = 64 << 20;

/// A state directory.
#[derive(Debug)]
pub struct Store {
    pub(super) dir: Dir,
    pub(super) runs: Arc<Dir>,
    ends: Option<u64>,
}

/// One run in a state directory.
#[derive(Debug)]
pub struct Run {
    /// What it is.
    pub header: Header,
    /// What it did.
    pub(super) journal: Journal,
    runs: Arc<Dir>,
    /// The name of its directory there; what the header says is read from the disk.
    pub(super) name: String,
}

impl Run {
    /// How far it is.
    pub fn state(&self) -> RunState {
        self.journal.state()
    }

    /// Whether it was cut short, before all its steps were taken or before all were undone.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.state(), RunState::Interrupted | RunState::RollbackInterrupted)
    }

    /// Its directory. It is not held open: years of runs are more than a process may have open.
    pub(super) fn dir(&self) -> Result<Dir> {
        self.runs.open_dir(&self.name)
    }

    /// The name of a file that is to take another's place in the guest. Made here and never read
    /// from the record, which may be a stranger's: it lies in the guest.
    pub(super) fn temporary(&self, step: &str) -> String {
        format!(".guestprep-{}-{step}", self.name)
    }

    /// Append a record and wait until the disk has it.
    pub(super) fn record(&mut self, record: Record) -> Result<()> {
        let dir = self.dir()?;
        let line = Journal::line(&record)
            .map_err(|e| Error::new("write", dir.shown("journal"), ErrorKind::Other, e))?;
        dir.append("journal", &line)?;
        self.journal.records.push(record);
        Ok(())
    }
}

impl Store {
    /// The state directory of a guest, made where it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(guest: &Guest, state_dir: Option<&Path>) -> Result<Self> {
        match state_dir {
            Some(path) => Self::create_at(path),
            None => {
                let path = GuestPath::from(machine_state_dir());
                Self::within(RootMut::new(guest.root()).make_dirs(&path)?)
            }
        }
    }

    /// The state directory at a path of this machine, made where it is missing. What lies in it is
    /// undone as root, so that nobody else may have put it there; in a guest its owner is the guest's.
    ///
    /// # Errors
    /// What the system says; a directory that others may write is refused.
    pub fn create_at(path: &Path) -> Result<Self> {
        let store = Self::within(Dir::create_trusted(path)?)?;
        store.runs.see_trusted()?;
        Ok(store)
    }

    /// The state directory at a path of this machine, where there is one.
    ///
    /// # Errors
    /// As [`Store::create_at`].
    pub fn open_at(path: &Path) -> Result<Option<Self>> {
        let exists = match Dir::open_trusted(path) {
            Ok(dir) => dir.lstat(b"runs")?.is_some(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if exists { Self::create_at(path).map(Some) } else { Ok(None) }
    }

    fn within(dir: Dir) -> Result<Self> {
        let runs = Arc::new(dir.make_dir("runs")?);
        Ok(Self { dir, runs, ends: None })
    }

    /// The state directory of a guest, where there is one.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(guest: &Guest, state_dir: Option<&Path>) -> Result<Option<Self>> {
        if let Some(path) = state_dir {
            return Self::open_at(path);
        }
        let runs = GuestPath::from(machine_state_dir()).join(b"runs");
        let exists = guest.root().stat(&runs)?.is_some();
        if exists { Self::create(guest, None).map(Some) } else { Ok(None) }
    }

    /// Have the runs that begin from now on be rolled back by themselves at a time, in seconds
    /// since 1970. The disk has the time before anything is changed.
    pub fn lease_until(&mut self, ends: u64) {
        self.ends = Some(ends);
    }

    /// Take the lock without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when another run holds it.
    pub fn lock(&self) -> Result<Lock> {
        Lock::try_take(&self.dir)
    }

    /// Where the state directory is, for a message.
    pub fn path(&self) -> &str {
        self.dir.path()
    }

    /// Every run, the oldest first. A run that was cut short before its header was whole did
    /// nothing, and is passed over.
    ///
    /// # Errors
    /// A run that did something and cannot be read.
    pub fn runs(&self) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for name in self.runs.names()? {
            let dir = self.runs.open_dir(&name)?;
            let header = dir.read(b"run.json", MAX_RECORD_FILE)?;
            let journal = dir.read(b"journal", MAX_RECORD_FILE)?;
            let unfit = |file: &str, cause: String| {
                Error::new("read", dir.shown(file), ErrorKind::Other, cause)
            };
            let header: Header = match header.as_deref().map(serde_json::from_slice) {
                Some(Ok(header)) => header,
                _ if journal.is_none() => continue,
                Some(Err(e)) => return Err(unfit("run.json", e.to_string())),
                None => {
                    let shown = dir.shown("run.json");
                    return Err(Error::new("read", shown, ErrorKind::NotFound, "it is gone"));
                }
            };
            if header.schema != Header::SCHEMA {
                let cause = format!(
                    "its schema is {:?}, and this version reads {:?}: use the version that made it",
                    header.schema,
                    Header::SCHEMA
                );
                return Err(unfit("run.json", cause));
            }
            if header.id != name {
                return Err(unfit("run.json", format!("it is the record of run {:?}", header.id)));
            }
            let journal =
                Journal::parse(&journal.unwrap_or_default()).map_err(|(line, cause)| {
                    unfit(
                        "journal",
                        format!(
                            "line {line}: {cause}; another version made it, or something changed it"
                        ),
                    )
                })?;
            runs.push(Run { header, journal, runs: Arc::clone(&self.runs), name });
        }
        Ok(runs)
    }

    /// Begin a run: its directory and its header, synced.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(&self, guest: &Guest, plan: &Plan, kind: RunKind) -> Result<Run> {
        let known = self.runs.names()?;
        let stamp = run_stamp();
        let id = (1..)
            .map(|number| format!("{stamp}-{number}"))
            .find(|id| !known.contains(id))
            .unwrap_or(stamp);
        let dir = self.runs.make_dir(&id)?;
        let header = Header {
            schema: Header::SCHEMA.to_owned(),
            id,
            started: now_rfc3339(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kind,
            root: root_of(guest),
            dmi_uuid: guest.dmi_uuid(),
            cloud_id: guest.cloud_id(),
            boot_id: guest.boot_id().ok().flatten(),
            ends: self.ends,
            image: guest.changed_file()?,
            plan: plan.clone(),
            carried: super::clone::carried(guest, plan),
        };
        let text = serde_json::to_vec_pretty(&header)
            .map_err(|e| Error::new("write", dir.shown("run.json"), ErrorKind::Other, e))?;
        dir.write_new("run.json", &text)?;
        let name = header.id.clone();
        Ok(Run { header, journal: Journal::default(), runs: Arc::clone(&self.runs), name })
    }
}

/// How a run knows its guest again among those of one state directory.
pub(super) fn root_of(guest: &Guest) -> String {
    match guest.mode() {
        Mode::Live => "/".to_owned(),
        Mode::Tree => guest.root().path().display().to_string(),
        Mode::Image => {
            let image = guest.disk_image().map(crate::guest::Seen::known_as);
            image.unwrap_or_else(|| guest.root().path()).display().to_string()
        }
    }
}
