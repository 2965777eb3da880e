//! The simple commands of a shell script, found without running or understanding it.
//!
//! For `guest`, which looks for `mount` and `swapon` among them. Words are split and unquoted as POSIX has it (XCU 2.2, 2.3);
//! nothing is expanded, here-documents are taken for commands, and what a command runs is not followed. Never panics.

/// A simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The number of the line that it starts on, from 1.
    pub line: usize,
    /// Its words, quotes removed, redirections left out. Never empty.
    pub words: Vec<Vec<u8>>,
    /// Whether it is run only if another command succeeds or fails, in a loop, a case or a function.
    pub is_conditional: bool,
}

impl Command {
    /// The last component of the first word: what is run.
    pub fn name(&self) -> &[u8] {
        let word = self.words.first().map_or(&[][..], Vec::as_slice);
        word.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
}

/// Words that open a compound command whose parts may not run.
const OPENING: [&[u8]; 6] = [b"if", b"while", b"until", b"for", b"case", b"select"];
/// Words that close one.
const CLOSING: [&[u8]; 3] = [b"fi", b"done", b"esac"];
/// Reserved words that stand before a command.
const BETWEEN: [&[u8]; 6] = [b"then", b"do", b"else", b"elif", b"!", b"time"];

/// The simple commands of a script, in its order.
pub fn commands(text: &[u8]) -> Vec<Command> {
    let mut reader = Reader { line: 1, ..Reader::default() };
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = reader.push(byte, after);
    }
    reader.end_command();
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<Command>,
    line: usize,
    /// Where the current command starts.
    start: usize,
    words: Vec<Word>,
    word: Option<Word>,
    /// Compound commands and functions that are open.
    depth: usize,
    /// The next command follows `&&` or `||`.
    follows: bool,
}

#[derive(Default)]
struct Word {
    text: Vec<u8>,
    /// Part of it was quoted: it is neither a reserved word nor a redirection.
    is_quoted: bool,
}

impl Reader {
    /// Takes one byte, and more of what follows it where that belongs together; gives back the rest.
    fn push<'a>(&mut self, byte: u8, rest: &'a [u8]) -> &'a [u8] {
        match byte {
            b'\\' => match rest.split_first() {
                Some((b'\n', rest)) => {
                    self.line += 1;
                    return rest;
                }
                Some((&escaped, rest)) => {
                    self.quoted().push(escaped);
                    return rest;
                }
                None => {}
            },
            b'\'' => {
                let end = rest.iter().position(|b| *b == b'\'').unwrap_or(rest.len());
                self.quoted().extend_from_slice(&rest[..end]);
                self.line += rest[..end].iter().filter(|b| **b == b'\n').count();
                return rest.get(end + 1..).unwrap_or_default();
            }
            b'"' => return self.double_quoted(rest),
            b'\n' => {
                self.end_command();
                self.line += 1;
            }
            b'#' if self.word.is_none() => {
                let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                return &rest[end..];
            }
            // `2>&1` and `&>file` are redirections.
            b'&' if rest.first() == Some(&b'>') || self.after_redirection() => self.plain(byte),
            b'&' | b'|' => {
                let is_doubled = rest.first() == Some(&byte);
                self.end_command();
                self.follows = is_doubled;
                return if is_doubled { &rest[1..] } else { rest };
            }
            b';' | b'(' | b')' | b'`' => {
                self.end_command();
            }
            b' ' | b'\t' | b'\r' => self.end_word(),
            _ => self.plain(byte),
        }
        rest
    }

    fn double_quoted<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        self.quoted();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match (byte, after.first()) {
                (b'"', _) => break,
                (b'\\', Some(&next @ (b'"' | b'\\' | b'$' | b'`'))) => {
                    self.quoted().push(next);
                    rest = &after[1..];
                }
                _ => {
                    self.line += usize::from(byte == b'\n');
                    self.quoted().push(byte);
                }
            }
        }
        rest
    }

    fn after_redirection(&self) -> bool {
        self.word.as_ref().is_some_and(|word| matches!(word.text.last(), Some(b'>' | b'<')))
    }

    fn current(&mut self) -> &mut Word {
        if self.words.is_empty() && self.word.is_none() {
            self.start = self.line;
        }
        self.word.get_or_insert_default()
    }

    fn plain(&mut self, byte: u8) {
        self.current().text.push(byte);
    }

    fn quoted(&mut self) -> &mut Vec<u8> {
        let word = self.current();
        word.is_quoted = true;
        &mut word.text
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        let follows = std::mem::take(&mut self.follows);
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.peek().filter(|word| !word.is_quoted) {
            let text = word.text.as_slice();
            if OPENING.contains(&text) || text == b"{" {
                self.depth += 1;
            } else if CLOSING.contains(&text) || text == b"}" {
                self.depth = self.depth.saturating_sub(1);
            } else if !BETWEEN.contains(&text) {
                break;
            }
            // What stands behind these is a name and words, no command.
            let ends = matches!(text, b"for" | b"case" | b"select");
            words.next();
            if ends {
                return;
            }
        }
        let words = without_redirections(words);
        if !words.is_empty() {
            self.found.push(Command {
                line: self.start,
                words,
                is_conditional: follows || self.depth > 0,
            });
        }
    }
}

