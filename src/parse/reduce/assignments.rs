//! Values whose key says that they are secrets: `password=`, `psk=`, `passwd: `.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::{MARK, Reduced, cut, lines, without_end};

/// What a key ends in whose value is a secret. Only the end counts: `PasswordAuthentication` is no
/// password, `root_password` is one.
const NAMES: &str = "password|passwd|passphrase|psk|psk-raw|secret|token|credential|credential_binary|credentialencrypted|api[_-]?key|secret[_-]?key|access[_-]?key|accesskeyid|access[_-]?key[_-]?id|private[_-]?key|privatekey|preshared[_-]?key|shared[_-]?key|encryption[_-]?key|luks\\.key|wep[_-]key[0-9]?|wep[_-]tx[_-]?key|key_passphrase[1-4]?|key_wep[0-9]*|_private|plain_text_passwd|hashed_passwd|community";

/// Keys that are secrets alone, and no end of a longer one: ifcfg's WEP keys, smb's `pass=`.
const EXACT: &str =
    "key[1-4]?|pass|pw|wireless_key(?:_[0-9])?|wireless_wpa_psk|bindpw|rootpw|cred|nthash|pin";

/// Keys that end like a secret and are none: of cloud-init, what stands below has keys of its own;
/// of sudoers(5); of systemd.exec(5), where a credential is read from.
const NOT_SECRET: [&[u8]; 4] = [b"chpasswd", b"nopasswd", b"loadcredential", b"importcredential"];

/// Values that are switches or name where the secret is not, and stay.
const SWITCHES: [&[u8]; 16] = [
    b"yes", b"no", b"true", b"false", b"on", b"off", b"0", b"1", b"none", b"null", b"x", b"*",
    b"!", b"!!", b"reduced", b"~",
];

static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = format!(
        "(?i-u)(?:^|[^a-z0-9_.\\-])(?P<k>[a-z0-9_.\\-]*(?:{NAMES})|{EXACT})(?P<q>['\"]?)(?P<e>[ \\t]*[=:]+[ \\t]*)"
    );
    Regex::new(&pattern).ok()
});

static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("^(?i-u)(?:[a-z0-9_.\\-]*(?:{NAMES})|{EXACT})$")).ok());

/// Whether the value of a key of this name is a secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    !NOT_SECRET.iter().any(|known| known.eq_ignore_ascii_case(name))
        && NAME.as_ref().is_some_and(|pattern| pattern.is_match(name))
}

pub(super) fn reduce(text: &[u8]) -> Reduced {
    let mut reduced = Reduced { content: Vec::with_capacity(text.len()), count: 0 };
    let mut has_sections = false;
    for line in lines(text) {
        let (body, end) = without_end(line);
        let trimmed = body.trim_ascii();
        has_sections |= trimmed.starts_with(b"[") && trimmed.ends_with(b"]");
        let next = cut(body, &secrets(body, has_sections), MARK);
        reduced.content.extend_from_slice(&next.content);
        reduced.content.extend_from_slice(end);
        reduced.count += next.count;
    }
    reduced
}

/// Where the secrets of a line are.
fn secrets(line: &[u8], has_sections: bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let Some(pattern) = KEY.as_ref() else { return found };
    let mut from = 0;
    while let Some(captures) = pattern.captures_at(line, from) {
        let (Some(key), Some(equals)) = (captures.name("k"), captures.name("e")) else { break };
        from = equals.end().max(from + 1);
        // JSON has its keys in quotes, which are closed again before the value.
        let quoted = captures.name("q").is_some_and(|quote| !quote.is_empty());
        let before = &line[..key.start() - usize::from(quoted && key.start() > 0)];
        let is_colon = equals.as_bytes().contains(&b':');
        // `nsswitch.conf` has `passwd: files`; a colon assigns where a space or quote follows it,
        // and only in files that are no table of fields.
        let value = equals.end()
            ..equals.end() + length(&line[equals.end()..], before, is_colon || has_sections);
        let is_switch = |value: &[u8]| {
            value.is_empty() || SWITCHES.iter().any(|known| known.eq_ignore_ascii_case(value))
        };
        let bare = line[trimmed(line, value.clone())].trim_ascii();
        if !is_secret(key.as_bytes())
            || is_switch(bare)
            || (is_colon && !is_assigned(line, key.start(), &equals))
        {
            continue;
        }
        from = value.end.max(from);
        found.push(trimmed(line, value));
        if from >= line.len() {
            break;
        }
    }
    found
}

