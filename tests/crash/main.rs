//! guestprep killed, or refused by the system, at every call that changes something.
//!
//! strace(1) does it: `inject=CALL:signal=SIGKILL:when=N` kills the process as it enters the Nth
//! such call, before the call does anything, so that one more N than there are calls ends the
//! series. It counts per call and per thread, hence one call at a time; guestprep changes a guest
//! from one thread. It needs root, and the Debian packages strace, binutils, util-linux, mount and
//! e2fsprogs; what cannot be had is said and left out.

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

mod captured;
mod children;
mod erased;
mod every;
mod first_boot;
mod live;
mod planted;
mod power;
mod refused;
mod signalled;
mod subject;
mod synced;
mod together;
mod tree;
mod years;

/// Who has disks of the machine made and taken away. An audit of a mounted tree asks all of them, and
/// says so of one that is just being made; the guests of `live` see their own alone.
static DISKS: std::sync::RwLock<()> = std::sync::RwLock::new(());
