//! sudoers(5): who may run what without a password, and which other files it reads.
//!
//! Reads the grammar as far as that needs it: lines that go on, quotes and escapes, aliases, the
//! lists of a user specification and their tags. A line that is no sudoers is an error, and never
//! silently nothing. Pure, never panics.

/// A file of sudoers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sudoers {
    /// What lets somebody run a command without a password, in the order of the file.
    pub free: Vec<Free>,
    /// The files and directories that it reads, in their places.
    pub includes: Vec<Include>,
    /// Lines that sudo would not take.
    pub errors: Vec<SudoersError>,
}

/// Commands without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Whom it is for, as it is written: users, `%groups`, aliases; empty for everybody.
    pub who: String,
    /// Whether a `NOPASSWD` tag says so, and not `!authenticate` among the defaults.
    pub by_tag: bool,
}

/// What `@include` and `@includedir`, or `#include` and `#includedir`, name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The line, from 1.
    pub line: usize,
    /// The path, relative to the directory of the file that names it.
    pub path: Vec<u8>,
    /// Whether every file of the directory is read.
    pub is_directory: bool,
}

/// A line that sudo would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SudoersError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The words that begin the definition of an alias.
const ALIASES: [&[u8]; 5] =
    [b"User_Alias", b"Runas_Alias", b"Host_Alias", b"Cmnd_Alias", b"Cmd_Alias"];

/// The tags of a command (sudoers(5), "Tag_Spec").
const TAGS: [&str; 16] = [
    "EXEC",
    "NOEXEC",
    "FOLLOW",
    "NOFOLLOW",
    "INTERCEPT",
    "NOINTERCEPT",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "PASSWD",
    "NOPASSWD",
    "SETENV",
    "NOSETENV",
];

/// Options that stand before the tags (sudoers(5), "Option_Spec").
const OPTIONS: [&str; 9] =
    ["ROLE", "TYPE", "PRIVS", "LIMITPRIVS", "NOTBEFORE", "NOTAFTER", "TIMEOUT", "CWD", "CHROOT"];

impl Sudoers {
    /// Reads a file. Never fails: see `errors`.
    pub fn parse(text: &[u8]) -> Sudoers {
        let mut file = Sudoers::default();
        for (line, text) in logical_lines(text) {
            if let Err(reason) = file.line(line, &text) {
                file.errors.push(SudoersError { line, reason });
            }
        }
        file
    }

    fn line(&mut self, line: usize, text: &[u8]) -> Result<(), &'static str> {
        if let Some((is_directory, path)) = include(text) {
            let path = unescaped(path);
            if path.is_empty() {
                return Err("an include names no file");
            }
            self.includes.push(Include { line, path, is_directory });
            return Ok(());
        }
        let text = without_comment(text)?.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        let end = text.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(text.len());
        if ALIASES.contains(&&text[..end]) {
            return alias(&text[end..]);
        }
        if text.starts_with(b"Defaults") {
            return self.defaults(line, &text[b"Defaults".len()..]);
        }
        self.specification(line, text)
    }

    /// `Defaults[@host|:user|>runas|!command] parameter, ...`
    fn defaults(&mut self, line: usize, text: &[u8]) -> Result<(), &'static str> {
        let (who, rest) = match text.first() {
            Some(b':') => split_at_list_end(&text[1..]),
            Some(b'@' | b'>' | b'!') => split_at_list_end(&text[1..]),
            Some(b) if !b.is_ascii_whitespace() => {
                return Err("no Defaults are known by this name");
            }
            _ => (&text[..0], text),
        };
        let mut parameters = split(rest, b',').into_iter().map(<[u8]>::trim_ascii).peekable();
        if rest.trim_ascii().is_empty() {
            return Err("Defaults without a parameter");
        }
        if parameters.any(|parameter| is_negated(parameter, b"authenticate")) {
            let who = String::from_utf8_lossy(who.trim_ascii()).into_owned();
            self.free.push(Free { line, who, by_tag: false });
        }
        Ok(())
    }

    /// `users hosts = commands [: hosts = commands]...`
    fn specification(&mut self, line: usize, text: &[u8]) -> Result<(), &'static str> {
        let (who, rest) = split_at_list_end(text);
        if rest.trim_ascii().is_empty() || who.trim_ascii().is_empty() {
            return Err("neither Defaults nor an alias nor a user specification");
        }
        let mut is_free = false;
        for part in privileges(rest) {
            let Some(equals) = find(part, b'=') else { return Err("a host without commands") };
            if part[..equals].trim_ascii().is_empty() {
                return Err("commands without a host");
            }
            // A tag holds for the commands after it too, until the opposite one.
            for command in split(&part[equals + 1..], b',') {
                is_free |= free_of_password(command)?;
            }
        }
        if is_free {
            let who = String::from_utf8_lossy(who.trim_ascii()).into_owned();
            self.free.push(Free { line, who, by_tag: true });
        }
        Ok(())
    }
}

