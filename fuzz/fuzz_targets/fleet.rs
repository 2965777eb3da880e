//! Reports of many hosts, of which nobody knows who wrote them.
#![no_main]

use std::io::Cursor;

use guestprep::fleet::{Input, earlier, merge};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let reader = Cursor::new(bytes.to_vec());
    let input = Input { name: "-".to_owned(), reader: Ok(Box::new(reader)) };
    let merged = merge(std::iter::once(input), 1);
    merged.summary();
    let _ = earlier(bytes);
});
