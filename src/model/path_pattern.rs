//! Patterns of paths: `/var/log/**/*.gz`.
//!
//! A path and a pattern are bytes. `*`, `?` and `[...]` stand for bytes of one name and never for a
//! slash; `**` as a whole name stands for any number of directories, none too; a backslash takes
//! the meaning of the byte after it. Unlike in a shell, a leading dot is a byte like others: what is
//! hidden is residue as well.

/// A pattern, name by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    parts: Vec<Part>,
}

/// What one name of a path has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This.
    Name(Vec<u8>),
    /// Whatever the pattern is true of.
    Like(NamePattern),
    /// Any number of directories.
    AnyDepth,
}

/// A pattern of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Any,
    AnyRun,
    /// One byte of these ranges, or none of them.
    Class {
        ranges: Vec<(u8, u8)>,
        is_negated: bool,
    },
}

impl PathPattern {
    /// Read a pattern; `None` unless it is absolute and names something below `/`, or when it has
    /// `.` or `..` in it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = Vec::new();
        for name in text.strip_prefix(b"/")?.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            parts.push(match name {
                b"." | b".." => return None,
                b"**" => Part::AnyDepth,
                name => {
                    let pattern = NamePattern::parse(name);
                    pattern.as_name().map_or(Part::Like(pattern), Part::Name)
                }
            });
        }
        // What `**` ends would be everything and nothing.
        (!parts.is_empty() && parts.last() != Some(&Part::AnyDepth)).then_some(Self { parts })
    }

    /// Whether it is true of a path, given by its names.
    pub fn is_match(&self, names: &[&[u8]]) -> bool {
        is_match(&self.parts, names)
    }

    /// What each name has to be.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

fn is_match(parts: &[Part], names: &[&[u8]]) -> bool {
    let Some((part, parts)) = parts.split_first() else { return names.is_empty() };
    if *part == Part::AnyDepth {
        return (0..=names.len()).any(|skipped| is_match(parts, &names[skipped..]));
    }
    let Some((name, names)) = names.split_first() else { return false };
    let is_true = match part {
        Part::Name(wanted) => wanted == name,
        Part::Like(pattern) => pattern.is_match(name),
        Part::AnyDepth => true,
    };
    is_true && is_match(parts, names)
}

impl NamePattern {
    /// Read a pattern of one name. Every text is one: an open bracket that is not closed is itself.
    pub fn parse(text: &[u8]) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            tokens.push(match byte {
                b'?' => Token::Any,
                b'*' if tokens.last() == Some(&Token::AnyRun) => continue,
                b'*' => Token::AnyRun,
                b'\\' => match rest.split_first() {
                    Some((byte, tail)) => {
                        rest = tail;
                        Token::Byte(*byte)
                    }
                    None => Token::Byte(b'\\'),
                },
                b'[' => match class(rest) {
                    Some((class, tail)) => {
                        rest = tail;
                        class
                    }
                    None => Token::Byte(b'['),
                },
                byte => Token::Byte(*byte),
            });
        }
        Self(tokens)
    }

    /// The one name that it is true of, where there is one alone.
    fn as_name(&self) -> Option<Vec<u8>> {
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        self.0.iter().map(byte).collect()
    }

    /// Whether it is true of a name.
    pub fn is_match(&self, name: &[u8]) -> bool {
        // The last `*` alone is ever gone back to: what an earlier one took can stay as it is.
        let (mut token, mut byte) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(token), name.get(byte)) {
                (None, None) => return true,
                (Some(Token::AnyRun), _) => {
                    retry = Some((token, byte));
                    token += 1;
                    continue;
                }
                (Some(wanted), Some(found)) if wanted.takes(*found) => {
                    token += 1;
                    byte += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((star, from)) if from < name.len() => {
                    retry = Some((star, from + 1));
                    (token, byte) = (star + 1, from + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Token::Byte(wanted) => *wanted == byte,
            Token::Any => true,
            Token::AnyRun => false,
            Token::Class { ranges, is_negated } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *is_negated
            }
        }
    }
}

