//! sources.list(5) of APT: its one-line form, and the deb822 form of `*.sources`.
//!
//! Lossless in that the text is kept; what is read of it are the places that packages come from.

use super::fields::{is_blank, spans, trim};
use super::lines::{self, LineError};

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AptSources {
    text: Vec<u8>,
    sources: Vec<Source>,
    errors: Vec<LineError>,
}

/// One place that packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The line that names it, from 1.
    pub line: usize,
    /// The address.
    pub uri: Vec<u8>,
}

impl AptSources {
    /// Reads a `*.list`. Never fails: see [`AptSources::errors`].
    pub fn one_line(text: &[u8]) -> AptSources {
        let mut file = AptSources { text: text.to_vec(), ..AptSources::default() };
        for (index, (raw, _)) in lines::split(text).enumerate() {
            match one_line(raw) {
                Ok(uri) => {
                    file.sources.extend(uri.map(|uri| Source { line: index + 1, uri }));
                }
                Err(reason) => file.errors.push(LineError { line: index + 1, reason }),
            }
        }
        file
    }

    /// Reads a `*.sources`: paragraphs of fields, of which those with `Enabled: no` count for nothing.
    pub fn deb822(text: &[u8]) -> AptSources {
        let mut file = AptSources { text: text.to_vec(), ..AptSources::default() };
        let mut paragraph = Paragraph::default();
        for (index, (raw, _)) in lines::split(text).enumerate() {
            if raw.starts_with(b"#") {
                continue;
            }
            if trim(raw, is_blank).is_empty() {
                file.sources.append(&mut std::mem::take(&mut paragraph).sources());
            } else if let Err(reason) = paragraph.line(index + 1, raw) {
                file.errors.push(LineError { line: index + 1, reason });
            }
        }
        file.sources.append(&mut paragraph.sources());
        file
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// The places, in order.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Lines that apt refuses the file for.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }
}

fn one_line(raw: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let text = raw.split(|b| *b == b'#').next().unwrap_or_default();
    let text = trim(text, |b| is_blank(b) || b == b'\r');
    let mut words = spans(text, is_blank).into_iter().map(|span| &text[span]);
    let Some(kind) = words.next() else { return Ok(None) };
    if !matches!(kind, b"deb" | b"deb-src") {
        return Err("a source begins with deb or deb-src");
    }
    let mut next = words.next();
    if next.is_some_and(|word| word.starts_with(b"[")) {
        while next.is_some_and(|word| !word.ends_with(b"]")) {
            next = words.next();
        }
        next = words.next();
    }
    match (next, words.next()) {
        (Some(uri), Some(_)) => Ok(Some(uri.to_vec())),
        _ => Err("a source has an address and a suite"),
    }
}

#[derive(Default)]
struct Paragraph {
    uris: Vec<Source>,
    is_disabled: bool,
    in_uris: bool,
}

impl Paragraph {
    fn line(&mut self, number: usize, raw: &[u8]) -> Result<(), &'static str> {
        let value = if is_blank(raw[0]) {
            raw
        } else {
            let Some(colon) = raw.iter().position(|b| *b == b':') else {
                return Err("a field has a name and a colon");
            };
            let (key, value) = (&raw[..colon], &raw[colon + 1..]);
            self.in_uris = key.eq_ignore_ascii_case(b"URIs");
            if key.eq_ignore_ascii_case(b"Enabled") {
                let word = trim(value, is_blank).to_ascii_lowercase();
                self.is_disabled = matches!(word.as_slice(), b"no" | b"false" | b"0" | b"off");
            }
            value
        };
        if self.in_uris {
            let uris = spans(value, is_blank).into_iter().map(|span| value[span].to_vec());
            self.uris.extend(uris.map(|uri| Source { line: number, uri }));
        }
        Ok(())
    }

    fn sources(self) -> Vec<Source> {
        if self.is_disabled { Vec::new() } else { self.uris }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(file: &AptSources) -> Vec<(usize, String)> {
        let text = |s: &Source| (s.line, String::from_utf8_lossy(&s.uri).into_owned());
        file.sources().iter().map(text).collect()
    }

    #[test]
    fn both_forms() {
        let list = AptSources::one_line(
            b"# c\ndeb http://a/ buster main # x\ndeb-src [ arch=amd64 trusted=yes ] http://b/ buster main\ndeb http://c/\nrpm http://d/ x\n",
        );
        assert_eq!(shown(&list), [(2, "http://a/".to_owned()), (3, "http://b/".to_owned())]);
        assert_eq!(list.errors().iter().map(|e| e.line).collect::<Vec<_>>(), [4, 5]);
        let sources = AptSources::deb822(
            b"Types: deb\nURIs: http://a/ http://b/\n# c\n http://c/\nSuites: x\n\nEnabled: no\nURIs: http://d/\n\nbad\n",
        );
        let lines: Vec<usize> = sources.sources().iter().map(|s| s.line).collect();
        assert_eq!((shown(&sources).len(), lines), (3, vec![2, 2, 4]));
        assert_eq!(sources.errors().iter().map(|e| e.line).collect::<Vec<_>>(), [10]);
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "(deb|URIs:|[ \t\r\n#\\[\\]:a])*".prop_map(String::into_bytes)]) {
            for file in [AptSources::one_line(&text), AptSources::deb822(&text)] {
                prop_assert_eq!(file.print(), text.clone());
                let lines = lines::split(&text).count();
                prop_assert!(file.sources().iter().all(|s| (1..=lines).contains(&s.line)));
            }
        }
    }
}
