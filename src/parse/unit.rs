//! Unit files (systemd.syntax(7)) and their drop-ins.
//!
//! Lossless. Reads what is written and knows no key: which sections and keys systemd understands, and what specifiers
//! (`%i`) become, is the caller's matter. Observed with systemd 252.

use super::fields::trim;
use super::lines::{self, LineEnding, LineError};

/// A parsed unit file or drop-in, lossless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitFile {
    lines: Vec<Line>,
    settings: Settings,
    errors: Vec<LineError>,
    refused: bool,
}

/// One line of a unit file.
pub type Line = lines::Line<Content>;

/// What a line of a unit file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing but white space.
    Blank,
    /// A comment, `#` or `;`. It stands between the lines of a continued assignment without ending it.
    Comment,
    /// The first line of a section's heading.
    Section,
    /// The first line of an assignment.
    Assignment,
    /// A line that continues the one above it.
    Continuation,
    /// A line that systemd logs and ignores, or refuses the file for.
    Garbage,
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The number of its first line, from 1, in the file that it came from.
    pub line: usize,
    /// The section, without brackets.
    pub section: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
    /// The value, continued lines joined with a space, trimmed. Quotes and escapes are kept: which values have them
    /// depends on the key.
    pub value: Vec<u8>,
}

/// The assignments of a unit file, or of one with its drop-ins, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    assignments: Vec<Assignment>,
}

impl Settings {
    /// Every assignment, in order, resets included.
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// The values of a key that is a list: an empty assignment drops those before it.
    pub fn get_all(&self, section: &str, key: &str) -> Vec<&[u8]> {
        let mut values = Vec::new();
        for value in self.of(section, key) {
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value);
            }
        }
        values
    }

    /// The value of a key that takes one: the last assignment. `None` when that is empty, which restores the default.
    pub fn get_last(&self, section: &str, key: &str) -> Option<&[u8]> {
        self.of(section, key).last().filter(|value| !value.is_empty())
    }

    fn of(&self, section: &str, key: &str) -> impl Iterator<Item = &[u8]> {
        self.assignments
            .iter()
            .filter(move |a| a.section == section.as_bytes() && a.key == key.as_bytes())
            .map(|assignment| assignment.value.as_slice())
    }
}

impl UnitFile {
    /// Reads a unit file. Never fails: see [`UnitFile::errors`] and [`UnitFile::is_refused`].
    pub fn parse(text: &[u8]) -> UnitFile {
        let mut reader = Reader::default();
        let lines = lines::parse(text, |number, raw, ending| reader.line(number, raw, ending));
        reader.finish();
        UnitFile {
            lines,
            settings: reader.settings,
            errors: reader.errors,
            refused: reader.refused,
        }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every line, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The assignments, in order.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// See [`Settings::get_all`].
    pub fn get_all(&self, section: &str, key: &str) -> Vec<&[u8]> {
        self.settings.get_all(section, key)
    }

    /// See [`Settings::get_last`].
    pub fn get_last(&self, section: &str, key: &str) -> Option<&[u8]> {
        self.settings.get_last(section, key)
    }

    /// Lines that are not well formed. systemd logs and ignores them, unless [`UnitFile::is_refused`].
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }

    /// Whether a section's heading is broken. systemd stops reading there, and does not load a unit whose own file that
    /// is; of a drop-in it keeps what it read. The settings here are those above the heading.
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

/// The settings of a unit with its drop-ins, which apply in the order given (systemd sorts them by file name, across all
/// directories).
pub fn merge<'a>(base: &UnitFile, drop_ins: impl IntoIterator<Item = &'a UnitFile>) -> Settings {
    let mut merged = base.settings.clone();
    for drop_in in drop_ins {
        merged.assignments.extend_from_slice(&drop_in.settings.assignments);
    }
    merged
}

