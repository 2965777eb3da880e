//! A bundle of another machine, and the archive that it is.
#![no_main]

use guestprep::guest::Bundle;
use guestprep::parse::archive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = archive::unpack(bytes);
    let _ = Bundle::read(bytes);
});
