//! Disk images without a machine.
//!
//! Every image is made by the tool that real ones are made by. Packages of Debian: e2fsprogs
//! qemu-utils tar gzip util-linux.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common/old_kernel.rs"]
mod old_kernel;

mod archives;
mod child;
mod containers;
mod copies;
mod hostile;
mod tools;
mod vanishing;

/// EL 7 has Linux 3.10, older than copy_file_range, openat2 and statx.
#[test]
fn the_same_on_an_old_kernel() {
    old_kernel::the_same_on_an_old_kernel(&["copies"]);
}
