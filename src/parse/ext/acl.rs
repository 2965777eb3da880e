//! Access control lists: ext4 stores them shorter than the kernel hands them out.

use crate::parse::field::{le16, le32};

/// Names of the two attributes.
pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

/// Versions of the format on the disk (EXT4_ACL_VERSION) and of the attribute (POSIX_ACL_XATTR_VERSION).
const STORED: u32 = 1;
const SHOWN: u32 = 2;
/// The tags of entries that name a user or a group; the others have no identifier on the disk.
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;
/// What stands in the attribute where the disk has no identifier.
const UNDEFINED: u32 = u32::MAX;

/// The value that getxattr(2) shows. None if the stored one makes no sense.
pub(super) fn as_xattr(stored: &[u8]) -> Option<Vec<u8>> {
    let (version, mut rest) = stored.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != STORED {
        return None;
    }
    let mut shown = SHOWN.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        shown.extend_from_slice(head);
        let mut id = UNDEFINED;
        if matches!(le16(head, 0), USER | GROUP) {
            let (field, behind) = rest.split_first_chunk::<4>()?;
            id = le32(field, 0);
            rest = behind;
        }
        shown.extend_from_slice(&id.to_le_bytes());
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_where_there_are_none() {
        let stored = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 232, 3, 0, 0];
        let shown = as_xattr(&stored).unwrap();
        assert_eq!(shown, [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 232, 3, 0, 0]);
        assert_eq!(as_xattr(&stored[..14]), None);
        assert_eq!(as_xattr(&[2, 0, 0, 0]), None);
        assert_eq!(as_xattr(&[]), None);
    }
}
