//! The backslash escapes of fstab, mountinfo and swaps.
//!
//! Holds one encoder and the two decoders in use: libmount's, which is also right for what the kernel writes, and that
//! of glibc's getmntent(3). They differ, so a caller names the reader that it stands for.

/// Decodes as libmount does: a backslash and three octal digits are one byte, whatever the byte; all else is literal.
///
/// A value above `\377` wraps to eight bits. The kernel's `mangle_path` writes the same form, so this also reads
/// `/proc/PID/mountinfo` and `/proc/swaps`.
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if first == b'\\' => {
                out.push(((a & 7) << 6) | ((b & 7) << 3) | (c & 7));
                rest = after;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

/// Decodes as getmntent(3) of glibc does: only `\040`, `\011`, `\012`, `\134` and `\\` are escapes.
pub fn decode_getmntent(text: &[u8]) -> Vec<u8> {
    const ESCAPES: [(&[u8], u8); 5] = [
        (b"\\040", b' '),
        (b"\\011", b'\t'),
        (b"\\012", b'\n'),
        (b"\\134", b'\\'),
        (b"\\\\", b'\\'),
    ];
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escape =
            ESCAPES.iter().find_map(|&(escape, byte)| Some((rest.strip_prefix(escape)?, byte)));
        let (after, byte) = escape.unwrap_or((tail, first));
        out.push(byte);
        rest = after;
    }
    out
}

/// Whether the text has a backslash that starts no escape which every reader knows.
pub fn has_bad_escape(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| b == b'\\') {
        match &rest[at + 1..] {
            [b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', after @ ..] => rest = after,
            _ => return true,
        }
    }
    false
}

/// Encodes a value as one field of fstab(5), so that both readers decode it to the value again.
///
/// A `#` is escaped only in front, where it would start a comment, and a carriage return only at the end, where it would
/// be taken for a line ending: getmntent(3) of glibc 2.36 decodes neither `\043` nor `\015`, so both are left alone
/// wherever they can stay. A NUL cannot be expressed for any reader.
pub fn encode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (index, &byte) in value.iter().enumerate() {
        match byte {
            b' ' => out.extend_from_slice(b"\\040"),
            b'\t' => out.extend_from_slice(b"\\011"),
            b'\n' => out.extend_from_slice(b"\\012"),
            b'\\' => out.extend_from_slice(b"\\134"),
            0 => out.extend_from_slice(b"\\000"),
            b'#' if index == 0 => out.extend_from_slice(b"\\043"),
            b'\r' if index + 1 == value.len() => out.extend_from_slice(b"\\015"),
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_decoders_differ_where_their_sources_do() {
        for (text, libmount, glibc) in [
            (&br"/a\040b\011c\012d\134e"[..], &b"/a b\tc\nd\\e"[..], &b"/a b\tc\nd\\e"[..]),
            (br"\043x", b"#x", br"\043x"),
            (br"\101\777", b"A\xff", br"\101\777"),
            (br"a\\b", br"a\\b", br"a\b"),
            (br"\\040", br"\ ".as_slice(), br"\040"),
            (br"\04", br"\04", br"\04"),
            (br"\", br"\", br"\"),
            (br"\089", br"\089", br"\089"),
        ] {
            assert_eq!(decode(text), libmount, "libmount on {:?}", text.escape_ascii().to_string());
            assert_eq!(
                decode_getmntent(text),
                glibc,
                "glibc on {:?}",
                text.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn bad_escapes() {
        assert!(!has_bad_escape(br"/a\040b\043"));
        for text in [&br"\"[..], br"\04", br"\\", br"a\xb", br"\400"] {
            assert!(has_bad_escape(text));
        }
    }

    proptest! {
        #[test]
        fn encoded_values_come_back(value: Vec<u8>) {
            let field = encode(&value);
            prop_assert_eq!(decode(&field), value.clone());
            prop_assert!(!field.iter().any(|b| b" \t\n".contains(b)));
            prop_assert!(!field.starts_with(b"#") && !field.ends_with(b"\r"));
            prop_assert!(!has_bad_escape(&field));
            if !value.contains(&0) && !value.starts_with(b"#") && !value.ends_with(b"\r") {
                prop_assert_eq!(decode_getmntent(&field), value);
            }
        }

        #[test]
        fn decoders_never_grow(text: Vec<u8>) {
            prop_assert!(decode(&text).len() <= text.len());
            prop_assert!(decode_getmntent(&text).len() <= text.len());
        }
    }
}
