//! sshd_config(5) and the files that it includes.
//!
//! Lossless. Splits lines as sshd does: a keyword in any case, one `=` or blanks, then words with quotes of both kinds and
//! a comment that begins a word. Which directive counts, and what `Include` and `Match` do, is the caller's matter.
//! Compared with `sshd -T` of OpenSSH 9.2.

mod algorithms;
mod keywords;
mod pattern;

pub use algorithms::{Taken, has_algorithms, takes};
pub use keywords::{GLOBALS, KEYWORDS, OF_SOME, SWITCHES};
pub use pattern::is_like;

use super::fields::{is_c_space, trim};
use super::lines::{self, LineError};

/// A parsed file, lossless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshdConfig {
    lines: Vec<lines::Line<()>>,
    directives: Vec<Directive>,
    errors: Vec<LineError>,
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The line's number, from 1.
    pub line: usize,
    /// The keyword, in lower case.
    pub keyword: String,
    /// Its arguments, quotes taken off; never empty.
    pub arguments: Vec<Vec<u8>>,
}

impl SshdConfig {
    /// Reads the file. Never fails: see [`SshdConfig::errors`].
    pub fn parse(text: &[u8]) -> SshdConfig {
        let mut file = SshdConfig::default();
        file.lines = lines::parse(text, |number, raw, _| match directive(number, raw) {
            Ok(directive) => file.directives.extend(directive),
            Err(reason) => file.errors.push(LineError { line: number, reason }),
        });
        file
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// The directives, in order.
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// Lines that sshd refuses to start for.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }
}

/// Whether a keyword, in lower case, is one that some release of sshd takes. By any other sshd ends.
pub fn is_keyword(keyword: &str) -> bool {
    KEYWORDS.binary_search(&keyword).is_ok()
}

/// Why sshd ends at a directive, whatever its release, where that can be told from it alone.
pub fn refused(directive: &Directive) -> Option<&'static str> {
    let keyword = directive.keyword.as_str();
    let value = &directive.arguments[0];
    let is_switch = SWITCHES.binary_search(&keyword).is_ok();
    if is_switch && !value.eq_ignore_ascii_case(b"yes") && !value.eq_ignore_ascii_case(b"no") {
        return Some("is yes or no");
    }
    if has_algorithms(keyword) && value.is_empty() {
        return Some("names nothing");
    }
    let has_one = is_switch || has_algorithms(keyword);
    (has_one && directive.arguments.len() > 1).then_some("has one value, without blanks")
}

/// Whether a keyword, in lower case, is one that some release or build of sshd does not take.
pub fn is_of_some(keyword: &str) -> bool {
    OF_SOME.binary_search(&keyword).is_ok()
}

/// Whether a keyword, in lower case, may not stand in a `Match` of some, so that sshd ends at it there.
pub fn is_global(keyword: &str) -> bool {
    GLOBALS.binary_search(&keyword).is_ok()
}

fn directive(line: usize, raw: &[u8]) -> Result<Option<Directive>, &'static str> {
    if raw.contains(&0) {
        return Err("there is a NUL in the line");
    }
    let text = trim(raw, is_c_space);
    if text.is_empty() || text[0] == b'#' {
        return Ok(None);
    }
    let end = text.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    if keyword.is_empty()
        || !rest.first().is_none_or(|b| is_c_space(*b) || matches!(b, b'=' | b'"'))
    {
        return Err("the line does not begin with a keyword");
    }
    let rest = trim(rest, is_c_space);
    let rest = rest.strip_prefix(b"=").unwrap_or(rest);
    let arguments = words(rest)?;
    if arguments.is_empty() {
        return Err("the keyword has no argument");
    }
    let keyword = String::from_utf8_lossy(keyword).to_ascii_lowercase();
    Ok(Some(Directive { line, keyword, arguments }))
}

