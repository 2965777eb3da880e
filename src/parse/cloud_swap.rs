//! The swap that a cloud-init configuration asks for: `swap:` and `mounts:` of cc_mounts.
//!
//! Pure. cloud-init's files are YAML; of that only what these two keys use is read: a key at the
//! start of a line, and the lines below it that are indented or items of a list. What is written
//! in another of YAML's forms is not seen.

/// A place in a configuration that asks for swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudSwap {
    /// The line, from 1.
    pub line: usize,
    /// The file that would be made, or the device that would be swapped to.
    pub what: Vec<u8>,
}

/// Every place in a configuration that asks for swap.
pub fn find(text: &[u8]) -> Vec<CloudSwap> {
    let mut found = Vec::new();
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    for (at, line) in lines.iter().enumerate() {
        if let Some(inline) = line.strip_prefix(b"swap:") {
            found.extend(swap(at + 1, inline, block(&lines[at + 1..])));
        } else if let Some(inline) = line.strip_prefix(b"mounts:") {
            let first = (at + 1, inline);
            let below = block(&lines[at + 1..]).iter().enumerate();
            found.extend(mounts(
                std::iter::once(first).chain(below.map(|(below, line)| (at + 2 + below, *line))),
            ));
        }
    }
    found
}

/// The lines that belong to the key above them.
fn block<'a, 'b>(lines: &'b [&'a [u8]]) -> &'b [&'a [u8]] {
    let belongs = |line: &&&[u8]| {
        let text = line.trim_ascii();
        text.is_empty()
            || matches!(line.first(), Some(b' ' | b'\t' | b'#'))
            || text == b"-"
            || line.starts_with(b"- ")
    };
    &lines[..lines.iter().take_while(belongs).count()]
}

/// cc_mounts makes a file where both `filename` and `size` are given, and the size is not 0.
fn swap(line: usize, inline: &[u8], below: &[&[u8]]) -> Option<CloudSwap> {
    let flow = inline.split(|b| matches!(b, b'{' | b',' | b'}'));
    let (mut filename, mut size) = (None, None);
    for part in flow.chain(below.iter().copied()) {
        let part = without_comment(part);
        let Some(colon) = part.iter().position(|b| *b == b':') else { continue };
        let value = unquoted(&part[colon + 1..]);
        match unquoted(&part[..colon]) {
            b"filename" => filename = Some(value),
            b"size" => size = Some(value),
            _ => {}
        }
    }
    let is_made = size.is_some_and(|size| !size.is_empty() && size != b"0");
    filename.filter(|_| is_made).map(|file| CloudSwap { line, what: file.to_vec() })
}

/// Items whose third field, the type, is swap: `[ /dev/vdb2, none, swap, sw ]`, or a list in a list.
fn mounts<'a>(lines: impl Iterator<Item = (usize, &'a [u8])>) -> Vec<CloudSwap> {
    let mut found = Vec::new();
    let mut item: (usize, Vec<&[u8]>) = (0, Vec::new());
    let mut close = |item: &(usize, Vec<&[u8]>)| {
        if item.1.get(2) == Some(&&b"swap"[..]) {
            found.push(CloudSwap { line: item.0, what: item.1[0].to_vec() });
        }
    };
    for (number, line) in lines {
        let line = without_comment(line).trim_ascii();
        let (is_new, rest) = match line.strip_prefix(b"- ") {
            Some(rest) if rest.trim_ascii().starts_with(b"-") => {
                (true, rest.trim_ascii()[1..].trim_ascii())
            }
            Some(rest) if rest.trim_ascii().starts_with(b"[") => (true, rest.trim_ascii()),
            Some(rest) => (false, rest.trim_ascii()),
            None if line.starts_with(b"[") => (true, line),
            None => continue,
        };
        // `mounts: [[a, b, swap]]`, and items that follow one another on a line.
        for (index, part) in rest.split(|b| *b == b'[').enumerate() {
            if is_new && (index > 0 || !rest.starts_with(b"[")) {
                close(&item);
                item = (number, Vec::new());
            }
            let fields = part.split(|b| matches!(b, b',' | b']'));
            item.1.extend(fields.map(unquoted).filter(|field| !field.is_empty()));
        }
    }
    close(&item);
    found
}

/// A comment begins at a `#` that stands alone or behind a blank.
fn without_comment(line: &[u8]) -> &[u8] {
    let begins =
        |at: &usize| line[*at] == b'#' && (*at == 0 || line[*at - 1].is_ascii_whitespace());
    (0..line.len()).find(begins).map_or(line, |at| &line[..at])
}

fn unquoted(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    for quote in [b'"', b'\''] {
        if let [first, inner @ .., last] = text
            && *first == quote
            && *last == quote
        {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let show = |swap: CloudSwap| (swap.line, String::from_utf8_lossy(&swap.what).into_owned());
        find(text.as_bytes()).into_iter().map(show).collect()
    }

    #[test]
    fn a_swap_file() {
        let text = "users: []\nswap:\n  filename: /swap.img # made at boot\n  size: auto\n";
        assert_eq!(found(text), [(2, "/swap.img".to_owned())]);
        assert_eq!(found("swap: {filename: \"/s\", size: 1G}\n"), [(1, "/s".to_owned())]);
    }

    #[test]
    fn no_swap_file() {
        for text in [
            "swap:\n  filename: /swap.img\n  size: 0\n",
            "swap:\n  filename: /swap.img\n",
            "#swap: {filename: /s, size: 1G}\n",
            " swap: {filename: /s, size: 1G}\n",
            "swap:\nother:\n  filename: /s\n  size: 1\n",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn mounts_of_swap() {
        let text =
            "mounts:\n - [ /dev/vdb1, /data, ext4 ]\n - [ \"/dev/vdb2\", none, swap, sw, 0, 0 ]\n";
        assert_eq!(found(text), [(3, "/dev/vdb2".to_owned())]);
        let text =
            "mounts:\n- - /dev/vdb1\n  - /data\n  - ext4\n- - swap1\n  - none\n  - swap\nx: 1\n";
        assert_eq!(found(text), [(5, "swap1".to_owned())]);
        assert_eq!(found("mounts: [[a, none, swap], [b, /b, xfs]]\n"), [(1, "a".to_owned())]);
        assert_eq!(
            found("mounts:\n - [ swap, /swap, ext4 ]\nmount_default_fields: [a, b, swap]\n"),
            []
        );
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "(swap:|mounts:|filename:|size:|[-\\[\\]{},: \n#\"'a0]){0,30}".prop_map(String::into_bytes)]) {
            let lines = text.split(|b| *b == b'\n').count();
            for swap in find(&text) {
                prop_assert!((1..=lines).contains(&swap.line));
            }
        }
    }
}
