//! The master boot record and the chain of logical partitions.
//!
//! The rules are those of block/partitions/msdos.c in the kernel, with which libblkid agrees: which first sector is a
//! table at all, how the chain is followed, and which numbers the partitions get.

use super::{MAX_PARTITIONS, Partition, PartitionTable, Role, Scheme, TableError};
use crate::parse::field::le32;
use crate::parse::superblock::vfat;
use crate::parse::window::Window;

const GPT_PROTECTIVE: u8 = 0xee;

/// One of the four entries of a boot record, in sectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    bootable: bool,
    kind: u8,
    start: u64,
    sectors: u64,
}

impl Entry {
    fn is_extended(&self) -> bool {
        // DOS, Windows with LBA, Linux.
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }

    fn is_empty(&self) -> bool {
        self.sectors == 0
    }
}

/// The entries of the first sector of a disk, or None if it is no partition table.
///
/// The signature alone does not say so: the boot sector of a filesystem has it too. A flag other than 0 and 0x80 is
/// code, and the boot sector of FAT, NTFS and exFAT is known by its own marks.
pub(super) fn entries(boot: &[u8; 512]) -> Option<[Entry; 4]> {
    let entries = raw_entries(boot)?;
    let flags_are_flags = (0..4).all(|index| matches!(boot[446 + index * 16], 0 | 0x80));
    let filesystem = vfat::is_boot_sector(boot)
        || boot[3..].starts_with(b"NTFS    ")
        || boot[3..].starts_with(b"EXFAT   ");
    (flags_are_flags && !filesystem).then_some(entries)
}

fn raw_entries(sector: &[u8; 512]) -> Option<[Entry; 4]> {
    (sector[510..] == [0x55, 0xaa]).then(|| {
        std::array::from_fn(|index| {
            let at = 446 + index * 16;
            Entry {
                bootable: sector[at] & 0x80 != 0,
                kind: sector[at + 4],
                start: le32(sector, at + 8).into(),
                sectors: le32(sector, at + 12).into(),
            }
        })
    })
}

/// Whether the record stands for a GPT.
pub(super) fn is_protective(entries: &[Entry; 4]) -> bool {
    entries.iter().any(|entry| entry.kind == GPT_PROTECTIVE)
}

/// Whether it shows partitions of the GPT beside the one that protects it. Linux ignores them.
pub(super) fn is_hybrid(entries: &[Entry; 4]) -> bool {
    entries.iter().any(|entry| !matches!(entry.kind, 0 | GPT_PROTECTIVE))
}

/// # Errors
/// [`TableError`] if the chain of logical partitions leaves its bounds or was not read.
pub(super) fn parse(
    window: &Window,
    boot: &[u8; 512],
    entries: &[Entry; 4],
    sector_size: u32,
) -> Result<PartitionTable, TableError> {
    let disk_id = le32(boot, 440);
    let mut partitions = Vec::new();
    for (entry, number) in entries.iter().zip(1..).filter(|(entry, _)| !entry.is_empty()) {
        let role = if entry.is_extended() { Role::Extended } else { Role::Primary };
        partitions.push(partition(entry, number, entry.start, role));
    }
    for extended in entries.iter().filter(|entry| entry.is_extended() && !entry.is_empty()) {
        logical(window, extended, sector_size, &mut partitions)?;
    }
    if disk_id != 0 {
        for partition in &mut partitions {
            partition.uuid = Some(format!("{disk_id:08x}-{:02x}", partition.number));
        }
    }
    Ok(PartitionTable {
        scheme: Scheme::Mbr,
        id: (disk_id != 0).then(|| format!("{disk_id:08x}")),
        sector_size,
        partitions,
    })
}

fn partition(entry: &Entry, number: u32, start: u64, role: Role) -> Partition {
    Partition {
        number,
        start,
        sectors: entry.sectors,
        kind: format!("{:#x}", entry.kind),
        name: None,
        uuid: None,
        bootable: entry.bootable,
        attributes: 0,
        role,
    }
}

/// Follows the chain: each record has a partition, relative to the record, and a link, relative to the first record.
fn logical(
    window: &Window,
    extended: &Entry,
    sector_size: u32,
    partitions: &mut Vec<Partition>,
) -> Result<(), TableError> {
    let end = extended.start + extended.sectors;
    let mut record = extended.start;
    let mut room = extended.sectors;
    // The bound also ends a chain that comes back to where it was.
    for records in 0..MAX_PARTITIONS {
        let sector = window.array::<512>(record * u64::from(sector_size))?;
        let Some(entries) = sector.and_then(raw_entries) else {
            // An extended partition that was never given a record is empty.
            return if records == 0 {
                Ok(())
            } else {
                Err(TableError::BrokenChain { sector: record })
            };
        };
        for (index, entry) in entries.iter().enumerate() {
            if entry.is_empty() || entry.is_extended() {
                continue;
            }
            let start = record + entry.start;
            let inside = extended.start <= start && start + entry.sectors <= end;
            // The third and the fourth entry often hold garbage, which the kernel tells by its bounds.
            if index >= 2 && (entry.start + entry.sectors > room || !inside) {
                continue;
            }
            let last = partitions.last().map_or(0, |partition| partition.number);
            let number = last.max(4) + 1;
            if !inside {
                return Err(TableError::OutsideExtended { number });
            }
            partitions.push(partition(entry, number, start, Role::Logical));
        }
        let Some(link) = entries.iter().find(|entry| entry.is_extended() && !entry.is_empty())
        else {
            return Ok(());
        };
        record = extended.start + link.start;
        room = link.sectors;
    }
    Err(TableError::EndlessChain { sector: record })
}
