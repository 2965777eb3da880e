//! The metadata of an LVM2 volume group: which logical volumes it has, and on which physical volumes they lie.
//!
//! For `guest` on a disk image, where no device mapper tells. Every physical volume with a metadata area carries the
//! text of the whole group, so that one is enough to know it. Layout of the area: lib/format_text/layout.h of lvm2; the
//! keys of the text: lvm2's own, as vgcfgbackup(8) writes them. Nothing here maps an extent to a device: that needs
//! all physical volumes.

mod text;

use super::crc;
use super::field::{le32, le64};
use super::superblock::lvm::{CRC_SEED, PhysicalVolume as Header};
use super::window::{MAX_RANGE, Unread, Window};
use std::collections::BTreeSet;
use std::ops::Range;
use text::Section;

/// The header of a metadata area; the text, which is a ring, wraps to behind it.
const AREA_HEADER: usize = 512;
const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";

/// A volume group. Extents are numbered from 0 and of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Its name, as in `/dev/NAME/...`.
    pub name: String,
    /// Its identifier, as `vgs -o vg_uuid` prints it.
    pub id: String,
    /// Counts its changes; of two texts the one with the greater number is current.
    pub sequence: u64,
    /// Size of an extent in bytes.
    pub extent_size: u64,
    /// Its physical volumes.
    pub physical_volumes: Vec<PhysicalVolume>,
    /// Its logical volumes, also those that are parts of others.
    pub logical_volumes: Vec<LogicalVolume>,
}

/// A physical volume, as its group knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// What segments call it: `pv0`.
    pub name: String,
    /// Its identifier, which is the UUID of its superblock.
    pub id: String,
    /// The device it was on when the text was written: a hint, names change.
    pub device: Option<String>,
    /// Where its first extent begins, in bytes of the device.
    pub data_offset: u64,
    /// Its extents.
    pub extents: u64,
    /// LVM has noted that it was missing.
    pub missing: bool,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Its name, as in `/dev/GROUP/NAME`.
    pub name: String,
    /// Its identifier, as `lvs -o lv_uuid` prints it.
    pub id: String,
    /// It has a device of its own, and is not only part of another.
    pub visible: bool,
    /// What it is made of, in order.
    pub segments: Vec<Segment>,
}

/// A run of extents of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first extent of the logical volume that it makes.
    pub start: u64,
    /// Its extents.
    pub extents: u64,
    /// `striped` (also for linear), `raid1`, `thin`, `thin-pool`, `snapshot`, ...
    pub kind: String,
    /// The stripes that lie on physical volumes, by name, and the extent at which each begins there. One is linear.
    pub stripes: Vec<(String, u64)>,
    /// Size of a piece of a stripe in bytes, if there are several.
    pub stripe_size: Option<u64>,
    /// The logical volumes that it is made from.
    pub volumes: Vec<String>,
}

impl VolumeGroup {
    /// The physical volumes that a logical volume needs, directly and through the volumes that it is made from.
    /// Names that the group does not know are left out.
    pub fn needs(&self, logical_volume: &str) -> Vec<&PhysicalVolume> {
        let mut open = vec![logical_volume];
        let mut seen = BTreeSet::new();
        let mut names = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            let segments = self
                .logical_volumes
                .iter()
                .filter(|volume| volume.name == name)
                .flat_map(|volume| &volume.segments);
            for segment in segments {
                names.extend(segment.stripes.iter().map(|(name, _)| name.as_str()));
                open.extend(segment.volumes.iter().map(String::as_str));
            }
        }
        self.physical_volumes.iter().filter(|volume| names.contains(volume.name.as_str())).collect()
    }
}

