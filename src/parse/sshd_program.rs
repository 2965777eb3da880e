//! What a program of sshd says of itself: the strings in it.
//!
//! Pure. Which algorithms and keywords an sshd knows depends on its release and on how it was built, and so the program is
//! asked. It has their names, each ended by a NUL, to compare with those of its configuration. From OpenSSH 9.8 on, where
//! sessions are other programs, the one that listens still reads the configuration, and has the names. Compared with the
//! programs of OpenSSH 8.4, 9.2, 10.0 and 10.6 of Debian.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::sshd_config::{KEYWORDS, is_keyword, is_like};

/// The longest name that is kept, in bytes. The longest of an algorithm have about 50.
const MAX_NAME: usize = 80;

/// What stands in a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshdProgram {
    /// The release of OpenSSH, of which portable ones have the same number: 9.2.
    pub release: (u32, u32),
    /// What is a keyword, and what looks like the name of an algorithm.
    names: BTreeSet<String>,
}

impl SshdProgram {
    /// Reads a program; `None` where it is not OpenSSH's.
    pub fn parse(program: &[u8]) -> Option<Self> {
        let mut release = None;
        let mut names = BTreeSet::new();
        // The default lists stand there too, and a linker lets a string be the end of a longer one.
        for string in program.split(|b| matches!(b, 0 | b',')) {
            release = release.max(release_in(string));
            let is_of_names = |b: &u8| b.is_ascii_alphanumeric() || b"@.-".contains(b);
            let start = string.iter().rposition(|b| !is_of_names(b)).map_or(0, |at| at + 1);
            let Ok(name) = std::str::from_utf8(&string[start..]) else { continue };
            // From 10.6 on as a person writes it.
            let keyword = name.to_ascii_lowercase();
            if is_keyword(&keyword) {
                // `kexalgorithms` is the end of `gssapikexalgorithms`.
                let ends = KEYWORDS.iter().filter(|end| keyword.ends_with(*end));
                names.extend(ends.map(|&end| end.to_owned()));
            } else if looks_like_algorithm(name) {
                names.insert(name.to_owned());
                names.extend(end_of(name).map(str::to_owned));
            }
        }
        Some(Self { release: release?, names })
    }

    /// Whether a name stands in it.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The names that are like a pattern of `*` and `?`.
    pub fn like(&self, pattern: &str) -> impl Iterator<Item = &str> {
        let is_like = move |name: &&String| is_like(name.as_bytes(), pattern.as_bytes());
        self.names.iter().filter(is_like).map(String::as_str)
    }
}

/// `9.2` of `OpenSSH_9.2` and `OpenSSH_9.2p1 Debian-2`, and nothing of the patterns of peers with bugs (compat.c), which
/// end with `*`.
fn release_in(string: &[u8]) -> Option<(u32, u32)> {
    let version = std::str::from_utf8(string.strip_prefix(b"OpenSSH_")?).ok()?;
    if version.ends_with('*') {
        return None;
    }
    let (major, rest) = version.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

/// Whether it may be a name: all have a hyphen but the old `arcfour`.
fn looks_like_algorithm(name: &str) -> bool {
    (4..=MAX_NAME).contains(&name.len())
        && !name.bytes().any(|b| b.is_ascii_uppercase())
        && (name.contains('-') || name.starts_with("arcfour"))
}

/// The name that a linker may have put into the end of this one. That of a security key's certificate is the one of
/// another certificate, while `ssh-ed25519@openssh.com`, of a security key's own, is none.
fn end_of(name: &str) -> Option<&str> {
    let of_certificate = || name.strip_prefix("sk-").filter(|name| name.contains("-cert"));
    name.strip_prefix("webauthn-").or_else(of_certificate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROGRAM: &[u8] =
        b"\x7fELF\0\x01\x02aes128-ctr\0AES-128-CTR\0hmac-sha1\0a %s b-c\0sk-x@y\0\
        \0OpenSSH_7.0*,OpenSSH_99.1*\0OpenSSH_9.2\0OpenSSH_9.2p1 Debian-2\0\
        one-list,of-two\0permitlisten\0gssapikexalgorithms\0PermitOpen\0\
        webauthn-sk-e\0sk-s-cert-v01\0arcfour\0none\0unended-name";

    #[test]
    fn names_are_whole_strings_and_members_of_lists() {
        let program = SshdProgram::parse(PROGRAM).expect("an sshd");
        assert_eq!(program.release, (9, 2));
        for name in [
            "aes128-ctr",
            "hmac-sha1",
            "one-list",
            "of-two",
            "arcfour",
            "sk-x@y",
            "permitlisten",
            "kexalgorithms",
            "permitopen",
        ] {
            assert!(program.knows(name), "{name}");
        }
        for name in ["sk-e", "webauthn-sk-e", "s-cert-v01"] {
            assert!(program.knows(name), "{name} may be the end of another");
        }
        for name in ["sha1", "es128-ctr", "AES-128-CTR", "128-ctr", "none", "x@y", "permittty", ""]
        {
            assert!(!program.knows(name), "{name}");
        }
        assert_eq!(program.like("o*").collect::<Vec<_>>(), ["of-two", "one-list"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(program in "(OpenSSH_|9\\.|[*,a-c\0-]|\u{e9}|webauthn-|sk-)*") {
            let read = SshdProgram::parse(program.as_bytes());
            prop_assert!(read.is_none_or(|read| read.like("*").all(|name| program.contains(name))));
        }
    }

    #[test]
    fn what_is_not_of_openssh_is_no_sshd() {
        for other in [&b""[..], b"#!/bin/sh\nexec sshd\n", b"dropbear\0OpenSSH_3.*\0aes128-ctr\0"] {
            assert_eq!(SshdProgram::parse(other), None);
        }
        for (string, release) in [
            (&b"OpenSSH_10.6"[..], Some((10, 6))),
            (b"OpenSSH_6.6.1", Some((6, 6))),
            (b"OpenSSH_7.4p1", Some((7, 4))),
            (b"OpenSSH_x.1", None),
            (b"OpenSSH_99999999999.1", None),
        ] {
            assert_eq!(release_in(string), release, "{}", string.escape_ascii());
        }
    }
}
