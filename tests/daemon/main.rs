//! The daemon: what it judges again, and how it serves what stands.
//!
//! `standing` asks whether judging again what may have changed gives what an audit of everything
//! gives. `served` runs the program in a guest of real parts (see `common::live`), which needs root,
//! loop devices and the programs of util-linux, mount, e2fsprogs and binutils. `monitoring` has
//! Prometheus and node_exporter read the metrics. What needs systemd as process 1 is `tests/daemon/booted`.

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

mod client;
mod hostile;
mod leases;
mod losses;
mod monitoring;
mod served;
mod standing;
mod together;