/// Words as argv_split() of OpenSSH makes them.
fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut words = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    loop {
        while bytes.next_if(|b| matches!(b, b' ' | b'\t')).is_some() {}
        if matches!(bytes.peek(), None | Some(b'#')) {
            return Ok(words);
        }
        let mut word = Vec::new();
        let mut quote = None;
        while let Some(byte) = bytes.peek().copied() {
            match (quote, byte) {
                (None, b' ' | b'\t') => break,
                (_, b'\\') => {
                    bytes.next();
                    match bytes.peek().copied() {
                        Some(next)
                            if matches!(next, b'"' | b'\'' | b'\\')
                                || (quote.is_none() && next == b' ') =>
                        {
                            word.push(next);
                        }
                        _ => {
                            word.push(b'\\');
                            continue;
                        }
                    }
                }
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if open == byte => quote = None,
                _ => word.push(byte),
            }
            bytes.next();
        }
        if quote.is_some() {
            return Err("a quote is not closed");
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<(usize, String, String)> {
        let file = SshdConfig::parse(text.as_bytes());
        let join = |d: &Directive| String::from_utf8_lossy(&d.arguments.join(&b'|')).into_owned();
        file.directives().iter().map(|d| (d.line, d.keyword.clone(), join(d))).collect()
    }

    fn one(line: usize, keyword: &str, arguments: &str) -> (usize, String, String) {
        (line, keyword.to_owned(), arguments.to_owned())
    }

    #[test]
    fn keywords_and_words() {
        assert_eq!(
            shown(
                "# c\n\n  PermitRootLogin=no # why\r\nport 22\nHostKey \"/a b\"\nInclude a 'b c'\nPort = 2\n"
            ),
            [
                one(3, "permitrootlogin", "no"),
                one(4, "port", "22"),
                one(5, "hostkey", "/a b"),
                one(6, "include", "a|b c"),
                one(7, "port", "2"),
            ]
        );
    }

    #[test]
    fn keywords_are_looked_up_in_a_sorted_list() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("permitrootlogin") && !is_keyword("nosuchkeyword"));
        assert!(SWITCHES.is_sorted() && SWITCHES.iter().all(|keyword| is_keyword(keyword)));
        assert!(GLOBALS.is_sorted() && GLOBALS.iter().all(|keyword| is_keyword(keyword)));
        assert!(OF_SOME.is_sorted() && OF_SOME.iter().all(|keyword| is_keyword(keyword)));
        assert!(is_of_some("pubkeyacceptedalgorithms") && !is_of_some("usepam"));
        assert!(is_global("ciphers") && !is_global("pubkeyacceptedalgorithms"));
    }

    #[test]
    fn directives_that_stop_sshd() {
        for (line, is_refused) in [
            ("UsePAM maybe", true),
            ("UsePAM No # why", false),
            ("UsePAM yes no", true),
            ("PermitRootLogin without-password", false),
            ("Ciphers aes128-ctr, aes256-ctr", true),
            ("Ciphers \"aes128-ctr,aes256-ctr\"", false),
            ("MACs ''", true),
            ("AcceptEnv LANG LC_*", false),
        ] {
            let file = SshdConfig::parse(line.as_bytes());
            assert_eq!(refused(&file.directives()[0]).is_some(), is_refused, "{line}");
        }
    }

    #[test]
    fn lines_that_stop_sshd() {
        let lines = |text: &[u8]| -> Vec<usize> {
            SshdConfig::parse(text).errors().iter().map(|error| error.line).collect()
        };
        assert_eq!(
            lines(b"Port\nPort \"22\nPort #22\n!x y\nPort 22\nP\0\nPort\xff 1\n"),
            [1, 2, 3, 4, 6, 7]
        );
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "(Port|Match|[ \t\r\n#=\"'\\\\a0])*".prop_map(String::into_bytes)]) {
            let file = SshdConfig::parse(&text);
            prop_assert_eq!(file.print(), text);
            prop_assert!(file.directives().iter().all(|d| !d.arguments.is_empty()));
        }
    }
}
