//! crypttab(5), as systemd-cryptsetup-generator reads it.
//!
//! Lossless. The generator reads with scanf(3)'s `%s`: fields are separated by any white space of C, nothing is escaped,
//! and `#` starts a comment only at the start of a line. Debian's initramfs scripts also decode `\ooo` in the fields,
//! which a guest's crypttab rarely has.
//!
//! Every entry is given here; the generator (252) gives up the rest of the file at a name that it has seen.

use super::fields::{self, Field, is_c_space};
use super::lines;
use super::options::Options;
use super::source::Source;

/// A parsed crypttab, lossless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypttab {
    lines: Vec<Line>,
}

/// One line of a crypttab.
pub type Line = lines::Line<Content>;

/// What a line of a crypttab is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing but white space.
    Blank,
    /// A line whose first byte, white space aside, is `#`.
    Comment,
    /// A line that describes a volume.
    Entry(Entry),
    /// A line with a name alone. The generator logs it and ignores it.
    Garbage,
}

/// A line that describes an encrypted volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// The volume's name below `/dev/mapper`.
    pub name: Field,
    /// The encrypted device: a path or a tag.
    pub device: Field,
    /// The file that holds the key. `None` also for `none` and `-`, which ask for a passphrase.
    pub key_file: Option<Field>,
    /// The fourth field.
    pub options: Option<Field>,
}

impl Entry {
    /// What the device field names.
    pub fn source(&self) -> Source {
        Source::parse(&self.device.value)
    }

    /// The options, split as the generator splits them.
    pub fn options(&self) -> Options {
        self.options.as_ref().map(|field| Options::systemd(&field.value)).unwrap_or_default()
    }
}

impl Crypttab {
    /// Reads a crypttab. Never fails: what cannot be read is [`Content::Garbage`].
    pub fn parse(text: &[u8]) -> Crypttab {
        Crypttab { lines: lines::parse(text, |number, raw, _| content(number, raw)) }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every line, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines that describe a volume, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| match &line.content {
            Content::Entry(entry) => Some(entry),
            _ => None,
        })
    }
}

fn content(number: usize, raw: &[u8]) -> Content {
    let mut spans = fields::spans(raw, is_c_space).into_iter();
    let mut field = || spans.next().map(|span| Field { value: raw[span.clone()].to_vec(), span });
    let Some(name) = field() else {
        return Content::Blank;
    };
    if name.value.starts_with(b"#") {
        return Content::Comment;
    }
    let Some(device) = field() else {
        return Content::Garbage;
    };
    let key_file = field().filter(|field| !matches!(field.value.as_slice(), b"none" | b"-"));
    Content::Entry(Entry { line: number, name, device, key_file, options: field() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_each_kind() {
        let tab = Crypttab::parse(
            b"# c\n\ndata UUID=\"a4\" /etc/key luks,nofail extra\nswap\t/dev/vdb2\x0b- swap,x-systemd.device-timeout=5\r\nplain /dev/vdc\nbad\n",
        );
        let entries: Vec<_> = tab.entries().collect();
        assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(entries[0].name.value, b"data");
        assert_eq!(entries[0].source(), Source::Uuid(b"a4".to_vec()));
        assert_eq!(entries[0].key_file.as_ref().unwrap().value, b"/etc/key");
        assert!(entries[0].options().has("nofail"));
        assert_eq!(entries[1].key_file, None);
        assert_eq!(entries[1].options().value("x-systemd.device-timeout"), Some(&b"5"[..]));
        assert_eq!((&entries[2].key_file, &entries[2].options), (&None, &None));
        assert_eq!(tab.lines()[0].content, Content::Comment);
        assert_eq!(tab.lines()[1].content, Content::Blank);
        assert_eq!(tab.lines()[5].content, Content::Garbage);
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "[ \t\r\n#a/=-]{0,60}".prop_map(String::into_bytes)]) {
            let tab = Crypttab::parse(&text);
            prop_assert_eq!(tab.print(), text);
            for entry in tab.entries() {
                let raw = &tab.lines()[entry.line - 1].raw;
                prop_assert_eq!(entry.device.raw(raw), &entry.device.value);
            }
        }
    }
}
