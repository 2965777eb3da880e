//! Files of settings: NAME=value for a shell, INI, SELinux, sysctl, apt, modprobe.
#![no_main]

use guestprep::parse::apt_sources::AptSources;
use guestprep::parse::ini::Ini;
use guestprep::parse::key_value::KeyValue;
use guestprep::parse::selinux_config::SelinuxConfig;
use guestprep::parse::{kernel_modules, rpm_verify, shell, size, sysctl, version};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    assert_eq!(KeyValue::parse(text).print(), text);
    assert_eq!(Ini::parse(text).print(), text);
    assert_eq!(SelinuxConfig::parse(text).print(), text);
    assert_eq!(AptSources::one_line(text).print(), text);
    assert_eq!(AptSources::deb822(text).print(), text);
    sysctl::value(text, "kernel.panic");
    kernel_modules::builtin(text);
    kernel_modules::configured(text, "options");
    rpm_verify::parse(text);
    shell::commands(text);
    size::memparse(text);
    if let Ok(text) = std::str::from_utf8(text) {
        size::human(text);
        let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
        let order = version::compare_rpm(first, second);
        assert_eq!(order, version::compare_rpm(second, first).reverse());
        version::compare_deb(first, second);
    }
});
