//! Who keeps a filesystem busy, and who has a file open.
//!
//! Asked only when something is about to be unmounted or would not be: for every process, its
//! working directory, root, executable, open files and mappings, by the mount that they lie on, so
//! that deleted files are seen too. And when a file that was taken away is there again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use crate::model::{ByteString, GuestPath};

/// A process that keeps a filesystem busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command line, or its name in brackets where it has none.
    pub command: String,
    /// What of it lies there.
    pub hold: Hold,
    /// The path, as the kernel shows it.
    pub path: ByteString,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({}): {} {}", self.pid, self.command, self.hold, self.path)
    }
}

/// What of a process lies on a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Its working directory.
    WorkingDirectory,
    /// Its root directory.
    RootDirectory,
    /// Its program.
    Program,
    /// An open file.
    OpenFile,
    /// A mapped file.
    Mapping,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hold::WorkingDirectory => "works in",
            Hold::RootDirectory => "has its root in",
            Hold::Program => "runs",
            Hold::OpenFile => "has open",
            Hold::Mapping => "has mapped",
        })
    }
}

/// A mount, by its `major:minor` and its id in mountinfo.
pub type MountKey = ((u32, u32), u32);

impl Holder {
    /// For each of the mounts, every process of this machine, but this one, that has something on
    /// it; one entry for each path, at most 16 for a process. The processes are walked once,
    /// however many the mounts are.
    ///
    /// A process that ends meanwhile, or that may not be looked into, is passed over.
    pub fn of_mounts(mounts: &[MountKey]) -> Vec<Vec<Holder>> {
        let mut holders = vec![Vec::new(); mounts.len()];
        if mounts.is_empty() {
            return holders;
        }
        let sought = Sought::of(mounts);
        for pid in pids() {
            let mut seen: BTreeMap<usize, BTreeSet<(Hold, ByteString)>> = BTreeMap::new();
            let mut look = |hold: Hold, link: &Path| {
                let found = sought.behind(link);
                if let Some(path) = (!found.is_empty()).then(|| target(link)).flatten() {
                    for at in found {
                        seen.entry(*at).or_default().insert((hold, path.clone()));
                    }
                }
            };
            let base = PathBuf::from(format!("/proc/{pid}"));
            look(Hold::WorkingDirectory, &base.join("cwd"));
            look(Hold::RootDirectory, &base.join("root"));
            look(Hold::Program, &base.join("exe"));
            for (hold, name) in [(Hold::OpenFile, "fd"), (Hold::Mapping, "map_files")] {
                let Ok(entries) = std::fs::read_dir(base.join(name)) else { continue };
                entries.flatten().for_each(|entry| look(hold, &entry.path()));
            }
            if seen.is_empty() {
                continue;
            }
            let command = command(pid);
            for (at, seen) in seen {
                holders[at].extend(seen.into_iter().take(16).map(|(hold, path)| Holder {
                    pid,
                    command: command.clone(),
                    hold,
                    path,
                }));
            }
        }
        holders
    }
}

/// A process that has a file open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opener {
    /// Its process id.
    pub pid: u32,
    /// Its command line, or its name in brackets where it has none.
    pub command: String,
    /// The unit that systemd runs it in, or the scope of its session.
    pub unit: Option<String>,
}

impl fmt::Display for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({})", self.pid, self.command)?;
        self.unit.as_ref().map_or(Ok(()), |unit| write!(f, " of {unit}"))
    }
}

impl Opener {
    /// For each of the paths, every process of this machine, but this one, that has it open by that
    /// name. A process that ends meanwhile, or that may not be looked into, is passed over.
    pub fn of_files(paths: &[GuestPath]) -> Vec<Vec<Opener>> {
        let mut openers = vec![Vec::new(); paths.len()];
        for pid in pids() {
            let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
            let open: BTreeSet<PathBuf> = entries
                .flatten()
                .filter_map(|entry| std::fs::read_link(entry.path()).ok())
                .collect();
            for (path, openers) in paths.iter().zip(&mut openers) {
                if open.contains(Path::new(OsStr::from_bytes(path.as_bytes()))) {
                    openers.push(Self { pid, command: command(pid), unit: unit(pid) });
                }
            }
        }
        openers
    }
}

