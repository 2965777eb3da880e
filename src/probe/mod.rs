//! Native probes, one file each, named as the check id.
//!
//! A probe asks the guest for facts and judges them. It files message keys and values, never a
//! sentence; it never does I/O of its own, and it never changes anything.

mod absence;
mod address_bound_to_mac;
mod address_static;
mod boot_script_mount;
mod crypttab_data_disk;
mod data_disk_mounted;
mod dhcp_client_dead;
mod disk_full;
mod dns_no_single_request_reopen;
mod driver_nvme;
mod driver_virtio;
mod drivers;
mod entries;
mod filesystem_errors;
mod filesystem_features;
mod fstab_data_disk;
mod fstab_locked;
mod fstab_malformed;
mod fstab_missing_device;
mod fstab_unstable_name;
mod hosts_own_address;
mod image_size;
mod lib_absolute_link;
mod mount_unit_data_disk;
mod neighbour_table_small;
mod network_mount;
mod release_file_altered;
mod resolver_options;
mod root_account_missing;
mod root_multi_disk;
mod selinux_unbootable;
mod shadow_locked;
mod swap_enabled;

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
    Probe { id: "address-bound-to-mac", judge: address_bound_to_mac::judge },
    Probe { id: "address-static", judge: address_static::judge },
    Probe { id: "boot-script-mount", judge: boot_script_mount::judge },
    Probe { id: "crypttab-data-disk", judge: crypttab_data_disk::judge },
    Probe { id: "data-disk-mounted", judge: data_disk_mounted::judge },
    Probe { id: "dhcp-client-dead", judge: dhcp_client_dead::judge },
    Probe { id: "disk-full", judge: disk_full::judge },
    Probe { id: "dns-no-single-request-reopen", judge: dns_no_single_request_reopen::judge },
    Probe { id: "driver-nvme", judge: driver_nvme::judge },
    Probe { id: "driver-virtio", judge: driver_virtio::judge },
    Probe { id: "filesystem-errors", judge: filesystem_errors::judge },
    Probe { id: "filesystem-features", judge: filesystem_features::judge },
    Probe { id: "fstab-data-disk", judge: fstab_data_disk::judge },
    Probe { id: "fstab-locked", judge: fstab_locked::judge },
    Probe { id: "fstab-malformed", judge: fstab_malformed::judge },
    Probe { id: "fstab-missing-device", judge: fstab_missing_device::judge },
    Probe { id: "fstab-unstable-name", judge: fstab_unstable_name::judge },
    Probe { id: "hosts-own-address", judge: hosts_own_address::judge },
    Probe { id: "image-size", judge: image_size::judge },
    Probe { id: "lib-absolute-link", judge: lib_absolute_link::judge },
    Probe { id: "mount-unit-data-disk", judge: mount_unit_data_disk::judge },
    Probe { id: "neighbour-table-small", judge: neighbour_table_small::judge },
    Probe { id: "network-mount", judge: network_mount::judge },
    Probe { id: "release-file-altered", judge: release_file_altered::judge },
    Probe { id: "root-account-missing", judge: root_account_missing::judge },
    Probe { id: "root-multi-disk", judge: root_multi_disk::judge },
    Probe { id: "selinux-unbootable", judge: selinux_unbootable::judge },
    Probe { id: "shadow-locked", judge: shadow_locked::judge },
    Probe { id: "swap-enabled", judge: swap_enabled::judge },
];

/// The probes that ask what is inside an initramfs, which takes long enough to begin early.
pub const READ_INITRAMFS: &[&str] = &["driver-nvme", "driver-virtio"];

/// The probe of that name.
pub fn find(id: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.id == id)
}
