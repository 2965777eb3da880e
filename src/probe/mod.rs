//! Native probes, one file each, named as the check id.
//!
//! A probe asks the guest for facts and judges them. It files message keys and values, never a
//! sentence; it never does I/O of its own, and it never changes anything.

mod absence;
mod account_password;
mod address_bound_to_mac;
mod address_static;
mod authorized_keys;
mod boot_config_missing;
mod boot_device_name;
mod boot_entry_broken;
mod boot_menu;
mod boot_script_mount;
mod boot_target_not_multi_user;
mod build_user;
mod clock_local_time;
mod cloud_assistant_missing;
mod cloud_assistant_region;
mod cloud_init_broken;
mod cpu_mitigations_off;
mod crypttab_data_disk;
mod data_disk_mounted;
mod dhcp_client_dead;
mod disk_full;
mod dns_no_single_request_reopen;
mod driver_nvme;
mod driver_virtio;
mod drivers;
mod entries;
mod extra_root_account;
mod filesystem_errors;
mod filesystem_features;
mod firewall_enabled;
mod fstab_data_disk;
mod fstab_locked;
mod fstab_malformed;
mod fstab_missing_device;
mod fstab_unstable_name;
mod hostname_kept;
mod hosts_own_address;
mod image_facts;
mod image_size;
mod initramfs_stale_systemd;
mod kdump_half_on;
mod kernel_known_defect;
mod lib_absolute_link;
mod machine_id;
mod mount_options;
mod mount_unit_data_disk;
mod neighbour_table_small;
mod network_mount;
mod network_unconfigured;
mod partition_layout;
mod qemu_guest_agent;
mod random_seed;
mod release_file_altered;
mod repository_dead;
mod resolver_options;
mod rhel_instance_family;
mod root_account_missing;
mod root_multi_disk;
mod root_not_growable;
mod root_read_only;
mod secret_in_file;
mod security_package_old;
mod selinux_unbootable;
mod services;
mod shadow_locked;
mod ssh_host_keys;
mod ssh_user_keys;
mod sshd_unreachable;
mod static_kernel_arguments;
mod sudo_without_password;
mod swap_enabled;
mod systemd_credential_secret;
mod time_sync_missing;

pub mod leftovers;

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
    Probe { id: "account-password", judge: account_password::judge },
    Probe { id: "address-bound-to-mac", judge: address_bound_to_mac::judge },
    Probe { id: "address-static", judge: address_static::judge },
    Probe { id: "authorized-keys", judge: authorized_keys::judge },
    Probe { id: "boot-config-missing", judge: boot_config_missing::judge },
    Probe { id: "boot-device-name", judge: boot_device_name::judge },
    Probe { id: "boot-entry-broken", judge: boot_entry_broken::judge },
    Probe { id: "boot-script-mount", judge: boot_script_mount::judge },
    Probe { id: "boot-target-not-multi-user", judge: boot_target_not_multi_user::judge },
    Probe { id: "build-user", judge: build_user::judge },
    Probe { id: "clock-local-time", judge: clock_local_time::judge },
    Probe { id: "cloud-assistant-missing", judge: cloud_assistant_missing::judge },
    Probe { id: "cloud-assistant-region", judge: cloud_assistant_region::judge },
    Probe { id: "cloud-init-broken", judge: cloud_init_broken::judge },
    Probe { id: "cpu-mitigations-off", judge: cpu_mitigations_off::judge },
    Probe { id: "crypttab-data-disk", judge: crypttab_data_disk::judge },
    Probe { id: "data-disk-mounted", judge: data_disk_mounted::judge },
    Probe { id: "dhcp-client-dead", judge: dhcp_client_dead::judge },
    Probe { id: "disk-full", judge: disk_full::judge },
    Probe { id: "dns-no-single-request-reopen", judge: dns_no_single_request_reopen::judge },
    Probe { id: "driver-nvme", judge: driver_nvme::judge },
    Probe { id: "driver-virtio", judge: driver_virtio::judge },
    Probe { id: "extra-root-account", judge: extra_root_account::judge },
    Probe { id: "filesystem-errors", judge: filesystem_errors::judge },
    Probe { id: "filesystem-features", judge: filesystem_features::judge },
    Probe { id: "firewall-enabled", judge: firewall_enabled::judge },
    Probe { id: "fstab-data-disk", judge: fstab_data_disk::judge },
    Probe { id: "fstab-locked", judge: fstab_locked::judge },
    Probe { id: "fstab-malformed", judge: fstab_malformed::judge },
    Probe { id: "fstab-missing-device", judge: fstab_missing_device::judge },
    Probe { id: "fstab-unstable-name", judge: fstab_unstable_name::judge },
    Probe { id: "hostname-kept", judge: hostname_kept::judge },
    Probe { id: "hosts-own-address", judge: hosts_own_address::judge },
    Probe { id: "image-facts", judge: image_facts::judge },
    Probe { id: "image-size", judge: image_size::judge },
    Probe { id: "initramfs-stale-systemd", judge: initramfs_stale_systemd::judge },
    Probe { id: "kdump-half-on", judge: kdump_half_on::judge },
    Probe { id: "kernel-known-defect", judge: kernel_known_defect::judge },
    Probe { id: "lib-absolute-link", judge: lib_absolute_link::judge },
    Probe { id: "machine-id", judge: machine_id::judge },
    Probe { id: "mount-unit-data-disk", judge: mount_unit_data_disk::judge },
    Probe { id: "neighbour-table-small", judge: neighbour_table_small::judge },
    Probe { id: "network-mount", judge: network_mount::judge },
    Probe { id: "network-unconfigured", judge: network_unconfigured::judge },
    Probe { id: "partition-layout", judge: partition_layout::judge },
    Probe { id: "qemu-guest-agent", judge: qemu_guest_agent::judge },
    Probe { id: "random-seed", judge: random_seed::judge },
    Probe { id: "release-file-altered", judge: release_file_altered::judge },
    Probe { id: "repository-dead", judge: repository_dead::judge },
    Probe { id: "rhel-instance-family", judge: rhel_instance_family::judge },
    Probe { id: "root-account-missing", judge: root_account_missing::judge },
    Probe { id: "root-multi-disk", judge: root_multi_disk::judge },
    Probe { id: "root-not-growable", judge: root_not_growable::judge },
    Probe { id: "root-read-only", judge: root_read_only::judge },
    Probe { id: "secret-in-file", judge: secret_in_file::judge },
    Probe { id: "security-package-old", judge: security_package_old::judge },
    Probe { id: "selinux-unbootable", judge: selinux_unbootable::judge },
    Probe { id: "shadow-locked", judge: shadow_locked::judge },
    Probe { id: "ssh-host-keys", judge: ssh_host_keys::judge },
    Probe { id: "ssh-user-keys", judge: ssh_user_keys::judge },
    Probe { id: "sshd-unreachable", judge: sshd_unreachable::judge },
    Probe { id: "static-kernel-arguments", judge: static_kernel_arguments::judge },
    Probe { id: "sudo-without-password", judge: sudo_without_password::judge },
    Probe { id: "swap-enabled", judge: swap_enabled::judge },
    Probe { id: "systemd-credential-secret", judge: systemd_credential_secret::judge },
    Probe { id: "time-sync-missing", judge: time_sync_missing::judge },
];

/// The probes that ask what is inside an initramfs, which takes long enough to begin early.
pub const READ_INITRAMFS: &[&str] = &["driver-nvme", "driver-virtio", "initramfs-stale-systemd"];

/// The probe of that name.
pub fn find(id: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.id == id)
}