fn unit(pid: u32) -> Option<String> {
    unit_in(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The unit in /proc/PID/cgroup (cgroups(7)): systemd names a control group by it.
fn unit_in(text: &str) -> Option<String> {
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut names = paths.flat_map(|path| path.rsplit('/'));
    let is_unit = |name: &&str| name.ends_with(".service") || name.ends_with(".scope");
    names.find(is_unit).map(str::to_owned)
}

fn pids() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    let mut pids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect();
    pids.sort_unstable();
    pids
}

/// Mounts as indices, by what a file says of the one that it lies on.
struct Sought {
    by_id: HashMap<u64, Vec<usize>>,
    by_device: HashMap<(u32, u32), Vec<usize>>,
}

impl Sought {
    fn of(mounts: &[MountKey]) -> Self {
        let mut sought = Self { by_id: HashMap::new(), by_device: HashMap::new() };
        for (at, (device, id)) in mounts.iter().enumerate() {
            sought.by_id.entry(u64::from(*id)).or_default().push(at);
            sought.by_device.entry(*device).or_default().push(at);
        }
        sought
    }

    /// The mounts that the file behind one of /proc's links lies on.
    fn behind(&self, link: &Path) -> &[usize] {
        // STATX_DONT_SYNC: a dead network filesystem that some process has open must not hang us.
        let flags = AtFlags::STATX_DONT_SYNC;
        let found = match rustix::fs::statx(CWD, link, flags, StatxFlags::MNT_ID) {
            // KERNEL(5.8): which mount of the filesystem it is. Before, any mount of it may be meant;
            // and a subvolume of btrfs has a device number of its own, which only the mount's id gets
            // past.
            Ok(statx) if statx.stx_mask & StatxFlags::MNT_ID.bits() != 0 => {
                self.by_id.get(&statx.stx_mnt_id)
            }
            Ok(statx) => self.by_device.get(&(statx.stx_dev_major, statx.stx_dev_minor)),
            // KERNEL(4.11): no statx at all, and no way to ask without the server's answer; a seccomp
            // filter from before it says EPERM.
            Err(Errno::NOSYS | Errno::PERM) => rustix::fs::stat(link).ok().and_then(|stat| {
                let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
                self.by_device.get(&device)
            }),
            Err(_) => None,
        };
        found.map_or(&[], Vec::as_slice)
    }
}

fn target(link: &Path) -> Option<ByteString> {
    let target = std::fs::read_link(link).ok()?;
    Some(ByteString::from(target.as_os_str().as_bytes()))
}

fn command(pid: u32) -> String {
    let Ok(mut system) = System::new() else { return "unknown".to_owned() };
    let wanted = [Pid::from_u32(pid)];
    let kind = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&wanted), false, kind);
    let Some(process) = system.process(wanted[0]) else { return "ended meanwhile".to_owned() };
    let words: Vec<String> =
        process.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let text = if words.is_empty() {
        format!("[{}]", process.name().to_string_lossy())
    } else {
        words.join(" ")
    };
    // A command line can be megabytes long and hold control characters.
    let text: String = text.chars().take(120).collect();
    ByteString::from(text.as_str()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_told_by_its_control_group() {
        for (text, unit) in [
            ("0::/system.slice/rsyslog.service\n", Some("rsyslog.service")),
            ("0::/system.slice/docker.service/init\n", Some("docker.service")),
            (
                "12:pids:/\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n",
                Some("session-3.scope"),
            ),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(text).as_deref(), unit, "{text:?}");
        }
    }

    #[test]
    fn who_has_a_file_open_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let paths = ["held", "free"].map(|name| folder.join(name));
        let held = std::fs::File::create(&paths[0]).unwrap();
        std::fs::write(&paths[1], "").unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").stdin(held).spawn().unwrap();
        // execve(2) closes what spawn waits for before the command line is there.
        while std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap().is_empty() {
            std::thread::yield_now();
        }
        let paths = paths.map(|path| GuestPath::new(path.as_os_str().as_bytes()));
        let openers = Opener::of_files(&paths);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(openers[0].iter().map(|one| one.pid).collect::<Vec<_>>(), [child.id()]);
        assert!(openers[0][0].to_string().contains("(sleep 60)"), "{}", openers[0][0]);
        assert_eq!(openers[1], []);
    }
}
