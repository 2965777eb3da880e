//! What this process may do, given up before it looks at what others wrote.
//!
//! Two walls, of which each holds where the other does not. **Capabilities**: root's power over
//! other users' files, processes, mounts and devices, taken from this process and from whatever it
//! starts; the kernel has them since 2.2. **Landlock** (Linux 5.13): which files may be read,
//! which may be written, and that no program may be started, no TCP connection made and no process
//! outside reached, even by a process that is root. Both are the calling thread's and those that
//! it starts, so they are asked for before there are others. Neither can be taken back.
//!
//! What the kernel does not have is said and missed, never an error: [`super::Root`] confines
//! without either.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// The newest Landlock whose rights are asked for; an older kernel enforces those that it knows.
const KNOWN: ABI = ABI::V6;

/// What a command still needs of root's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Files of every user, read without leaving a time of access (O_NOATIME is their owners').
    Read,
    /// That, and which files the processes of every user hold (`/proc/PID/fd`).
    ReadProcesses,
}

/// How far the kernel keeps what [`confine`] asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// All of it.
    Whole,
    /// What an older Landlock knows.
    Partial,
    /// Nothing: no Landlock in this kernel, or it is not switched on.
    None,
}

impl Power {
    fn capabilities(self) -> CapabilitySet {
        let read = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::FOWNER;
        match self {
            Self::Read => read,
            Self::ReadProcesses => read | CapabilitySet::SYS_PTRACE,
        }
    }
}

/// Give up every capability but those of `power`, for this process and whatever it starts; with
/// `writes`, keep the one that writes a file in another user's directory. A process that has none
/// keeps none.
///
/// # Errors
/// What the kernel says, as a word for the log: the process goes on with what it had.
pub fn lower(power: Power, writes: bool) -> Result<(), String> {
    let mut kept = power.capabilities();
    kept.set(CapabilitySet::DAC_OVERRIDE, writes);
    let now = rustix::thread::capabilities(None).map_err(|e| e.to_string())?;
    // A program that root starts gets what stands in the bounding set. Only who may change that
    // has it to lose, and it is changed before that right is given up.
    if can_be_lowered() {
        for capability in (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
            // EINVAL begins behind the last one that this kernel knows.
            match rustix::thread::capability_is_in_bounding_set(capability) {
                Ok(true) if !kept.contains(capability) => {
                    rustix::thread::remove_capability_from_bounding_set(capability)
                        .map_err(|e| e.to_string())?;
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    let left = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, left).map_err(|e| e.to_string())
}

/// Whether what this process starts can be given less than it has itself.
pub(super) fn can_be_lowered() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|now| now.effective.contains(CapabilitySet::SETPCAP))
}

/// Read nothing but what lies below `reads`, write nothing but what `writes` names, and start,
/// connect and signal nothing. What is open already stays open.
///
/// What [`super::write_named`] writes to (a FIFO, a terminal) may be written; any other file is made or
/// replaced in its directory.
///
/// # Errors
/// A path that cannot be opened, in the kernel's words.
pub fn confine(reads: &[&Path], writes: Option<&Path>) -> Result<Confinement, String> {
    restrict(reads, writes).map_err(|error| error.to_string())
}

fn restrict(reads: &[&Path], writes: Option<&Path>) -> Result<Confinement, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for path in reads {
        // What is not there cannot be read, with a rule or without.
        if let Ok(opened) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(opened, of_kind(path, reading())))?;
        }
    }
    if let Some((path, access)) = writes.map(place_of)
        && let Ok(opened) = PathFd::new(&path)
    {
        rules = rules.add_rule(PathBeneath::new(opened, access))?;
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Whole,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::ReadDir
}

/// The rights that there are for what a path names: a rule on a file may not speak of directories.
fn of_kind(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) }
}

