//! An archive of cpio.
#![no_main]

use std::io::{self, Read};

use guestprep::parse::cpio::Archive;

libfuzzer_sys::fuzz_target!(|image: &[u8]| {
    let mut archive = Archive::new(image);
    while let Ok(Some(_)) = archive.next_entry() {
        if io::copy(&mut archive.content().take(1 << 20), &mut io::sink()).is_err() {
            return;
        }
    }
});