/// Whether the tags of a command say `NOPASSWD`; of both the last counts.
fn free_of_password(command: &[u8]) -> Result<bool, &'static str> {
    let mut rest = command.trim_ascii();
    if rest.first() == Some(&b'(') {
        let Some(close) = find(rest, b')') else { return Err("a ( is not closed") };
        rest = rest[close + 1..].trim_ascii();
    }
    let mut is_free = false;
    loop {
        let word = rest.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
        let name = std::str::from_utf8(&rest[..word]).unwrap_or_default();
        let after = rest[word..].trim_ascii_start();
        match after.first() {
            Some(b':') if TAGS.contains(&name) => {
                match name {
                    "NOPASSWD" => is_free = true,
                    "PASSWD" => is_free = false,
                    _ => {}
                }
                rest = after[1..].trim_ascii_start();
            }
            Some(b'=') if OPTIONS.contains(&name) => {
                let value = after[1..].trim_ascii_start();
                let (_, left) = word_of(value);
                rest = left.trim_ascii_start();
            }
            _ => break,
        }
    }
    match rest.is_empty() {
        true => Err("a command is missing"),
        false => Ok(is_free),
    }
}

/// `NAME = list [: NAME = list]...`
fn alias(text: &[u8]) -> Result<(), &'static str> {
    for definition in split(text, b':') {
        let Some(equals) = find(definition, b'=') else { return Err("an alias without a =") };
        let name = definition[..equals].trim_ascii();
        let is_name = name.first().is_some_and(u8::is_ascii_uppercase)
            && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
        if !is_name || definition[equals + 1..].trim_ascii().is_empty() {
            return Err("no name or no members of an alias");
        }
    }
    Ok(())
}

/// The parts of a user specification, each of hosts and commands. A `:` that ends a tag is none
/// between parts: what follows has to have a `=` behind a list of hosts.
fn privileges(text: &[u8]) -> Vec<&[u8]> {
    let pieces = split(text, b':');
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for (index, piece) in pieces.iter().enumerate() {
        at += piece.len();
        let tag = piece.rsplit(|b| b.is_ascii_whitespace() || b",=)".contains(b));
        let tag = tag.map(<[u8]>::trim_ascii).find(|word| !word.is_empty()).unwrap_or_default();
        let is_tag = std::str::from_utf8(tag).is_ok_and(|tag| TAGS.contains(&tag))
            && find(&text[start..at], b'=').is_some();
        if index + 1 == pieces.len() || !is_tag {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    parts
}

fn is_negated(parameter: &[u8], name: &[u8]) -> bool {
    let bangs = parameter.iter().take_while(|b| **b == b'!').count();
    bangs % 2 == 1 && parameter[bangs..].trim_ascii() == name
}

/// The first list of a line, with its commas and what stands beside them, and the rest.
fn split_at_list_end(text: &[u8]) -> (&[u8], &[u8]) {
    let mut at = text.len() - text.trim_ascii_start().len();
    loop {
        at += word_of(&text[at..]).0.len();
        let gap = text[at..].len() - text[at..].trim_ascii_start().len();
        let next = text.get(at + gap);
        if next == Some(&b',') {
            at += gap + 1;
            at += text[at..].len() - text[at..].trim_ascii_start().len();
        } else if at > 0 && (text[at - 1] == b',' || text[at - 1] == b'!') && next.is_some() {
            at += gap;
        } else {
            return text.split_at(at);
        }
        if at >= text.len() {
            return (text, &[]);
        }
    }
}

/// A word with what is quoted or escaped in it, and the rest.
fn word_of(text: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b if !quoted && (b.is_ascii_whitespace() || *b == b',') => return text.split_at(at),
            _ => {}
        }
    }
    (text, &[])
}

