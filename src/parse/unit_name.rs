//! Names of systemd units that stand for paths (systemd.unit(5), "String escaping for inclusion in unit names").
//!
//! systemd finds the mount, swap and device unit of a path by this name alone, so that it has to be exact.

use super::source::simplify;
use std::fmt::Write as _;

/// The longest unit name, its suffix included, in bytes (`UNIT_NAME_MAX` without the NUL).
pub const MAX_LENGTH: usize = 255;

/// The path as it stands in a unit's name, without suffix, as `systemd-escape --path` prints it.
///
/// `/` is `-`. `None` for what systemd refuses: a `..`, a NUL, a component longer than 255 bytes, a path of 4096 bytes or
/// more, a relative path that is `.` alone.
pub fn escape_path(path: &[u8]) -> Option<String> {
    let simple = simplify(path);
    if path.contains(&0) || path.len() >= 4096 {
        return None;
    }
    if simple.split(|&b| b == b'/').any(|part| part == b".." || part.len() > 255) {
        return None;
    }
    let inner = simple.strip_prefix(b"/").unwrap_or(&simple);
    if inner.is_empty() {
        let is_root = path.is_empty() || path.starts_with(b"/");
        return is_root.then(|| "-".to_owned());
    }
    let mut name = String::with_capacity(inner.len());
    for (index, &byte) in inner.iter().enumerate() {
        match byte {
            b'/' => name.push('-'),
            // A leading dot would make a hidden file of the unit.
            b'.' if index > 0 => name.push('.'),
            b':' | b'_' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(name, "\\x{byte:02x}");
            }
        }
    }
    Some(name)
}

/// The path that a unit's name, without suffix, stands for, as `systemd-escape --unescape --path` prints it.
///
/// `None` when no path has that name: a broken escape, an empty component, `.` or `..`, a NUL.
pub fn unescape_path(name: &[u8]) -> Option<Vec<u8>> {
    if name == b"-" {
        return Some(b"/".to_vec());
    }
    let mut path = vec![b'/'];
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'-' => path.push(b'/'),
            b'\\' => {
                let &[b'x', high, low, ..] = tail else {
                    return None;
                };
                let digit = |byte: u8| char::from(byte).to_digit(16);
                path.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
                rest = &tail[3..];
            }
            _ => path.push(first),
        }
    }
    let broken = path.contains(&0)
        || path[1..].split(|&b| b == b'/').any(|part| matches!(part, b"" | b"." | b".."));
    (!broken).then_some(path)
}

/// The name of the unit of a path, such as `mnt-data.mount`. `suffix` is without its dot.
///
/// `None` for a path that [`escape_path`] refuses, and for a name that would be longer than [`MAX_LENGTH`]: newer releases
/// of systemd then use a hash, older ones have no unit.
pub fn for_path(path: &[u8], suffix: &str) -> Option<String> {
    let name = format!("{}.{suffix}", escape_path(path)?);
    (name.len() <= MAX_LENGTH).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (path, want) in [
            ("/", Some("-.mount")),
            ("", Some("-.mount")),
            ("/mnt/data", Some("mnt-data.mount")),
            ("/a-b/.c", Some("a\\x2db-.c.mount")),
            ("/.a", Some("\\x2ea.mount")),
            ("/a//b/./c/", Some("a-b-c.mount")),
            ("/ä b@c:d_e\\x", Some("\\xc3\\xa4\\x20b\\x40c:d_e\\x5cx.mount")),
            ("/a/../b", None),
            (".", None),
            ("a\0", None),
        ] {
            assert_eq!(for_path(path.as_bytes(), "mount").as_deref(), want, "{path:?}");
        }
        assert_eq!(
            for_path(&[b"/".as_slice(), &[b'a'; 249]].concat(), "mount").unwrap().len(),
            255
        );
        assert_eq!(for_path(&[b"/".as_slice(), &[b'a'; 250]].concat(), "mount"), None);
        assert_eq!(escape_path(&[b'a'; 256]), None);
    }

    #[test]
    fn names_of_no_path() {
        for name in ["-.mount-", "a--b", "-a", "a-", "\\x2e", "..", "a\\x2", "\\y", "a\\x00b", ""] {
            assert_eq!(unescape_path(name.as_bytes()), None, "{name}");
        }
        assert_eq!(unescape_path(b"-"), Some(b"/".to_vec()));
        assert_eq!(unescape_path(b"a\\x2Db"), Some(b"/a-b".to_vec()));
    }

    proptest! {
        #[test]
        fn a_path_comes_back(path in any::<Vec<u8>>()) {
            unescape_path(&path);
            let path = [b"/", path.as_slice()].concat();
            if let Some(name) = escape_path(&path) {
                prop_assert_eq!(unescape_path(name.as_bytes()), Some(simplify(&path)));
            }
        }
    }
}
