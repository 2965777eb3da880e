//! What a secret must be beside looking like one: formats that carry a structure or a checksum.

use crate::parse::{base64, crc};

/// A test that a format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validator {
    /// A private key between its lines: base64 of a DER structure, of OpenSSH's or of PGP's own.
    Pem,
    /// Six last characters are the CRC-32 of those after the underscore, in base 62 (GitHub, npm).
    Crc62,
    /// A JSON web token: its header and its claims are JSON objects, the header names an algorithm.
    Jwt,
    /// Base64 of `user:password`, as registries are logged in to.
    BasicAuth,
    /// Base64 of a PEM private key.
    PemInBase64,
    /// A password and not the name of one, a template or a placeholder.
    Password,
    /// As a password, and of a kind that nobody writes in prose: with a digit or a sign in it.
    Chosen,
    /// As a password of which nobody has to ask: letters, digits, and both cases or a sign.
    Strong,
    /// Letters and digits, not the name of something: no path, version, address or UUID.
    MachineMade,
    /// Letters and digits, both: a key that a machine made.
    Mixed,
    /// Base64 of so many bytes as a storage account key has: 64.
    AzureKey,
    /// A PyPI token: base64 of a macaroon that begins with its location.
    Macaroon,
}

impl Validator {
    pub fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "pem" => Self::Pem,
            "crc62" => Self::Crc62,
            "jwt" => Self::Jwt,
            "basic-auth" => Self::BasicAuth,
            "pem-in-base64" => Self::PemInBase64,
            "password" => Self::Password,
            "chosen" => Self::Chosen,
            "strong" => Self::Strong,
            "machine-made" => Self::MachineMade,
            "mixed" => Self::Mixed,
            "azure-key" => Self::AzureKey,
            "macaroon" => Self::Macaroon,
            _ => return Err(format!("there is no validator {name}")),
        })
    }

    pub fn accepts(self, secret: &[u8]) -> bool {
        match self {
            Self::Pem => is_pem(secret),
            Self::Crc62 => has_crc62(secret),
            Self::Jwt => is_jwt(secret),
            Self::BasicAuth => base64::decode(secret).is_some_and(|text| {
                let colon = text.iter().position(|b| *b == b':');
                colon.is_some_and(|at| {
                    at > 0 && is_password(&text[at + 1..]) && text.iter().all(|b| *b >= 0x20)
                })
            }),
            Self::PemInBase64 => {
                base64::decode(secret).is_some_and(|text| contains(&text, b"PRIVATE KEY-----"))
            }
            Self::Password => is_password(secret),
            Self::Chosen => is_password(secret) && is_chosen(secret),
            Self::Strong => is_password(secret) && is_strong(secret),
            Self::MachineMade => is_password(secret) && is_machine_made(secret),
            Self::Mixed => {
                secret.iter().any(u8::is_ascii_digit) && secret.iter().any(u8::is_ascii_alphabetic)
            }
            Self::AzureKey => base64::decode(secret).is_some_and(|key| key.len() == 64),
            Self::Macaroon => {
                secret.strip_prefix(b"pypi-").and_then(base64::decode).is_some_and(|token| {
                    token.get(2..).is_some_and(|t| {
                        t.starts_with(b"\x08pypi.org") || t.starts_with(b"\x0dtest.pypi.org")
                    })
                })
            }
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// The body of a PEM private key (RFC 7468), with or without the headers of RFC 1421; its lines may
/// be broken by `\n` written out, as in JSON and environment files.
fn is_pem(body: &[u8]) -> bool {
    let mut text = Vec::with_capacity(body.len());
    let lines = body.split(|b| *b == b'\n').flat_map(|line| split_escaped(line));
    let mut is_encrypted = false;
    for line in lines {
        let line: Vec<u8> = line
            .iter()
            .copied()
            .filter(|b| !b.is_ascii_whitespace() && !b"\"'\\,+".contains(b) || *b == b'+')
            .collect();
        if contains(&line, b":") {
            is_encrypted |= line.starts_with(b"Proc-Type:");
            continue;
        }
        // The checksum of OpenPGP's armour (RFC 4880, 6.1).
        if line.starts_with(b"=") && line.len() == 5 {
            continue;
        }
        text.extend_from_slice(&line);
    }
    let Some(key) = base64::decode(&text) else { return false };
    if key.len() < 32 {
        return false;
    }
    // Whatever is encrypted inside has no structure to look at.
    is_encrypted
        || key.starts_with(b"openssh-key-v1\0")
        || is_der_sequence(&key)
        // An OpenPGP packet of a secret key: tag 5 in the old and in the new form.
        || matches!(key[0], 0x94..=0x97 | 0xc5)
    // The key of tinc and of others that only say PRIVATE KEY has no form of its own.
}

/// A line at each `\n` that is written out.
fn split_escaped(line: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(line, b"\\n") {
        parts.push(&line[from..at]);
        from = at + 2;
    }
    parts.push(&line[from..]);
    parts
}

/// A SEQUENCE whose length is that of the rest (X.690, 8.1.3).
fn is_der_sequence(key: &[u8]) -> bool {
    let (header, length) = match key {
        [0x30, length @ 0..=0x7f, ..] => (2, usize::from(*length)),
        [0x30, 0x81, length, ..] => (3, usize::from(*length)),
        [0x30, 0x82, high, low, ..] => (4, usize::from(*high) << 8 | usize::from(*low)),
        _ => return false,
    };
    // PEM may have a byte or two behind the key where its last line was padded.
    header + length <= key.len() && key.len() - (header + length) < 3
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// github.blog, "Behind GitHub's new authentication token formats": the last six characters are the
/// CRC-32 of those before them after the prefix, in base 62, padded with zeros.
fn has_crc62(token: &[u8]) -> bool {
    let Some(underscore) = token.iter().position(|b| *b == b'_') else { return false };
    let body = &token[underscore + 1..];
    if body.len() < 12 {
        return false;
    }
    let (random, sum) = body.split_at(body.len() - 6);
    let mut rest = crc::ieee(random);
    let mut wanted = [b'0'; 6];
    for digit in wanted.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    wanted == sum
}

fn is_jwt(token: &[u8]) -> bool {
    let mut parts = token.split(|b| *b == b'.');
    let mut object = || -> Option<serde_json::Value> {
        let text = base64::decode(parts.next()?)?;
        serde_json::from_slice(&text).ok().filter(serde_json::Value::is_object)
    };
    let Some(header) = object() else { return false };
    header.get("alg").is_some_and(serde_json::Value::is_string) && object().is_some()
}

/// Words that stand where a password would, and are none.
const PLACEHOLDERS: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"example",
    b"changeme",
    b"change_me",
    b"change-me",
    b"placeholder",
    b"your_",
    b"your-",
    b"yourp",
    b"mypass",
    b"my_pass",
    b"redacted",
    b"xxxx",
    b"****",
    b"....",
    b"todo",
    b"fixme",
    b"none",
    b"null",
    b"undefined",
    b"insert",
    b"dummy",
    b"sample",
    b"foobar",
    b"hunter2",
    b"pass-word",
    b"user_pw",
    b"supersecret",
    b"mysecret",
    b"false",
    b"true",
    b"wachtwoord",
    b"passwort",
    b"kennwort",
    b"motdepasse",
    b"contrase",
    b"senha",
];

/// Whether a word is a password that a person or a machine chose, and not a placeholder, the name of
/// a variable, or a part of a program.
fn is_password(word: &[u8]) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_template = |open: &[u8]| contains(word, open);
    if word.len() < 4
        || [&b"${"[..], b"$(", b"{{", b"<%", b"%(", b"#{", b"%{", b"@@"]
            .into_iter()
            .any(is_template)
        || word.starts_with(b"<") && word.ends_with(b">")
        || word.starts_with(b"[") && word.ends_with(b"]")
        || word.starts_with(b"{") && word.ends_with(b"}")
        || word.starts_with(b"%") && word.ends_with(b"%")
        || word.starts_with(b"$") && !is_hash(word)
        || word.iter().all(|b| *b == word[0])
    {
        return false;
    }
    if PLACEHOLDERS.iter().any(|placeholder| contains(&lower, placeholder)) {
        return false;
    }
    true
}

/// Letters with a digit or a sign, and not the name of a file, a variable or a place.
fn is_chosen(word: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| word.iter().any(is);
    let has_sign = has(|b| b.is_ascii_punctuation() && !b"_-./:\\".contains(b));
    has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || has_sign)
        && !word.starts_with(b"/")
        && !word.starts_with(b"./")
        && !contains(word, b"://")
        && !contains(word, b"::")
}

fn is_strong(word: &[u8]) -> bool {
    let kinds: [fn(&u8) -> bool; 3] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_punctuation];
    let count = kinds.iter().filter(|is| word.iter().any(is)).count();
    count >= 2 && word.iter().any(u8::is_ascii_digit) && is_chosen(word)
}

fn is_machine_made(word: &[u8]) -> bool {
    let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = word.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let is_uuid = word.len() == 36 && word.iter().filter(|b| **b == b'-').count() == 4;
    // Words with a number behind them, as names of variables and releases are.
    let is_named = word.iter().filter(|b| b"._-/".contains(b)).count() > 3;
    digits >= 3 && letters >= 3 && !is_uuid && !is_named && is_chosen(word)
}

/// A crypt(3) hash, which begins with a dollar sign as the name of a variable does.
fn is_hash(word: &[u8]) -> bool {
    word.iter().filter(|b| **b == b'$').count() >= 3
}
