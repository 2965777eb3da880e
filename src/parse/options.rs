//! Comma-separated options of fstab(5) and crypttab(5).
//!
//! The boot's reader and the command's reader split them differently, so the caller names the one it stands for. Holds
//! no knowledge of what an option means.

/// Options, split. Later ones come later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    items: Vec<Vec<u8>>,
}

impl Options {
    /// Splits as systemd's generators do (252): at commas, of which `\,` is none, and **without regard to quotes**, so
    /// that `context="a,nofail"` holds the options `context="a` and `nofail"`. Empty options are dropped.
    ///
    /// Older generators know no `\,`; a backslash before a comma is not found in the wild.
    pub fn systemd(text: &[u8]) -> Options {
        let mut items = Vec::new();
        let mut item = Vec::new();
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b',' => items.push(std::mem::take(&mut item)),
                b'\\' => match bytes.next() {
                    Some(b',') => item.push(b','),
                    Some(b'\\') => item.push(b'\\'),
                    Some(other) => item.extend([b'\\', other]),
                    None => item.push(b'\\'),
                },
                _ => item.push(byte),
            }
        }
        items.push(item);
        items.retain(|item| !item.is_empty());
        Options { items }
    }

    /// Splits as libmount does (mount(8) of util-linux 2.38): at commas outside of double quotes; a backslash is
    /// ordinary. Empty options are dropped. A quote that is not closed ends the reading: nothing from the option that it
    /// stands in is found.
    pub fn libmount(text: &[u8]) -> Options {
        let mut items = Vec::new();
        let mut item = Vec::new();
        let mut quoted = false;
        for &byte in text {
            match byte {
                b',' if !quoted => items.push(std::mem::take(&mut item)),
                _ => {
                    quoted ^= byte == b'"';
                    item.push(byte);
                }
            }
        }
        if !quoted {
            items.push(item);
        }
        items.retain(|item| !item.is_empty());
        Options { items }
    }

    /// Each option as its name and what follows its first `=`, quotes included.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.items.iter().map(|item| match item.iter().position(|&b| b == b'=') {
            Some(at) => (&item[..at], Some(&item[at + 1..])),
            None => (item.as_slice(), None),
        })
    }

    /// Whether an option is there, with a value or without: systemd takes `nofail=x` for `nofail`.
    ///
    /// A name may hold a `=`, for the old spellings such as `comment=systemd.automount`.
    pub fn has(&self, name: &str) -> bool {
        self.values_of(name).next().is_some()
    }

    /// The value of the last option of that name. `None` when it is missing or has no value.
    ///
    /// A value in double quotes is given without them.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.values_of(name).last().flatten()
    }

    /// The values of all options of that name, for those that may be repeated (`x-systemd.requires=`).
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.values_of(name).flatten()
    }

    /// Which of a yes-no pair comes last: `Some(true)` for `yes`, `Some(false)` for `no`, `None` for neither.
    ///
    /// This is how systemd's generators decide `nofail`/`fail` and `noauto`/`auto`. mount(8) does not: for it `noauto`
    /// anywhere wins, and there is no `fail`.
    pub fn switch(&self, yes: &str, no: &str) -> Option<bool> {
        self.items.iter().rev().find_map(|item| match (is_option(item, yes), is_option(item, no)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        })
    }

    fn values_of(&self, name: &str) -> impl Iterator<Item = Option<&[u8]>> {
        self.items.iter().filter(move |item| is_option(item, name)).map(move |item| {
            let value = item[name.len()..].strip_prefix(b"=")?;
            let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            Some(inner.unwrap_or(value))
        })
    }
}

fn is_option(item: &[u8], name: &str) -> bool {
    item.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'=')
}

/// The text with an option appended. Last is where it wins over an opposite earlier one.
pub fn append(text: &[u8], option: &[u8]) -> Vec<u8> {
    if text.is_empty() { option.to_vec() } else { [text, b",", option].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(options: &Options) -> Vec<String> {
        options.iter().map(|(name, _)| name.escape_ascii().to_string()).collect()
    }

    #[test]
    fn the_readers_split_differently() {
        let text = br#"context="a,noauto,b",ro"#;
        assert_eq!(names(&Options::systemd(text)), ["context", "noauto", r#"b\""#, "ro"]);
        assert_eq!(names(&Options::libmount(text)), ["context", "ro"]);
        assert!(Options::systemd(text).has("noauto"));
        assert_eq!(Options::libmount(text).value("context"), Some(&b"a,noauto,b"[..]));

        let text = br"x\,nofail";
        assert!(!Options::systemd(text).has("nofail"));
        assert!(Options::libmount(text).has("nofail"));

        let text = br#"ro,x="a,nofail"#;
        assert_eq!(names(&Options::libmount(text)), ["ro"]);
        assert!(Options::systemd(text).has("nofail"));
    }

    #[test]
    fn the_last_of_a_pair_wins() {
        for (text, want) in [
            ("nofail,fail", Some(false)),
            ("fail,nofail", Some(true)),
            ("nofail=1", Some(true)),
            ("nofailure,xnofail", None),
            ("defaults", None),
            (",,nofail,,", Some(true)),
        ] {
            assert_eq!(Options::systemd(text.as_bytes()).switch("nofail", "fail"), want, "{text}");
        }
    }

    #[test]
    fn values() {
        let options = Options::systemd(
            b"x-systemd.device-timeout=5,a=b=c,x-systemd.device-timeout=1min,flag,e=",
        );
        assert_eq!(options.value("x-systemd.device-timeout"), Some(&b"1min"[..]));
        assert_eq!(
            options.values("x-systemd.device-timeout").collect::<Vec<_>>(),
            [&b"5"[..], b"1min"]
        );
        assert_eq!(options.value("a"), Some(&b"b=c"[..]));
        assert_eq!(options.value("flag"), None);
        assert_eq!(options.value("e"), Some(&b""[..]));
        assert!(options.has("a=b") && !options.has("x-systemd"));
        assert_eq!(append(b"defaults", b"nofail"), b"defaults,nofail");
        assert_eq!(append(b"", b"nofail"), b"nofail");
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            for options in [Options::systemd(&text), Options::libmount(&text)] {
                for (name, value) in options.iter() {
                    prop_assert!(name.len() + value.map_or(0, <[u8]>::len) <= text.len());
                    prop_assert!(!name.is_empty() || value.is_some());
                }
                options.switch("a", "b");
                options.value("a");
            }
        }
    }
}
