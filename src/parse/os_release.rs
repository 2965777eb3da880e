//! os-release(5), as systemd's reader of environment files sees it.
//!
//! Lossless: the text is kept. The grammar is the one that systemd 252 implements (it also reads `EnvironmentFile=` and
//! locale.conf with it), not a shell's: nothing is expanded, `A=b c` is `b c`, and ` #` after a value is part of it.

use super::lines::LineError;

/// A parsed os-release file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OsRelease {
    text: Vec<u8>,
    assignments: Vec<Assignment>,
    errors: Vec<LineError>,
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The number of the line it starts on, from 1.
    pub line: usize,
    /// The name before the `=`, trimmed.
    pub key: Vec<u8>,
    /// The value, unquoted and trimmed.
    pub value: Vec<u8>,
}

impl OsRelease {
    /// Reads the file. Never fails: see [`OsRelease::errors`].
    pub fn parse(text: &[u8]) -> OsRelease {
        let mut reader = Reader::default();
        for &byte in text {
            reader.push(byte);
        }
        reader.finish();
        OsRelease { text: text.to_vec(), assignments: reader.assignments, errors: reader.errors }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// The value of a key; of repeated keys the last, as a shell would have it. `None` also for an empty value, which
    /// os-release(5) does not tell from a missing one.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let last =
            self.assignments.iter().rev().find(|assignment| assignment.key == key.as_bytes())?;
        (!last.value.is_empty()).then_some(last.value.as_slice())
    }

    /// Every assignment, in order.
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// Lines that are not well formed. systemd refuses the whole file when a key or value is not UTF-8, and passes over
    /// the rest.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a key, at the start of a line or after white space there.
    #[default]
    BeforeKey,
    Key,
    /// After the `=` or a closing quote, before the next piece of the value.
    BeforeValue,
    Value,
    ValueEscape,
    SingleQuoted,
    DoubleQuoted,
    DoubleQuotedEscape,
    Comment,
    CommentEscape,
}

