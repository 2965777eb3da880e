//! Partition tables: MBR with logical partitions, and GPT.
//!
//! For `guest`, which reads the ranges and goes by device numbers on a running machine; on a disk image this is where
//! partitions come from. Numbers, identifiers and types are those that Linux and blkid(8) give, so that a
//! `PARTUUID=` of fstab or of the kernel's command line can be followed. Nothing here reads, repairs or guesses: a
//! table that contradicts itself is an error with the reason.

mod gpt;
mod mbr;

use super::window::{self, Unread, Window};
use std::ops::Range;

pub use gpt::{Backup, Gpt};

/// GPT's first sectors: with sectors of 4096 bytes the header ends at 8 KiB and 128 entries at 24 KiB.
const HEAD: u64 = 24 << 10;
/// GPT's last sectors: 128 entries and the header, with sectors of 512 or 4096 bytes.
const TAIL: u64 = 20 << 10;
/// Linux has no more partitions on a disk (DISK_MAX_PARTS of block/partitions/check.h).
const MAX_PARTITIONS: usize = 256;

/// The ranges that [`parse`] looks at first on a disk of `size` bytes: ascending, not touching, within the disk.
pub fn wanted(size: u64) -> Vec<Range<u64>> {
    window::merged(vec![0..HEAD, size.saturating_sub(TAIL)..size], size)
}

/// The kind of a partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// A master boot record: `dos` of blkid.
    Mbr,
    /// A GUID partition table: `gpt` of blkid.
    Gpt(Gpt),
}

impl Scheme {
    /// The name as in the PTTYPE of blkid(8).
    pub fn name(&self) -> &'static str {
        match self {
            Scheme::Mbr => "dos",
            Scheme::Gpt(_) => "gpt",
        }
    }
}

/// The partitions of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable {
    /// Which kind it is.
    pub scheme: Scheme,
    /// PTUUID of blkid(8): eight digits for MBR, None if they are zero; the GUID of the disk for GPT.
    pub id: Option<String>,
    /// The unit of the partitions' positions, in bytes.
    pub sector_size: u32,
    /// The partitions by number.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The number that Linux gives it.
    pub number: u32,
    /// Its first sector, in sectors of the table's size.
    pub start: u64,
    /// Its sectors.
    pub sectors: u64,
    /// PART_ENTRY_TYPE of blkid(8): `0x83`, or a GUID in lower case.
    pub kind: String,
    /// PARTLABEL; GPT only.
    pub name: Option<String>,
    /// PARTUUID as udev has it. None for an MBR without a disk identifier: the kernel, but not udev, then knows the
    /// partition as `00000000-01`.
    pub uuid: Option<String>,
    /// MBR: the flag of the active partition. GPT: bit 2, for legacy BIOS.
    pub bootable: bool,
    /// GPT: the attribute bits. MBR: 0.
    pub attributes: u64,
    /// What it is to its table.
    pub role: Role,
}

/// What a partition is to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A partition of the table itself.
    Primary,
    /// The container of the logical ones. Linux gives it a device of two sectors.
    Extended,
    /// A partition inside the container.
    Logical,
}

impl Partition {
    /// Its bytes on the disk.
    pub fn bytes(&self, sector_size: u32) -> Range<u64> {
        let unit = u64::from(sector_size);
        self.start.saturating_mul(unit)
            ..self.start.saturating_add(self.sectors).saturating_mul(unit)
    }
}

