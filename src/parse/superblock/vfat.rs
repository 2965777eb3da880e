//! FAT12, FAT16 and FAT32.
//!
//! Layout: the BIOS parameter block (Microsoft, FAT32 File System Specification), little endian, in the first sector.
//! It has no reliable magic, so libblkid's tests of its fields apply. The label that blkid and udev go by is not the one
//! in the boot sector but the entry of the root directory, so that a FAT volume costs one read more.

use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::field::{label, le16, le32};
use crate::parse::window::{Unread, Window};

const FAT12_MAX: u64 = 0xff4;
const FAT16_MAX: u64 = 0xfff4;
const FAT32_MAX: u64 = 0x0fff_fff6;
const NO_NAME: &[u8; 11] = b"NO NAME    ";
const DIRECTORY_ENTRY: u64 = 32;
/// Clusters of a FAT32 root directory that are searched for the label, as libblkid does; also the end of a cycle.
const MAX_CLUSTERS: usize = 100;

/// The fields of a FAT boot sector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vfat {
    /// The label in the boot sector (LABEL_FATBOOT of blkid), which mkfs sets and renaming the volume may not.
    pub boot_label: Option<Vec<u8>>,
    /// Size of a sector in bytes.
    pub sector_size: u32,
    /// Sectors of the volume.
    pub sectors: u64,
    /// Size of a cluster in bytes.
    pub cluster_size: u32,
    /// Clusters of the data area.
    pub clusters: u64,
}

/// # Errors
/// [`Unread`] if the window lacks the boot sector, the FSINFO sector or the root directory.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(boot) = window.array::<512>(0)? else {
        return Ok(None);
    };
    let Some(layout) = Layout::of(boot) else {
        return Ok(None);
    };
    if layout.fat32 && !fsinfo_is_plausible(window, boot, &layout)? {
        return Ok(None);
    }
    let version = match layout.clusters {
        _ if layout.fat32 => "FAT32",
        0..FAT12_MAX => "FAT12",
        _ => "FAT16",
    };
    let extended = if layout.fat32 { &boot[0x43..0x52] } else { &boot[0x27..0x36] };
    let serial = le32(extended, 0);
    let boot_label = &extended[4..15];
    Ok(Some(Superblock {
        kind: Kind::Vfat,
        uuid: (serial != 0).then(|| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
        uuid_sub: None,
        label: volume_label(window, boot, &layout)?,
        version: Some(version.to_owned()),
        block_size: Some(layout.sector_size as u32),
        checksum: Checksum::Absent,
        detail: Detail::Vfat(Vfat {
            boot_label: if boot_label == NO_NAME { None } else { label(boot_label) },
            sector_size: layout.sector_size as u32,
            sectors: layout.sectors,
            cluster_size: layout.cluster_size as u32,
            clusters: layout.clusters,
        }),
    }))
}

/// Whether the first sector of a device is the boot sector of a FAT volume. It looks like a partition table otherwise.
pub(crate) fn is_boot_sector(boot: &[u8; 512]) -> bool {
    Layout::of(boot).is_some()
}

/// Where things are, in bytes unless it says sectors.
struct Layout {
    fat32: bool,
    sector_size: u64,
    cluster_size: u64,
    sectors: u64,
    clusters: u64,
    fat: u64,
    root_directory: u64,
    root_entries: u64,
    data: u64,
    fat_entries: u64,
}