/// Where a byte stands that is neither quoted nor escaped, nor in the list of whom to run as.
fn find(text: &[u8], wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut inside = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b':' if wanted == b':' && ends_in_digest(&text[..at]) => {}
            byte if *byte == wanted && (!inside || wanted == b')') => return Some(at),
            b'(' => inside = true,
            b')' => inside = false,
            _ => {}
        }
    }
    None
}

/// Whether a `:` behind this belongs to the digest of a command (sudoers(5), "Digest_Spec").
fn ends_in_digest(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    [&b"sha224"[..], b"sha256", b"sha384", b"sha512"].iter().any(|kind| {
        let before = text.strip_suffix(*kind).map(<[u8]>::last);
        before
            .is_some_and(|byte| byte.is_none_or(|b| b.is_ascii_whitespace() || b",=:)".contains(b)))
    })
}

fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = find(rest, separator) {
        parts.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    parts.push(rest);
    parts
}

/// A line without its comment. `#` and digits are a user's id, `#` elsewhere begins a comment.
fn without_comment(text: &[u8]) -> Result<&[u8], &'static str> {
    let mut rest = text;
    let mut seen = 0;
    while let Some(at) = find(rest, b'#') {
        let is_id = rest.get(at + 1).is_some_and(|b| b.is_ascii_digit() || *b == b'-');
        let before = text[..seen + at].last().copied();
        let begins_word = before.is_none_or(|b| b.is_ascii_whitespace() || b"%,!(:=".contains(&b));
        if !(is_id && begins_word) {
            return Ok(&text[..seen + at]);
        }
        seen += at + 1;
        rest = &text[seen..];
    }
    match text.iter().filter(|b| **b == b'"').count() % 2 {
        0 => Ok(text),
        _ => Err("a quote is not closed"),
    }
}

fn include(text: &[u8]) -> Option<(bool, &[u8])> {
    let text = text.trim_ascii_start();
    let rest = text.strip_prefix(b"@").or_else(|| text.strip_prefix(b"#"))?;
    for (word, is_directory) in [(&b"includedir"[..], true), (b"include", false)] {
        if let Some(path) = rest.strip_prefix(word)
            && path.first().is_some_and(u8::is_ascii_whitespace)
        {
            return Some((is_directory, path.trim_ascii()));
        }
    }
    None
}

/// A path without the quotes around it and the backslashes in it.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let inner = path.strip_prefix(b"\"").and_then(|path| path.strip_suffix(b"\""));
    let mut bytes = inner.unwrap_or(path).iter();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    plain
}

