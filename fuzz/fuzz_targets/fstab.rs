//! /etc/fstab: printed as it was read, and an entry with other options is read as one.
#![no_main]

use guestprep::parse::fstab::{Content, Fstab, with_options};
use guestprep::parse::options::Options;
use guestprep::parse::source::Source;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let fstab = Fstab::parse(text);
    assert_eq!(fstab.print(), text);
    for line in fstab.lines() {
        let Content::Entry(entry) = &line.content else { continue };
        Source::parse(&entry.source.value);
        let options = entry.options.as_ref().map_or(&b""[..], |field| &field.value);
        Options::systemd(options);
        Options::libmount(options);
        let changed = with_options(&line.raw, entry, b"nofail");
        assert_eq!(Fstab::parse(&changed).entries().count(), 1);
    }
});
