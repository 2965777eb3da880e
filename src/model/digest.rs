//! SHA-256, in the forms that plans, journals and reports carry it.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `sha256:` and the digest of a value's JSON, whose keys stand in the order of the type.
pub fn digest_of(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    format!("sha256:{}", sha256_hex(&json))
}
