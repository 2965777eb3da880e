//! The kernel's command line, and lists of its arguments in the files of boot loaders.
//!
//! Split as the kernel does (next_arg() of lib/cmdline.c): blanks separate, double quotes hold blanks together and are
//! stripped at the two ends of a value alone. In a name `-` and `_` are the same (parameq() of kernel/params.c). Lossless:
//! an edit takes out, replaces or adds whole arguments and leaves every other byte as it was.

use std::ops::Range;

/// A command line and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelArguments {
    text: Vec<u8>,
    arguments: Vec<Argument>,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Where it stands in the text, quotes included.
    pub span: Range<usize>,
    /// What stands before the first `=`.
    pub key: Vec<u8>,
    /// What stands behind it; `None` where there is no `=`.
    pub value: Option<Vec<u8>>,
}

/// isspace() of the kernel, which has the no-break space of Latin-1 too (lib/ctype.c).
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0xa0)
}

impl KernelArguments {
    /// Splits a command line. A line end at its end is a blank like any other.
    pub fn parse(text: &[u8]) -> Self {
        let mut arguments = Vec::new();
        let mut at = 0;
        while let Some(skip) = text[at..].iter().position(|b| !is_blank(*b)) {
            let start = at + skip;
            let mut in_quotes = false;
            let length = text[start..].iter().position(|b| {
                in_quotes ^= *b == b'"';
                is_blank(*b) && !in_quotes
            });
            at = length.map_or(text.len(), |length| start + length);
            arguments.push(Argument::of(&text[start..at], start));
        }
        Self { text: text.to_vec(), arguments }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// The text without blanks at its ends.
    pub fn text(&self) -> &[u8] {
        match (self.arguments.first(), self.arguments.last()) {
            (Some(first), Some(last)) => &self.text[first.span.start..last.span.end],
            _ => &[],
        }
    }

    /// The arguments for the kernel, in order: those behind a `--` are for init (admin-guide/kernel-parameters).
    pub fn arguments(&self) -> &[Argument] {
        let end = self.arguments.iter().position(|a| a.key == b"--" && a.value.is_none());
        &self.arguments[..end.unwrap_or(self.arguments.len())]
    }

    /// All arguments in order, those for init too: systemd and init scripts read the whole of /proc/cmdline.
    pub fn words(&self) -> &[Argument] {
        &self.arguments
    }

    /// The arguments of a name, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Argument> {
        self.arguments().iter().filter(move |argument| argument.is_named(key.as_bytes()))
    }

    /// The last argument of a name, which is the one that counts for most.
    pub fn last(&self, key: &str) -> Option<&Argument> {
        self.arguments().iter().rev().find(|argument| argument.is_named(key.as_bytes()))
    }

    /// The value of the last argument of a name.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.last(key)?.value.as_deref()
    }

    /// Whether this very argument is there: `nopti`, `spectre_v2=off`.
    pub fn has(&self, argument: &str) -> bool {
        let wanted = Argument::of(argument.as_bytes(), 0);
        self.arguments().iter().any(|own| own.is(&wanted))
    }

    /// The text with arguments added and removed; see [`edit`].
    pub fn edited(&self, add: &[String], remove: &[String]) -> Vec<u8> {
        let words: Vec<(Range<usize>, Vec<u8>)> = self
            .arguments()
            .iter()
            .map(|own| (own.span.clone(), self.text[own.span.clone()].to_vec()))
            .collect();
        let start = words.last().map_or(0, |(span, _)| span.end);
        edit(&self.text, &words, start, add, remove, |text| text.as_bytes().to_vec())
    }
}

impl Argument {
    /// Reads one argument, quotes and all.
    fn of(text: &[u8], start: usize) -> Self {
        let span = start..start + text.len();
        let (text, was_quoted) = match text.strip_prefix(b"\"") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let Some(equals) = text.iter().position(|b| *b == b'=') else {
            let key = if was_quoted { text.strip_suffix(b"\"").unwrap_or(text) } else { text };
            return Self { span, key: key.to_vec(), value: None };
        };
        let value = &text[equals + 1..];
        let value = match value.strip_prefix(b"\"") {
            Some(value) => value.strip_suffix(b"\"").unwrap_or(value),
            None if was_quoted => value.strip_suffix(b"\"").unwrap_or(value),
            None => value,
        };
        Self { span, key: text[..equals].to_vec(), value: Some(value.to_vec()) }
    }

