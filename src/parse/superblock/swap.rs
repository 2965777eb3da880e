//! Swap space, also with a hibernated system in it.
//!
//! Layout: union swap_header of linux/swap.h: a magic in the last ten bytes of the first page, fields at 1024. The page
//! is that of the machine that made it, 4 to 64 KiB. Hibernation puts another magic in the place of the first and
//! leaves the fields.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::{array16, label, le32, uuid};
use crate::parse::window::{Unread, Window};

/// The magics, what blkid(8) calls their VERSION, and whether they mean a hibernated system.
const MAGICS: [(&[u8], &str, bool); 6] = [
    (b"SWAPSPACE2", "1", false),
    (b"SWAP-SPACE", "0", false),
    (b"S1SUSPEND", "s1suspend", true),
    (b"S2SUSPEND", "s2suspend", true),
    (b"ULSUSPEND", "ulsuspend", true),
    (b"LINHIB0001", "linhib0001", true),
];

/// TuxOnIce puts its magic at the start of the device and leaves the other in its place.
const TUXONICE: [u8; 8] = [0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c];

/// libblkid does not look for swap on less than ten pages, and the kernel would not take it.
const MIN_SIZE: u64 = 10 * 4096;

/// The fields of a swap header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// Size of a page in bytes on the machine that made it, which must be that of the machine that uses it.
    pub page_size: u32,
    /// Pages, the header's among them; None for version 0, which has no such field.
    pub pages: Option<u64>,
    /// Written with the other byte order: this machine cannot use it.
    pub big_endian: bool,
}

/// # Errors
/// [`Unread`] if the window lacks the first pages.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    if window.size() < MIN_SIZE {
        return Ok(None);
    }
    let Some(header) = window.array::<512>(1024)? else {
        return Ok(None);
    };
    let tuxonice = window.array::<8>(0)? == Some(&TUXONICE);
    let Some((page_size, magic)) = magic(window)? else {
        return Ok(None);
    };
    let (version, hibernated) = if tuxonice { ("tuxonice", true) } else { (magic.1, magic.2) };

    // Version 0 is a bitmap of good pages and has no fields. A header of version 1 without its number or without
    // pages is not one.
    let has_fields = magic.1 != "0";
    let big_endian = le32(header, 0).swap_bytes() == 1;
    let last_page = if big_endian { le32(header, 4).swap_bytes() } else { le32(header, 4) };
    if magic.1 == "1" && !tuxonice && ((le32(header, 0) != 1 && !big_endian) || last_page == 0) {
        return Ok(None);
    }
    // libblkid's test that the label and the identifier are no garbage: two words of the padding are zero.
    let named = has_fields && header[0xac..0xb4] == [0; 8];
    Ok(Some(Superblock {
        kind: if hibernated { Kind::Swsuspend } else { Kind::Swap },
        uuid: if named { uuid(array16(header, 12)) } else { None },
        uuid_sub: None,
        label: if named { label(&header[28..44]) } else { None },
        version: Some(version.to_owned()),
        block_size: None,
        checksum: Checksum::Absent,
        detail: Detail::Swap(Swap {
            page_size,
            pages: has_fields.then(|| u64::from(last_page) + 1),
            big_endian,
        }),
    }))
}

type Magic = (&'static [u8], &'static str, bool);

fn magic(window: &Window) -> Result<Option<(u32, Magic)>, Unread> {
    for page_size in [4096u32, 8192, 16384, 32768, 65536] {
        let Some(end) = window.array::<10>(u64::from(page_size) - 10)? else {
            continue;
        };
        if let Some(magic) = MAGICS.iter().find(|(text, ..)| end.starts_with(text)) {
            return Ok(Some((page_size, *magic)));
        }
    }
    Ok(None)
}
