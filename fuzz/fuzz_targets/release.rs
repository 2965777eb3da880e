//! os-release and the release files of distributions from before it.
#![no_main]

use guestprep::parse::os_release::OsRelease;
use guestprep::parse::release_file;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    assert_eq!(OsRelease::parse(text).print(), text);
    release_file::one_line(text);
    release_file::suse(text);
    release_file::debian(text);
    release_file::lsb(text);
});
