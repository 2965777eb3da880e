//! Physical volumes of LVM2.
//!
//! Layout: label_header and pv_header of lib/format_text/layout.h (lvm2), little endian: a label in one of the first four
//! sectors of 512 bytes, with the volume's header in the same sector. What the volume group is stands in the text of the
//! metadata areas: [`crate::parse::lvm_metadata`].

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::crc;
use crate::parse::field::{le32, le64};
use crate::parse::window::{Unread, Window};
use std::ops::Range;

const SECTOR: u64 = 512;
/// What LVM starts its checksums from; it does not invert them.
pub(crate) const CRC_SEED: u32 = 0xf597_a6cf;

/// The header of a physical volume. All ranges are in bytes of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// Size of the device when the volume was made or resized.
    pub device_size: u64,
    /// Where data extents lie; an end of [`u64::MAX`] is "to the end of the device". More than one is of old formats.
    pub data_areas: Vec<Range<u64>>,
    /// Where metadata lie: none, one or two.
    pub metadata_areas: Vec<Range<u64>>,
}

/// # Errors
/// [`Unread`] if the window lacks the first four sectors.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    for sector in 0..4 {
        let Some(bytes) = window.array::<{ SECTOR as usize }>(sector * SECTOR)? else {
            return Ok(None);
        };
        let is_label = bytes.starts_with(b"LABELONE")
            && &bytes[24..32] == b"LVM2 001"
            && le64(bytes, 8) == sector;
        // Like LVM and libblkid: a label whose checksum is wrong is none. A stale copy is common, on a device that
        // was a physical volume once.
        if is_label && crc::ieee_raw(CRC_SEED, &bytes[20..]) == le32(bytes, 16) {
            return Ok(header(bytes));
        }
    }
    Ok(None)
}

fn header(sector: &[u8; SECTOR as usize]) -> Option<Superblock> {
    let at = usize::try_from(le32(sector, 20)).ok()?;
    let fixed = sector.get(at..)?.first_chunk::<40>()?;
    let id = fixed[..32].iter().map(|byte| char::from(*byte)).collect::<String>();
    let mut areas = sector[at + 40..].as_chunks::<16>().0.iter();
    // Each list of offset and size ends with a pair of zeros, or here, with the sector.
    let mut list = || -> Vec<Range<u64>> {
        areas
            .by_ref()
            .map(|area| (le64(area, 0), le64(area, 8)))
            .take_while(|(offset, _)| *offset != 0)
            .map(|(offset, size)| {
                offset..if size == 0 { u64::MAX } else { offset.saturating_add(size) }
            })
            .collect()
    };
    let data_areas = list();
    let metadata_areas = list();
    Some(Superblock {
        kind: Kind::Lvm2,
        uuid: id.is_ascii().then(|| grouped(&id)),
        uuid_sub: None,
        label: None,
        version: Some("LVM2 001".to_owned()),
        block_size: None,
        checksum: Checksum::Good,
        detail: Detail::Lvm(PhysicalVolume {
            device_size: le64(fixed, 32),
            data_areas,
            metadata_areas,
        }),
    })
}

/// An identifier of 32 characters as LVM prints it, in groups of 6, 4, 4, 4, 4, 4 and 6.
fn grouped(id: &str) -> String {
    let mut text = String::with_capacity(38);
    for (index, character) in id.chars().enumerate() {
        if matches!(index, 6 | 10 | 14 | 18 | 22 | 26) {
            text.push('-');
        }
        text.push(character);
    }
    text
}