/// The words of a value that is a list of names (`After=a.service b.service`), quotes removed, escapes kept.
pub fn words(value: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    for &byte in value {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => word.get_or_insert_default().push(byte),
            None if is_space(byte) => words.extend(word.take()),
            None if matches!(byte, b'"' | b'\'') => {
                word.get_or_insert_default();
                quote = Some(byte);
            }
            None => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

/// What systemd takes for white space in a unit file.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[derive(Default)]
struct Reader {
    settings: Settings,
    errors: Vec<LineError>,
    section: Option<Vec<u8>>,
    /// The first line of what is continued, and its text so far.
    continued: Option<(usize, Vec<u8>)>,
    byte_order_mark_seen: bool,
    refused: bool,
}

impl Reader {
    fn line(&mut self, number: usize, raw: &[u8], ending: LineEnding) -> Content {
        // systemd ends a line at a lone carriage return too; here only one at the end of the file is honoured.
        let text =
            if ending == LineEnding::None { raw.strip_suffix(b"\r").unwrap_or(raw) } else { raw };
        if matches!(trim(text, is_space).first(), Some(b'#' | b';')) {
            return Content::Comment;
        }
        let mut text = text;
        if !self.byte_order_mark_seen
            && let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf")
        {
            self.byte_order_mark_seen = true;
            text = rest;
        }
        let is_continuation = self.continued.is_some();
        let (first, mut joined) = self.continued.take().unwrap_or((number, Vec::new()));
        joined.extend_from_slice(text);
        // An even number of backslashes escapes itself.
        let backslashes = text.iter().rev().take_while(|&&b| b == b'\\').count();
        let content = if backslashes % 2 == 1 {
            if let Some(last) = joined.last_mut() {
                *last = b' ';
            }
            let content = kind(&joined);
            self.continued = Some((first, joined));
            content
        } else {
            self.logical_line(first, &joined)
        };
        if is_continuation { Content::Continuation } else { content }
    }

    fn finish(&mut self) {
        if let Some((first, text)) = self.continued.take() {
            self.logical_line(first, &text);
        }
    }

    fn logical_line(&mut self, line: usize, text: &[u8]) -> Content {
        let content = kind(text);
        if self.refused {
            return content;
        }
        let text = trim(text, is_space);
        match content {
            Content::Section => match text.strip_suffix(b"]") {
                Some(heading) => self.section = Some(heading[1..].to_vec()),
                None => {
                    self.refused = true;
                    self.error(line, "the section heading is not closed");
                    return Content::Garbage;
                }
            },
            Content::Assignment => return self.assignment(line, text),
            Content::Garbage => self.error(line, "there is no \"=\""),
            Content::Blank | Content::Comment | Content::Continuation => {}
        }
        content
    }

    fn assignment(&mut self, line: usize, text: &[u8]) -> Content {
        let Some(equals) = text.iter().position(|&b| b == b'=') else {
            return Content::Garbage;
        };
        let key = trim(&text[..equals], is_space);
        let Some(section) = &self.section else {
            self.error(line, "the assignment stands before the first section");
            return Content::Garbage;
        };
        if key.is_empty() {
            self.error(line, "there is no key before the \"=\"");
            return Content::Garbage;
        }
        self.settings.assignments.push(Assignment {
            line,
            section: section.clone(),
            key: key.to_vec(),
            value: trim(&text[equals + 1..], is_space).to_vec(),
        });
        Content::Assignment
    }

    fn error(&mut self, line: usize, reason: &'static str) {
        self.errors.push(LineError { line, reason });
    }
}

/// What a logical line, or the first part of one, looks like.
fn kind(text: &[u8]) -> Content {
    match trim(text, is_space) {
        [] => Content::Blank,
        [b'[', ..] => Content::Section,
        text if text.contains(&b'=') => Content::Assignment,
        _ => Content::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(unit: &UnitFile, section: &str, key: &str) -> Vec<String> {
        unit.get_all(section, key)
            .into_iter()
            .map(|value| value.escape_ascii().to_string())
            .collect()
    }

    #[test]
    fn the_manual_page_example() {
        let unit = UnitFile::parse(
            b"[Section A]\nKeyOne=value 1\nKeyTwo=value 2\n\n# a comment\n\n[Section B]\n\
              Setting=\"something\" \"some thing\" \"...\"\nKeyTwo=value 2 \\\n       value 2 continued\n\n\
              [Section C]\nKeyThree=value 3\\\n# this line is ignored\n; this line is ignored too\n       value 3 continued\n",
        );
        assert_eq!(unit.errors(), []);
        assert_eq!(all(&unit, "Section A", "KeyTwo"), ["value 2"]);
        assert_eq!(all(&unit, "Section B", "KeyTwo"), ["value 2         value 2 continued"]);
        assert_eq!(all(&unit, "Section C", "KeyThree"), ["value 3        value 3 continued"]);
        let kinds: Vec<_> = unit.lines().iter().map(|line| line.content).skip(11).collect();
        assert_eq!(
            kinds,
            [
                Content::Section,
                Content::Assignment,
                Content::Comment,
                Content::Comment,
                Content::Continuation
            ]
        );
    }

    #[test]
    fn lists_are_reset_and_the_last_value_wins() {
        let base = UnitFile::parse(
            b"[Unit]\nAfter=a\nAfter=b\nTimeout = 1\n[Mount]\nAfter=x\n[Unit]\nAfter=c\n",
        );
        let reset = UnitFile::parse(b"[Unit]\nAfter=\nAfter=d\nTimeout=\n");
        let more = UnitFile::parse(b"[Unit]\nAfter=e\nTimeout=2\n");
        assert_eq!(all(&base, "Unit", "After"), ["a", "b", "c"]);
        assert_eq!(merge(&base, [&reset]).get_all("Unit", "After"), [b"d"]);
        assert_eq!(merge(&base, [&reset]).get_last("Unit", "Timeout"), None);
        let merged = merge(&base, [&reset, &more]);
        assert_eq!(merged.get_all("Unit", "After"), [b"d", b"e"]);
        assert_eq!(merged.get_last("Unit", "Timeout"), Some(&b"2"[..]));
        assert_eq!(merged.get_all("Mount", "After"), [b"x"]);
        assert_eq!(merge(&base, []), *base.settings());
    }

    #[test]
    fn continuations() {
        for (text, want) in [
            ("K=a\\\nb", "a b"),
            ("K=a\\\\\nb", "a\\\\\\\\"),
            ("K=a\\\\\\\nb", "a\\\\\\\\ b"),
            ("K=a\\\n\nb", "a"),
            ("K=a\\", "a"),
            ("K=a\\\r\nb\r\n", "a b"),
            ("K=a\\\n[Unit]\n", "a [Unit]"),
            ("K=\\\nb\n", "b"),
            ("K\\\n=b\n", "b"),
        ] {
            let unit = UnitFile::parse(format!("\u{feff}[Unit]\n{text}").as_bytes());
            assert_eq!(all(&unit, "Unit", "K"), [want], "{text:?}");
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (text, line, reason, refused) in [
            ("K=1\n", 1, "the assignment stands before the first section", false),
            ("[U]\njunk\\\nx\n", 2, "there is no \"=\"", false),
            ("[U]\n =x\n", 2, "there is no key before the \"=\"", false),
            ("[U\nK=1\n", 1, "the section heading is not closed", true),
            ("[\nK=1\n", 1, "the section heading is not closed", true),
        ] {
            let unit = UnitFile::parse(text.as_bytes());
            assert_eq!(unit.errors(), [LineError { line, reason }], "{text:?}");
            assert_eq!(unit.is_refused(), refused, "{text:?}");
            assert_eq!(unit.settings().assignments(), [], "{text:?}");
        }
    }

    #[test]
    fn words_of_a_list() {
        let words = words(b"a.service  'b c'.mount\t\"\" d\\x2de");
        assert_eq!(words, [&b"a.service"[..], b"b c.mount", b"", b"d\\x2de"]);
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "[\\[\\]A=#; \\\\\n\r]{0,60}".prop_map(String::into_bytes)]) {
            let unit = UnitFile::parse(&text);
            prop_assert_eq!(unit.print(), text.clone());
            words(&text);
        }
    }
}
