//! Files of `[section]` and `key=value`: NetworkManager's keyfiles and configuration, yum's and zypper's repositories.
//!
//! Lossless. The readers differ in little: GKeyFile knows `#` comments alone, yum takes `;` too and continues a value on
//! a line that begins with a blank. A key keeps its spelling; which spellings are one is the caller's matter.

use super::fields::{is_blank, is_c_space, trim};
use super::lines::{self, LineError};

/// A parsed file, lossless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ini {
    lines: Vec<lines::Line<()>>,
    sections: Vec<Section>,
    settings: Vec<Setting>,
    errors: Vec<LineError>,
}

/// A heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The number of its line, from 1.
    pub line: usize,
    /// Its name, without brackets.
    pub name: Vec<u8>,
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The number of its first line, from 1.
    pub line: usize,
    /// The section that it stands in.
    pub section: Vec<u8>,
    /// The key, trimmed.
    pub key: Vec<u8>,
    /// The value, trimmed; continued lines are joined by a newline.
    pub value: Vec<u8>,
}

impl Ini {
    /// Reads the file. Never fails: see [`Ini::errors`].
    pub fn parse(text: &[u8]) -> Ini {
        let mut file = Ini::default();
        file.lines = lines::parse(text, |number, raw, _| file.line(number, raw));
        file
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// A line without its ending, by its number.
    pub fn raw(&self, line: usize) -> Option<&[u8]> {
        self.lines.get(line.checked_sub(1)?).map(|line| line.raw.as_slice())
    }

    /// The headings, in order; one that is repeated appears again.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The assignments, in order.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The last assignment of a key in a section, which is the one that counts.
    pub fn last(&self, section: &[u8], key: &str) -> Option<&Setting> {
        self.settings
            .iter()
            .rev()
            .find(|setting| setting.section == section && setting.key == key.as_bytes())
    }

    /// The value of a key in a section.
    pub fn get(&self, section: &[u8], key: &str) -> Option<&[u8]> {
        self.last(section, key).map(|setting| setting.value.as_slice())
    }

    /// Lines that are none of heading, assignment, comment and continuation.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }

    fn line(&mut self, number: usize, raw: &[u8]) {
        let text = trim(raw, is_c_space);
        if text.is_empty() || matches!(text[0], b'#' | b';') {
            return;
        }
        let mut error = |reason| self.errors.push(LineError { line: number, reason });
        if raw.contains(&0) {
            return error("there is a NUL in the line");
        }
        if is_blank(raw[0]) {
            let last = self.settings.last_mut().filter(|last| {
                // A heading in between ends the value.
                self.sections.last().is_some_and(|section| section.line < last.line)
            });
            return match last {
                Some(last) => {
                    last.value.push(b'\n');
                    last.value.extend_from_slice(text);
                }
                None => error("the line continues nothing"),
            };
        }
        if let Some(rest) = text.strip_prefix(b"[") {
            return match rest.iter().position(|b| *b == b']') {
                Some(end) => {
                    self.sections.push(Section { line: number, name: rest[..end].to_vec() });
                }
                None => error("the heading has no closing bracket"),
            };
        }
        let Some(equals) = text.iter().position(|b| *b == b'=') else {
            return error("not an assignment");
        };
        let Some(section) = self.sections.last() else {
            return error("the line stands before any heading");
        };
        let (key, value) =
            (trim(&text[..equals], is_c_space), trim(&text[equals + 1..], is_c_space));
        if key.is_empty() {
            return error("the assignment has no key");
        }
        self.settings.push(Setting {
            line: number,
            section: section.name.clone(),
            key: key.to_vec(),
            value: value.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repository_and_a_keyfile() {
        let text = b"# c\n[base]\nname = CentOS-$releasever\nbaseurl=http://a/\n  http://b/\n; d\n[x y]\nbaseurl=\n";
        let file = Ini::parse(text);
        assert_eq!(file.get(b"base", "name"), Some(&b"CentOS-$releasever"[..]));
        assert_eq!(file.get(b"base", "baseurl"), Some(&b"http://a/\nhttp://b/"[..]));
        assert_eq!(file.get(b"x y", "baseurl"), Some(&b""[..]));
        assert_eq!(file.get(b"x y", "name"), None);
        assert_eq!(file.sections().iter().map(|s| s.line).collect::<Vec<_>>(), [2, 7]);
        assert_eq!(file.raw(7), Some(&b"[x y]"[..]));
        assert_eq!((file.raw(0), file.raw(99)), (None, None));
    }

    #[test]
    fn what_is_no_line_of_such_a_file() {
        let lines = |text: &[u8]| -> Vec<usize> {
            Ini::parse(text).errors().iter().map(|error| error.line).collect()
        };
        assert_eq!(lines(b"a=b\n[s]\nword\n[open\n=v\nk=v\0\n"), [1, 3, 4, 5, 6]);
        assert_eq!(lines(b"[s]\n continued\na=1\n[t]\n  of another\n"), [2, 5]);
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "[\\[\\]=a \t\r\n#;]{0,40}".prop_map(String::into_bytes)]) {
            let file = Ini::parse(&text);
            prop_assert_eq!(file.print(), text);
            for setting in file.settings() {
                let raw = file.raw(setting.line).unwrap();
                prop_assert!(raw.windows(setting.key.len()).any(|w| w == setting.key));
            }
        }
    }
}
