//! Lines of a text file, kept byte for byte.
//!
//! Holds the split of a byte string into lines and its reverse. The other parsers build on it; nobody else needs it.
//! It never interprets what a line says.

use std::fmt;

/// How a line ends in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnding {
    /// The last line of a file that does not end in a newline.
    None,
    /// `\n`
    Lf,
    /// `\r\n`. Most readers of Linux see the `\r` as part of the last field.
    CrLf,
}

impl LineEnding {
    /// The bytes of this ending.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            LineEnding::None => b"",
            LineEnding::Lf => b"\n",
            LineEnding::CrLf => b"\r\n",
        }
    }
}

/// One line and what a parser made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<T> {
    /// The line's number, from 1.
    pub number: usize,
    /// The line without its ending.
    pub raw: Vec<u8>,
    /// The ending.
    pub ending: LineEnding,
    /// What the line says.
    pub content: T,
}

/// A line that could not be read, in a file whose other lines could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it, without the line's text (it may be a secret).
    pub reason: &'static str,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for LineError {}

/// Splits a text after each `\n`. Yields each line without its ending, and the ending; an empty text has no lines.
pub fn split(text: &[u8]) -> impl Iterator<Item = (&[u8], LineEnding)> {
    text.split_inclusive(|&b| b == b'\n').map(|line| {
        if let Some(raw) = line.strip_suffix(b"\r\n") {
            (raw, LineEnding::CrLf)
        } else if let Some(raw) = line.strip_suffix(b"\n") {
            (raw, LineEnding::Lf)
        } else {
            (line, LineEnding::None)
        }
    })
}

/// Splits a text and reads each line with `read`, which is given the line's number, the line and its ending.
pub fn parse<T>(text: &[u8], mut read: impl FnMut(usize, &[u8], LineEnding) -> T) -> Vec<Line<T>> {
    split(text)
        .enumerate()
        .map(|(index, (raw, ending))| Line {
            number: index + 1,
            raw: raw.to_vec(),
            ending,
            content: read(index + 1, raw, ending),
        })
        .collect()
}

/// The text that the lines came from.
pub fn print<T>(lines: &[Line<T>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.iter().map(|line| line.raw.len() + 2).sum());
    for line in lines {
        text.extend_from_slice(&line.raw);
        text.extend_from_slice(line.ending.as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn endings_are_told_apart() {
        let got: Vec<_> = split(b"a\nb\r\n\r\n\nc\rd\r").collect();
        let want: Vec<(&[u8], LineEnding)> = vec![
            (b"a", LineEnding::Lf),
            (b"b", LineEnding::CrLf),
            (b"", LineEnding::CrLf),
            (b"", LineEnding::Lf),
            (b"c\rd\r", LineEnding::None),
        ];
        assert_eq!(got, want);
        assert_eq!(split(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..64)) {
            let lines = parse(&text, |_, _, _| ());
            prop_assert_eq!(print(&lines), text);
            prop_assert!(lines.iter().all(|line| !line.raw.contains(&b'\n')));
            prop_assert!(lines.iter().enumerate().all(|(i, line)| line.number == i + 1));
        }
    }
}
