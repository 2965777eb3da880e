//! What the operator wants of a guest: the part of profile and configuration that probes heed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GuestPath;

/// What is wanted of mounts, swap, kdump and the resolver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of fstab entries on data disks.
    pub data_disks: DataDisks,
    /// Whether `prepare` unmounts data disks.
    pub umount: Umount,
    /// Sources (`UUID=...`, `/dev/vda2`) and targets (`/srv`) that the operator says lie on the
    /// system disk, for guests whose disks cannot be seen.
    pub system: Vec<String>,
    /// The system disk, by device or filesystem UUID, as `--system-disk` gives it.
    pub system_disk: Option<String>,
    /// Files whose immutable flag `prepare` may clear.
    pub clear_flags: bool,
    /// Where the resolver is to ask for A and AAAA from two sockets.
    pub dns: DnsPolicy,
    /// What becomes of SELinux where it is on.
    pub selinux: SelinuxPolicy,
    /// What becomes of swap.
    pub swap: SwapPolicy,
    /// What becomes of kdump.
    pub kdump: KdumpPolicy,
    /// What becomes of addresses that the configuration fixes.
    pub fixed_address: FixedAddress,
    /// What becomes of lines of /etc/hosts that name this instance.
    pub own_hosts: OwnHosts,
    /// Whether and where the metadata service is asked.
    pub metadata: MetadataPolicy,
    /// What becomes of mitigations of CPU defects that are switched off, or on.
    pub mitigations: MitigationsPolicy,
    /// The accounts that are not to be in the image.
    pub users: Vec<String>,
    /// The site's own rules for the secret scan: names and texts of their files.
    pub secret_rules: Vec<(String, String)>,
    /// Whether every file may be left unread that no check but the secret scan asks for: by who judges
    /// again and again, as the daemon does.
    pub leaves_contents: bool,
}

/// `[network] static`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FixedAddress {
    /// They are reported and stay.
    #[default]
    Keep,
    /// The interfaces ask for their addresses by DHCP.
    Dhcp,
}

/// `[network] own-hosts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnHosts {
    /// They are reported and stay.
    #[default]
    Keep,
    /// They are commented out.
    Drop,
}

/// `[mitigations] want`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MitigationsPolicy {
    /// As they are: those that are switched off are reported.
    #[default]
    Keep,
    /// On: no argument of the kernel switches one off.
    On,
    /// Off, for speed.
    Off,
}

/// `[selinux] want`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelinuxPolicy {
    /// As it is.
    #[default]
    Keep,
    /// Off.
    Disabled,
    /// On, with every file labelled at the next boot.
    Relabel,
}

/// `[dns] single-request-reopen`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsPolicy {
    /// Where the distribution needs it.
    #[default]
    Auto,
    /// Everywhere.
    On,
    /// Nowhere.
    Off,
}

/// `[swap] want`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SwapPolicy {
    /// Not said: swap is reported, and only what a clone would wait for is taken away.
    #[default]
    Report,
    /// No swap in the image: every source of it is taken away.
    Off,
    /// Swap that a clone has as well is wanted.
    Keep,
    /// At least so many bytes of it are wanted.
    Size(u64),
}

/// `[metadata]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetadataPolicy {
    /// A guest that runs on ECS asks the address that ECS has it at.
    #[default]
    Ask,
    /// It asks this address, `http://HOST[:PORT]`.
    At(String),
    /// It is not asked.
    Never,
}

/// `[kdump] want`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KdumpPolicy {
    /// As it is: a half-on kdump is reported and left alone.
    #[default]
    Keep,
    /// Off: the service and the memory that is reserved for it.
    Off,
    /// On: service, memory and path.
    On,
}

/// `[mounts] data-disks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataDisks {
    /// Comment the lines out: the image carries the system disk alone.
    #[default]
    Comment,
    /// Keep the lines and add `nofail`.
    Nofail,
    /// The image carries formatted data-disk snapshots: entries by UUID with `nofail` may stay.
    Keep,
}

/// `[mounts] umount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Umount {
    /// Unmount data disks that nothing uses; refuse when something does.
    #[default]
    WhenIdle,
    /// Leave mounts to the operator.
    Never,
}

impl Policy {
    /// Whether the operator placed this fstab source or target on the system disk.
    pub fn places_on_system(&self, source: &str, target: Option<&GuestPath>) -> bool {
        self.system.iter().any(|named| {
            named == source
                || target.is_some_and(|t| {
                    named.starts_with('/') && GuestPath::from(named.as_str()) == *t
                })
        })
    }
}
