//! Guests on disk images: the same answers as of a tree, and never a byte written that was not
//! asked for.
//!
//! Every image is made by the tools that real ones are made by, and mounted for real. It needs root
//! and loop devices, and the Debian packages binutils, btrfs-progs, cryptsetup-bin, dosfstools,
//! e2fsprogs, fdisk, gdisk, lvm2, mdadm, mount, strace, util-linux and xfsprogs; what cannot be had
//! is said and left out.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common"]
#[allow(dead_code)]
mod common {
    pub mod audit;
    pub mod case;
    pub mod command;
    pub mod digest;
    pub mod disks;
    pub mod fixture;
    pub mod initramfs;
    pub mod old_kernel;
}

mod assembly;
mod differences;
mod disk;
mod host;
mod hostile;
mod killed;
mod names;
mod program;
mod shell;
mod three_ways;
mod unseen;
mod untouched;
mod which;

/// EL 7 has Linux 3.10, older than copy_file_range, openat2 and statx.
#[test]
fn the_same_on_an_old_kernel() {
    common::old_kernel::the_same_on_an_old_kernel(&["assembly"]);
}
