//! What the guest is: facts, each computed once, on demand, and kept.
//!
//! A probe asks a [`Guest`]; it never parses a file that another has parsed, and never looks at
//! the machine itself. A fact that could not be had is an [`Unknown`], the same for every probe
//! that asks. Nothing here judges, and nothing here writes.

mod accounts;
mod boot;
mod boot_target;
mod bundle;
mod changelog;
mod cloud_init;
mod conf_files;
mod disks;
mod ending;
mod filesystems;
mod identity;
mod image;
mod initramfs;
mod instance;
mod kdump;
mod kept;
mod kernels;
mod leftovers;
mod loader;
mod metadata;
mod mitigations;
mod mode;
mod mounts;
mod network;
mod operator;
mod os;
mod packages;
mod people;
mod place;
mod regenerated;
mod release_files;
mod repositories;
mod resolver;
mod root_argument;
mod scripts;
mod selinux;
mod services;
mod sshd;
mod sudoers;
mod swap;
mod sysctl;
mod system_disk;
mod time_sync;
mod unit_files;
mod units;
mod volume_groups;

use std::path::Path;
use std::rc::Rc;

use crate::model::{GuestPath, Policy};
use crate::parse::{crypttab::Crypttab, fstab::Fstab, source::Source};
use crate::sys::{self, Deadline, Kernel, Record, Root, Runner, trace};

use kept::{Kept, KeptBy};

pub use boot::{Absence, Boot, BootItem, ItemKind, Origin, Pull, is_network_type};
pub use boot_target::LeadsTo;
pub use bundle::{Bundle, BundleError, SavedSettings};
pub use cloud_init::{CloudConfig, CloudInit, Disabled, SWITCH as CLOUD_INIT_SWITCH};
pub use disks::{BlockDevice, DeviceKind, Disks};
pub use ending::Ending;
pub use filesystems::SystemFilesystem;
pub use identity::Identity;
pub use image::{Access, ChangedFile, Image, Reader, Seen};
pub use initramfs::{Initramfs, PackedFile};
pub use kdump::{Asked, DumpTarget, Kdump, KdumpWay, Reservation, Stored};
pub use kernels::{BootKernel, Driver, KernelModules};
pub use leftovers::{LISTED, Leftovers, ListedPath};
pub use loader::{BootEntries, BootEntry, BootFile, CommandLines, GrubDefaults, Loader};
pub use mitigations::{Mitigations, Vulnerability};
pub use mode::Mode;
pub use mounts::{Mounts, OtherNamespace};
pub use network::{Addressing, Card, Client, Connection, Dialect, Managers, Network};
pub use os::{Family, Init, Os};
pub use packages::{Installed, PackageManager, Packaged};
pub use people::Person;
pub use place::{Place, disk_of_kernel_name, is_serial_link};
pub use regenerated::{HostKeyMaker, MachineId};
pub use release_files::{ReleaseFile, ReleaseKind};
pub use repositories::Repository;
pub use resolver::{Keeper, Notation, Owner, RESOLV_CONF, Resolver};
pub use root_argument::RootArgument;
pub use scripts::{BootCommand, BootCommands, BootVerb};
pub use selinux::{SELINUX_CONFIG, Selinux};
pub use services::{LinkChange, Service, StartedBy, Starts};
pub use sshd::{SSHD_CONFIG, Sshd, SshdSetting};
pub use swap::{ActiveSwap, ConfiguredSwap, Resume, SwapOrigin, SwapSpace};
pub use system_disk::{SystemDisks, is_system_target};
pub use time_sync::{OtherSource, TimeDaemon};
pub use units::{BootUnit, UnitTable};
pub use volume_groups::TornGroup;

// Values that facts are made of, so that a probe need not know the door that they came through.
pub use crate::sys::{
    Address, Attributes, Census, FileKind, FsUse, Holder, InodeFlags, Metadata, Stamp, Time,
};

/// No file of a guest's configuration is larger than this.
pub const MAX_FILE: u64 = 16 << 20;

/// A fact that could not be had, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

impl From<sys::Error> for Unknown {
    fn from(error: sys::Error) -> Self {
        Unknown(error.to_string())
    }
}

