//! guestprep: make a Linux guest fit to become a custom image, prove that it is, put it back.

pub mod catalog;
pub mod change;
pub mod cli;
pub mod engine;
pub mod guest;
pub mod model;
pub mod parse;
pub mod probe;
pub mod report;
pub mod sys;
