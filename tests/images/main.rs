//! Disk images without a machine.
//!
//! Every image is made by the tool that real ones are made by. Packages of Debian: e2fsprogs
//! qemu-utils tar gzip util-linux.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod archives;
mod child;
mod containers;
mod copies;
mod hostile;
mod tools;
mod vanishing;
