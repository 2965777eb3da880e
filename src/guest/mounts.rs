//! What is mounted now.

use super::{Fact, Guest, Unknown};
use crate::model::{ByteString, GuestPath, MountRecord};
use crate::parse::lines::LineError;
use crate::parse::mountinfo::{Mount, Mountinfo};
use crate::parse::swaps::{Swap, Swaps};
use crate::sys::{ErrorKind, Holder, Kernel};

/// The mounts and swaps of a running guest.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    /// The mounts that this process sees.
    pub own: Mountinfo,
    /// The mounts that process 1 sees, where it lives in another mount namespace of this guest.
    pub of_init: Option<Mountinfo>,
    /// The swaps that are on.
    pub swaps: Vec<Swap>,
}

/// A mount namespace that is neither ours nor process 1's.
#[derive(Clone, Debug)]
pub struct OtherNamespace {
    /// A process that lives in it.
    pub pid: u32,
    /// That process's name.
    pub command: String,
    /// What is mounted there.
    pub mounts: Mountinfo,
}

impl Mounts {
    /// Every mount that this process or process 1 sees, each once.
    pub fn all(&self) -> impl Iterator<Item = &Mount> {
        let is_same = |ours: &Mount, theirs: &Mount| {
            ours.device == theirs.device && ours.root.value == theirs.root.value
        };
        let other = self.of_init.iter().flat_map(|info| &info.mounts).filter(move |theirs| {
            !self.own.all_at(&theirs.mount_point.value).any(|ours| is_same(ours, theirs))
        });
        self.own.mounts.iter().chain(other)
    }

    /// The mount that a path lies in: the last one of the deepest mount points above it.
    pub fn holding(&self, path: &[u8]) -> Option<&Mount> {
        self.own.above(path).next()
    }
}

pub(super) fn read(guest: &Guest) -> Fact<Mounts> {
    let Some(kernel) = guest.kernel() else {
        return Err(Unknown("the guest is not running".to_owned()));
    };
    let view = kernel.view();
    let own = mountinfo(kernel, &format!("/{view}/mountinfo"))?
        .ok_or_else(|| Unknown(format!("/proc/{view}/mountinfo is not there")))?;
    let of_init = init_mounts(kernel, &own)?;
    let swaps = match kernel.proc("/swaps")? {
        None => Vec::new(), // A kernel without swap has no such file.
        Some(text) => {
            let swaps = Swaps::parse(&text);
            refuse_errors("/proc/swaps", &swaps.errors)?;
            swaps.swaps
        }
    };
    Ok(Mounts { own, of_init, swaps })
}

fn mountinfo(kernel: &Kernel, path: &str) -> Fact<Option<Mountinfo>> {
    let text = match kernel.proc(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let info = Mountinfo::parse(&text);
    refuse_errors(&format!("/proc{path}"), &info.errors)?;
    Ok(Some(info))
}

/// A table that cannot be read whole proves nothing about what is not in it.
fn refuse_errors(path: &str, errors: &[LineError]) -> Fact<()> {
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(Unknown(format!("{path}:{}: {}", error.line, error.reason))),
    }
}

/// The mounts of process 1, if it lives in another mount namespace and has this guest's root:
/// in a container or a chroot, process 1 may be somebody else's.
fn init_mounts(kernel: &Kernel, own: &Mountinfo) -> Fact<Option<Mountinfo>> {
    let namespace = |pid: &str| kernel.proc_link(&format!("/{pid}/ns/mnt"));
    match (namespace(kernel.view()), namespace("1")) {
        (Ok(Some(ours)), Ok(Some(theirs))) if ours == theirs => return Ok(None),
        // Without the right to look at process 1, or on a recorded kernel: compare what is there.
        (Ok(_), Ok(_)) => {}
        (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::Permission => {}
        (Err(error), _) | (_, Err(error)) => return Err(error.into()),
    }
    let theirs = match mountinfo(kernel, "/1/mountinfo") {
        Ok(theirs) => theirs,
        // hidepid: an ordinary user sees no process but its own.
        Err(_) if !kernel.is_live() => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(theirs.filter(|theirs| same_root(own, theirs) && theirs != own))
}

fn same_root(a: &Mountinfo, b: &Mountinfo) -> bool {
    match (a.at(b"/"), b.at(b"/")) {
        (Some(a), Some(b)) => a.device == b.device && a.root.value == b.root.value,
        _ => false,
    }
}

impl Guest {
    /// The processes that keep each of these mounts busy; none on a recorded kernel, whose
    /// processes are gone.
    pub fn holders(&self, mounts: &[&Mount]) -> Vec<Vec<Holder>> {
        let mounts: Vec<_> = mounts.iter().map(|mount| (mount.device, mount.id)).collect();
        match self.kernel() {
            Some(kernel) => kernel.holders(&mounts),
            None => vec![Vec::new(); mounts.len()],
        }
    }

    /// The mount namespaces of this guest beside our own and process 1's, each once. A service
    /// with a private view can keep a data disk mounted that everyone else has unmounted.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub fn other_namespaces(&self) -> Fact<Vec<OtherNamespace>> {
        let Some(kernel) = self.kernel() else {
            return Err(Unknown("the guest is not running".to_owned()));
        };
        let own = &self.mounts()?.own;
        let mut seen = Vec::new();
        for pid in ["self", "1"] {
            if let Ok(Some(namespace)) = kernel.proc_link(&format!("/{pid}/ns/mnt")) {
                seen.push(namespace);
            }
        }
        let mut seen_texts = Vec::new();
        let mut found = Vec::new();
        for name in kernel.proc_list("/")?.unwrap_or_default() {
            let Some(pid) = std::str::from_utf8(&name).ok().and_then(|n| n.parse::<u32>().ok())
            else {
                continue;
            };
            match kernel.proc_link(&format!("/{pid}/ns/mnt")) {
                Ok(None) => continue, // It ended meanwhile.
                Ok(Some(namespace)) if seen.contains(&namespace) => continue,
                Ok(Some(namespace)) => seen.push(namespace),
                // Which namespace it is may only be seen by who may trace the process; what is
                // mounted in it anybody may read (proc_pid_mountinfo(5)).
                Err(error) if error.kind() == ErrorKind::Permission => {}
                Err(error) => return Err(error.into()),
            }
            // EINVAL: the process is ending and has left its namespace.
            let Ok(Some(text)) = kernel.proc(&format!("/{pid}/mountinfo")) else { continue };
            if seen_texts.contains(&text) {
                continue;
            }
            let mounts = Mountinfo::parse(&text);
            seen_texts.push(text);
            if mounts != *own && same_root(own, &mounts) {
                let comm = kernel.proc(&format!("/{pid}/comm")).ok().flatten().unwrap_or_default();
                let command = String::from_utf8_lossy(&comm).trim().to_owned();
                found.push(OtherNamespace { pid, command, mounts });
            }
        }
        Ok(found)
    }
}

impl Mounts {
    /// All of a mount that is needed to make it again.
    pub fn record(mount: &Mount, loop_file: Option<GuestPath>) -> MountRecord {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        MountRecord {
            target: GuestPath::new(&mount.mount_point.value),
            source: ByteString::from(mount.source.value.as_slice()),
            root: ByteString::from(mount.root.value.as_slice()),
            fstype: text(&mount.fstype.value),
            options: text(&mount.options.value),
            super_options: text(&mount.super_options.value),
            loop_file,
            device: format!("{}:{}", mount.device.0, mount.device.1),
            id: mount.id,
            parent: mount.parent,
        }
    }
}
