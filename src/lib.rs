//! guestprep: make a Linux guest fit to become a custom image, prove that it is, put it back.

pub mod model;
pub mod parse;
pub mod sys;