    /// Whether this is its name.
    pub fn is_named(&self, key: &[u8]) -> bool {
        let same =
            |a: &u8, b: &u8| a == b || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_'));
        self.key.len() == key.len() && self.key.iter().zip(key).all(|(a, b)| same(a, b))
    }

    /// Whether it says the same as another.
    fn is(&self, other: &Argument) -> bool {
        self.is_named(&other.key) && self.value == other.value
    }

    /// Whether a removal takes it: `key` takes `key` and `key=...`, `key=value` that alone.
    fn is_taken_by(&self, removal: &Argument) -> bool {
        self.is_named(&removal.key) && (removal.value.is_none() || self.value == removal.value)
    }
}

/// A text with arguments added and removed.
///
/// `words` are the arguments that stand in it: where, and what they say once the file's own quoting is off. An added
/// argument replaces the first of its name, whose others go; where there is none it goes behind the last word, or to
/// `start` where there are no words. `quote` writes an argument in the file's own quoting. What is already so is left alone,
/// and a removed argument takes the blanks before it along.
pub fn edit(
    text: &[u8],
    words: &[(Range<usize>, Vec<u8>)],
    start: usize,
    add: &[String],
    remove: &[String],
    quote: impl Fn(&str) -> Vec<u8>,
) -> Vec<u8> {
    let removals: Vec<Argument> = remove.iter().map(|r| Argument::of(r.as_bytes(), 0)).collect();
    let mut additions: Vec<(Argument, &String, bool)> =
        add.iter().map(|text| (Argument::of(text.as_bytes(), 0), text, false)).collect();
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (span, word) in words {
        let own = Argument::of(word, 0);
        let replacement = match additions.iter_mut().find(|(new, ..)| own.is_named(&new.key)) {
            Some((new, text, placed)) => {
                let is_first = !std::mem::replace(placed, true);
                match (is_first, own.is(new)) {
                    (true, true) => continue,
                    (true, false) => Some(quote(text)),
                    (false, _) => None,
                }
            }
            None if removals.iter().any(|removal| own.is_taken_by(removal)) => None,
            None => continue,
        };
        match replacement {
            Some(new) => {
                out.extend_from_slice(&text[copied..span.start]);
                out.extend_from_slice(&new);
                copied = span.end;
            }
            None => {
                let before = &text[copied..span.start];
                let kept = before.iter().rposition(|b| !is_blank(*b)).map_or(0, |at| at + 1);
                // At the start of the list the blanks behind it go instead.
                let is_start = copied + kept == 0 || span.start == words[0].0.start;
                if is_start {
                    out.extend_from_slice(before);
                    let behind = &text[span.end..];
                    let blanks = behind.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                    copied = span.end + blanks;
                } else {
                    out.extend_from_slice(&before[..kept]);
                    copied = span.end;
                }
            }
        }
    }
    let end = words.last().map_or(start, |(span, _)| span.end).max(copied);
    out.extend_from_slice(&text[copied..end]);
    for (_, new, _) in additions.iter().filter(|(.., placed)| !placed) {
        if out.last().is_some_and(|b| !is_blank(*b)) && !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(&quote(new));
        if text.get(end).is_some_and(|b| !is_blank(*b)) && words.is_empty() {
            out.push(b' ');
        }
    }
    out.extend_from_slice(&text[end..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, Option<String>)> {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        KernelArguments::parse(text.as_bytes())
            .arguments()
            .iter()
            .map(|a| (shown(&a.key), a.value.as_deref().map(shown)))
            .collect()
    }

    fn pair(key: &str, value: Option<&str>) -> (String, Option<String>) {
        (key.to_owned(), value.map(str::to_owned))
    }

    fn edited(text: &str, add: &[&str], remove: &[&str]) -> String {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let arguments = KernelArguments::parse(text.as_bytes());
        String::from_utf8(arguments.edited(&owned(add), &owned(remove))).unwrap()
    }

    #[test]
    fn split_as_the_kernel_splits() {
        assert_eq!(
            pairs("ro  root=UUID=1-2 a=\"b c\" \"d=e f\" \"g\" dyndbg=\"file a.c +p; x\"\n"),
            [
                pair("ro", None),
                pair("root", Some("UUID=1-2")),
                pair("a", Some("b c")),
                pair("d", Some("e f")),
                pair("g", None),
                pair("dyndbg", Some("file a.c +p; x")),
            ]
        );
        assert_eq!(pairs("quiet -- single root=1"), [pair("quiet", None)]);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn the_last_counts_and_dashes_are_underscores() {
        let line = KernelArguments::parse(b"nvme_core.io-timeout=1 root=a root=b");
        assert_eq!(line.value("root"), Some(&b"b"[..]));
        assert_eq!(line.value("nvme-core.io_timeout"), Some(&b"1"[..]));
        assert!(line.has("root=a") && !line.has("root") && !line.has("roo"));
        assert_eq!(line.all("root").count(), 2);
    }

    #[test]
    fn arguments_go_and_come() {
        assert_eq!(edited("ro nopti quiet", &[], &["nopti"]), "ro quiet");
        assert_eq!(edited("nopti ro", &[], &["nopti"]), "ro");
        assert_eq!(edited("nopti", &[], &["nopti"]), "");
        assert_eq!(edited("a ip=1 b ip=dhcp c", &[], &["ip=1"]), "a b ip=dhcp c");
        assert_eq!(edited("a ip=1 b ip=dhcp c\n", &[], &["ip"]), "a b c\n");
        assert_eq!(edited("root=/dev/vda1 ro ", &["root=UUID=1"], &[]), "root=UUID=1 ro ");
        assert_eq!(
            edited("crashkernel=1 a crashkernel=2", &["crashkernel=3"], &[]),
            "crashkernel=3 a"
        );
        assert_eq!(edited("", &["a=1", "b"], &[]), "a=1 b");
        assert_eq!(edited("a\n", &["b"], &[]), "a b\n");
        assert_eq!(edited("a -- single", &["b"], &[]), "a b -- single");
        assert_eq!(edited("a=1", &["a=1"], &["a"]), "a=1");
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "[ab=\" \n_-]{0,40}".prop_map(String::into_bytes)]) {
            let line = KernelArguments::parse(&text);
            prop_assert_eq!(line.print(), text.clone());
            let mut last = 0;
            for argument in &line.arguments {
                prop_assert!(argument.span.start >= last && argument.span.end <= text.len() && !argument.span.is_empty());
                last = argument.span.end;
            }
            prop_assert_eq!(line.edited(&[], &[]), text);
        }

        #[test]
        fn an_edit_does_what_it_says_and_no_more(
            words in prop::collection::vec("[abc](=[12x]{0,2})?", 0..8),
            blanks in prop::collection::vec("[ \t]{1,2}", 9),
            add in prop::collection::btree_set("[ab]=[34]", 0..2),
            remove in prop::collection::vec("[c](=[12x])?", 0..2),
        ) {
            let text: String = words.iter().zip(&blanks).map(|(word, blank)| format!("{word}{blank}")).collect();
            let add: Vec<String> = add.into_iter().collect();
            prop_assume!(add.len() < 2 || add[0][..1] != add[1][..1]);
            let before = KernelArguments::parse(text.as_bytes());
            let after = KernelArguments::parse(&before.edited(&add, &remove));
            for new in &add {
                prop_assert!(after.has(new));
                prop_assert_eq!(after.all(&new[..1]).count(), 1);
            }
            let gone = |a: &Argument| remove.iter().any(|r| a.is_taken_by(&Argument::of(r.as_bytes(), 0)));
            prop_assert!(!after.arguments().iter().any(gone));
            let rest = |line: &KernelArguments| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
                let is_added = |a: &Argument| add.iter().any(|new| a.is_named(&new.as_bytes()[..1]));
                line.arguments().iter().filter(|a| !gone(a) && !is_added(a)).map(|a| (a.key.clone(), a.value.clone())).collect()
            };
            prop_assert_eq!(rest(&before), rest(&after));
            // Doing it again changes nothing.
            prop_assert_eq!(after.edited(&add, &remove), after.print());
        }
    }
}
