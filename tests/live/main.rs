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
    pub mod state;
}

mod busy;
mod capture;
mod filesystems;
mod first_boot;
mod main_job;
mod refusals;
mod replay;
mod tree;
