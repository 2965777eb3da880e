//! The text that LVM keeps of a volume group.
#![no_main]

use guestprep::parse::lvm_metadata::parse;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(group) = parse(text) {
        for volume in &group.logical_volumes {
            group.needs(&volume.name);
        }
    }
});
