//! /etc/hosts (hosts(5)).
//!
//! Lossless. Read as glibc reads it: blanks between the fields, `#` before a comment anywhere, a line whose first field
//! is no address is passed over.

use std::net::IpAddr;

use super::fields::{self, is_c_space};
use super::lines;

/// A parsed file, lossless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    lines: Vec<lines::Line<Option<Entry>>>,
}

/// An address and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// The names, the canonical one first.
    pub names: Vec<Vec<u8>>,
}

impl Hosts {
    /// Reads the file. Never fails: glibc passes over what it does not understand.
    pub fn parse(text: &[u8]) -> Hosts {
        Hosts { lines: lines::parse(text, |_, raw, _| entry(raw)) }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every entry with its line.
    pub fn entries(&self) -> impl Iterator<Item = (&lines::Line<Option<Entry>>, &Entry)> {
        self.lines.iter().filter_map(|line| Some((line, line.content.as_ref()?)))
    }
}

fn entry(raw: &[u8]) -> Option<Entry> {
    let said = raw.split(|b| *b == b'#').next().unwrap_or_default();
    let mut words = fields::spans(said, is_c_space).into_iter().map(|span| &said[span]);
    let address = std::str::from_utf8(words.next()?).ok()?;
    // A link-local address may name its interface: fe80::1%eth0.
    let address = address.split('%').next().unwrap_or_default().parse().ok()?;
    let names: Vec<Vec<u8>> = words.map(<[u8]>::to_vec).collect();
    (!names.is_empty()).then_some(Entry { address, names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_and_what_is_none() {
        let text = b"127.0.0.1\tlocalhost # here\n\n# 10.0.0.9 old\n10.0.0.5 iZbp1 iZbp1.local#x\n10.0.0.6\nfe80::1%eth0 gw\nx y\n";
        let hosts = Hosts::parse(text);
        let found: Vec<_> = hosts.entries().map(|(line, e)| (line.number, e.names.len())).collect();
        assert_eq!(found, [(1, 1), (4, 2), (6, 1)]);
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text: Vec<u8>) {
            prop_assert_eq!(Hosts::parse(&text).print(), text);
        }
    }
}
