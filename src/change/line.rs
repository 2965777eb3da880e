//! What several checks want of one line, made one line.

use std::collections::BTreeMap;

use crate::model::{ByteString, CheckId, LineChange};
use crate::parse::fstab::{self, Content, Fstab};
use crate::parse::marker;
use crate::parse::options;

/// The changes to one line, each with the check that wants it.
pub type Wishes = Vec<(CheckId, LineChange)>;

/// Two checks want different things of one line.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict {
    pub checks: (CheckId, CheckId),
}

/// The line that fulfils all wishes.
///
/// A line that one check comments out needs no other change: what else was wanted of it is moot,
/// and the parked bytes stay those of the original. Lines that are to follow it still do.
pub fn fulfil(raw: &[u8], wishes: &Wishes) -> Result<Vec<u8>, Conflict> {
    if let Some((check, _)) = wishes.iter().find(|(_, change)| *change == LineChange::Park) {
        let mut line = marker::park(check.as_str(), raw);
        for (_, change) in wishes {
            if let LineChange::InsertAfter(new) = change {
                line.push(b'\n');
                line.extend_from_slice(new.as_bytes());
            }
        }
        return Ok(line);
    }
    let mut line = raw.to_vec();
    let mut source: Option<(&CheckId, &ByteString)> = None;
    let mut replaced: Option<(&CheckId, &ByteString)> = None;
    let mut after: Vec<&ByteString> = Vec::new();
    let mut wanted: BTreeMap<&str, ()> = BTreeMap::new();
    for (check, change) in wishes {
        match change {
            LineChange::SetSource(new) => match source {
                Some((other, set)) if set != new => {
                    return Err(Conflict { checks: (other.clone(), check.clone()) });
                }
                _ => source = Some((check, new)),
            },
            LineChange::AddOptions(names) => {
                wanted.extend(names.iter().map(|name| (name.as_str(), ())));
            }
            LineChange::Replace(new) => match replaced {
                Some((other, set)) if set != new => {
                    return Err(Conflict { checks: (other.clone(), check.clone()) });
                }
                _ => replaced = Some((check, new)),
            },
            LineChange::InsertAfter(new) => {
                if !after.contains(&new) {
                    after.push(new);
                }
            }
            LineChange::Park => {}
        }
    }
    if let Some((check, new)) = replaced {
        // A line that is replaced whole has no room for a change to a part of it.
        if let Some((other, _)) = wishes.iter().find(|(_, change)| {
            matches!(change, LineChange::SetSource(_) | LineChange::AddOptions(_))
        }) {
            return Err(Conflict { checks: (other.clone(), check.clone()) });
        }
        line = new.as_bytes().to_vec();
    }
    if let Some((_, new)) = source {
        line = with_entry(&line, |raw, entry| fstab::with_source(raw, entry, new.as_bytes()));
    }
    if !wanted.is_empty() {
        line = with_entry(&line, |raw, entry| {
            let mut text =
                entry.options.as_ref().map(|field| field.value.clone()).unwrap_or_default();
            for name in wanted.keys() {
                text = options::append(&text, name.as_bytes());
            }
            fstab::with_options(raw, entry, &text)
        });
    }
    for new in after {
        line.push(b'\n');
        line.extend_from_slice(new.as_bytes());
    }
    Ok(line)
}

fn with_entry(line: &[u8], edit: impl Fn(&[u8], &fstab::Entry) -> Vec<u8>) -> Vec<u8> {
    let parsed = Fstab::parse(line);
    match parsed.lines().first().map(|l| &l.content) {
        Some(Content::Entry(entry)) => edit(line, entry),
        _ => line.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(names: &[&str]) -> LineChange {
        LineChange::AddOptions(names.iter().map(|n| (*n).to_owned()).collect())
    }

    #[test]
    fn changes_of_two_checks_to_two_fields_compose() {
        let wishes = vec![
            (CheckId::from("fstab-unstable-name"), LineChange::SetSource("UUID=1".into())),
            (CheckId::from("network-mount"), options(&["nofail", "_netdev"])),
            (CheckId::from("fstab-data-disk"), options(&["nofail"])),
        ];
        let line = fulfil(b"/dev/vdb1\t/data  ext4\tdefaults 0 2", &wishes).unwrap();
        assert_eq!(line, b"UUID=1\t/data  ext4\tdefaults,_netdev,nofail 0 2");
    }

    #[test]
    fn parking_makes_every_other_wish_moot() {
        let wishes = vec![
            (CheckId::from("fstab-unstable-name"), LineChange::SetSource("UUID=1".into())),
            (CheckId::from("fstab-data-disk"), LineChange::Park),
        ];
        let raw = b"/dev/vdb1 /data ext4 \xff 0 2";
        let line = fulfil(raw, &wishes).unwrap();
        assert_eq!(marker::unpark(&line), Some(("fstab-data-disk", &raw[..])));
    }

    #[test]
    fn a_replaced_line_is_whole_and_others_may_follow_it() {
        let replace = |text: &str| LineChange::Replace(text.into());
        let wishes = vec![
            (CheckId::from("a"), replace("BOOTPROTO=dhcp")),
            (CheckId::from("b"), replace("BOOTPROTO=dhcp")),
            (CheckId::from("b"), LineChange::InsertAfter("PEERDNS=no".into())),
            (CheckId::from("c"), LineChange::InsertAfter("PEERDNS=no".into())),
        ];
        assert_eq!(fulfil(b"BOOTPROTO=none", &wishes).unwrap(), b"BOOTPROTO=dhcp\nPEERDNS=no");
        let conflict = |second: LineChange| {
            let wishes = vec![(CheckId::from("a"), replace("x")), (CheckId::from("b"), second)];
            fulfil(b"/dev/vdb1 /data ext4", &wishes).is_err()
        };
        assert!(conflict(replace("y")));
        assert!(conflict(options(&["nofail"])));
        assert!(!conflict(LineChange::Park));
    }

    #[test]
    fn two_sources_for_one_line_are_a_conflict() {
        let wishes = vec![
            (CheckId::from("a"), LineChange::SetSource("UUID=1".into())),
            (CheckId::from("b"), LineChange::SetSource("UUID=2".into())),
        ];
        let conflict = fulfil(b"/dev/vda1 / ext4", &wishes).unwrap_err();
        assert_eq!(conflict.checks, (CheckId::from("a"), CheckId::from("b")));
    }
}