/// The lines, each with those that a backslash at its end joins to it.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut goes_on = false;
    for (index, (raw, _)) in super::lines::split(text).enumerate() {
        // What `#` and digits begin is a user's line.
        let hash = raw.trim_ascii_start().strip_prefix(b"#");
        let is_id = hash.and_then(|rest| rest.first()).is_some_and(u8::is_ascii_digit);
        let is_comment = hash.is_some() && !is_id && include(raw).is_none();
        let joined = raw.strip_suffix(b"\\").filter(|_| goes_on || !is_comment);
        let part = joined.unwrap_or(raw);
        match lines.last_mut() {
            Some((_, line)) if goes_on => line.extend_from_slice(part),
            _ => lines.push((index + 1, part.to_vec())),
        }
        goes_on = joined.is_some();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn free(text: &str) -> Vec<(usize, String)> {
        let file = Sudoers::parse(text.as_bytes());
        assert_eq!(file.errors, [], "{text}");
        file.free.into_iter().map(|free| (free.line, free.who)).collect()
    }

    #[test]
    fn who_needs_no_password() {
        for (text, who) in [
            ("root ALL=(ALL:ALL) ALL", None),
            ("%wheel ALL=(ALL) NOPASSWD: ALL", Some("%wheel")),
            ("ubuntu ALL=(ALL) NOPASSWD:ALL", Some("ubuntu")),
            ("a, b ALL = NOPASSWD : /bin/ls", Some("a, b")),
            ("a ALL=(root) PASSWD: ALL", None),
            ("a ALL=(root) NOPASSWD: PASSWD: ALL", None),
            ("a ALL=/bin/ls : h2 = NOPASSWD: /bin/cat", Some("a")),
            ("a ALL=(ALL) SETENV: NOPASSWD: /bin/ls, /bin/cat", Some("a")),
            ("a ALL=(ALL) CWD=/tmp NOPASSWD: /bin/ls", Some("a")),
            ("a ALL=/bin/echo NOPASSWD\\: x", None),
            ("#1000 ALL=(ALL) NOPASSWD: ALL # why", Some("#1000")),
            ("\"a b\" ALL=(ALL) \\\n  NOPASSWD: ALL", Some("\"a b\"")),
            ("# a ALL=(ALL) NOPASSWD: ALL", None),
            ("Defaults:a !authenticate", Some("a")),
            ("Defaults env_reset, !authenticate", Some("")),
            ("Defaults !!authenticate", None),
            ("User_Alias A = a, b : B = c", None),
            (
                "Cmnd_Alias D = /bin/mt, \\\n  sha224:AAAA+w== \\\n  /sbin/dump, /bin/ls : E = sha256 : ab /bin/w",
                None,
            ),
            (
                "a ALL = sha512:AA==, sha256:BB /bin/ls : h2 = NOPASSWD: sha224:CC /bin/cat",
                Some("a"),
            ),
        ] {
            let found: Vec<String> = free(text).into_iter().map(|(_, who)| who).collect();
            assert_eq!(found, who.into_iter().collect::<Vec<_>>(), "{text}");
        }
        assert_eq!(free("\n\na ALL=\\\nNOPASSWD: ALL\n"), [(3, "a".to_owned())]);
    }

    #[test]
    fn files_that_it_reads() {
        let file = Sudoers::parse(
            b"@includedir /etc/sudoers.d\n#include local\n#included is a comment\n@include \"/a b\"\n",
        );
        let includes: Vec<_> =
            file.includes.iter().map(|i| (i.line, i.path.as_slice(), i.is_directory)).collect();
        assert_eq!(
            includes,
            [(1, &b"/etc/sudoers.d"[..], true), (2, b"local", false), (4, b"/a b", false)]
        );
        assert_eq!(file.errors, []);
    }

    #[test]
    fn lines_that_sudo_would_not_take() {
        for text in [
            "a",
            "a ALL",
            "a ALL=",
            "a ALL=NOPASSWD:",
            "a ALL=(root ALL",
            "Defaults",
            "User_Alias a = b",
        ] {
            assert_eq!(Sudoers::parse(text.as_bytes()).errors.len(), 1, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in prop_oneof![
            any::<Vec<u8>>(),
            "([a%#\"\\\\=:,()! \n@]|ALL|NOPASSWD|Defaults|include)*".prop_map(String::into_bytes),
        ]) {
            let file = Sudoers::parse(&text);
            prop_assert!(file.errors.len() <= text.len() + 1);
        }
    }
}
