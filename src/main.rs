//! The guestprep program.

fn main() {}
