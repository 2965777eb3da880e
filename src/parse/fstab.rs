//! fstab(5), as its two readers see it.
//!
//! Two libraries read fstab and they do not agree. **libmount** (mount(8), findmnt(8), swapon(8), and
//! systemd-fstab-generator of recent releases) refuses a line that lacks a type or has a malformed number, and decodes
//! every `\ooo`. **getmntent(3)** of glibc (systemd-fstab-generator up to at least 252) takes every line that is
//! not a comment, reads numbers as far as they go, decodes five escapes only, and keeps a carriage return in the last
//! field. An [`Entry`] is libmount's reading, extended to the lines that only getmntent would mount; the reading of
//! getmntent is [`Fstab::getmntent`]; a [`Problem`] says where the two part.
//!
//! Both readers were observed, not assumed: glibc 2.36, util-linux 2.38 and systemd 252.
//!
//! This module never asks whether a device exists or what a line does at boot.

mod edit;
mod getmntent;

pub use edit::{with_options, with_source};
pub use getmntent::Mntent;

use super::fields::{self, Field, is_blank};
use super::lines::{self, LineEnding};
use super::octal;
use std::ops::Range;

/// A parsed fstab, lossless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fstab {
    lines: Vec<Line>,
}

/// One line of an fstab.
pub type Line = lines::Line<Content>;

/// What a line of an fstab is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most lines are entries, and there are few lines")]
pub enum Content {
    /// Nothing but blanks.
    Blank,
    /// A line whose first byte, blanks aside, is `#`.
    Comment,
    /// A line that at least one reader takes for a mount or a swap.
    Entry(Entry),
    /// A line that no reader can act on: it has no target.
    Garbage(Vec<Problem>),
}

/// A line that describes a mount or a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// The first field: a device, a tag, a remote, a keyword. [`super::source::Source`] tells which.
    pub source: Field,
    /// The second field: the mount point, or `none` for a swap.
    pub target: Field,
    /// The third field. Empty, with an empty span at the line's end, when the line has none ([`Problem::MissingFstype`]).
    pub fstype: Field,
    /// The fourth field; without it both readers use the defaults.
    pub options: Option<Field>,
    /// The fifth field, where libmount can read it; dump(8) reads it in days.
    pub freq: Option<Number>,
    /// The sixth field, where libmount can read it; 0 (also when missing) means that fsck(8) skips the filesystem.
    pub passno: Option<Number>,
    /// What is wrong with the line, in the order of the line.
    pub problems: Vec<Problem>,
}

/// A field that holds a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Where the field stands in the line.
    pub span: Range<usize>,
    /// The number. Both readers store an `int` and wrap what is larger ([`Problem::NumberOutOfRange`]).
    pub value: i32,
}

/// Something wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// There is a source and nothing more. libmount refuses the line; systemd warns and ignores it.
    MissingTarget,
    /// There is no type. libmount refuses the line, **but systemd 252 makes a mount unit of it** and boot waits for it.
    MissingFstype,
    /// There are no options. Harmless: both readers use the defaults.
    MissingOptions,
    /// The fifth field is not a number, or one beyond 64 bits. libmount refuses the line; systemd mounts it.
    FreqNotNumber,
    /// The sixth field is not a number, or one beyond 64 bits. libmount refuses the line; systemd mounts it.
    PassnoNotNumber,
    /// A number does not fit an `int` and is wrapped, by both readers.
    NumberOutOfRange,
    /// There are more than six fields. Both readers ignore the rest.
    TooManyFields,
    /// There is a `#` after the sixth field. Both readers ignore the rest, so this is what its writer meant.
    TrailingComment,
    /// A `#` starts a field among the first six. It is data there, not a comment: fstab has no comments after data.
    HashInField,
    /// A backslash starts no escape that fstab(5) knows; the readers keep it, or make different things of it.
    BadEscape,
    /// The two readers decode a field differently: `\043`, `\\` and every octal escape but `\040 \011 \012 \134`. An
    /// escaped NUL ends the field for libmount.
    EscapesDiffer,
    /// A carriage return ends the line. libmount drops it; getmntent keeps it as part of the last field when that is
    /// text (an option `defaults\r`), and drops it after a number.
    CarriageReturn,
    /// A NUL byte. getmntent ends the line there *and* swallows the following line; libmount refuses the line (but for one
    /// that ends the file without a newline, which it cuts; that case is not told apart here).
    Nul,
    /// A field is not UTF-8. Legal for both readers, but systemd refuses such a path in a unit.
    NotUtf8,
    /// The line has 4095 bytes or more, the size of getmntent's buffer: what is beyond it is dropped.
    TooLong,
}

impl Problem {
    /// Whether libmount refuses a line with this problem, so that mount(8) and findmnt(8) do not see it.
    pub fn refused_by_libmount(self) -> bool {
        matches!(
            self,
            Problem::MissingTarget
                | Problem::MissingFstype
                | Problem::FreqNotNumber
                | Problem::PassnoNotNumber
                | Problem::Nul
        )
    }

    /// Whether the two readers make different things of a line with this problem.
    pub fn readers_differ(self) -> bool {
        self.refused_by_libmount()
            || matches!(self, Problem::EscapesDiffer | Problem::CarriageReturn | Problem::TooLong)
    }
}