/// Whether a colon behind a key assigns: in YAML and JSON it is followed by a space, a quote or
/// the end. The names of nsswitch.conf(5) stand alone at the beginning of a line.
fn is_assigned(line: &[u8], key: usize, equals: &regex::bytes::Match) -> bool {
    let is_database = key == 0 && line.starts_with(b"passwd:");
    let has_space = equals.as_bytes().last().is_some_and(u8::is_ascii_whitespace);
    let is_quoted = matches!(line.get(equals.end()), Some(b'"' | b'\''));
    !is_database && (has_space || is_quoted)
}

/// How long the value is that a rest of a line begins with.
fn length(rest: &[u8], before: &[u8], to_end: bool) -> usize {
    if let Some(quote) = open_quote(before) {
        return rest.iter().position(|b| *b == quote).unwrap_or(rest.len());
    }
    let is_first = before
        .iter()
        .all(|b| b.is_ascii_whitespace() || matches!(b, b'-' | b'"' | b'\'' | b'#' | b';'))
        || before.trim_ascii() == b"export";
    if let Some(quote @ (b'"' | b'\'')) = rest.first() {
        return match closing(&rest[1..], *quote) {
            // Behind the quote the value ends; where it does not, the line is the value.
            Some(at) if is_end(rest.get(at + 2)) => at + 2,
            _ => rest.len(),
        };
    }
    let is_flow = before.iter().any(|b| matches!(b, b'{' | b'['));
    if is_first && to_end && !is_flow {
        return rest.len();
    }
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            // cifs: a comma in a password is written twice (mount.cifs(8)).
            b',' if rest.get(at + 1) == Some(&b',') => at += 1,
            b'\\' => at += 1,
            b'"' | b'\'' => match closing(&rest[at + 1..], *byte) {
                Some(close) => at += close + 1,
                None => return rest.len(),
            },
            b',' | b';' | b'&' | b'|' | b')' | b'}' | 0 => break,
            byte if byte.is_ascii_whitespace() => break,
            _ => {}
        }
        at += 1;
    }
    at.min(rest.len())
}

/// The quote that a text leaves open.
fn open_quote(text: &[u8]) -> Option<u8> {
    let mut open = None;
    let mut is_escaped = false;
    for byte in text {
        match (open, byte) {
            _ if is_escaped => is_escaped = false,
            (_, b'\\') => is_escaped = true,
            (None, b'"' | b'\'') => open = Some(*byte),
            (Some(quote), byte) if quote == *byte => open = None,
            _ => {}
        }
    }
    open
}

fn closing(text: &[u8], quote: u8) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let is_end = *byte == quote && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped && quote == b'"';
        is_end
    })
}

fn is_end(byte: Option<&u8>) -> bool {
    byte.is_none_or(|b| {
        b.is_ascii_whitespace() || matches!(b, b',' | b';' | b'}' | b']' | b')' | b'&' | b'|' | 0)
    })
}

/// A value without the quotes around it, which stay.
fn trimmed(line: &[u8], value: Range<usize>) -> Range<usize> {
    let bytes = &line[value.clone()];
    match (bytes.first(), bytes.last()) {
        (Some(a @ (b'"' | b'\'')), Some(b)) if a == b && bytes.len() > 1 => {
            value.start + 1..value.end - 1
        }
        _ => value,
    }
}
