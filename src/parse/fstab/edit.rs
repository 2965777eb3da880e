//! Edits of one line of fstab that change one field and no other byte.

use super::Entry;
use crate::parse::octal;

/// The line with another source. `raw` is the line that `entry` was read from, without its ending.
///
/// The value is escaped as [`octal::encode`] does. An empty value, which fstab cannot express, becomes `none`.
pub fn with_source(raw: &[u8], entry: &Entry, source: &[u8]) -> Vec<u8> {
    let source = if source.is_empty() { b"none".as_slice() } else { source };
    splice(raw, entry.source.span.start, entry.source.span.end, &octal::encode(source))
}

/// The line with other options. `raw` is the line that `entry` was read from, without its ending.
///
/// A line without options gets a fourth field, and without a type the type `auto` before it, which is what systemd makes
/// of such a line. The value is escaped as [`octal::encode`] does; an empty value becomes `defaults`.
pub fn with_options(raw: &[u8], entry: &Entry, options: &[u8]) -> Vec<u8> {
    let options = if options.is_empty() { b"defaults".as_slice() } else { options };
    let encoded = octal::encode(options);
    if let Some(field) = &entry.options {
        return splice(raw, field.span.start, field.span.end, &encoded);
    }
    let missing_type: &[u8] = if entry.fstype.span.is_empty() { b" auto" } else { b"" };
    let end = entry.fstype.span.end;
    splice(raw, end, end, &[missing_type, b" ", &encoded].concat())
}

/// A span that is not of this line is clamped to it, so that a mismatched entry cannot panic.
fn splice(raw: &[u8], start: usize, end: usize, with: &[u8]) -> Vec<u8> {
    let end = end.min(raw.len());
    let start = start.min(end);
    [&raw[..start], with, &raw[end..]].concat()
}
