//! What a scan says of a secret, which is never the secret.

use std::fmt;

use crate::model::{ByteString, GuestPath, sha256_hex};

/// Hex digits of a fingerprint: 64 bits, which no two findings of a guest share by chance.
const FINGERPRINT: usize = 16;

/// From so many bytes on the first and the last are shown. Of a shorter one they would be much.
const SHOWN_FROM: usize = 12;

/// The bytes of a secret. It has no `Debug` and no `Display`, and does not outlive the buffer that
/// it was found in.
pub struct Secret<'a>(&'a [u8]);

impl<'a> Secret<'a> {
    /// Take bytes for a secret.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a validator.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// First and last character, or less; never more.
    pub fn mask(&self) -> String {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return "…".to_owned();
        };
        if self.0.len() < SHOWN_FROM || !first.is_ascii_graphic() || !last.is_ascii_graphic() {
            return "…".to_owned();
        }
        format!("{}…{}", char::from(*first), char::from(*last))
    }

    /// Digest, without white space: a key is the same key however its lines are broken.
    pub(super) fn digest(&self) -> String {
        let text: Vec<u8> = self.0.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        sha256_hex(&text)
    }
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file.
    pub path: GuestPath,
    /// The names of what it was found in, of an archive in the file: an archive, a member of it.
    pub inside: Vec<ByteString>,
    /// The line, counted from 1.
    pub line: u64,
    /// The byte of the line, counted from 1.
    pub column: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        for name in &self.inside {
            write!(f, "!{name}")?;
        }
        write!(f, ":{}:{}", self.line, self.column)
    }
}

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where.
    pub at: Location,
    /// Which rule.
    pub rule: String,
    /// What can be shown of it.
    pub mask: String,
    /// What tells it from others, the same in every scan.
    pub fingerprint: String,
}

/// A finding of one thread, whose path may yet turn out to be another name of the file, and whose
/// fingerprint is made when that is known.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub at: Location,
    pub rule: usize,
    pub mask: String,
    /// Digest of the secret; of one that can be guessed none.
    pub digest: Option<String>,
    /// Of a file that has several names.
    pub inode: Option<(u64, u64)>,
}

impl Raw {
    /// The finding with its fingerprint: rule, path, and of a secret that nobody can guess its digest.
    ///
    /// A password's digest would be a way to try guesses, truncated or bound to the path as it may
    /// be; of one only the mask is part of it, and which of the findings alike it is (`nth`).
    pub fn into_found(self, rule: &str, nth: usize) -> Found {
        let mut text = Vec::new();
        let own = self.digest.unwrap_or_else(|| format!("{} {nth}", self.mask));
        let inside: Vec<&[u8]> = self.at.inside.iter().map(ByteString::as_bytes).collect();
        let parts = [rule.as_bytes(), self.at.path.as_bytes(), &inside.join(&b'!'), own.as_bytes()];
        for part in parts {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        let mut fingerprint = sha256_hex(&text);
        fingerprint.truncate(FINGERPRINT);
        Found { at: self.at, rule: rule.to_owned(), mask: self.mask, fingerprint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(path: &str, digest: Option<&str>) -> Raw {
        let at = Location { path: GuestPath::from(path), inside: Vec::new(), line: 1, column: 1 };
        let digest = digest.map(str::to_owned);
        Raw { at, rule: 0, mask: "…".to_owned(), digest, inode: None }
    }

    #[test]
    fn a_mask_shows_the_ends_of_what_is_long() {
        assert_eq!(Secret::new(b"hunter2hunter").mask(), "h…r");
        for short in [&b""[..], b"hunter2", b"\x00hunter2hunter"] {
            assert_eq!(Secret::new(short).mask(), "…");
        }
    }

    #[test]
    fn a_fingerprint_tells_rule_path_and_secret() {
        let base = raw("/a", Some("d")).into_found("r", 0).fingerprint;
        assert_eq!(base, raw("/a", Some("d")).into_found("r", 7).fingerprint);
        assert_eq!(base.len(), FINGERPRINT);
        for other in [
            raw("/b", Some("d")).into_found("r", 0),
            raw("/a", Some("e")).into_found("r", 0),
            raw("/a", Some("d")).into_found("s", 0),
            raw("/a", None).into_found("r", 0),
        ] {
            assert_ne!(base, other.fingerprint);
        }
        assert_ne!(raw("/a", None).into_found("r", 0), raw("/a", None).into_found("r", 1));
    }
}
