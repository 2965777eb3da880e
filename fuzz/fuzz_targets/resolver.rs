//! resolv.conf, hosts, and the sources of time.
#![no_main]

use guestprep::parse::hosts::Hosts;
use guestprep::parse::resolv_conf::{self, ResolvConf};
use guestprep::parse::time_sources;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    assert_eq!(ResolvConf::parse(text).print(), text);
    assert_eq!(Hosts::parse(text).print(), text);
    resolv_conf::words(text);
    time_sources::directives(text);
});