impl Entry {
    /// Whether libmount refuses the line, so that mount(8) and findmnt(8) do not see it though systemd may mount it.
    pub fn refused_by_libmount(&self) -> bool {
        self.problems.iter().any(|problem| problem.refused_by_libmount())
    }
}

impl Fstab {
    /// Reads an fstab. Never fails: what cannot be read is kept as [`Content::Garbage`] or as a [`Problem`].
    pub fn parse(text: &[u8]) -> Fstab {
        Fstab { lines: lines::parse(text, content) }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every line, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines that describe a mount or a swap, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| match &line.content {
            Content::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// The line that an entry came from. `None` for an entry of another file.
    pub fn line_of(&self, entry: &Entry) -> Option<&Line> {
        self.lines.get(entry.line.checked_sub(1)?)
    }
}

/// What libmount sees of a line: it drops one carriage return before the newline or before the end of the file.
fn libmount_text(raw: &[u8], ending: LineEnding) -> &[u8] {
    match ending {
        LineEnding::None => raw.strip_suffix(b"\r").unwrap_or(raw),
        _ => raw,
    }
}

fn content(number: usize, raw: &[u8], ending: LineEnding) -> Content {
    let text = libmount_text(raw, ending);
    let spans = fields::spans(text, is_blank);
    let Some(first) = spans.first() else {
        return Content::Blank;
    };
    if text[first.start] == b'#' {
        return Content::Comment;
    }
    let mut problems = Vec::new();
    if spans.len() < 2 {
        problems.push(Problem::MissingTarget);
    }
    let field = |index: usize| spans.get(index).map(|span| decode(text, span.clone()));
    let fstype = field(2).unwrap_or_else(|| {
        if spans.len() == 2 {
            problems.push(Problem::MissingFstype);
        }
        let end = spans.last().map_or(0, |span| span.end);
        Field { span: end..end, value: Vec::new() }
    });
    let options = field(3);
    if options.is_none() && spans.len() >= 3 {
        problems.push(Problem::MissingOptions);
    }
    let freq = number_field(text, spans.get(4), Problem::FreqNotNumber, &mut problems);
    let passno = number_field(text, spans.get(5), Problem::PassnoNotNumber, &mut problems);
    if let Some(extra) = spans.get(6) {
        problems.push(if text[extra.start] == b'#' {
            Problem::TrailingComment
        } else {
            Problem::TooManyFields
        });
    }
    note_text_problems(raw, ending, text, &spans, &mut problems);

    match (field(0), field(1)) {
        (Some(source), Some(target)) => Content::Entry(Entry {
            line: number,
            source,
            target,
            fstype,
            options,
            freq,
            passno,
            problems,
        }),
        _ => Content::Garbage(problems),
    }
}

fn decode(text: &[u8], span: Range<usize>) -> Field {
    let mut value = octal::decode(&text[span.clone()]);
    // For libmount a field is a C string, so that an escaped NUL ends it.
    if let Some(end) = value.iter().position(|&b| b == 0) {
        value.truncate(end);
    }
    Field { span, value }
}

fn number_field(
    text: &[u8],
    span: Option<&Range<usize>>,
    not_a_number: Problem,
    problems: &mut Vec<Problem>,
) -> Option<Number> {
    let span = span?;
    let raw = &text[span.clone()];
    // libmount refuses a number beyond 64 bits, but looks only when something, if but a blank, follows.
    let is_last = span.end == text.len();
    match fields::leading_integer(raw) {
        Some((value, used)) if used == raw.len() && (is_last || !is_saturated(value)) => {
            if i32::try_from(value).is_err() {
                problems.push(Problem::NumberOutOfRange);
            }
            // Both readers assign strtol's long to an int.
            Some(Number { span: span.clone(), value: value as i32 })
        }
        _ => {
            problems.push(not_a_number);
            None
        }
    }
}

/// Whether strtol(3) would have set ERANGE; a number that is exactly the limit is not worth telling apart.
fn is_saturated(value: i64) -> bool {
    matches!(value, i64::MAX | i64::MIN)
}

fn note_text_problems(
    raw: &[u8],
    ending: LineEnding,
    text: &[u8],
    spans: &[Range<usize>],
    problems: &mut Vec<Problem>,
) {
    let known = || spans.iter().take(6).map(|span| &text[span.clone()]);
    let words = || spans.iter().take(4).map(|span| &text[span.clone()]);
    if known().any(|field| field.starts_with(b"#")) {
        problems.push(Problem::HashInField);
    }
    if words().any(octal::has_bad_escape) {
        problems.push(Problem::BadEscape);
    }
    if words().any(|field| octal::decode(field) != octal::decode_getmntent(field)) {
        problems.push(Problem::EscapesDiffer);
    }
    if ending == LineEnding::CrLf || text.len() != raw.len() {
        problems.push(Problem::CarriageReturn);
    }
    if text.contains(&0) {
        problems.push(Problem::Nul);
    }
    if words().any(|field| std::str::from_utf8(field).is_err()) {
        problems.push(Problem::NotUtf8);
    }
    if raw.len() + ending.as_bytes().len() > getmntent::BUFFER {
        problems.push(Problem::TooLong);
    }
}

#[cfg(test)]
mod tests;
