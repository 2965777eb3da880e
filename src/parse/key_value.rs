//! Files of shell variables: /etc/selinux/config, /etc/sysconfig/*, /etc/default/*, /etc/lsb-release.
//!
//! Lossless: the text is kept, and an edit replaces one value. Read as a shell reads assignments, without running
//! anything: an expansion (`$x`, `` `x` ``) is not expanded but marked, so that a caller knows that it does not know.

use super::lines::LineError;
use std::ops::Range;

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyValue {
    text: Vec<u8>,
    assignments: Vec<Assignment>,
    errors: Vec<LineError>,
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The number of the line it starts on, from 1.
    pub line: usize,
    /// The variable's name.
    pub key: Vec<u8>,
    /// The value, quotes removed and nothing expanded.
    pub value: Vec<u8>,
    /// Where the value stands in the file, quotes included.
    pub span: Range<usize>,
    /// Whether a shell would expand something in the value, so that `value` is not what it gets.
    pub expands: bool,
}

impl KeyValue {
    /// Reads the file. Never fails: see [`KeyValue::errors`].
    pub fn parse(text: &[u8]) -> KeyValue {
        let mut file = KeyValue { text: text.to_vec(), ..KeyValue::default() };
        let mut reader = Reader { text, at: 0 };
        while reader.at < text.len() {
            file.statement(&mut reader);
        }
        file
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// The last assignment of a key, which is the one that counts.
    pub fn last(&self, key: &str) -> Option<&Assignment> {
        self.assignments.iter().rev().find(|assignment| assignment.key == key.as_bytes())
    }

    /// The value of a key; of repeated keys the last.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.last(key).map(|assignment| assignment.value.as_slice())
    }

    /// Every assignment, in order.
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// Lines that are no assignment, or one that a shell would take otherwise than its writer meant.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }

    /// The file with another value for a key, every other byte as it was.
    ///
    /// The last assignment of the key is replaced; a file without one gets a line at its end. The value is put in double
    /// quotes when it stood in them before or when it needs them. A NUL cannot be expressed and is left out.
    pub fn with_value(&self, key: &str, value: &[u8]) -> Vec<u8> {
        match self.last(key) {
            Some(assignment) => {
                let old = &self.text[assignment.span.clone()];
                let new = quote(value, old.starts_with(b"\""));
                [&self.text[..assignment.span.start], &new, &self.text[assignment.span.end..]]
                    .concat()
            }
            None => {
                let body = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
                let is_ended = self.text.is_empty() || body.len() < self.text.len();
                // A backslash at the end would join the new line to the last one.
                let is_joined = body.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1;
                let newline = b"\n".repeat(usize::from(!is_ended) + usize::from(is_joined));
                [&self.text, &newline, key.as_bytes(), b"=", &quote(value, false), b"\n"].concat()
            }
        }
    }

    /// Reads up to the end of a line, or to the `;` after an assignment.
    fn statement(&mut self, reader: &mut Reader) {
        reader.skip_blank();
        let line = reader.line();
        let mut error = |reason| self.errors.push(LineError { line, reason });
        if matches!(reader.peek(), None | Some(b'\n' | b'#')) || reader.rest().starts_with(b"\r\n")
        {
            return reader.skip_line();
        }
        let Some(key) = reader.key() else {
            error("not an assignment");
            return reader.skip_line();
        };
        let start = reader.at;
        let mut word = reader.word().unwrap_or_else(|| {
            error("the quote is not closed");
            reader.at = start;
            reader.unclosed_word()
        });
        let mut end = reader.at;
        if word.value.last() == Some(&b'\r')
            && matches!(reader.peek(), None | Some(b'\n'))
            && reader.text[end - 1] == b'\r'
        {
            error("a carriage return ends the line; a shell takes it for part of the value");
            word.value.pop();
            end -= 1;
        }
        self.assignments.push(Assignment {
            line,
            key: key.to_vec(),
            value: word.value,
            span: start..end,
            expands: word.expands,
        });
        let blank = reader.skip_blank();
        match reader.peek() {
            Some(b';') => reader.at += 1,
            None | Some(b'\n') => reader.skip_line(),
            Some(b'#') if blank => reader.skip_line(),
            Some(_) => {
                // Another assignment on the line is fine; a word is a command that gets this one as its environment.
                let after = reader.at;
                let another = reader.key().is_some();
                reader.at = after;
                if !(blank && another) {
                    error("there is text after the value; a shell runs it");
                    reader.skip_line();
                }
            }
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

struct Word {
    value: Vec<u8>,
    expands: bool,
}

/// What ends a word outside of quotes.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn line(&self) -> usize {
        1 + self.text[..self.at].iter().filter(|&&b| b == b'\n').count()
    }

    /// Whether there was a blank.
    fn skip_blank(&mut self) -> bool {
        let blanks = self.rest().iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        self.at += blanks;
        blanks > 0
    }

    fn skip_line(&mut self) {
        self.at = self
            .rest()
            .iter()
            .position(|&b| b == b'\n')
            .map_or(self.text.len(), |newline| self.at + newline + 1);
    }

    /// The name of an assignment, past its `=`. Leaves the position alone when there is none.
    fn key(&mut self) -> Option<&'a [u8]> {
        let mut rest = self.rest();
        if let Some(exported) = rest.strip_prefix(b"export") {
            let blanks = exported.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            if blanks > 0 {
                rest = &exported[blanks..];
            }
        }
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let (key, after) = rest.split_at(length);
        if key.first().is_none_or(u8::is_ascii_digit) || after.first() != Some(&b'=') {
            return None;
        }
        self.at = self.text.len() - after.len() + 1;
        Some(key)
    }

    /// A word, quotes removed. `None` when a quote is not closed.
    fn word(&mut self) -> Option<Word> {
        let mut word = Word { value: Vec::new(), expands: false };
        while let Some(byte) = self.peek().filter(|&byte| !ends_word(byte)) {
            self.at += 1;
            match byte {
                b'\'' => loop {
                    match self.next()? {
                        b'\'' => break,
                        other => word.value.push(other),
                    }
                },
                b'"' => loop {
                    match self.next()? {
                        b'"' => break,
                        b'\\' => match self.next()? {
                            b'\n' => {}
                            escaped @ (b'"' | b'\\' | b'`' | b'$') => word.value.push(escaped),
                            other => word.value.extend([b'\\', other]),
                        },
                        other => {
                            word.expands |= matches!(other, b'$' | b'`');
                            word.value.push(other);
                        }
                    }
                },
                b'\\' => match self.next() {
                    Some(b'\n') => {}
                    Some(other) => word.value.push(other),
                    None => word.value.push(b'\\'),
                },
                other => {
                    word.expands |=
                        matches!(other, b'$' | b'`') || (other == b'~' && word.value.is_empty());
                    word.value.push(other);
                }
            }
        }
        Some(word)
    }

    /// What stands there up to the end of the line, as it is: a stray quote must not hide the rest of the file.
    fn unclosed_word(&mut self) -> Word {
        let end = self
            .rest()
            .iter()
            .position(|&b| b == b'\n')
            .map_or(self.text.len(), |newline| self.at + newline);
        let value = self.text[self.at..end].to_vec();
        self.at = end;
        Word { value, expands: false }
    }
}

fn quote(value: &[u8], was_quoted: bool) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-.,:/@%+=".contains(b);
    if !was_quoted && value.iter().all(plain) {
        return value.to_vec();
    }
    let mut quoted = vec![b'"'];
    for &byte in value.iter().filter(|&&byte| byte != 0) {
        if matches!(byte, b'"' | b'\\' | b'`' | b'$') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests;
