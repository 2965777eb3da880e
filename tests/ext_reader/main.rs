//! The reader of ext2, ext3 and ext4 against the kernel's driver, e2fsprogs and the crate ext4-view.
//!
//! Every image is a file that mke2fs made. What the kernel shows of it is read through a loop device in a mount
//! namespace of the test's own; that needs root. Packages of Debian: acl attr e2fsprogs libcap2-bin mount.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod damaged;
mod dirty;
mod fill;
mod kernel;
mod single;
mod tools;
mod tree;
mod variants;
