//! What the kernel says of mounts and swaps.
#![no_main]

use guestprep::parse::mountinfo::Mountinfo;
use guestprep::parse::swaps::Swaps;
use guestprep::parse::{neighbours, octal};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    Mountinfo::parse(text);
    Swaps::parse(text);
    neighbours::count(text);
    assert_eq!(octal::decode(&octal::encode(text)), text);
    octal::decode_getmntent(text);
});
