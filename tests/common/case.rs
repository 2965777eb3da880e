//! `case.toml`: a fixture of one check, and what is expected of it.

use std::fs;
use std::path::{Path, PathBuf};

use guestprep::guest::{Guest, Mode};
use guestprep::model::{
    DataDisks, DnsPolicy, FixedAddress, KdumpPolicy, MitigationsPolicy, OwnHosts, Policy,
    SelinuxPolicy, SwapPolicy, Umount,
};
use serde::Deserialize;

use super::disks::{Device, Disks};
use super::fixture::{Fixture, Manifest};
use super::initramfs::Image;

/// One `fixtures/checks/<check-id>/<case>/case.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What the case is and why it is judged so, in one sentence.
    pub about: String,
    /// The distribution to start from.
    pub base: Option<String>,
    /// What to take away from it, and from the case's own tree.
    #[serde(default)]
    pub remove: Vec<PathBuf>,
    /// `live` or `tree`.
    pub mode: CaseMode,
    /// The verdict.
    pub verdict: CaseVerdict,
    /// A part of the reason of a verdict that is neither pass nor fail.
    pub reason: Option<String>,
    /// Every finding, in order.
    #[serde(default)]
    pub finding: Vec<Expected>,
    /// Why `findmnt --verify` judges this fstab otherwise, where it does.
    pub findmnt: Option<String>,
    /// What the operator wants.
    #[serde(default)]
    pub policy: CasePolicy,
    /// Sets of `fixtures/disks` that a live guest has beside its system disk.
    #[serde(default)]
    disks: Vec<String>,
    /// More block devices; see [`Device`].
    #[serde(default)]
    device: Vec<Device>,
    /// More lines of mountinfo.
    #[serde(default)]
    mounts: Vec<String>,
    /// More lines of /proc/swaps.
    #[serde(default)]
    swaps: Vec<String>,
    /// See [`Manifest`].
    #[serde(default)]
    empty_dirs: Vec<PathBuf>,
    #[serde(default)]
    modes: std::collections::BTreeMap<PathBuf, String>,
    #[serde(default)]
    owners: std::collections::BTreeMap<PathBuf, String>,
    #[serde(default)]
    flags: std::collections::BTreeMap<PathBuf, Vec<String>>,
    #[serde(default)]
    xattrs: std::collections::BTreeMap<PathBuf, std::collections::BTreeMap<String, String>>,
    #[serde(default)]
    initramfs: Vec<Image>,
}

/// How the guest is looked at.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseMode {
    /// As a guest that ran when its kernel was recorded.
    Live,
    /// As a tree of files.
    Tree,
}

/// A verdict's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseVerdict {
    /// Judged, and good.
    Pass,
    /// Judged, and bad.
    Fail,
    /// The question does not arise.
    NotApplicable,
    /// Could not be judged.
    Unknown,
}

/// A finding that is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expected {
    /// Its message key.
    pub key: String,
    /// What it is about.
    pub subject: String,
    /// Its severity, where the case is about it.
    pub severity: Option<String>,
    /// Its impact on boot, where the case is about it.
    pub impact: Option<String>,
    /// A part of its English message.
    pub message: Option<String>,
    /// Whether it offers a repair, where the case is about that.
    pub repair: Option<bool>,
}

/// The policy, as configuration writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CasePolicy {
    data_disks: DataDisks,
    umount: Umount,
    system: Vec<String>,
    system_disk: Option<String>,
    clear_flags: bool,
    dns: DnsPolicy,
    selinux: SelinuxPolicy,
    swap: SwapPolicy,
    mitigations: MitigationsPolicy,
    kdump: KdumpPolicy,
    fixed_address: FixedAddress,
    own_hosts: OwnHosts,
    users: Vec<String>,
}

impl Case {
    /// Read a case.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Make the case's trees.
    pub fn fixture(&self, folder: &Path) -> Fixture {
        // Memory need not have what a disk's filesystem has.
        let is_plain = self.flags.is_empty() && self.xattrs.is_empty();
        let mut fixture = if is_plain { Fixture::in_memory() } else { Fixture::empty() };
        if let Some(base) = &self.base {
            fixture.overlay_distro(base);
        }
        fixture.overlay(folder);
        for path in &self.remove {
            fixture.remove(path);
        }
        self.attach_disks(&fixture);
        fixture.apply(&Manifest {
            empty_dirs: self.empty_dirs.clone(),
            modes: self.modes.clone(),
            owners: self.owners.clone(),
            flags: self.flags.clone(),
            xattrs: self.xattrs.clone(),
            initramfs: self.initramfs.clone(),
        });
        fixture
    }

    fn attach_disks(&self, fixture: &Fixture) {
        let own = Disks {
            device: self.device.clone(),
            mounts: self.mounts.clone(),
            swaps: self.swaps.clone(),
        };
        let Some(kernel) = &fixture.kernel else { return };
        for disks in self.disks.iter().map(|name| Disks::named(name)).chain([own]) {
            disks.attach(&fixture.root, kernel);
        }
    }

    /// The guest to judge.
    pub fn guest(&self, fixture: &Fixture) -> Guest {
        let mode = match self.mode {
            CaseMode::Live => Mode::Live,
            CaseMode::Tree => Mode::Tree,
        };
        fixture.guest(mode, self.policy.clone().into())
    }
}

impl From<CasePolicy> for Policy {
    fn from(policy: CasePolicy) -> Self {
        Policy {
            data_disks: policy.data_disks,
            umount: policy.umount,
            system: policy.system,
            system_disk: policy.system_disk,
            clear_flags: policy.clear_flags,
            dns: policy.dns,
            selinux: policy.selinux,
            swap: policy.swap,
            mitigations: policy.mitigations,
            kdump: policy.kdump,
            fixed_address: policy.fixed_address,
            own_hosts: policy.own_hosts,
            users: policy.users,
            // No case asks the service.
            ..Policy::default()
        }
    }
}
