//! An initramfs: archives and compressed archives, one behind the other.
#![no_main]

use std::io;

use guestprep::parse::initramfs::{Limits, read};

libfuzzer_sys::fuzz_target!(|image: &[u8]| {
    let limits = Limits { output: 1 << 20, entries: 1000 };
    let _ = read(image, limits, &mut |_, content| {
        io::copy(content, &mut io::sink())?;
        Ok(())
    });
});