/// A fact, or why it could not be had.
pub type Fact<T> = Result<T, Unknown>;

/// A guest and everything that was found out about it so far.
pub struct Guest {
    mode: Mode,
    root: Root,
    kernel: Option<Kernel>,
    host: Option<Kernel>,
    /// What is open of the image that it is on; it is mounted while this lives.
    image: Option<Rc<image::Image>>,
    /// What was found on that image, or on that of a bundle.
    seen: Option<Rc<image::Seen>>,
    runner: Runner,
    policy: Policy,
    /// Where it is noted what the guest answers, or the notes that it answers from.
    record: Option<Record>,
    facts: Facts,
}

/// A file's content; `None` where there is no such file.
type Content = Fact<Option<Rc<Vec<u8>>>>;

#[derive(Default)]
struct Facts {
    files: KeptBy<GuestPath, Content>,
    os: Kept<Fact<Os>>,
    init: Kept<Fact<Init>>,
    fstab: Kept<Fact<Option<Fstab>>>,
    crypttab: Kept<Fact<Option<Crypttab>>>,
    openings: Kept<Fact<place::Openings>>,
    mounts: Kept<Fact<Mounts>>,
    disks: Kept<Fact<Disks>>,
    device_numbers: Kept<Fact<disks::ByNumber>>,
    system_disks: Kept<Fact<SystemDisks>>,
    system_sources: Kept<Fact<Vec<Source>>>,
    unit_files: Kept<Fact<unit_files::UnitFiles>>,
    units: Kept<Fact<UnitTable>>,
    started: Kept<Fact<services::Started>>,
    boot: Kept<Fact<Boot>>,
    boot_entries: Kept<Fact<BootEntries>>,
    command_lines: Kept<Fact<CommandLines>>,
    identities: identity::Identities,
    accounts: accounts::Accounts,
    filesystems: Kept<Fact<Option<Vec<SystemFilesystem>>>>,
    scripts: Kept<Fact<BootCommands>>,
    kernels: Kept<Fact<Vec<BootKernel>>>,
    modules: kernels::Modules,
    images: initramfs::Images,
    network: Kept<Fact<Network>>,
    swap: Kept<Fact<SwapSpace>>,
    kdump: Kept<Fact<Kdump>>,
    metadata: Kept<Fact<Option<crate::sys::Metadata>>>,
    resolver: Kept<Fact<Resolver>>,
    selinux: Kept<Fact<Option<Selinux>>>,
    sshd: sshd::Known,
    cloud_init: Kept<Fact<Option<cloud_init::CloudInit>>>,
    leftovers: leftovers::Known,
    dpkg: Kept<Fact<Option<packages::Dpkg>>>,
    rpm: Kept<Fact<std::cell::RefCell<packages::RpmVersions>>>,
}

impl Guest {
    /// This machine.
    ///
    /// # Errors
    /// When its root, /proc or /sys cannot be opened.
    pub fn live(policy: Policy) -> sys::Result<Self> {
        Ok(Self::running(Root::open(Path::new("/"))?, Kernel::live()?, policy))
    }

    /// This machine as process 1 sees it: for a process in a mount namespace of its own, in which
    /// some of it is hidden or read-only.
    ///
    /// # Errors
    /// As [`Guest::live`], and without the right to look at process 1.
    pub fn live_of_init(policy: Policy) -> sys::Result<Self> {
        Ok(Self::running(Root::of_init()?, Kernel::of_init()?, policy))
    }

    fn running(root: Root, kernel: Kernel, policy: Policy) -> Self {
        Self {
            mode: Mode::Live,
            root,
            kernel: Some(kernel),
            host: None,
            image: None,
            seen: None,
            runner: Runner::live(),
            policy,
            record: None,
            facts: Facts::default(),
        }
    }

