//! sshd_config.
#![no_main]

use guestprep::parse::sshd_config::SshdConfig;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    assert_eq!(SshdConfig::parse(text).print(), text);
});
