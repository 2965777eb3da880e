//! What the running kernel says, through /proc and /sys.
//!
//! Absent when the guest is a disk or a tree. Both come through a [`Root`] of their own, so that a
//! fixture can stand in for a kernel and every probe be tested without one.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::record::{Notes, Record, Recorder, Space, Whose};
use super::trace::{self, Question};
use super::{Address, Devices, Holder, Metadata, MountKey, Result, Root, addresses, metadata};
use crate::model::GuestPath;

/// The largest file of /proc or /sys that is read; mountinfo of a busy container host is the
/// longest that we know, at some megabytes.
const LIMIT: u64 = 16 << 20;

/// A kernel's own filesystems.
#[derive(Debug)]
pub struct Kernel {
    proc: Root,
    sys: Root,
    devices: Option<Devices>,
    recorded: Option<Root>,
    record: Option<(Record, Whose)>,
    /// The process whose mounts are the guest's.
    view: &'static str,
}

impl Kernel {
    /// The kernel that runs this process.
    ///
    /// # Errors
    /// When /proc or /sys cannot be opened.
    pub fn live() -> Result<Self> {
        Ok(Self {
            proc: Root::open(Path::new("/proc"))?.of(Space::Proc),
            sys: Root::open(Path::new("/sys"))?.of(Space::Sys),
            devices: Some(Devices::live()),
            recorded: None,
            record: None,
            view: "self",
        })
    }

    /// The same, with the mounts of process 1 in the place of this process's own.
    ///
    /// # Errors
    /// As [`Kernel::live`].
    pub fn of_init() -> Result<Self> {
        Ok(Self { view: "1", ..Self::live()? })
    }