/// Why a volume group could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More must be read first.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// No metadata area is whole.
    #[error("the LVM metadata area is damaged: {0}")]
    Area(&'static str),
    /// The text is not what LVM writes.
    #[error("LVM metadata, byte {at}: {reason}")]
    Syntax {
        /// Offset in the text.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The text lacks a key, or has another type under it.
    #[error("LVM metadata: no usable {key:?} in {section:?}")]
    Key {
        /// The section that should have it.
        section: String,
        /// The key.
        key: &'static str,
    },
}

/// The volume group of a physical volume. None if it belongs to no group, or carries no metadata (`--metadatacopies 0`):
/// another volume of the group may.
///
/// # Errors
/// [`MetadataError::Unread`] if the window lacks a metadata area, another if no area holds a usable text.
pub fn read(window: &Window, volume: &Header) -> Result<Option<VolumeGroup>, MetadataError> {
    let mut newest: Option<VolumeGroup> = None;
    let mut error = None;
    for area in &volume.metadata_areas {
        match read_area(window, area) {
            Ok(Some(group))
                if newest.as_ref().is_none_or(|newest| newest.sequence < group.sequence) =>
            {
                newest = Some(group);
            }
            Ok(_) => {}
            Err(MetadataError::Unread(unread)) => return Err(unread.into()),
            Err(other) => error = Some(other),
        }
    }
    match (newest, error) {
        (None, Some(error)) => Err(error),
        (newest, _) => Ok(newest),
    }
}

fn read_area(window: &Window, area: &Range<u64>) -> Result<Option<VolumeGroup>, MetadataError> {
    const BEYOND: MetadataError = MetadataError::Area("it lies beyond the end of the device");
    let header = window.array::<AREA_HEADER>(area.start)?.ok_or(BEYOND)?;
    let require = |holds: bool, reason| {
        if holds { Ok(()) } else { Err(MetadataError::Area(reason)) }
    };
    require(&header[4..20] == MAGIC, "it has no signature")?;
    require(
        crc::ieee_raw(CRC_SEED, &header[4..]) == le32(header, 0),
        "the checksum of its header is wrong",
    )?;
    require(le32(header, 20) == 1, "its version is unknown")?;
    let (start, size) = (le64(header, 24), le64(header, 32));
    require(start == area.start, "its header names another place than its own")?;

    // The first slot is the committed text; the second is one about to be written.
    let (offset, length, sum, flags) =
        (le64(header, 40), le64(header, 48), le32(header, 56), le32(header, 60));
    let ignored = flags & 1 != 0;
    if offset == 0 || ignored {
        return Ok(None);
    }
    let ring = AREA_HEADER as u64..size;
    let fits = ring.contains(&offset) && length <= size - AREA_HEADER as u64 && length <= MAX_RANGE;
    require(fits, "its text does not fit in it")?;
    let until_end = length.min(size - offset);
    let at = |offset: u64| start.checked_add(offset).ok_or(BEYOND);
    let mut text = window.get(at(offset)?, until_end)?.ok_or(BEYOND)?.to_vec();
    text.extend(window.get(at(ring.start)?, length - until_end)?.ok_or(BEYOND)?);
    require(crc::ieee_raw(CRC_SEED, &text) == sum, "the checksum of its text is wrong")?;
    parse(&text).map(Some)
}

/// The volume group that a text describes: from a metadata area, or of a backup in /etc/lvm/backup.
///
/// # Errors
/// [`MetadataError::Syntax`] or [`MetadataError::Key`].
pub fn parse(text: &[u8]) -> Result<VolumeGroup, MetadataError> {
    let root = text::parse(text)?;
    // The group is the only section at the top; beside it stand a few values.
    let (name, group) = root
        .sections()
        .next()
        .ok_or(MetadataError::Key { section: String::new(), key: "volume group" })?;
    let get = |section: &Section, key| section.number(key).ok_or_else(|| missing(name, key));
    Ok(VolumeGroup {
        name: name.to_owned(),
        id: string(name, group, "id")?,
        sequence: get(group, "seqno")?,
        extent_size: get(group, "extent_size")?.saturating_mul(512),
        physical_volumes: children(group, "physical_volumes")
            .map(physical_volume)
            .collect::<Result<_, _>>()?,
        logical_volumes: children(group, "logical_volumes")
            .map(logical_volume)
            .collect::<Result<_, _>>()?,
    })
}

fn missing(section: &str, key: &'static str) -> MetadataError {
    MetadataError::Key { section: section.to_owned(), key }
}

fn string(name: &str, section: &Section, key: &'static str) -> Result<String, MetadataError> {
    section.text(key).map(str::to_owned).ok_or_else(|| missing(name, key))
}

/// The sections within the section `key`. A group without volumes has no such section.
fn children<'a>(section: &'a Section, key: &str) -> impl Iterator<Item = (&'a str, &'a Section)> {
    section.section(key).into_iter().flat_map(Section::sections)
}

fn physical_volume((name, section): (&str, &Section)) -> Result<PhysicalVolume, MetadataError> {
    let get = |key| section.number(key).ok_or_else(|| missing(name, key));
    Ok(PhysicalVolume {
        name: name.to_owned(),
        id: string(name, section, "id")?,
        device: section.text("device").map(str::to_owned),
        data_offset: get("pe_start")?.saturating_mul(512),
        extents: get("pe_count")?,
        missing: section.texts("flags").any(|flag| flag == "MISSING"),
    })
}

fn logical_volume((name, section): (&str, &Section)) -> Result<LogicalVolume, MetadataError> {
    let segments = section.sections().filter(|(key, _)| key.starts_with("segment"));
    Ok(LogicalVolume {
        name: name.to_owned(),
        id: string(name, section, "id")?,
        visible: section.texts("status").any(|status| status == "VISIBLE"),
        segments: segments
            .map(|(key, segment)| self::segment(name, key, segment))
            .collect::<Result<_, _>>()?,
    })
}

/// The keys under which segments of the various kinds name the logical volumes that they are made from.
const VOLUME_KEYS: [&str; 13] = [
    "raids",
    "raid0_lvs",
    "mirrors",
    "mirror_log",
    "metadata",
    "pool",
    "thin_pool",
    "origin",
    "external_origin",
    "cow_store",
    "cache_pool",
    "data",
    "vdo_pool",
];

fn segment(volume: &str, key: &str, section: &Section) -> Result<Segment, MetadataError> {
    let name = || format!("{volume}/{key}");
    let get = |key| section.number(key).ok_or_else(|| missing(&name(), key));
    Ok(Segment {
        start: get("start_extent")?,
        extents: get("extent_count")?,
        kind: string(&name(), section, "type")?,
        stripes: section.pairs("stripes").map(|(name, extent)| (name.to_owned(), extent)).collect(),
        stripe_size: section.number("stripe_size").map(|size| size.saturating_mul(512)),
        volumes: VOLUME_KEYS.iter().flat_map(|key| section.texts(key)).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests;
