//! SquashFS, from version 4 on.
//!
//! Layout: Documentation/filesystems/squashfs.rst of the kernel, little endian, at the start of the device.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::le16;
use crate::parse::window::{Unread, Window};

/// # Errors
/// [`Unread`] if the window lacks the superblock.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
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
