//! Files of kernel parameters: /etc/sysctl.conf, sysctl.d (sysctl.d(5)).
//!
//! Pure, and read alone: what guestprep wants set goes into a file of its own.

/// The value that a file gives a parameter, the last one that it does; `None` where it gives none.
///
/// `name` has dots; the file may have slashes in their place, a `-` before the name, and blanks around the `=`.
pub fn value<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let said = lines.filter(|line| !matches!(line.first(), None | Some(b'#' | b';')));
    said.rev().find_map(|line| {
        let equals = line.iter().position(|b| *b == b'=')?;
        let key = line[..equals].trim_ascii();
        let key = key.strip_prefix(b"-").unwrap_or(key).trim_ascii();
        is_named(key, name.as_bytes()).then(|| line[equals + 1..].trim_ascii())
    })
}

/// A name whose first separator is a slash has slashes for dots throughout.
fn is_named(key: &[u8], name: &[u8]) -> bool {
    let has_slashes = key.iter().find(|b| matches!(b, b'.' | b'/')) == Some(&b'/');
    key.len() == name.len()
        && key.iter().zip(name).all(|(a, b)| match (a, b) {
            (b'/', b'.') => has_slashes,
            (b'.', b'.') => !has_slashes,
            _ => a == b,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "net.ipv4.neigh.default.gc_thresh1";

    #[test]
    fn the_last_value_of_either_spelling() {
        let text = b"# x\nnet.ipv4.neigh.default.gc_thresh1 = 128\n-net/ipv4/neigh/default/gc_thresh1=4096 \n;net.ipv4.neigh.default.gc_thresh1=1\n";
        assert_eq!(value(text, NAME), Some(&b"4096"[..]));
        assert_eq!(value(b"net.ipv4/neigh.default.gc_thresh1=1\n", NAME), None);
        assert_eq!(value(b"net.ipv4.neigh.default.gc_thresh10=1\nx\n", NAME), None);
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            value(&text, NAME);
        }
    }
}