    /// The tree below a directory of this machine. The machine's kernel is asked for one thing
    /// only: which disk the tree lies on, where the directory is a filesystem's root.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn tree(path: &Path, policy: Policy) -> sys::Result<Self> {
        Ok(Self {
            mode: Mode::Tree,
            root: Root::open(path)?,
            kernel: None,
            host: Kernel::live().ok(),
            image: None,
            seen: None,
            runner: Runner::refusing(),
            policy,
            record: None,
            facts: Facts::default(),
        })
    }

    /// A recorded live guest: its tree, and a directory with its `proc` and `sys`. For fixtures.
    ///
    /// # Errors
    /// When either cannot be opened.
    pub fn recorded(root: &Path, kernel: &Path, policy: Policy) -> sys::Result<Self> {
        Ok(Self {
            mode: Mode::Live,
            root: Root::open(root)?,
            kernel: Some(Kernel::recorded(kernel)?),
            host: None,
            image: None,
            seen: None,
            runner: Runner::refusing(),
            policy,
            record: None,
            facts: Facts::default(),
        })
    }

    /// The same guest, with every command that is run on it over by then, or some seconds after.
    pub fn until(mut self, deadline: Deadline) -> Self {
        self.runner = self.runner.until(deadline);
        self
    }

    /// How the guest is judged: of a bundle, as the guest was that it was collected from.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The word for where it comes from in reports: that of its mode, or `bundle`.
    pub fn comes_from(&self) -> &'static str {
        match self.record {
            Some(Record::Read(_)) => "bundle",
            _ => self.mode.as_str(),
        }
    }

    /// Whether a bundle is made of it, or it is one: what a bundle cannot hold is asked of neither.
    pub fn is_collected(&self) -> bool {
        self.record.is_some()
    }

    /// Whether what statvfs(2) and /proc/PID say is about it: it is this very machine, or a bundle
    /// of what a machine said of itself; not a fixture.
    pub fn is_running_here(&self) -> bool {
        self.kernel.as_ref().is_some_and(Kernel::is_live)
    }

    /// What the operator wants of it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its files.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Its running kernel; none when it is a tree.
    pub fn kernel(&self) -> Option<&Kernel> {
        self.kernel.as_ref()
    }

    /// Runs commands on it; refuses when it does not run.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// A regular file's content, read once; `None` when the path names nothing.
    ///
    /// # Errors
    /// What [`Root::read`] says.
    pub fn file(&self, path: impl Into<GuestPath>) -> Content {
        self.facts.files.get_or_init(path.into(), |path| {
            self.root.read(path, MAX_FILE).map(|c| c.map(Rc::new)).map_err(Unknown::from)
        })
    }

    /// What a path is, links followed; `None` when it names nothing.
    ///
    /// # Errors
    /// What [`Root::stat`] says.
    pub fn stat(&self, path: &GuestPath) -> Fact<Option<Attributes>> {
        Ok(self.root.stat(path)?)
    }

    /// When a regular file last changed, links followed; `None` when it names nothing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn stamp(&self, path: &GuestPath) -> Fact<Option<Stamp>> {
        Ok(self.root.stamp(path)?)
    }

    /// The immutable and append-only flags of a path; `None` when it names nothing.
    ///
    /// # Errors
    /// What [`Root::flags`] says.
    pub fn flags(&self, path: &GuestPath) -> Fact<Option<InodeFlags>> {
        Ok(self.root.flags(path)?)
    }

    /// Space and inodes of the filesystem that a path lies on.
    ///
    /// # Errors
    /// What [`Root::fs_use`] says.
    pub fn fs_use(&self, path: &GuestPath) -> Fact<Option<FsUse>> {
        Ok(self.root.fs_use(path)?)
    }

    /// /etc/fstab; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn fstab(&self) -> Fact<Option<&Fstab>> {
        let fact = self
            .facts
            .fstab
            .get_or_init(|| Ok(self.file("/etc/fstab")?.map(|content| Fstab::parse(&content))));
        fact.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// The distribution.
    ///
    /// # Errors
    /// When its release files cannot be read.
    pub fn os(&self) -> Fact<&Os> {
        keep(&self.facts.os, || os::read(self))
    }

    /// What runs as process 1 after boot.
    ///
    /// # Errors
    /// When the files that tell cannot be looked at.
    pub fn init(&self) -> Fact<Init> {
        keep(&self.facts.init, || os::init(self)).copied()
    }

    /// What is mounted now.
    ///
    /// # Errors
    /// On a guest that does not run, and when mountinfo cannot be read.
    pub fn mounts(&self) -> Fact<&Mounts> {
        keep(&self.facts.mounts, || mounts::read(self))
    }

    /// The block devices and what lies on what.
    ///
    /// # Errors
    /// When there is no kernel to ask.
    pub fn disks(&self) -> Fact<&Disks> {
        keep(&self.facts.disks, || disks::read(self))
    }

    /// Which disks are the system's.
    ///
    /// # Errors
    /// When what it rests on cannot be read.
    pub fn system_disks(&self) -> Fact<&SystemDisks> {
        keep(&self.facts.system_disks, || system_disk::find(self))
    }

    /// systemd's unit directories.
    fn unit_files(&self) -> Fact<&unit_files::UnitFiles> {
        keep(&self.facts.unit_files, || unit_files::read(self))
    }

    /// The mount, automount and swap units that boot would start.
    ///
    /// # Errors
    /// When the unit directories cannot be read.
    pub fn units(&self) -> Fact<&UnitTable> {
        keep(&self.facts.units, || units::read(self))
    }

    /// The `mount` and `swapon` commands in what boot runs beside fstab and mount units.
    ///
    /// # Errors
    /// When the unit directory cannot be read.
    pub fn boot_commands(&self) -> Fact<&BootCommands> {
        keep(&self.facts.scripts, || scripts::read(self))
    }

    /// All swap: what is on, and everything that turns it on at boot.
    ///
    /// # Errors
    /// When /proc/swaps or a configuration of swap cannot be read.
    pub fn swap(&self) -> Fact<&SwapSpace> {
        keep(&self.facts.swap, || swap::read(self))
    }

    /// kdump: service, memory and the place for dumps.
    ///
    /// # Errors
    /// When its configuration, the service or the boot loader's menu cannot be read.
    pub fn kdump(&self) -> Fact<&Kdump> {
        keep(&self.facts.kdump, || kdump::read(self))
    }

    /// Everything that boot would mount, swap to or decrypt, and what its absence does.
    ///
    /// # Errors
    /// When fstab, crypttab or units cannot be read.
    pub fn boot(&self) -> Fact<&Boot> {
        keep(&self.facts.boot, || boot::read(self))
    }

    /// The kernels that the boot loader's menu has; where there is no menu that is known, those in
    /// /boot.
    ///
    /// # Errors
    /// When /boot cannot be listed, and when a kernel of the menu does not tell its release.
    pub fn kernels(&self) -> Fact<&[BootKernel]> {
        keep(&self.facts.kernels, || kernels::find(self)).map(Vec::as_slice)
    }

    /// cloud-init; `None` when it is not installed.
    ///
    /// # Errors
    /// When its files or services cannot be looked at. What only its configuration or its last run
    /// says is unknown by itself.
    pub fn cloud_init(&self) -> Fact<Option<&CloudInit>> {
        keep(&self.facts.cloud_init, || cloud_init::read(self)).map(Option::as_ref)
    }

    /// A file below /sys of the kernel that has the guest's disks: its own, or, of a mounted tree,
    /// this machine's. `None` when it is not there, and of a bare tree.
    ///
    /// # Errors
    /// What the system says.
    pub fn sysfs(&self, path: &str) -> Fact<Option<Vec<u8>>> {
        match self.kernel.as_ref().or(self.host.as_ref()) {
            Some(kernel) => Ok(kernel.sys(path)?),
            None => Ok(None),
        }
    }

    /// The time of day, in seconds since 1970: for what is due at some time.
    pub fn now(&self) -> u64 {
        trace::asked_time();
        match &self.record {
            Some(Record::Written(recorder)) => recorder.now(),
            Some(Record::Read(notes)) => notes.now,
            None => sys::seconds_since_1970(),
        }
    }

    /// The running kernel's release.
    pub fn kernel_release(&self) -> Option<String> {
        let bytes = self.kernel.as_ref()?.proc("/sys/kernel/osrelease").ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

fn keep<T>(cell: &Kept<Fact<T>>, make: impl FnOnce() -> Fact<T>) -> Fact<&T> {
    cell.get_or_init(make).as_ref().map_err(Clone::clone)
}
