//! What the running kernel says, through /proc and /sys.
//!
//! Absent when the guest is a disk or a tree. Both come through a [`Root`] of their own, so that a
//! fixture can stand in for a kernel and every probe be tested without one.

use std::path::Path;

use super::{Address, Devices, Metadata, Result, Root, addresses};
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
}

impl Kernel {
    /// The kernel that runs this process.
    ///
    /// # Errors
    /// When /proc or /sys cannot be opened.
    pub fn live() -> Result<Self> {
        Ok(Self {
            proc: Root::open(Path::new("/proc"))?,
            sys: Root::open(Path::new("/sys"))?,
            devices: Some(Devices::live()),
            recorded: None,
        })
    }

    /// A recorded kernel: a directory with `proc` and `sys` in it.
    ///
    /// # Errors
    /// When either is missing.
    pub fn recorded(path: &Path) -> Result<Self> {
        Ok(Self {
            proc: Root::open(&path.join("proc"))?,
            sys: Root::open(&path.join("sys"))?,
            devices: None,
            recorded: Some(Root::open(path)?),
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
        match &self.recorded {
            None => addresses::live().map(Some),
            Some(record) => match record.read(&GuestPath::from("/addresses"), LIMIT)? {
                Some(text) => addresses::recorded(&text).map(Some),
                None => Ok(None),
            },
        }
    }

    /// What the metadata service said of a recorded guest; `None` where none is noted.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn recorded_metadata(&self) -> Result<Option<Metadata>> {
        let Some(record) = &self.recorded else { return Ok(None) };
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

    /// Whether this is the kernel that runs this process.
    pub fn is_live(&self) -> bool {
        self.devices.is_some()
    }
}
