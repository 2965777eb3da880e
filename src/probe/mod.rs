//! Native probes, one file each, named as the check id.
//!
//! A probe asks the guest for facts and judges them. It files message keys and values, never a
//! sentence; it never does I/O of its own, and it never changes anything.

mod crypttab_data_disk;
mod data_disk_mounted;
mod entries;
mod fstab_data_disk;
mod fstab_malformed;
mod fstab_missing_device;
mod fstab_unstable_name;
mod mount_unit_data_disk;
mod network_mount;

use crate::guest::{Guest, Unknown};
use crate::model::Verdict;

/// A probe's answer: the outer error is a fact that could not be had, which is reported as
/// [`Verdict::Unknown`].
pub type Answer = Result<Verdict, Unknown>;

/// A probe and the name that a check's TOML knows it by.
#[derive(Debug)]
pub struct Probe {
    /// The check id.
    pub id: &'static str,
    /// The judgement.
    pub judge: fn(&Guest) -> Answer,
}

/// Every probe, sorted by id.
pub const PROBES: &[Probe] = &[
    Probe { id: "crypttab-data-disk", judge: crypttab_data_disk::judge },
    Probe { id: "data-disk-mounted", judge: data_disk_mounted::judge },
    Probe { id: "fstab-data-disk", judge: fstab_data_disk::judge },
    Probe { id: "fstab-malformed", judge: fstab_malformed::judge },
    Probe { id: "fstab-missing-device", judge: fstab_missing_device::judge },
    Probe { id: "fstab-unstable-name", judge: fstab_unstable_name::judge },
    Probe { id: "mount-unit-data-disk", judge: mount_unit_data_disk::judge },
    Probe { id: "network-mount", judge: network_mount::judge },
];

/// The probe of that name.
pub fn find(id: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.id == id)
}
