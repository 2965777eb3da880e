//! Read-only formats of which nothing but the name is needed: ISO 9660 (a configuration drive, an installer) and SquashFS.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::{label, le16};
use crate::parse::window::{Unread, Window};

const ISO_DESCRIPTORS: u64 = 32 << 10;
const ISO_SECTOR: u64 = 2048;

/// ISO 9660: the primary volume descriptor (ECMA-119, 8.4), which is the first of the list in all images that are made.
///
/// # Errors
/// [`Unread`] if the window lacks it.
pub(super) fn iso9660(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(descriptor) = window.array::<{ ISO_SECTOR as usize }>(ISO_DESCRIPTORS)? else {
        return Ok(None);
    };
    if &descriptor[1..6] != b"CD001" {
        return Ok(None);
    }
    let primary = descriptor[0] == 1;
    // The time of the last change; of creation, where that is not set.
    let time = [&descriptor[830..846], &descriptor[813..829]]
        .into_iter()
        .find_map(digits);
    Ok(Some(Superblock {
        kind: Kind::Iso9660,
        uuid: if primary { time } else { None },
        uuid_sub: None,
        label: if primary {
            label(&descriptor[40..72])
        } else {
            None
        },
        version: None,
        block_size: Some(ISO_SECTOR as u32),
        checksum: Checksum::Absent,
        detail: Detail::None,
    }))
}

/// `YYYYMMDDhhmmsscc` with hyphens; None if it is not set.
fn digits(time: &[u8]) -> Option<String> {
    if !time.iter().all(u8::is_ascii_digit) || time.iter().all(|digit| *digit == b'0') {
        return None;
    }
    let text = |range: std::ops::Range<usize>| {
        time[range]
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    };
    let mut parts = vec![text(0..4)];
    parts.extend((4..16).step_by(2).map(|at| text(at..at + 2)));
    Some(parts.join("-"))
}

/// SquashFS, from version 4 on (Documentation/filesystems/squashfs.rst in the kernel), little endian.
///
/// # Errors
/// [`Unread`] if the window lacks the superblock.
pub(super) fn squashfs(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(sb) = window.array::<96>(0)? else {
        return Ok(None);
    };
    let (major, minor) = (le16(sb, 28), le16(sb, 30));
    if !sb.starts_with(b"hsqs") || major < 4 {
        return Ok(None);
    }
    Ok(Some(Superblock {
        kind: Kind::Squashfs,
        uuid: None,
        uuid_sub: None,
        label: None,
        version: Some(format!("{major}.{minor}")),
        block_size: None,
        checksum: Checksum::Absent,
        detail: Detail::None,
    }))
}
