//! What several integration tests share. Each test program uses a part of it.

#![allow(dead_code)]

pub mod audit;
pub mod case;
pub mod digest;
pub mod disks;
pub mod fixture;
pub mod initramfs;
pub mod repair;
