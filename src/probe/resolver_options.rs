//! How the owner of resolv.conf is told to keep resolver options.
//!
//! For `dns-no-single-request-reopen`. Says what is to be written, and writes nothing.

use crate::guest::{Guest, Keeper, Notation};
use crate::model::{ByteString, Edit, LineChange};
use crate::parse::key_value::KeyValue;
use crate::parse::lines;
use crate::parse::resolv_conf::{SINGLE_REQUEST_REOPEN, is_single_request_reopen};

/// What the FAQ gives a resolver that has no options at all.
pub(super) const USUAL: &str = "timeout:2 attempts:3 rotate single-request-reopen";

/// Option words as a person reads them.
pub(super) fn shown(words: &[Vec<u8>]) -> String {
    ByteString::from(words.join(&b' ')).to_string()
}

/// The edit that has a place keep the options that it has, or those of the file, and the one that
/// is missing; none where no line of ours could say it.
pub(super) fn keep(guest: &Guest, keeper: &Keeper, of_file: &[Vec<u8>]) -> Option<Edit> {
    let words = wanted(&keeper.options, of_file);
    let path = keeper.path.clone();
    let content = guest.file(path.clone()).ok()?;
    let Some(content) = content else {
        let line = match keeper.notation {
            Notation::Variable(name) => variable(name, &words),
            Notation::Lines => [b"options ".as_slice(), &words.join(&b' ')].concat(),
            Notation::Keyfile { .. } | Notation::GlobalDns => return None,
        };
        let content = ByteString::from([line.as_slice(), b"\n"].concat());
        return Some(Edit::WriteFile { path, content, mode: 0o644 });
    };
    let original = |line: usize| -> Option<ByteString> {
        lines::split(&content).nth(line - 1).map(|(raw, _)| ByteString::from(raw))
    };
    let change = |line: usize, change: LineChange| {
        Some(Edit::Line { path: path.clone(), line, original: original(line)?, change })
    };
    let append =
        |line: Vec<u8>| Some(Edit::Append { path: path.clone(), lines: vec![line.into()] });
    match (&keeper.notation, keeper.line) {
        (Notation::Variable(name), None) => append(variable(name, &words)),
        (Notation::Variable(name), Some(line)) => {
            let changed = KeyValue::parse(&content).with_value(name, &words.join(&b' '));
            // A value that goes over several lines is not one line's matter.
            let is_one = lines::split(&changed).count() == lines::split(&content).count();
            let new = lines::split(&changed).nth(line - 1).filter(|_| is_one)?.0.to_vec();
            change(line, LineChange::Replace(new.into()))
        }
        (Notation::Keyfile { .. }, Some(line)) => {
            change(line, LineChange::Replace(keyfile(&words).into()))
        }
        (Notation::Keyfile { heading: Some(line) }, None) => {
            change(*line, LineChange::InsertAfter(keyfile(&words).into()))
        }
        (Notation::Keyfile { heading: None }, None) => None,
        (Notation::Lines, Some(line)) => {
            let new = [original(line)?.as_bytes(), b" ", SINGLE_REQUEST_REOPEN].concat();
            change(line, LineChange::Replace(new.into()))
        }
        (Notation::Lines, None) => append([b"options ".as_slice(), &words.join(&b' ')].concat()),
        (Notation::GlobalDns, _) => None,
    }
}

fn wanted(own: &[Vec<u8>], of_file: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let base = if own.is_empty() { of_file } else { own };
    if base.is_empty() {
        return USUAL.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    }
    let mut words = base.to_vec();
    if !words.iter().any(|word| is_single_request_reopen(word)) {
        words.push(SINGLE_REQUEST_REOPEN.to_vec());
    }
    words
}

fn variable(name: &str, words: &[Vec<u8>]) -> Vec<u8> {
    // The parser's own writer quotes what a shell would take apart.
    let line = KeyValue::parse(b"").with_value(name, &words.join(&b' '));
    line.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(line)
}

/// nm-settings-keyfile(5): a list is separated and ended by semicolons.
fn keyfile(words: &[Vec<u8>]) -> Vec<u8> {
    let mut line = b"dns-options=".to_vec();
    for word in words {
        line.extend_from_slice(word);
        line.push(b';');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        crate::parse::resolv_conf::words(text.as_bytes())
    }

    #[test]
    fn options_that_are_there_stay() {
        assert_eq!(wanted(&[], &[]), words(USUAL));
        assert_eq!(wanted(&[], &words("rotate")), words("rotate single-request-reopen"));
        assert_eq!(
            wanted(&words("ndots:2"), &words("rotate")),
            words("ndots:2 single-request-reopen")
        );
    }

    #[test]
    fn each_notation() {
        let both = words("rotate single-request-reopen");
        assert_eq!(keyfile(&both), b"dns-options=rotate;single-request-reopen;");
        assert_eq!(variable("RES_OPTIONS", &both), b"RES_OPTIONS=\"rotate single-request-reopen\"");
    }
}
