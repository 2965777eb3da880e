//! Guests with far more of something than a guest has: mounts, block devices, processes.
//!
//! What they cost is held against a law of growth (twice as much of it takes about twice as long)
//! and against bytes for each of them, never against a clock: processor time on the same machine a
//! moment ago is the measure. The guest is one of real parts (`common::live`), which needs root,
//! loop devices and the programs of util-linux, mount, e2fsprogs, binutils and time. What README says
//! that they cost is the program's as it is shipped:
//!
//! ```text
//! GUESTPREP_PROGRAM=$PWD/target/release/guestprep cargo test --test scale proportion -- --nocapture
//! ```

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

mod cost;
mod devices;
mod fstab;
mod mounts;
mod processes;
