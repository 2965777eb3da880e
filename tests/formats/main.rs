//! The forms of a report, each read by a reader of its kind.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common/mod.rs"]
mod common;
mod compact;
mod guest;
mod html;
mod metrics;
mod readers;
mod sarif;
mod schema;
mod signed;
mod text;
mod waivers;
