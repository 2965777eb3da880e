//! The header of a LUKS volume, as much of it as was looked at.
//!
//! Layout: the LUKS1 and LUKS2 on-disk format specifications. Kept are magic, version, UUID,
//! label and the description of cipher and payload; taken out are salts, iterations and the digest
//! of the volume's key. Key material itself lies behind what anything here looks at.

use std::ops::Range;

use super::Reduced;

/// LUKS1: digest of the key, its salt and its iterations; then the eight key slots.
const LUKS1: [Range<usize>; 2] = [112..168, 208..592];

/// LUKS2: the salt of the header's checksum, and the checksum.
const LUKS2: [Range<usize>; 2] = [104..168, 448..512];

pub(super) fn is_device(path: &[u8]) -> bool {
    path.starts_with(b"/dev/")
}

pub(super) fn reduce(header: &[u8]) -> Reduced {
    let is_luks = header.starts_with(b"LUKS\xba\xbe") || header.starts_with(b"SKUL\xba\xbe");
    let ranges = match header.get(6..8) {
        Some([0, 1]) if is_luks => &LUKS1,
        Some([0, 2]) if is_luks => &LUKS2,
        _ => return Reduced { content: header.to_vec(), count: 0 },
    };
    let mut content = header.to_vec();
    let mut count = 0;
    for range in ranges {
        let range = range.start.min(content.len())..range.end.min(content.len());
        let secret = &mut content[range];
        count += usize::from(secret.iter().any(|b| *b != 0));
        secret.fill(0);
    }
    Reduced { content, count }
}
