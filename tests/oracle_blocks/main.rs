//! The parsers of on-disk formats against the tools that make them and against libblkid.
//!
//! Every image is a file, made by the format's own tool. LVM needs a block device and so a loop device and root.
//! Packages of Debian: btrfs-progs cryptsetup-bin dosfstools e2fsprogs fdisk gdisk genisoimage lvm2 mdadm squashfs-tools
//! util-linux xfsprogs.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod ext;
mod filesystems;
mod gpt;
mod hostile;
mod luks;
mod lvm;
mod md;
mod readonly;
mod several;
mod swap;
mod tables;
mod tools;
