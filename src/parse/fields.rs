//! Fields of a line and where they stand in it.
//!
//! Shared by the parsers of line-oriented tables. A span is in bytes of the line without its ending.

use std::ops::Range;

/// One field of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Where the field stands in the line, escapes included.
    pub span: Range<usize>,
    /// The field's value, escapes decoded.
    pub value: Vec<u8>,
}

impl Field {
    /// The field as it stands in its line. Empty when the span is not of this line.
    pub fn raw<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        line.get(self.span.clone()).unwrap_or_default()
    }
}

/// The spans of the runs of bytes between separators.
pub fn spans(line: &[u8], is_separator: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = None;
    for (index, &byte) in line.iter().enumerate() {
        match (start, is_separator(byte)) {
            (None, false) => start = Some(index),
            (Some(from), true) => {
                spans.push(from..index);
                start = None;
            }
            _ => {}
        }
    }
    spans.extend(start.map(|from| from..line.len()));
    spans
}

/// Space and tab: what separates the fields of fstab and swaps for both glibc and libmount.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// isspace(3) in the C locale: what separates for scanf(3) and strtol(3).
pub fn is_c_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The text without leading and trailing bytes of a kind.
pub fn trim(text: &[u8], is_outer: impl Fn(u8) -> bool) -> &[u8] {
    let start = text.iter().position(|&b| !is_outer(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|&b| !is_outer(b)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// Reads what strtol(3) reads in base 10: white space, a sign, digits. Gives the number and the bytes used.
///
/// A number beyond 64 bits saturates, as strtol does. `None` when there is no digit.
pub fn leading_integer(text: &[u8]) -> Option<(i64, usize)> {
    let mut at = text.iter().position(|&b| !is_c_space(b))?;
    let negative = text[at] == b'-';
    at += usize::from(matches!(text[at], b'+' | b'-'));
    let digits = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let number = text[at..at + digits].iter().fold(0i64, |n, b| {
        let digit = i64::from(b - b'0');
        let n = n.saturating_mul(10);
        if negative { n.saturating_sub(digit) } else { n.saturating_add(digit) }
    });
    Some((number, at + digits))
}

/// The whole text as an unsigned number in base 10, digits only.
pub fn unsigned<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_as_strtol_reads_them() {
        for (text, want) in [
            (&b"10"[..], Some((10, 2))),
            (b" \x0b+7x", Some((7, 4))),
            (b"-1 ", Some((-1, 2))),
            (b"0x1", Some((0, 1))),
            (b"010", Some((10, 3))),
            (b"99999999999999999999", Some((i64::MAX, 20))),
            (b"-99999999999999999999", Some((i64::MIN, 21))),
            (b"-9223372036854775808", Some((i64::MIN, 20))),
            (b"+", None),
            (b"", None),
            (b"  ", None),
            (b"x1", None),
        ] {
            assert_eq!(leading_integer(text), want, "{:?}", text.escape_ascii().to_string());
        }
    }

    proptest! {
        #[test]
        fn spans_cover_what_does_not_separate(line: Vec<u8>) {
            let mut covered = vec![false; line.len()];
            let mut end = 0;
            for span in spans(&line, is_blank) {
                prop_assert!(span.start >= end && span.end > span.start);
                end = span.end;
                covered[span].fill(true);
            }
            for (index, &byte) in line.iter().enumerate() {
                prop_assert_eq!(covered[index], !is_blank(byte));
            }
        }

        #[test]
        fn trimmed_text_has_no_outer_byte(text: Vec<u8>) {
            let trimmed = trim(&text, is_c_space);
            prop_assert!(trimmed.first().is_none_or(|&b| !is_c_space(b)));
            prop_assert!(trimmed.last().is_none_or(|&b| !is_c_space(b)));
        }
    }
}