/// Where a file is written, and the rights that this takes.
fn place_of(file: &Path) -> (PathBuf, BitFlags<AccessFs>) {
    if !super::output::is_replaced(file) {
        return (file.to_owned(), AccessFs::WriteFile | AccessFs::Truncate);
    }
    let above = file.parent().filter(|above| !above.as_os_str().is_empty());
    let replacing = AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate
        | AccessFs::ReadDir;
    (above.unwrap_or(Path::new(".")).to_owned(), replacing)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use super::*;

    /// In a thread: what is given up is the thread's, and goes with it.
    fn alone<T: Send>(what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(what).join().expect("no panic"))
    }

    #[test]
    fn a_confined_thread_reads_and_writes_what_is_named_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let [guest, other] = ["guest", "other"].map(|name| temp.path().join(name));
        for directory in [&guest, &other] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("file"), "content").unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let out = temp.path().join("out");
        fs::create_dir(&out).unwrap();
        let output = out.join("report.json");
        let held = alone(|| {
            let held = confine(&[&guest, Path::new("/no/such")], Some(&output)).unwrap();
            if held == Confinement::None {
                return held;
            }
            assert_eq!(fs::read(guest.join("file")).unwrap(), b"content");
            assert_eq!(fs::read_dir(&guest).unwrap().count(), 1);
            super::super::write_named(&output, b"{}").unwrap();
            super::super::write_named(&output, b"{} ").unwrap();
            let denied = |error: std::io::Error| assert_eq!(error.kind(), PermissionDenied);
            denied(fs::read(other.join("file")).unwrap_err());
            denied(fs::read("/etc/passwd").unwrap_err());
            denied(fs::read_dir("/").unwrap_err());
            denied(fs::write(guest.join("file"), "").unwrap_err());
            denied(fs::write(guest.join("new"), "").unwrap_err());
            denied(fs::remove_file(guest.join("file")).unwrap_err());
            denied(fs::rename(guest.join("file"), out.join("file")).unwrap_err());
            denied(fs::create_dir(out.join("directory")).unwrap_err());
            denied(Command::new("/bin/true").status().unwrap_err());
            if held == Confinement::Whole {
                denied(TcpStream::connect(address).unwrap_err());
            }
            held
        });
        if held == Confinement::None {
            println!("left out: this kernel has no Landlock");
            return;
        }
        assert_eq!(fs::read(&output).unwrap(), b"{} ");
        assert_eq!(fs::read(guest.join("file")).unwrap(), b"content");
        assert!(fs::read(other.join("file")).is_ok(), "the other threads are not confined");
    }

    #[test]
    fn what_is_no_regular_file_is_written_to() {
        alone(|| {
            confine(&[], Some(Path::new("/dev/null"))).unwrap();
            super::super::write_named(Path::new("/dev/null"), b"{}").unwrap();
        });
    }

    #[test]
    fn capabilities_are_gone_from_the_thread_and_from_what_it_starts() {
        if !super::super::is_root() {
            println!("left out: only root has capabilities to give up");
            return;
        }
        alone(|| {
            lower(Power::ReadProcesses, false).unwrap();
            let kept = Power::ReadProcesses.capabilities();
            let sets = rustix::thread::capabilities(None).unwrap();
            assert!(kept.contains(sets.effective) && kept.contains(sets.permitted));
            // Root without capabilities may still read everybody's files, and write its own alone.
            assert!(fs::read("/etc/shadow").is_ok());
            let started = Command::new("cat").arg("/proc/self/status").output().unwrap();
            let text = String::from_utf8(started.stdout).unwrap();
            let set = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                CapabilitySet::from_bits_retain(u64::from_str_radix(line.trim(), 16).unwrap())
            };
            for name in ["CapPrm:", "CapEff:", "CapBnd:"] {
                assert!(kept.contains(set(name)), "{name} {:?}", set(name));
            }
            assert!(set("CapEff:").contains(CapabilitySet::DAC_READ_SEARCH));
            assert!(!set("CapEff:").contains(CapabilitySet::SYS_ADMIN));
        });
        let own = rustix::thread::capabilities(None).unwrap().effective;
        assert!(own.contains(CapabilitySet::DAC_OVERRIDE), "the other threads keep theirs");
    }

    #[test]
    fn a_file_in_another_users_directory_is_written_with_that_power_alone() {
        let temp = tempfile::tempdir().unwrap();
        if std::os::unix::fs::chown(temp.path(), Some(65534), Some(65534)).is_err() {
            println!("left out: only root gives a directory away");
            return;
        }
        for (writes, name) in [(true, "with"), (false, "without")] {
            let file = temp.path().join(name);
            let written = alone(|| {
                lower(Power::Read, writes).unwrap();
                fs::write(&file, "").is_ok()
            });
            assert_eq!(written, writes);
        }
    }
}
