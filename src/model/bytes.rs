//! Bytes of a guest as text that JSON can carry without loss.
//!
//! A path or a line of a guest is bytes, not UTF-8. In JSON and on the terminal valid UTF-8 stands
//! as it is; every other byte, every control character and the backslash itself is written as an
//! escape, so that two different byte strings never look alike and reading gives back what was
//! written.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a path may have at the most on Linux, with the NUL at its end (limits.h).
const PATH_MAX: usize = 4096;

/// A byte string of a guest: a line, a field, a value.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteString(Vec<u8>);

impl ByteString {
    /// The bytes themselves.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as an argument of a command.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Take the bytes out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Read back what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// The offset of an escape that is none of `\\`, `\t`, `\r`, `\n` and `\xNN`.
    pub fn unescape(text: &str) -> Result<Self, usize> {
        let mut out = Vec::with_capacity(text.len());
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] != b'\\' {
                out.push(bytes[at]);
                at += 1;
                continue;
            }
            let (byte, length) = match bytes.get(at + 1) {
                Some(b'\\') => (b'\\', 2),
                Some(b't') => (b'\t', 2),
                Some(b'r') => (b'\r', 2),
                Some(b'n') => (b'\n', 2),
                Some(b'x') => {
                    let digits = text.get(at + 2..at + 4).ok_or(at)?;
                    (u8::from_str_radix(digits, 16).map_err(|_| at)?, 4)
                }
                _ => return Err(at),
            };
            out.push(byte);
            at += length;
        }
        Ok(Self(out))
    }
}

impl From<Vec<u8>> for ByteString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for ByteString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for ByteString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Display for ByteString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    '\n' => f.write_str("\\n")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u32)?,
                    c => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ByteString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::unescape(&text).map_err(|at| {
            serde::de::Error::custom(format!("bad escape at byte {at} of \"{text}\""))
        })
    }
}

impl JsonSchema for ByteString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Bytes of a guest: what is no UTF-8, and every control character and backslash, \
                            stands as \\xNN, \\t, \\r, \\n or \\\\.",
        })
    }
}

/// An absolute path inside a guest, as the guest itself would name it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct GuestPath(ByteString);

impl<'de> Deserialize<'de> for GuestPath {
    /// As [`GuestPath::new`]: who wrote it may have been anybody.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByteString::deserialize(deserializer).map(|bytes| Self::new(bytes.as_bytes()))
    }
}

impl GuestPath {
    /// Make a path absolute and drop empty and `.` components; `..` stays, `Root` clamps it.
    pub fn new(bytes: &[u8]) -> Self {
        let mut out = Vec::with_capacity(bytes.len() + 1);
        for part in bytes.split(|b| *b == b'/') {
            if !part.is_empty() && part != b"." {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
        if out.is_empty() {
            out.push(b'/');
        }
        Self(ByteString(out))
    }

    /// The bytes, starting with `/`.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The path as the operating system's own calls and commands take it.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    /// The last component; empty for `/`.
    pub fn name(&self) -> &[u8] {
        let bytes = self.as_bytes();
        let slash = bytes.iter().rposition(|b| *b == b'/').unwrap_or(0);
        &bytes[slash + 1..]
    }

    /// Everything above the last component; `/` for `/`.
    pub fn parent(&self) -> GuestPath {
        let bytes = self.as_bytes();
        match bytes.iter().rposition(|b| *b == b'/') {
            Some(0) | None => GuestPath::new(b"/"),
            Some(at) => GuestPath(ByteString(bytes[..at].to_vec())),
        }
    }

    /// This path with `tail` appended; an absolute `tail` replaces it, as a link target would.
    pub fn join(&self, tail: &[u8]) -> GuestPath {
        if tail.starts_with(b"/") {
            return GuestPath::new(tail);
        }
        let mut bytes = self.as_bytes().to_vec();
        bytes.push(b'/');
        bytes.extend_from_slice(tail);
        GuestPath::new(&bytes)
    }

    /// Whether this is `other` or lies below it, component by component.
    pub fn is_within(&self, other: &GuestPath) -> bool {
        if other.as_bytes() == b"/" {
            return true;
        }
        self.as_bytes()
            .strip_prefix(other.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Everything that this lies below, the deepest first and without `/`. Of a path that is longer than
    /// the kernel takes nothing: it leads nowhere.
    pub fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let bytes =
            Some(self.as_bytes()).filter(|bytes| bytes.len() < PATH_MAX).unwrap_or_default();
        (1..bytes.len()).rev().filter(|at| bytes[*at] == b'/').map(|at| &bytes[..at])
    }

    /// Whether this lies below `other` and is not `other` itself.
    pub fn is_below(&self, other: &GuestPath) -> bool {
        self != other && self.is_within(other)
    }
}

impl From<&str> for GuestPath {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl From<&GuestPath> for GuestPath {
    fn from(path: &GuestPath) -> Self {
        path.clone()
    }
}

impl From<&String> for GuestPath {
    fn from(text: &String) -> Self {
        Self::new(text.as_bytes())
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_string_survives_its_escape(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let original = ByteString::from(bytes);
            let shown = original.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_ascii_control()));
            prop_assert_eq!(ByteString::unescape(&shown).unwrap(), original);
        }

        #[test]
        fn ancestors_are_what_a_path_lies_below(path in "(/[ab]{1,2}){0,5}", other in "(/[ab]{1,2}){0,5}") {
            let [path, other] = [path, other].map(|text| GuestPath::new(text.as_bytes()));
            let is_root = other.as_bytes() == b"/";
            let is_ancestor = path.ancestors().any(|above| above == other.as_bytes());
            prop_assert_eq!(is_ancestor, path.is_below(&other) && !is_root);
            prop_assert!(path.ancestors().is_sorted_by_key(|above| std::cmp::Reverse(above.len())));
        }

        #[test]
        fn unescape_never_panics(text in ".{0,40}") {
            let _ = ByteString::unescape(&text);
        }
    }

    #[test]
    fn a_path_knows_what_it_is_below() {
        let data = GuestPath::from("/data");
        assert!(GuestPath::from("/data/sub").is_below(&data));
        assert!(!GuestPath::from("/database").is_within(&data));
        assert!(!data.is_below(&data));
        assert!(data.is_below(&GuestPath::from("/")));
        assert_eq!(GuestPath::from("//a/./b/"), GuestPath::from("/a/b"));
        assert_eq!(GuestPath::from("/a").parent(), GuestPath::from("/"));
        assert_eq!(GuestPath::from("/a/b").join(b"../c"), GuestPath::from("/a/b/../c"));
    }
}
