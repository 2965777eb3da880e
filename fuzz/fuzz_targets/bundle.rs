//! A bundle of another machine, and the archive that it is.
#![no_main]

use std::borrow::Cow;

use guestprep::guest::{Bundle, Guest};
use guestprep::model::Policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let packed = match bytes.starts_with(&MAGIC) {
        true => Cow::from(bytes),
        false => Cow::from(frame(&with_checksums(bytes.to_vec()))),
    };
    let Ok(bundle) = Bundle::read(&packed) else { return };
    let written = bundle.write().expect("what was read is written");
    let again = Bundle::read(&written).expect("what was written is read");
    assert_eq!(again.write().expect("it is written again"), written);
    let _ = Guest::bundle(again, Policy::default());
});

/// With which a frame of zstd begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A tar whose headers have the checksums that are right: no change to it gets far otherwise.
fn with_checksums(mut tar: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + 512).filter(|header| header[0] != 0) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let size = std::str::from_utf8(&header[124..135]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or_default();
        at += 512 + size.next_multiple_of(512);
    }
    tar
}

/// A frame of zstd with the content as it is. Rule: RFC 8878, 3.1.1.
fn frame(content: &[u8]) -> Vec<u8> {
    // One segment, whose size follows in four bytes.
    const DESCRIPTOR: u8 = 0xa0;
    let mut frame = MAGIC.to_vec();
    frame.push(DESCRIPTOR);
    let length = content.len() as u32;
    frame.extend(length.to_le_bytes());
    // The last block, raw.
    frame.extend(&(length << 3 | 1).to_le_bytes()[..3]);
    frame.extend(content);
    frame
}
