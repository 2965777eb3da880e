//! grub.cfg, and the same with other arguments for its kernels.
#![no_main]

use guestprep::parse::grub_script::parse;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let _ = parse(text);
});
