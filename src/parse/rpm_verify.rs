//! What `rpm --verify` prints (rpm(8), VERIFY OPTIONS).

/// How a file differs from what its package installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The file.
    pub path: Vec<u8>,
    /// It is not there.
    pub is_missing: bool,
    /// Its content differs (`5`), or where a link points (`L`), or what kind of thing it is.
    pub is_changed: bool,
}

/// Reads the output; lines that are no result (a failed dependency, a script's complaint) are passed over.
///
/// A line is nine flags (eight before rpm 4.7), each a letter, `.` or `?`, or the word `missing`; then a letter for the
/// kind of file where it is not a plain one; then the path, and in parentheses why it could not be read.
pub fn parse(text: &[u8]) -> Vec<Difference> {
    text.split(|b| *b == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Difference> {
    let slash = line.windows(2).position(|pair| pair == b" /")? + 1;
    let mut path = &line[slash..];
    let mut words = line[..slash].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let flags = words.next()?;
    let kind = words.next();
    if words.next().is_some() || kind.is_some_and(|kind| kind.len() != 1) {
        return None;
    }
    let is_missing = flags == b"missing";
    let is_flag = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'5' | b'.' | b'?');
    let are_flags = (8..=9).contains(&flags.len()) && flags.iter().all(is_flag);
    if !is_missing && !are_flags {
        return None;
    }
    if path.ends_with(b")")
        && let Some(open) = path.windows(2).rposition(|pair| pair == b" (")
    {
        path = &path[..open];
    }
    let is_changed = !is_missing && flags.iter().any(|b| matches!(b, b'5' | b'L'));
    Some(Difference { path: path.to_vec(), is_missing, is_changed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_old_and_new_releases() {
        for (text, path, is_missing, is_changed) in [
            ("S.5....T.  c /etc/issue", "/etc/issue", false, true),
            ("S.5....T  c /etc/issue", "/etc/issue", false, true),
            (".......T.    /etc/issue.net", "/etc/issue.net", false, false),
            ("....L....    /etc/redhat-release", "/etc/redhat-release", false, true),
            ("missing   c /etc/issue", "/etc/issue", true, false),
            ("missing     /etc/x y (Permission denied)", "/etc/x y", true, false),
            ("..?......    /etc/shadow", "/etc/shadow", false, false),
        ] {
            let want = Difference { path: path.into(), is_missing, is_changed };
            assert_eq!(parse(text.as_bytes()), [want], "{text}");
        }
        for text in [
            "",
            "Unsatisfied dependencies for a: b /c",
            "file /etc/x is not owned by any package",
            "S.5....T.  c etc",
        ] {
            assert_eq!(parse(text.as_bytes()), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            parse(&text);
        }

        #[test]
        fn any_line(flags in "[SM5DLUGTPmissng.? ]{0,10}", rest in "[c /a()]{0,12}") {
            parse(format!("{flags} {rest}").as_bytes());
        }
    }
}