/// The class after an open bracket, and what follows it.
fn class(text: &[u8]) -> Option<(Token, &[u8])> {
    let (is_negated, mut rest) = match text.split_first() {
        Some((b'!' | b'^', tail)) => (true, tail),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        let (byte, tail) = rest.split_first()?;
        // A bracket that comes first is a byte of the class (glob(7)).
        if *byte == b']' && !ranges.is_empty() {
            return Some((Token::Class { ranges, is_negated }, tail));
        }
        match tail {
            [b'-', to, after @ ..] if *to != b']' => {
                ranges.push((*byte, *to));
                rest = after;
            }
            _ => {
                ranges.push((*byte, *byte));
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn takes(pattern: &str, name: &str) -> bool {
        NamePattern::parse(pattern.as_bytes()).is_match(name.as_bytes())
    }

    #[test]
    fn names() {
        for (pattern, name) in [
            ("*", "x"),
            ("*.gz", ".gz"),
            ("*-????????", "messages-20260101"),
            ("*.[0-9]*", "syslog.12.gz"),
            ("[!.]*", "a"),
            ("[]a]", "]"),
            ("a\\*", "a*"),
            ("*~", "~"),
            ("a*b*c", "abbbcbc"),
            ("[x", "[x"),
        ] {
            assert!(takes(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.gz", "x.gz2"),
            ("[!.]*", ".a"),
            ("a\\*", "ab"),
            ("?", ""),
            ("[0-9]", "a"),
            ("a", ""),
        ] {
            assert!(!takes(pattern, name), "{pattern} {name}");
        }
        assert!(NamePattern::parse(b"*.\xff").is_match(b"\n.\xff"));
    }

    #[test]
    fn paths() {
        let parts = |text: &str| PathPattern::parse(text.as_bytes()).map(|p| p.parts.len());
        assert_eq!(parts("/var/log/**/*.gz"), Some(4));
        assert_eq!(parts("//etc///x/"), Some(2));
        for wrong in ["", "/", "etc", "/etc/../x", "/./x", "/tmp/**"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
        let odd = PathPattern::parse(b"/a\\*/\xff").unwrap();
        assert_eq!(odd.parts(), [Part::Name(b"a*".to_vec()), Part::Name(b"\xff".to_vec())]);
    }

    #[test]
    fn whole_paths() {
        for (pattern, path, is_true) in [
            ("/var/log/**/*.gz", "var log x.gz", true),
            ("/var/log/**/*.gz", "var log a b x.gz", true),
            ("/var/log/**/*.gz", "var log x", false),
            ("/root/.ssh", "root .ssh", true),
            ("/root/.ssh", "root .ssh id", false),
            ("/home/*/x", "home x", false),
        ] {
            let names: Vec<&[u8]> = path.split(' ').map(str::as_bytes).collect();
            let pattern = PathPattern::parse(pattern.as_bytes()).unwrap();
            assert_eq!(pattern.is_match(&names), is_true, "{pattern:?} {path}");
        }
    }

    /// The same as a regular expression.
    fn oracle(pattern: &str) -> regex::bytes::Regex {
        let mut text = String::from("(?s-u)^");
        for c in pattern.chars() {
            match c {
                '*' => text.push_str(".*"),
                '?' => text.push('.'),
                c => text.push_str(&regex::escape(&c.to_string())),
            }
        }
        regex::bytes::Regex::new(&(text + "$")).unwrap()
    }

    proptest! {
        #[test]
        fn as_a_regular_expression_has_it(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(takes(&pattern, &name), oracle(&pattern).is_match(name.as_bytes()));
        }

        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = PathPattern::parse(&text);
            NamePattern::parse(&text).is_match(&text);
        }
    }
}
