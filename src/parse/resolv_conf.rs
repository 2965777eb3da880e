//! resolv.conf(5), as the C library reads it.
//!
//! Lossless. glibc (resolv/res_init.c) takes a line for a setting only where the keyword stands at its very start and a
//! blank follows; it reads every `options` line, and knows a flag by its beginning alone. What it would pass over
//! without a word is told here as garbage.

use super::fields::{is_blank, spans, trim};
use super::lines::{self, LineError};

/// The flag that has the resolver ask for A and AAAA from two sockets, one after the other.
pub const SINGLE_REQUEST_REOPEN: &[u8] = b"single-request-reopen";

/// The keywords that glibc knows, in its own spelling.
const KEYWORDS: [&[u8]; 5] = [b"domain", b"nameserver", b"options", b"search", b"sortlist"];

/// A parsed resolv.conf, lossless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvConf {
    lines: Vec<Line>,
}

/// One line of a resolv.conf.
pub type Line = lines::Line<Content>;

/// What a line of a resolv.conf is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing but white space.
    Blank,
    /// `#` or `;` at the start of the line.
    Comment,
    /// An `options` line and its words, in order.
    Options(Vec<Vec<u8>>),
    /// Another line that glibc knows: a name server, a search list.
    Other,
    /// A line that glibc passes over, and why.
    Garbage(&'static str),
}

impl ResolvConf {
    /// Reads the file. Never fails: see [`ResolvConf::errors`].
    pub fn parse(text: &[u8]) -> ResolvConf {
        ResolvConf { lines: lines::parse(text, |_, raw, _| content(raw)) }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every line, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The `options` lines: their numbers and words.
    pub fn option_lines(&self) -> impl Iterator<Item = (&Line, &[Vec<u8>])> {
        self.lines.iter().filter_map(|line| match &line.content {
            Content::Options(words) => Some((line, words.as_slice())),
            _ => None,
        })
    }

    /// The words of all `options` lines, in order: glibc adds up what they say.
    pub fn options(&self) -> impl Iterator<Item = &[u8]> {
        self.option_lines().flat_map(|(_, words)| words).map(Vec::as_slice)
    }

    /// The text of the comments, without `#` or `;` and blanks: what wrote the file says so there.
    pub fn comments(&self) -> impl Iterator<Item = &[u8]> {
        let comments = self.lines.iter().filter(|line| line.content == Content::Comment);
        comments.map(|line| trim(&line.raw, |b| matches!(b, b'#' | b';') || is_blank(b)))
    }

    /// Lines that glibc passes over, which their writer meant for something.
    pub fn errors(&self) -> Vec<LineError> {
        let error = |line: &Line| match line.content {
            Content::Garbage(reason) => Some(LineError { line: line.number, reason }),
            _ => None,
        };
        self.lines.iter().filter_map(error).collect()
    }
}

/// The words of an option list: of an `options` line, of `RES_OPTIONS`.
pub fn words(text: &[u8]) -> Vec<Vec<u8>> {
    spans(text, is_blank).into_iter().map(|span| text[span].to_vec()).collect()
}

/// Whether an option word sets the flag. glibc compares the flag's length alone.
pub fn is_single_request_reopen(word: &[u8]) -> bool {
    word.starts_with(SINGLE_REQUEST_REOPEN)
}

fn content(raw: &[u8]) -> Content {
    if raw.contains(&0) {
        return Content::Garbage("a NUL ends the line for the resolver");
    }
    if matches!(raw.first(), Some(b'#' | b';')) {
        return Content::Comment;
    }
    let Some(first) = spans(raw, is_blank).into_iter().next() else {
        return Content::Blank;
    };
    let keyword = &raw[first.clone()];
    if !KEYWORDS.contains(&keyword) {
        return Content::Garbage("not a line that the resolver knows");
    }
    if first.start > 0 {
        return Content::Garbage("the resolver passes over a line that begins with a blank");
    }
    match keyword {
        // The keyword alone is no keyword to glibc, and sets nothing.
        b"options" => Content::Options(words(&raw[first.end..])),
        _ => Content::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(text: &str) -> Vec<String> {
        let file = ResolvConf::parse(text.as_bytes());
        file.options().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn the_options_of_all_lines_add_up() {
        let text = "# c\noptions timeout:2\trotate\nnameserver 1.1.1.1\noptions  attempts:3 \n";
        assert_eq!(options(text), ["timeout:2", "rotate", "attempts:3"]);
        assert!(options("#options rotate\n;options rotate\noptions\noptionsrotate\n").is_empty());
    }

    #[test]
    fn what_the_resolver_passes_over_is_garbage() {
        let file =
            ResolvConf::parse(b" options rotate\nlookup file\n\nsearch a\n options\0x\n\t\n");
        let lines: Vec<usize> = file.errors().iter().map(|error| error.line).collect();
        assert_eq!(lines, [1, 2, 5]);
        assert_eq!(file.options().count(), 0);
    }

    #[test]
    fn a_flag_is_known_by_its_beginning() {
        assert!(is_single_request_reopen(b"single-request-reopen"));
        assert!(is_single_request_reopen(b"single-request-reopen,x"));
        assert!(!is_single_request_reopen(b"single-request"));
        assert!(!is_single_request_reopen(b"Single-Request-Reopen"));
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "(options|[ \t\r\n#;a:]){0,30}".prop_map(String::into_bytes)]) {
            let file = ResolvConf::parse(&text);
            prop_assert_eq!(file.print(), text);
            let lines = file.lines().len();
            prop_assert!(file.errors().iter().all(|error| (1..=lines).contains(&error.line)));
        }
    }
}
