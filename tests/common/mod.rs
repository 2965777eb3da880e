//! What several integration tests share. Each test program uses a part of it.

#![allow(dead_code)]

pub mod case;
pub mod fixture;
