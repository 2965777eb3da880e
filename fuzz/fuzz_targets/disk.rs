//! A disk's first bytes: its partition table, its superblock, LVM's label and metadata.
#![no_main]

use guestprep::parse::superblock::{Detail, identify};
use guestprep::parse::window::Window;
use guestprep::parse::{lvm_metadata, partition_table};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let window = Window::of(bytes.to_vec());
    for sector_size in [None, Some(512), Some(4096)] {
        let _ = partition_table::parse(&window, sector_size);
    }
    if let Ok(Some(found)) = identify(&window)
        && let Detail::Lvm(header) = &found.detail
    {
        let _ = lvm_metadata::read(&window, header);
    }
});