impl Layout {
    fn of(boot: &[u8; 512]) -> Option<Self> {
        let named =
            [&b"MSWIN"[..], b"FAT32   "].iter().any(|magic| boot[0x52..].starts_with(magic))
                || [&b"MSDOS"[..], b"FAT16   ", b"FAT12   ", b"FAT     "]
                    .iter()
                    .any(|magic| boot[0x36..].starts_with(magic));
        // OS/2 puts such a block before JFS and HPFS.
        let foreign =
            [b"JFS     ", b"HPFS    "].iter().any(|magic| boot[0x36..].starts_with(*magic));
        if !named && (foreign || boot[510..] != [0x55, 0xaa]) {
            return None;
        }
        let sector_size = u64::from(le16(boot, 0x0b));
        let cluster_sectors = u64::from(boot[0x0d]);
        let reserved = u64::from(le16(boot, 0x0e));
        let fats = u64::from(boot[0x10]);
        let media = boot[0x15];
        let plausible = fats > 0
            && reserved > 0
            && (media >= 0xf8 || media == 0xf0)
            && cluster_sectors.is_power_of_two()
            && sector_size.is_power_of_two()
            && (512..=4096).contains(&sector_size);
        if !plausible {
            return None;
        }
        let first_of = |short: u16, long: u32| {
            if short == 0 { u64::from(long) } else { u64::from(short) }
        };
        let sectors = first_of(le16(boot, 0x13), le32(boot, 0x20));
        let fat_sectors = first_of(le16(boot, 0x16), le32(boot, 0x24));
        let root_entries = u64::from(le16(boot, 0x11));
        let root_sectors = (root_entries * DIRECTORY_ENTRY).div_ceil(sector_size);
        let root = reserved + fat_sectors * fats;
        let clusters = sectors.checked_sub(root + root_sectors)? / cluster_sectors;
        let fat32 = le16(boot, 0x16) == 0 && fat_sectors > 0;
        if fat_sectors == 0 || clusters > if fat32 { FAT32_MAX } else { FAT16_MAX } {
            return None;
        }
        Some(Self {
            fat32,
            sector_size,
            cluster_size: cluster_sectors * sector_size,
            sectors,
            clusters,
            fat: reserved * sector_size,
            root_directory: root * sector_size,
            root_entries,
            data: (root + root_sectors) * sector_size,
            fat_entries: fat_sectors * sector_size / 4,
        })
    }
}

/// FAT32 has a sector with signatures; some that make volumes leave it zero, none puts anything else there.
fn fsinfo_is_plausible(window: &Window, boot: &[u8; 512], layout: &Layout) -> Result<bool, Unread> {
    let sector = u64::from(le16(boot, 0x30));
    if sector == 0 {
        return Ok(true);
    }
    let Some(info) = window.array::<512>(sector * layout.sector_size)? else {
        return Ok(false);
    };
    let first: &[u8] = &info[..4];
    let second: &[u8] = &info[0x1e4..0x1e8];
    let zero: &[u8] = &[0; 4];
    Ok((first == b"RRaA" || first == b"RRdA" || first == zero)
        && (second == b"rrAa" || second == zero))
}

fn volume_label(
    window: &Window,
    boot: &[u8; 512],
    layout: &Layout,
) -> Result<Option<Vec<u8>>, Unread> {
    if !layout.fat32 {
        let directory = window.get(layout.root_directory, layout.root_entries * DIRECTORY_ENTRY)?;
        return Ok(directory.and_then(label_entry).and_then(|name| label(&name)));
    }
    let mut cluster = u64::from(le32(boot, 0x2c)) & 0x0fff_ffff;
    for _ in 0..MAX_CLUSTERS {
        if cluster < 2 || cluster >= layout.fat_entries {
            break;
        }
        let directory = layout.data + (cluster - 2) * layout.cluster_size;
        let Some(directory) = window.get(directory, layout.cluster_size)? else {
            break;
        };
        if let Some(name) = label_entry(directory) {
            return Ok(label(&name));
        }
        let Some(next) = window.array::<4>(layout.fat + cluster * 4)? else {
            break;
        };
        cluster = u64::from(u32::from_le_bytes(*next)) & 0x0fff_ffff;
    }
    Ok(None)
}

/// The name of the directory entry that is the volume label.
fn label_entry(directory: &[u8]) -> Option<[u8; 11]> {
    const VOLUME: u8 = 0x08;
    const DIRECTORY: u8 = 0x10;
    const LONG_NAME: u8 = 0x0f;
    let (entries, _) = directory.as_chunks::<{ DIRECTORY_ENTRY as usize }>();
    let entry = entries.iter().take_while(|entry| entry[0] != 0).find(|entry| {
        let deleted = entry[0] == 0xe5;
        let has_clusters = le16(&entry[..], 20) != 0 || le16(&entry[..], 26) != 0;
        let attributes = entry[11];
        !deleted
            && !has_clusters
            && attributes & 0x3f != LONG_NAME
            && attributes & (VOLUME | DIRECTORY) == VOLUME
    })?;
    let mut name: [u8; 11] = std::array::from_fn(|index| entry[index]);
    // A first byte of 0xe5 would mean deleted, so it is stored as 5.
    if name[0] == 0x05 {
        name[0] = 0xe5;
    }
    Some(name)
}