    /// The name below /proc of the process whose mounts are the guest's.
    pub fn view(&self) -> &'static str {
        self.view
    }

    /// A recorded kernel: a directory with `proc` and `sys` in it.
    ///
    /// # Errors
    /// When either is missing.
    pub fn recorded(path: &Path) -> Result<Self> {
        Ok(Self {
            proc: Root::open(&path.join("proc"))?.of(Space::Proc),
            sys: Root::open(&path.join("sys"))?.of(Space::Sys),
            devices: None,
            recorded: Some(Root::open(path)?),
            record: None,
            view: "self",
        })
    }

    /// The same kernel, whose answers a recorder notes.
    pub fn recorded_by(&self, recorder: &Recorder, whose: Whose) -> Self {
        let (proc, sys) = spaces(whose);
        let record = Record::Written(recorder.clone());
        recorder.note(|notes| {
            notes.kernels.entry(whose).or_default().is_live = self.devices.is_some();
        });
        Self {
            proc: self.proc.recorded_by(recorder, proc),
            sys: self.sys.recorded_by(recorder, sys),
            devices: self.devices.as_ref().map(|_| Devices::with_record(record.clone(), whose)),
            recorded: self.recorded.clone(),
            record: Some((record, whose)),
            view: self.view,
        }
    }

    /// A kernel that answers from notes; `None` where they are of a guest without one.
    pub fn replayed(notes: &Rc<Notes>, whose: Whose) -> Option<Self> {
        let kernel = notes.kernels.get(&whose)?;
        let (proc, sys) = spaces(whose);
        let record = Record::Read(Rc::clone(notes));
        Some(Self {
            proc: Root::replayed(notes, proc, PathBuf::from("/proc")),
            sys: Root::replayed(notes, sys, PathBuf::from("/sys")),
            devices: kernel.is_live.then(|| Devices::with_record(record.clone(), whose)),
            recorded: None,
            record: Some((record, whose)),
            view: "self",
        })
    }

    /// A file below /proc, as text that is not trusted to be UTF-8; `None` when it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn proc(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.proc.read(&GuestPath::from(path), LIMIT)
    }

    /// A link below /proc.
    ///
    /// # Errors
    /// What the system says.
    pub fn proc_link(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.proc.read_link(&GuestPath::from(path))
    }

    /// The names in a directory below /proc; `None` when it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn proc_list(&self, path: &str) -> Result<Option<Vec<Vec<u8>>>> {
        self.proc.list(&GuestPath::from(path))
    }

    /// A file below /sys without its last newline; `None` when it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn sys(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut content = self.sys.read(&GuestPath::from(path), LIMIT)?;
        if let Some(content) = &mut content
            && content.last() == Some(&b'\n')
        {
            content.pop();
        }
        Ok(content)
    }

    /// The names in a directory below /sys; `None` when it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn sys_list(&self, path: &str) -> Result<Option<Vec<Vec<u8>>>> {
        self.sys.list(&GuestPath::from(path))
    }

    /// A link below /sys.
    ///
    /// # Errors
    /// What the system says.
    pub fn sys_link(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.sys.read_link(&GuestPath::from(path))
    }

    /// The block devices themselves, for their superblocks; none on a recorded kernel.
    pub fn devices(&self) -> Option<&Devices> {
        self.devices.as_ref()
    }

    /// The addresses of the network interfaces; `None` where a recorded kernel has none noted.
    ///
    /// # Errors
    /// What the system says, and a record that cannot be read.
    pub fn addresses(&self) -> Result<Option<Vec<Address>>> {
        trace::asked(|| Question::Addresses);
        let ask = || match &self.recorded {
            None => addresses::live().map(Some),
            Some(record) => match record.read(&GuestPath::from("/addresses"), LIMIT)? {
                Some(text) => addresses::recorded(&text).map(Some),
                None => Ok(None),
            },
        };
        match &self.record {
            None => ask(),
            Some((record, whose)) => {
                let what = "the addresses of the network interfaces";
                record.answer(*whose, what, |kernel| &mut kernel.addresses, ask)
            }
        }
    }

    /// What the metadata service at an address says; of a recorded guest what it said then, `None`
    /// where that was not noted.
    ///
    /// # Errors
    /// When it does not answer within a second, and a record that cannot be read.
    pub fn metadata(&self, address: &str) -> Result<Option<Metadata>> {
        trace::asked(|| Question::Metadata);
        let ask = || match &self.recorded {
            None => metadata::ask(address).map(Some),
            Some(record) => recorded_metadata(record),
        };
        match &self.record {
            None => ask(),
            Some((record, whose)) => {
                record.answer(*whose, "the instance's metadata", |k| &mut k.metadata, ask)
            }
        }
    }

    /// The processes that keep each of these mounts busy; none on a recorded kernel, whose
    /// processes are gone.
    pub fn holders(&self, mounts: &[MountKey]) -> Vec<Vec<Holder>> {
        trace::asked(|| Question::Processes);
        let ask = || match self.is_live() {
            true => Holder::of_mounts(mounts),
            false => vec![Vec::new(); mounts.len()],
        };
        match &self.record {
            None => ask(),
            Some((record, _)) => record.holders(mounts, ask),
        }
    }

    /// Whether this is the kernel that runs this process, or gives again what one said that did.
    pub fn is_live(&self) -> bool {
        self.devices.is_some()
    }
}

fn spaces(whose: Whose) -> (Space, Space) {
    match whose {
        Whose::Guest => (Space::Proc, Space::Sys),
        Whose::Host | Whose::Image => (Space::HostProc, Space::HostSys),
    }
}

fn recorded_metadata(record: &Root) -> Result<Option<Metadata>> {
    let Some(text) = record.read(&GuestPath::from("/metadata"), LIMIT)? else {
        return Ok(None);
    };
    let mut found = Metadata::default();
    for line in String::from_utf8_lossy(&text).lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let value = Some(value.to_owned());
        match key {
            "token-only" => found.token_only = true,
            "instance-type" => found.instance_type = value,
            "region-id" => found.region = value,
            "image-id" => found.image = value,
            _ => {}
        }
    }
    Ok(Some(found))
}
