//! The mark of a line that guestprep commented out ("parked"), so that it finds it again.
//!
//! `#guestprep[<check-id>] ` stands before the unchanged line. Every line-oriented file of a guest that we park lines in
//! takes `#` at the start of a line for a comment.

const OPEN: &[u8] = b"#guestprep[";
const CLOSE: &[u8] = b"] ";

/// A line, commented out by the check `check_id`. `raw` is the line without its ending.
///
/// Parking a parked line nests; each [`unpark`] undoes one park. A check's id is lower-case ASCII letters, digits and
/// hyphens; with another id the mark is written but [`unpark`] does not know it.
pub fn park(check_id: &str, raw: &[u8]) -> Vec<u8> {
    [OPEN, check_id.as_bytes(), CLOSE, raw].concat()
}

/// The check's id and the line before it was parked, or `None` when the line is not parked.
pub fn unpark(line: &[u8]) -> Option<(&str, &[u8])> {
    let rest = line.strip_prefix(OPEN)?;
    let end = rest.iter().position(|&b| b == b']')?;
    let (id, rest) = rest.split_at(end);
    let id = std::str::from_utf8(id).ok().filter(|id| is_check_id(id))?;
    Some((id, rest.strip_prefix(CLOSE)?))
}

fn is_check_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_parked_line() {
        let parked = park("fstab-data-disk", b"/dev/vdb1 /data ext4");
        assert_eq!(parked, b"#guestprep[fstab-data-disk] /dev/vdb1 /data ext4");
        assert_eq!(unpark(&parked), Some(("fstab-data-disk", &b"/dev/vdb1 /data ext4"[..])));
    }

    #[test]
    fn lines_that_are_not_parked() {
        for line in [
            "#guestprep fstab /dev/vdb1",
            "# guestprep[a] x",
            " #guestprep[a] x",
            "#guestprep[] x",
            "#guestprep[a]x",
            "#guestprep[A b] x",
            "#guestprep[a",
            "",
        ] {
            assert_eq!(unpark(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn unpark_undoes_one_park(ids in prop::collection::vec("[a-z0-9-]{1,20}", 1..4), raw: Vec<u8>) {
            let mut levels = vec![raw];
            for id in &ids {
                levels.push(park(id, levels.last().unwrap()));
            }
            for (id, pair) in ids.iter().zip(levels.windows(2)).rev() {
                prop_assert_eq!(unpark(&pair[1]), Some((id.as_str(), pair[0].as_slice())));
            }
        }

        #[test]
        fn what_unparks_was_parked(line: Vec<u8>) {
            if let Some((id, raw)) = unpark(&line) {
                prop_assert_eq!(park(id, raw), line);
            }
        }
    }
}
