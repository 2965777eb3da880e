//! LUKS, versions 1 and 2.
//!
//! Layout: the LUKS1 and LUKS2 on-disk format specifications (cryptsetup), big endian. LUKS2 has two headers; the second
//! is looked at where the first is lost, at those of its possible places that lie in the start of the device.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::{be16, be32, be64, c_string, label, text};
use crate::parse::window::{Unread, Window};
use sha2::{Digest, Sha256};

/// Length of the binary part of a LUKS2 header. That of LUKS1 is shorter.
const LENGTH: usize = 4096;
const SECONDARY: [u64; 3] = [0x4000, 0x8000, 0x10000];
const CHECKSUM: std::ops::Range<usize> = 0x1c0..0x200;
/// A longer header is not read for its checksum. 16 KiB is what cryptsetup makes, 4 MiB the most.
const MAX_CHECKED: u64 = 0x10000;

/// The fields of a LUKS header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Luks {
    /// 1 or 2; others are of the future.
    pub version: u16,
    /// The first header is lost, and this is the second.
    pub secondary: bool,
    /// LUKS1: where the data begin, in bytes. LUKS2 has that in its JSON.
    pub payload_offset: Option<u64>,
    /// LUKS1: the cipher and its mode, as `aes`, `xts-plain64`. LUKS2 has them in its JSON.
    pub cipher: Option<(String, String)>,
    /// LUKS2: the label of the owning subsystem (SUBSYSTEM of blkid).
    pub subsystem: Option<Vec<u8>>,
}

/// # Errors
/// [`Unread`] if the window lacks a header.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    if let Some(found) = header(window, 0, b"LUKS\xba\xbe")? {
        return Ok(Some(found));
    }
    for offset in SECONDARY {
        if let Some(found) = header(window, offset, b"SKUL\xba\xbe")? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn header(window: &Window, offset: u64, magic: &[u8; 6]) -> Result<Option<Superblock>, Unread> {
    let Some(header) = window.array::<592>(offset)?.filter(|header| header.starts_with(magic))
    else {
        return Ok(None);
    };
    let version = be16(header, 6);
    // A copy of a header, say in an image file that this device carries, names another place.
    if version == 2 && be64(header, 0x100) != offset {
        return Ok(None);
    }
    let of_v1 = version == 1;
    let of_v2 = version == 2;
    Ok(Some(Superblock {
        kind: Kind::Luks,
        uuid: if of_v1 || of_v2 { text(&header[0xa8..0xd0]) } else { None },
        uuid_sub: None,
        label: if of_v2 { label(&header[0x18..0x48]) } else { None },
        version: Some(version.to_string()),
        block_size: None,
        checksum: if of_v2 { checksum(window, offset)? } else { Checksum::Absent },
        detail: Detail::Luks(Luks {
            version,
            secondary: offset != 0,
            payload_offset: of_v1.then(|| u64::from(be32(header, 0x68)) * 512),
            cipher: if of_v1 {
                text(&header[0x08..0x28]).zip(text(&header[0x28..0x48]))
            } else {
                None
            },
            subsystem: if of_v2 { label(&header[0xd0..0x100]) } else { None },
        }),
    }))
}

/// The checksum covers the binary part, with itself taken as zeros, and the JSON.
fn checksum(window: &Window, offset: u64) -> Result<Checksum, Unread> {
    let Some(binary) = window.array::<LENGTH>(offset)? else {
        return Ok(Checksum::Bad);
    };
    let length = be64(binary, 0x08);
    if c_string(&binary[0x48..0x68]) != b"sha256" || length > MAX_CHECKED {
        return Ok(Checksum::NotChecked);
    }
    let Some(json) = length.checked_sub(LENGTH as u64) else {
        return Ok(Checksum::Bad);
    };
    let Some(json) = window.get(offset + LENGTH as u64, json)? else {
        return Ok(Checksum::Bad);
    };
    let mut digest = Sha256::new();
    digest.update(&binary[..CHECKSUM.start]);
    digest.update([0; 64]);
    digest.update(&binary[CHECKSUM.end..]);
    digest.update(json);
    let digest = digest.finalize();
    Ok(Checksum::of(binary[CHECKSUM].starts_with(&digest[..])))
}
