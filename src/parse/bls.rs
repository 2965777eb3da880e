//! Boot loader entries, `loader/entries/*.conf` (UAPI.1 Boot Loader Specification), as GRUB's `blscfg` reads them.
//!
//! A line is a key, blanks and a value. Values may name variables of GRUB (`$kernelopts`), which are not expanded here.
//! Lossless: lines keep their bytes. Also the order in which `blscfg` lists entries.

use std::cmp::Ordering;

use super::kernel_arguments::KernelArguments;
use super::lines::{self, Line};

/// A parsed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlsEntry {
    lines: Vec<Line<Option<Field>>>,
}

/// A line with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key.
    pub key: Vec<u8>,
    /// The value, blanks around it left out.
    pub value: Vec<u8>,
    /// Where it begins in the line.
    start: usize,
}

impl BlsEntry {
    /// Reads an entry. Never fails: a line without a value is kept and says nothing.
    pub fn parse(text: &[u8]) -> Self {
        Self { lines: lines::parse(text, |_, raw, _| field(raw)) }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every value of a key with the number of its line, in order. `initrd` and `options` may stand there several times.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.lines.iter().filter_map(move |line| {
            let field = line.content.as_ref().filter(|field| field.key == key.as_bytes())?;
            Some((line.number, field.value.as_slice()))
        })
    }

    /// The first value of a key with the number of its line.
    pub fn get<'a>(&'a self, key: &'a str) -> Option<(usize, &'a [u8])> {
        self.all(key).next()
    }

    /// The entry with kernel arguments added and removed. They are removed from every `options` line and added to the
    /// first; an entry without one gets it at its end.
    pub fn with_arguments(&self, add: &[String], remove: &[String]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut left = add;
        // What a later line says of an argument would count over what the first is given.
        let names: Vec<String> =
            add.iter().map(|a| a.split('=').next().unwrap_or(a).to_owned()).collect();
        for line in &self.lines {
            match line.content.as_ref().filter(|field| field.key == b"options") {
                Some(field) => {
                    out.extend_from_slice(&line.raw[..field.start]);
                    let arguments = KernelArguments::parse(&line.raw[field.start..]);
                    let text = if left.len() == add.len() {
                        arguments.edited(std::mem::take(&mut left), remove)
                    } else {
                        arguments.edited(&[], &[remove, &names].concat())
                    };
                    out.extend_from_slice(&text);
                }
                None => out.extend_from_slice(&line.raw),
            }
            out.extend_from_slice(line.ending.as_bytes());
        }
        if !left.is_empty() {
            if !out.is_empty() && !out.ends_with(b"\n") {
                out.push(b'\n');
            }
            out.extend_from_slice(b"options ");
            out.extend_from_slice(left.join(" ").as_bytes());
            out.push(b'\n');
        }
        out
    }
}

fn field(raw: &[u8]) -> Option<Field> {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let begin = raw.iter().position(|b| !is_blank(b))?;
    if raw[begin] == b'#' {
        return None;
    }
    let key_end = begin + raw[begin..].iter().position(is_blank)?;
    let start = key_end + raw[key_end..].iter().position(|b| !is_blank(b))?;
    let value = raw[start..].trim_ascii_end();
    Some(Field { key: raw[begin..key_end].to_vec(), value: value.to_vec(), start })
}

/// The order in which `blscfg` lists two entries, by the names of their files without `.conf`: the newer version first.
///
/// The name is split at its last two dashes into name, version and release, as the name of a package, and each part is
/// compared as rpm compares versions. (Fedora's grub2, blscfg.c: the first entry of the list is the default when none
/// is saved.)
pub fn order(first: &[u8], second: &[u8]) -> Ordering {
    let (first, second) = (split(first), split(second));
    let newer = |at: usize| compare(second[at], first[at]);
    newer(0).then_with(|| newer(1)).then_with(|| newer(2))
}

fn split(name: &[u8]) -> [&[u8]; 3] {
    let dash = |text: &[u8]| text.iter().rposition(|b| *b == b'-');
    let Some(last) = dash(name) else { return [name, b"", b""] };
    let (rest, release) = (&name[..last], &name[last + 1..]);
    match dash(rest) {
        Some(at) => [&rest[..at], &rest[at + 1..], release],
        None => [rest, b"", release],
    }
}

