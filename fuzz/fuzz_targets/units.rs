//! Unit files of systemd, their names and values, upstart jobs and init scripts.
#![no_main]

use guestprep::parse::unit::{self, UnitFile};
use guestprep::parse::{init_script, timespan, unit_name, upstart_job};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let file = UnitFile::parse(text);
    assert_eq!(file.print(), text);
    unit::merge(&file, [&file]);
    unit::words(text);
    timespan::parse(text);
    if let Some(name) = unit_name::escape_path(text) {
        assert!(unit_name::unescape_path(name.as_bytes()).is_some(), "{name}");
    }
    unit_name::unescape_path(text);
    upstart_job::starts_by_itself(text);
    init_script::rc_link(text);
    init_script::priorities(text);
    init_script::default_level(text);
});
