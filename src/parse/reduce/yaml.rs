//! Secrets of YAML that stand below their key: block scalars, lists, mappings.
//!
//! Works on lines and indentation, so that a text that is no valid YAML loses its secrets too.

use super::assignments::is_secret;
use super::{MARK, Reduced, lines, name_of, without_end};

/// Keys of cloud-init whose values are whole files, or lists of what must not be shown.
const WHOLE: [&[u8]; 4] = [b"content", b"ssh_keys", b"ssh_authorized_keys", b"data"];

pub(super) fn is_yaml(path: &[u8]) -> bool {
    let name = name_of(path);
    let directories: [&[u8]; 4] =
        [b"/var/lib/cloud/", b"/run/cloud-init/", b"/etc/cloud/", b"/etc/netplan/"];
    [&b".yaml"[..], b".yml", b".cfg", b".json"].iter().any(|end| name.ends_with(end))
        && name != b"grub.cfg"
        || directories.iter().any(|directory| path.starts_with(directory))
}

pub(super) fn reduce(text: &[u8]) -> Reduced {
    let mut reduced = Reduced { content: Vec::with_capacity(text.len()), count: 0 };
    // What the lines that are indented deeper than this are.
    let mut below: Option<(usize, Below)> = None;
    for line in lines(text) {
        let (body, end) = without_end(line);
        let indent = body.iter().take_while(|b| **b == b' ').count();
        let rest = &body[indent..];
        // A list may stand as deep as its key (YAML 1.2, 8.2.1).
        let is_item = rest.starts_with(b"- ") || rest == b"-";
        let is_below = |depth: usize| indent > depth || (indent == depth && is_item);
        if below.as_ref().is_some_and(|(depth, _)| !rest.is_empty() && !is_below(*depth)) {
            below = None;
        }
        let kept = match &below {
            Some((_, Below::Secret)) if !rest.is_empty() => {
                let dash: &[u8] = if is_item { b"- " } else { b"" };
                [&body[..indent], dash, MARK].concat()
            }
            Some((_, Below::Passwords)) => of_user(body),
            _ => body.to_vec(),
        };
        reduced.count += usize::from(kept != body);
        reduced.content.extend_from_slice(&kept);
        reduced.content.extend_from_slice(end);
        if let Some(key) = key(rest)
            && !matches!(below, Some((_, Below::Secret)))
        {
            if is_secret(key.name) || WHOLE.contains(&key.name) {
                below = key.is_open.then_some((indent + key.offset, Below::Secret));
            } else if key.name == b"chpasswd" {
                below = Some((indent + key.offset, Below::Passwords));
            }
        }
    }
    reduced
}

/// What stands below a key.
#[derive(Clone, Copy)]
enum Below {
    /// Nothing that may be shown.
    Secret,
    /// Lines of `user:password`.
    Passwords,
}

struct Key<'a> {
    name: &'a [u8],
    /// How far it stands behind the indentation: behind the dashes of lists.
    offset: usize,
    /// Whether its value follows on the next lines.
    is_open: bool,
}

fn key(line: &[u8]) -> Option<Key<'_>> {
    let offset = line.iter().take_while(|b| matches!(b, b'-' | b' ')).count();
    let rest = &line[offset..];
    let colon = rest.iter().position(|b| *b == b':')?;
    let name = rest[..colon].trim_ascii();
    let name = name.strip_prefix(b"\"").and_then(|n| n.strip_suffix(b"\"")).unwrap_or(name);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let value = rest[colon + 1..].trim_ascii();
    let is_open =
        value.is_empty() || matches!(value[0], b'|' | b'>' | b'#' | b'&' | b'!' | b'[' | b'{');
    (!name.is_empty() && name.iter().all(is_name)).then_some(Key { name, offset, is_open })
}

/// A line of chpasswd(8), as an item of a list too, without its password.
fn of_user(line: &[u8]) -> Vec<u8> {
    let start = line.iter().take_while(|b| matches!(b, b' ' | b'-' | b'"' | b'\'')).count();
    let rest = &line[start..];
    match rest.iter().position(|b| *b == b':') {
        // A mapping has a space behind its colon, and such a line has none.
        Some(at) if rest.get(at + 1).is_some_and(|b| !b.is_ascii_whitespace()) => {
            let quote = line.last().filter(|b| matches!(b, b'"' | b'\''));
            let mut kept = [&line[..=start + at], MARK].concat();
            kept.extend(quote);
            kept
        }
        _ => line.to_vec(),
    }
}
