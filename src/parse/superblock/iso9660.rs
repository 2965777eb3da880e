//! ISO 9660: a configuration drive, an installer.
//!
//! Layout: ECMA-119, 8: a list of descriptors of 2048 bytes each, from 32 KiB on. The primary one comes first in every
//! image that is made; a Joliet one, whose names are in UCS-2, may follow.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::label;
use crate::parse::window::{Unread, Window};

const SECTOR: usize = 2048;
const FIRST: u64 = 32 << 10;
/// Descriptors that are looked at: those in the start of the device, which is far more than there are.
const DESCRIPTORS: u64 = 16;
const LABEL: std::ops::Range<usize> = 40..72;

/// # Errors
/// [`Unread`] if the window lacks a descriptor.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(primary) = window.array::<SECTOR>(FIRST)? else {
        return Ok(None);
    };
    if !is_descriptor(primary) || primary[0] != 1 {
        return Ok(None);
    }
    let joliet = joliet_label(window)?;
    // The time of the last change; of creation, where that is not set.
    let uuid = [&primary[830..846], &primary[813..829]].into_iter().find_map(time);
    Ok(Some(Superblock {
        kind: Kind::Iso9660,
        uuid,
        uuid_sub: None,
        label: match &joliet {
            Some(joliet) => label(combined(&primary[LABEL], joliet).as_bytes()),
            _ => label(&primary[LABEL]),
        },
        version: joliet.map(|_| "Joliet Extension".to_owned()),
        block_size: Some(SECTOR as u32),
        checksum: Checksum::Absent,
        detail: Detail::None,
    }))
}

fn is_descriptor(descriptor: &[u8; SECTOR]) -> bool {
    &descriptor[1..6] == b"CD001"
}

/// The volume's name in the Joliet descriptor, if there is one, with the blanks that fill it up to sixteen characters:
/// they count when it is compared.
fn joliet_label(window: &Window) -> Result<Option<String>, Unread> {
    for number in 1..DESCRIPTORS {
        let Some(descriptor) = window.array::<SECTOR>(FIRST + number * SECTOR as u64)? else {
            break;
        };
        // 255 ends the list.
        if !is_descriptor(descriptor) || descriptor[0] == 255 {
            break;
        }
        let levels: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];
        if descriptor[0] == 2 && levels.contains(&&descriptor[88..91]) {
            let (units, _) = descriptor[LABEL].as_chunks::<2>();
            let units: Vec<_> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            return Ok(Some(String::from_utf16_lossy(&units)));
        }
    }
    Ok(None)
}

/// The label as libblkid puts it together: Joliet holds half as many characters, the primary descriptor often capitals
/// and `_` only. Where they agree otherwise, the name is Joliet's beginning and the primary's end; else it is Joliet's.
fn combined(primary: &[u8], joliet: &str) -> String {
    let mut letters = primary.iter().map(|byte| char::from(*byte));
    let mut text = String::new();
    for wide in joliet.chars() {
        match letters.next() {
            Some('_') => text.push(wide),
            Some(narrow) if wide == '_' => text.push(narrow),
            Some(narrow) if narrow.eq_ignore_ascii_case(&wide) => {
                text.push(if narrow.is_ascii_uppercase() { wide } else { narrow });
            }
            _ => return joliet.to_owned(),
        }
    }
    text.extend(letters);
    text
}

/// `YYYYMMDDhhmmsscc` with hyphens; None if it is not set.
fn time(digits: &[u8]) -> Option<String> {
    if !digits.iter().all(u8::is_ascii_digit) || digits.iter().all(|digit| *digit == b'0') {
        return None;
    }
    let mut text = String::with_capacity(22);
    for (index, digit) in digits.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10 | 12 | 14) {
            text.push('-');
        }
        text.push(char::from(*digit));
    }
    Some(text)
}
