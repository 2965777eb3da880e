//! Fields of an on-disk structure: integers, identifiers and labels.
//!
//! For the other modules of `parse`. The integer readers index: callers hand them an array whose length the type
//! states and an offset that is a constant inside it, so that they cannot panic on any content.

pub(super) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from(le16(bytes, at)) | u32::from(le16(bytes, at + 2)) << 16
}

pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    le16(bytes, at).swap_bytes()
}

pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    le32(bytes, at).swap_bytes()
}

pub(super) fn be64(bytes: &[u8], at: usize) -> u64 {
    le64(bytes, at).swap_bytes()
}

/// The sixteen bytes at `at`.
pub(super) fn array16(bytes: &[u8], at: usize) -> [u8; 16] {
    std::array::from_fn(|index| bytes[at + index])
}

/// A DCE identifier as libblkid prints it: lower case, in byte order. None for sixteen zeros, which is "not set".
pub(super) fn uuid(bytes: [u8; 16]) -> Option<String> {
    (bytes != [0; 16]).then(|| hyphenated(&bytes))
}

/// A GUID as EFI stores it (its first three fields little endian), printed in lower case.
pub(super) fn guid(bytes: [u8; 16]) -> String {
    let b = bytes;
    hyphenated(&[
        b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13],
        b[14], b[15],
    ])
}

fn hyphenated(bytes: &[u8; 16]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A fixed-width label as libblkid reads it: up to the first NUL, without white space at its end; None if nothing is left.
pub(super) fn label(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = c_string(bytes);
    // isspace() of the C locale, which also has the vertical tab that `is_ascii_whitespace` leaves out.
    let end = text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    Some(text[..=end].to_vec())
}

/// The bytes before the first NUL, or all.
pub(super) fn c_string(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// An identifier that the format stores as text (LUKS). None if it is empty or not printable ASCII.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let text = c_string(bytes);
    let printable = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    printable.then(|| text.iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(le16(&bytes, 1), 0x0302);
        assert_eq!(le64(&bytes, 0), 0x0807_0605_0403_0201);
        assert_eq!(be16(&bytes, 1), 0x0203);
        assert_eq!(be32(&bytes, 2), 0x0304_0506);
        assert_eq!(be64(&bytes, 0), 0x0102_0304_0506_0708);
    }

    #[test]
    fn identifiers() {
        let bytes = std::array::from_fn(|index| index as u8);
        assert_eq!(uuid(bytes).unwrap(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(guid(bytes), "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(uuid([0; 16]), None);
    }

    #[test]
    fn labels() {
        assert_eq!(label(b" a b \x0b\n\0rest").unwrap(), b" a b");
        assert_eq!(label(b"full").unwrap(), b"full");
        assert_eq!(label(b"  \0x"), None);
        assert_eq!(text(b"ab-1\0\xff").unwrap(), "ab-1");
        assert_eq!(text(b"a b\0"), None);
    }
}