fn without_redirections(words: impl Iterator<Item = Word>) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    let mut skip = false;
    for word in words {
        if std::mem::take(&mut skip) {
            continue;
        }
        let digits = word.text.iter().take_while(|b| b.is_ascii_digit() || **b == b'&').count();
        match word.text.get(digits) {
            Some(b'<' | b'>') if !word.is_quoted => {
                // The operator alone: the next word is the file.
                skip = word.text[digits..].iter().all(|b| matches!(b, b'<' | b'>'));
            }
            _ => kept.push(word.text),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<(usize, bool, String)> {
        let join = |words: &[Vec<u8>]| {
            words
                .iter()
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect::<Vec<_>>()
                .join("|")
        };
        commands(text.as_bytes())
            .iter()
            .map(|c| (c.line, c.is_conditional, join(&c.words)))
            .collect()
    }

    fn one(line: usize, is_conditional: bool, words: &str) -> (usize, bool, String) {
        (line, is_conditional, words.to_owned())
    }

    #[test]
    fn words_quotes_and_comments() {
        assert_eq!(
            shown(
                "#!/bin/sh\n  mount -o 'a b' \"/dev/v\"db1 /d\\ ata # not this\n#mount x\necho a#b\n"
            ),
            [one(2, false, "mount|-o|a b|/dev/vdb1|/d ata"), one(4, false, "echo|a#b")]
        );
        assert_eq!(shown("mount \\\n  /dev/vdb1 /data"), [one(1, false, "mount|/dev/vdb1|/data")]);
        assert_eq!(shown("a 'x\ny'\nb"), [one(1, false, "a|x\ny"), one(3, false, "b")]);
    }

    #[test]
    fn what_may_not_run_is_conditional() {
        assert_eq!(
            shown("a && b; c || d & e | f"),
            [
                one(1, false, "a"),
                one(1, true, "b"),
                one(1, false, "c"),
                one(1, true, "d"),
                one(1, false, "e"),
                one(1, false, "f")
            ]
        );
        assert_eq!(
            shown("if [ -b /dev/vdb ]; then\n mount /dev/vdb /d\nfi\nmount /dev/vdc /e\n"),
            [
                one(1, true, "[|-b|/dev/vdb|]"),
                one(2, true, "mount|/dev/vdb|/d"),
                one(4, false, "mount|/dev/vdc|/e")
            ]
        );
        assert_eq!(
            shown("f() {\n a\n}\nfor d in /dev/vd?; do b $d; done\ncase $1 in start) c;; esac\nd"),
            [
                one(1, false, "f"),
                one(2, true, "a"),
                one(4, true, "b|$d"),
                one(5, true, "c"),
                one(6, false, "d")
            ]
        );
    }

    #[test]
    fn redirections_are_no_words() {
        assert_eq!(
            shown("mount /dev/vdb1 /d >/dev/null 2>&1"),
            [one(1, false, "mount|/dev/vdb1|/d")]
        );
        assert_eq!(
            shown("mount /dev/vdb1 /d > log 2> /dev/null && x &> y"),
            [one(1, false, "mount|/dev/vdb1|/d"), one(1, true, "x")]
        );
        assert_eq!(shown("echo '>' \"2>&1\""), [one(1, false, "echo|>|2>&1")]);
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "[ab'\"\\\\ \n;&|(){}#<>2$`]{0,40}".prop_map(String::into_bytes)]) {
            for command in commands(&text) {
                prop_assert!(!command.words.is_empty());
                prop_assert!((1..=text.split(|b| *b == b'\n').count()).contains(&command.line));
            }
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[a-z '\"\\\\$#&;<>|\n\t]{0,8}", 1..5)) {
            let quoted: Vec<String> = words.iter().map(|w| format!("'{}'", w.replace('\'', "'\\''"))).collect();
            let found = commands(format!("x {}", quoted.join(" ")).as_bytes());
            prop_assert_eq!(found.len(), 1);
            let own: Vec<_> = found[0].words[1..].iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect();
            prop_assert_eq!(own, words);
        }
    }
}
