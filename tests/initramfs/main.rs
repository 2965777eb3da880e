//! Initramfs images that the distribution's own tools make for a real kernel, and the repairs that
//! have these tools make them again.
//!
//! It needs root, mount namespaces, and the Debian packages initramfs-tools, dracut-core, cpio,
//! kmod, rpm, systemd, bzip2, lz4, lzop, xz-utils and zstd; the kernel package is downloaded once
//! and kept below target/. A test whose needs are not met says so and is left out.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common"]
#[allow(dead_code)]
mod common {
    pub mod command;
    pub mod initramfs;
}

mod cache;
mod host;
mod names;
mod rebuild;
mod stale;
