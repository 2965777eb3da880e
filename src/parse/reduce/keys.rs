//! Private keys in PEM (RFC 7468) and its kin, and OpenSSH's public keys of one line.

use super::{MARK, Reduced, lines, without_end};

/// What begins the key material of an OpenSSH public key: a length of 7 to 34, in base64.
const BLOB: &[u8] = b"AAAA";

pub(super) fn reduce(text: &[u8]) -> Reduced {
    let mut reduced = Reduced { content: Vec::with_capacity(text.len()), count: 0 };
    let mut is_inside = false;
    for line in lines(text) {
        let (body, end) = without_end(line);
        if is_inside {
            // What stands behind the key on the line of its end stays out as well.
            if let Some(at) = find(body, b"-----END ") {
                is_inside = false;
                let is_indent = body[..at].iter().all(u8::is_ascii_whitespace);
                reduced.content.extend_from_slice(&body[if is_indent { 0 } else { at }..]);
                reduced.content.extend_from_slice(end);
            }
            continue;
        }
        match begin(body) {
            // The whole key on one line, as JSON and YAML strings have it.
            Some(after) if find(&body[after..], b"-----END ").is_some() => {
                let close = find(&body[after..], b"-----END ").unwrap_or_default();
                reduced.count += usize::from(&body[after..after + close] != MARK);
                reduced.content.extend_from_slice(&body[..after]);
                reduced.content.extend_from_slice(MARK);
                reduced.content.extend_from_slice(&body[after + close..]);
                reduced.content.extend_from_slice(end);
            }
            Some(after) => {
                is_inside = true;
                reduced.count += 1;
                let indent = body.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                reduced.content.extend_from_slice(&body[..after]);
                reduced.content.push(b'\n');
                reduced.content.extend_from_slice(&body[..indent]);
                reduced.content.extend_from_slice(MARK);
                reduced.content.push(b'\n');
            }
            None => {
                let (line, count) = public_keys(body);
                reduced.count += count;
                reduced.content.extend_from_slice(&line);
                reduced.content.extend_from_slice(end);
            }
        }
    }
    reduced
}

/// Where the `-----BEGIN ... PRIVATE KEY-----` of a line ends.
fn begin(line: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = find(&line[from..], b"-----BEGIN ") {
        let label = from + at + b"-----BEGIN ".len();
        let length = find(&line[label..], b"-----")?;
        from = label + length + b"-----".len();
        if find(&line[label..label + length], b"PRIVATE KEY").is_some() {
            return Some(from);
        }
    }
    None
}

/// A line with the material of its public keys taken out; their types and comments stay.
fn public_keys(line: &[u8]) -> (Vec<u8>, usize) {
    let (mut left, mut from, mut count) = (Vec::with_capacity(line.len()), 0, 0);
    while let Some(at) = find(&line[from..], BLOB) {
        let start = from + at;
        let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        let length = line[start..].iter().take_while(|b| is_base64(b)).count();
        let is_word = start == 0 || !is_base64(&line[start - 1]);
        left.extend_from_slice(&line[from..start]);
        // Shorter words are none: an Ed25519 key has 68 characters.
        if is_word && length >= 40 {
            left.extend_from_slice(MARK);
            count += 1;
        } else {
            left.extend_from_slice(&line[start..start + length]);
        }
        from = start + length;
    }
    left.extend_from_slice(&line[from..]);
    (left, count)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
