//! The whole job on real parts: disks, mounts, swap, processes and signals.
//!
//! Every test has a guest of its own (see `common::live`). It needs root, loop devices, and the
//! programs of the Debian packages util-linux, mount, e2fsprogs, xfsprogs, btrfs-progs, attr, acl
//! and binutils; a test whose needs are not met says so and is left out.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common"]
#[allow(dead_code)]
mod common {
    pub mod command;
    pub mod fixture;
    pub mod initramfs;
    pub mod live;
    pub mod old_kernel;
    pub mod state;
}

mod at_shutdown;
mod attributes;
mod busy;
mod capture;
mod filesystems;
mod first_boot;
mod main_job;
mod refusals;
mod replay;
mod returned;
mod session;
mod tree;

/// EL 7 has Linux 3.10: what the job rests on there is older than openat2, statx and renameat2.
#[test]
fn the_same_on_an_old_kernel() {
    common::old_kernel::the_same_on_an_old_kernel(&["main_job", "busy", "replay", "xfs"]);
}
