//! passwd, group, shadow, gshadow and sudoers.
#![no_main]

use guestprep::parse::passwd::{Kind, Table};
use guestprep::parse::sudoers::Sudoers;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    for kind in [Kind::Passwd, Kind::Group, Kind::Shadow, Kind::Gshadow] {
        assert_eq!(Table::parse(kind, text).print(), text);
    }
    Sudoers::parse(text);
});