/// rpm's comparison of two versions: runs of digits by number, runs of letters by letter, a number is newer than letters,
/// more is newer than less; `~` is older than nothing, `^` newer than nothing but older than more.
fn compare(mut first: &[u8], mut second: &[u8]) -> Ordering {
    let separator = |b: &u8| !b.is_ascii_alphanumeric() && !matches!(b, b'~' | b'^');
    loop {
        first = skip(first, separator);
        second = skip(second, separator);
        match (first.first(), second.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (first, second) = (&first[1..], &second[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.is_ascii_digit(), b.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (is_number, _) => {
                    let belongs =
                        |b: &u8| b.is_ascii_digit() == is_number && b.is_ascii_alphanumeric();
                    let (own, rest) = first.split_at(first.len() - skip(first, belongs).len());
                    let (other, other_rest) =
                        second.split_at(second.len() - skip(second, belongs).len());
                    let order = if is_number {
                        let bare = |digits| skip(digits, |b: &u8| *b == b'0');
                        let (own, other) = (bare(own), bare(other));
                        own.len().cmp(&other.len()).then_with(|| own.cmp(other))
                    } else {
                        own.cmp(other)
                    };
                    if order.is_ne() {
                        return order;
                    }
                    (first, second) = (rest, other_rest);
                }
            },
        }
    }
}

fn skip(text: &[u8], wanted: impl Fn(&u8) -> bool) -> &[u8] {
    &text[text.iter().take_while(|b| wanted(b)).count()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTRY: &str = "title A (1) 8\nversion 1\n# options none\nlinux /vmlinuz-1\ninitrd /initramfs-1.img $tuned_initrd\noptions $kernelopts $tuned_params\ngrub_users $grub_users\n";

    #[test]
    fn fields_with_their_lines() {
        let entry = BlsEntry::parse(ENTRY.as_bytes());
        assert_eq!(entry.get("linux"), Some((4, &b"/vmlinuz-1"[..])));
        assert_eq!(entry.get("options"), Some((6, &b"$kernelopts $tuned_params"[..])));
        assert_eq!(entry.get("id"), None);
        assert_eq!(BlsEntry::parse(b"linux\noptions \n").all("options").count(), 0);
    }

    #[test]
    fn arguments_go_to_the_options() {
        let edited = |text: &str, add: &[&str], remove: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            String::from_utf8(
                BlsEntry::parse(text.as_bytes()).with_arguments(&owned(add), &owned(remove)),
            )
            .unwrap()
        };
        assert_eq!(
            edited("linux /v\noptions  ro a=1 \n", &["a=2"], &["ro"]),
            "linux /v\noptions  a=2 \n"
        );
        assert_eq!(
            edited("options ro\noptions a=1 b\n", &["a=2"], &["b"]),
            "options ro a=2\noptions \n"
        );
        assert_eq!(edited("linux /v", &["a=2"], &[]), "linux /v\noptions a=2\n");
        assert_eq!(edited(ENTRY, &[], &["quiet"]), ENTRY);
    }

    #[test]
    fn the_newest_stands_first() {
        let mut names = vec![
            "216024e7-0-rescue",
            "216024e7-4.18.0-9.el8.x86_64",
            "216024e7-4.18.0-348.el8.x86_64",
            "216024e7-4.18.0-348.7.1.el8_5.x86_64",
            "216024e7-5.10.134-18.an8.x86_64",
        ];
        names.sort_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        assert_eq!(
            names,
            [
                "216024e7-5.10.134-18.an8.x86_64",
                "216024e7-4.18.0-348.7.1.el8_5.x86_64",
                "216024e7-4.18.0-348.el8.x86_64",
                "216024e7-4.18.0-9.el8.x86_64",
                "216024e7-0-rescue",
            ]
        );
    }

    #[test]
    fn versions_as_rpm_compares_them() {
        for (older, newer) in [
            ("1.0", "1.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git1"),
            ("1.0^git1", "1.0.1"),
            ("a", "b"),
            ("1.a", "1.1"),
            ("2", "2.0"),
            ("1.0", "1.0a"),
            ("348.el8", "348.7.1.el8_5"),
        ] {
            assert_eq!(
                compare(older.as_bytes(), newer.as_bytes()),
                Ordering::Less,
                "{older} {newer}"
            );
            assert_eq!(
                compare(newer.as_bytes(), older.as_bytes()),
                Ordering::Greater,
                "{newer} {older}"
            );
        }
        assert_eq!(compare(b"1.01", b"1_1"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "(options|linux|#)?[ \tab=\n]{0,20}".prop_map(String::into_bytes)]) {
            let entry = BlsEntry::parse(&text);
            prop_assert_eq!(entry.print(), text.clone());
            prop_assert_eq!(entry.with_arguments(&[], &[]), text.clone());
            let added = BlsEntry::parse(&entry.with_arguments(&["x=1".to_owned()], &[]));
            prop_assert_eq!(added.with_arguments(&["x=1".to_owned()], &[]), added.print());
        }

        #[test]
        fn an_order_is_an_order(names in prop::collection::vec("[a1.~^-]{0,8}", 3)) {
            let names: Vec<&[u8]> = names.iter().map(|n| n.as_bytes()).collect();
            prop_assert_eq!(order(names[0], names[1]), order(names[1], names[0]).reverse());
            prop_assert_eq!(order(names[0], names[0]), Ordering::Equal);
        }
    }
}