#[derive(Default)]
struct Reader {
    state: State,
    /// Lines ended so far.
    ended: usize,
    /// Where the current assignment starts.
    line: usize,
    key: Vec<u8>,
    value: Vec<u8>,
    /// How much of the value stays when white space is trimmed from its unquoted end.
    kept: usize,
    assignments: Vec<Assignment>,
    errors: Vec<LineError>,
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl Reader {
    fn push(&mut self, byte: u8) {
        match self.state {
            State::BeforeKey => match byte {
                b'#' | b';' => self.state = State::Comment,
                _ if is_space(byte) => {}
                _ => {
                    self.line = self.ended + 1;
                    self.key.push(byte);
                    self.state = State::Key;
                }
            },
            State::Key => match byte {
                _ if is_newline(byte) => {
                    self.error("there is no \"=\"");
                    self.key.clear();
                    self.state = State::BeforeKey;
                }
                b'=' => self.state = State::BeforeValue,
                _ => self.key.push(byte),
            },
            State::BeforeValue => match byte {
                _ if is_newline(byte) => self.assign(),
                b'\'' => self.state = State::SingleQuoted,
                b'"' => self.state = State::DoubleQuoted,
                b'\\' => self.state = State::ValueEscape,
                _ if is_space(byte) => {}
                _ => {
                    self.keep(byte);
                    self.state = State::Value;
                }
            },
            State::Value => match byte {
                _ if is_newline(byte) => self.assign(),
                b'\\' => {
                    self.kept = self.value.len();
                    self.state = State::ValueEscape;
                }
                _ if is_space(byte) => self.value.push(byte),
                _ => self.keep(byte),
            },
            State::ValueEscape => {
                self.state = State::Value;
                // An escaped newline joins the lines.
                if !is_newline(byte) {
                    self.keep(byte);
                }
            }
            State::SingleQuoted => match byte {
                b'\'' => self.state = State::BeforeValue,
                _ => self.keep(byte),
            },
            State::DoubleQuoted => match byte {
                b'"' => self.state = State::BeforeValue,
                b'\\' => self.state = State::DoubleQuotedEscape,
                _ => self.keep(byte),
            },
            State::DoubleQuotedEscape => {
                self.state = State::DoubleQuoted;
                match byte {
                    b'"' | b'\\' | b'`' | b'$' => self.keep(byte),
                    b'\n' => {}
                    _ => {
                        self.keep(b'\\');
                        self.keep(byte);
                    }
                }
            }
            State::Comment => match byte {
                b'\\' => self.state = State::CommentEscape,
                _ if is_newline(byte) => self.state = State::BeforeKey,
                _ => {}
            },
            // A backslash at its end continues a comment.
            State::CommentEscape => self.state = State::Comment,
        }
        self.ended += usize::from(byte == b'\n');
    }

    fn keep(&mut self, byte: u8) {
        self.value.push(byte);
        self.kept = self.value.len();
    }

    fn error(&mut self, reason: &'static str) {
        self.errors.push(LineError { line: self.line, reason });
    }

    fn assign(&mut self) {
        self.value.truncate(self.kept);
        self.kept = 0;
        let mut key = std::mem::take(&mut self.key);
        let value = std::mem::take(&mut self.value);
        while key.last().is_some_and(|&b| is_space(b)) {
            key.pop();
        }
        if std::str::from_utf8(&key).is_err() || std::str::from_utf8(&value).is_err() {
            self.error("the key or the value is not UTF-8");
        }
        self.assignments.push(Assignment { line: self.line, key, value });
        self.state = State::BeforeKey;
    }

    fn finish(&mut self) {
        match self.state {
            State::BeforeKey | State::Comment | State::CommentEscape => {}
            State::Key => self.error("there is no \"=\""),
            State::SingleQuoted | State::DoubleQuoted | State::DoubleQuotedEscape => {
                self.error("the quote is not closed");
                self.assign();
            }
            State::BeforeValue | State::Value | State::ValueEscape => self.assign(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(text: &str, key: &str) -> String {
        let release = OsRelease::parse(text.as_bytes());
        String::from_utf8(release.get(key).unwrap_or(b"(none)").to_vec()).unwrap()
    }

    #[test]
    fn a_usual_file() {
        let text = "NAME=\"Alibaba Cloud Linux (Aliyun Linux)\"\n# c\n\nID=\"alinux\"\nID_LIKE='rhel fedora'\nVERSION_ID=3\n";
        assert_eq!(get(text, "NAME"), "Alibaba Cloud Linux (Aliyun Linux)");
        assert_eq!(get(text, "ID"), "alinux");
        assert_eq!(get(text, "ID_LIKE"), "rhel fedora");
        assert_eq!(get(text, "VERSION_ID"), "3");
        assert_eq!(get(text, "VARIANT"), "(none)");
        assert_eq!(OsRelease::parse(text.as_bytes()).errors(), []);
    }

    #[test]
    fn quoting() {
        for (value, want) in [
            ("b c # d", "b c # d"),
            ("\"x y\"z", "x yz"),
            ("'q'\"r\"", "qr"),
            ("a\"b\"", "a\"b\""),
            ("\"a\\nb\\$c\\\"d\\`e\\\\f\"", "a\\nb$c\"d`e\\f"),
            ("'a\\b'", "a\\b"),
            ("a\\ b", "a b"),
            ("a\\\nb", "ab"),
            ("\"a\\\nb\"", "ab"),
            ("\"a\nb\"", "a\nb"),
            ("  a  ", "a"),
            ("\"a \"  ", "a "),
            ("$HOME", "$HOME"),
            ("a\r", "a"),
            ("\"\"", "(none)"),
            ("", "(none)"),
        ] {
            assert_eq!(get(&format!("\n A ={value}\nB=1\n"), "A"), want, "{value:?}");
            assert_eq!(get(&format!("A={value}"), "A"), want, "{value:?} at the end");
        }
    }

    #[test]
    fn the_last_of_repeated_keys_wins() {
        assert_eq!(get("ID=a\nID=b\n", "ID"), "b");
        assert_eq!(get("#ID=a\\\nID=b\nID=c\n;ID=d\n", "ID"), "c");
    }

    #[test]
    fn errors_name_their_line() {
        let error = |text: &[u8]| OsRelease::parse(text).errors().to_vec();
        assert_eq!(error(b"ID=a\njunk\n"), [LineError { line: 2, reason: "there is no \"=\"" }]);
        assert_eq!(error(b"\n\njunk"), [LineError { line: 3, reason: "there is no \"=\"" }]);
        assert_eq!(
            error(b"A=\"x\ny\nID=a\n"),
            [LineError { line: 1, reason: "the quote is not closed" }]
        );
        assert_eq!(
            error(b"A=\"1\n2\"\nB=\xff\n"),
            [LineError { line: 3, reason: "the key or the value is not UTF-8" }]
        );
        // A "=" where a key starts is taken for the key's first byte.
        assert_eq!(error(b"=x\n"), [LineError { line: 1, reason: "there is no \"=\"" }]);
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "[A-C=\"'\\\\\n\r #;$ ]{0,60}".prop_map(String::into_bytes)]) {
            let release = OsRelease::parse(&text);
            prop_assert_eq!(release.print(), text.clone());
            let lines = super::super::lines::split(&text).count();
            prop_assert!(release.errors().iter().all(|error| error.line >= 1 && error.line <= lines));
        }

        #[test]
        fn a_quoted_value_comes_back(value in "[^\r\n]{1,20}") {
            let quoted: String = value.chars().flat_map(|c| {
                let escape = matches!(c, '"' | '\\' | '`' | '$').then_some('\\');
                escape.into_iter().chain([c])
            }).collect();
            prop_assert_eq!(get(&format!("A=\"{quoted}\"\n"), "A"), value);
        }
    }
}
