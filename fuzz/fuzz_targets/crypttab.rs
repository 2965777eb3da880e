//! /etc/crypttab.
#![no_main]

use guestprep::parse::crypttab::Crypttab;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let crypttab = Crypttab::parse(text);
    assert_eq!(crypttab.print(), text);
    for entry in crypttab.entries() {
        entry.source();
        entry.options();
    }
});