/// Why the partitions of a disk could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// More must be read first.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// A partition, or part of it, lies beyond the end of the disk.
    #[error("partition {number} ends at sector {end}, the disk at {disk}")]
    OutsideDisk {
        /// The partition's number.
        number: u32,
        /// The sector after its last.
        end: u64,
        /// Sectors of the disk.
        disk: u64,
    },
    /// Two partitions share sectors.
    #[error("partitions {first} and {second} overlap")]
    Overlap {
        /// The number of the one that begins first.
        first: u32,
        /// The number of the other.
        second: u32,
    },
    /// A logical partition lies outside the extended one.
    #[error("logical partition {number} lies outside the extended partition")]
    OutsideExtended {
        /// The logical partition's number.
        number: u32,
    },
    /// The chain of logical partitions comes back to where it was, or never ends.
    #[error("the chain of logical partitions does not end (sector {sector})")]
    EndlessChain {
        /// The boot record at which the search stopped.
        sector: u64,
    },
    /// The chain of logical partitions leads to a sector that is no boot record.
    #[error("sector {sector}, in the chain of logical partitions, is no boot record")]
    BrokenChain {
        /// That sector.
        sector: u64,
    },
    /// The MBR says that there is a GPT, and neither copy of it is whole.
    #[error("the GPT is damaged: {primary}; its backup: {backup}")]
    DamagedGpt {
        /// What is wrong with the first copy.
        primary: &'static str,
        /// What is wrong with the second.
        backup: &'static str,
    },
    /// More than the 256 partitions that Linux supports.
    #[error("more than {MAX_PARTITIONS} partitions")]
    TooMany,
}

/// The partition table of a disk, or None if its first sector holds none of a kind that Linux would read as MBR or GPT.
///
/// `sector_size` is the logical sector size of the disk in bytes. None, for an image file that does not tell, takes the
/// one at which a GPT is found, and 512 for an MBR.
///
/// # Errors
/// A [`TableError`]: either more must be read, or the table cannot be right.
pub fn parse(
    window: &Window,
    sector_size: Option<u32>,
) -> Result<Option<PartitionTable>, TableError> {
    let Some(boot) = window.array::<512>(0)? else {
        return Ok(None);
    };
    let Some(entries) = mbr::entries(boot) else {
        return Ok(None);
    };
    let table = if mbr::is_protective(&entries) {
        gpt::parse(window, sector_size, mbr::is_hybrid(&entries))?
    } else {
        mbr::parse(window, boot, &entries, sector_size.unwrap_or(512))?
    };
    check(&table, window.size())?;
    Ok(Some(table))
}

/// Whether a range of bytes lies within one partition of the disk. A table that cannot be read covers nothing.
pub(super) fn covers(window: &Window, range: Range<u64>) -> Result<bool, Unread> {
    match parse(window, None) {
        Ok(table) => Ok(table.is_some_and(|table| {
            table.partitions.iter().any(|partition| {
                let bytes = partition.bytes(table.sector_size);
                bytes.start <= range.start && range.end <= bytes.end
            })
        })),
        Err(TableError::Unread(unread)) => Err(unread),
        Err(_) => Ok(false),
    }
}

/// That all partitions lie on the disk, and no two on the same sectors.
fn check(table: &PartitionTable, size: u64) -> Result<(), TableError> {
    let disk = size / u64::from(table.sector_size);
    if table.partitions.len() > MAX_PARTITIONS {
        return Err(TableError::TooMany);
    }
    for partition in &table.partitions {
        let end = partition.start.saturating_add(partition.sectors);
        if end > disk {
            return Err(TableError::OutsideDisk { number: partition.number, end, disk });
        }
    }
    // Logical partitions lie in the extended one, which therefore is compared with the primary ones only.
    let first_level = |partition: &&Partition| partition.role != Role::Logical;
    no_overlap(table.partitions.iter().filter(first_level).collect())?;
    no_overlap(
        table.partitions.iter().filter(|partition| partition.role == Role::Logical).collect(),
    )
}

fn no_overlap(mut partitions: Vec<&Partition>) -> Result<(), TableError> {
    partitions.sort_by_key(|partition| partition.start);
    for pair in partitions.windows(2) {
        if pair[0].start + pair[0].sectors > pair[1].start {
            return Err(TableError::Overlap { first: pair[0].number, second: pair[1].number });
        }
    }
    Ok(())
}
