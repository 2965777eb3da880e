//! The GUID partition table.
//!
//! Layout and checks: UEFI Specification 2.10, 5.3. Which entries count follows block/partitions/efi.c in the kernel:
//! the primary table if it is whole, else the backup, and of its entries those that have a type and lie between the
//! first and the last usable sector.

use super::{Partition, PartitionTable, Role, Scheme, TableError};
use crate::parse::crc;
use crate::parse::field::{array16, guid, le32, le64};
use crate::parse::window::{MAX_RANGE, Unread, Window};

/// The header's fields; the rest of its sector is zero.
const HEADER: usize = 92;

/// What a GPT has beside its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpt {
    /// The first copy is damaged and the table is the second. Linux uses it and says so; firmware may not boot.
    pub primary_damaged: Option<&'static str>,
    /// What the second copy is like.
    pub backup: Backup,
    /// The MBR shows partitions too.
    pub hybrid: bool,
    /// First sector that a partition may use.
    pub first_usable: u64,
    /// Last sector that a partition may use. On a disk that has grown it stays where it was until the table is
    /// written anew, which growpart does.
    pub last_usable: u64,
}

/// The state of the second copy of a GPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    /// It is whole, agrees, and lies in the last sector.
    AtEnd,
    /// It is whole and agrees, but the disk goes on after it: the disk has grown.
    BeforeEnd,
    /// It is whole and describes other partitions. Linux goes by the first.
    Differs,
    /// It is missing or damaged, for this reason.
    Damaged(&'static str),
}

/// One copy of the table.
#[derive(Debug, PartialEq, Eq)]
struct Copy {
    first_usable: u64,
    last_usable: u64,
    other: u64,
    disk: [u8; 16],
    partitions: Vec<Partition>,
}

/// Why a copy is not used.
enum Flaw {
    Unread(Unread),
    Because(&'static str),
}

impl From<Unread> for Flaw {
    fn from(unread: Unread) -> Self {
        Flaw::Unread(unread)
    }
}

/// # Errors
/// [`TableError::DamagedGpt`] if neither copy is whole, [`TableError::Unread`] if either was not read.
pub(super) fn parse(
    window: &Window,
    sector_size: Option<u32>,
    hybrid: bool,
) -> Result<PartitionTable, TableError> {
    let sector_size = match sector_size {
        Some(size) => size,
        None => find_sector_size(window)?,
    };
    let last = (window.size() / u64::from(sector_size)).saturating_sub(1);
    let primary = settle(copy(window, sector_size, 1))?;
    // The first copy says where the second is; on a disk that has grown, not at the end.
    let other = primary.as_ref().map_or(last, |primary| primary.other);
    let backup = if other == 1 {
        Err("it is the primary one")
    } else {
        settle(copy(window, sector_size, other))?
    };
    let (primary_damaged, backup_state, used) = match (primary, backup) {
        (Ok(primary), Ok(backup)) => {
            let agrees = primary.partitions == backup.partitions && primary.disk == backup.disk;
            let state = match agrees {
                false => Backup::Differs,
                true if other == last => Backup::AtEnd,
                true => Backup::BeforeEnd,
            };
            (None, state, primary)
        }
        (Ok(primary), Err(reason)) => (None, Backup::Damaged(reason), primary),
        (Err(reason), Ok(backup)) => (Some(reason), Backup::AtEnd, backup),
        (Err(primary), Err(backup)) => return Err(TableError::DamagedGpt { primary, backup }),
    };
    Ok(PartitionTable {
        scheme: Scheme::Gpt(Gpt {
            primary_damaged,
            backup: backup_state,
            hybrid,
            first_usable: used.first_usable,
            last_usable: used.last_usable,
        }),
        id: Some(guid(used.disk)),
        sector_size,
        partitions: used.partitions,
    })
}

/// The size at which either copy has its signature, 512 if none has.
fn find_sector_size(window: &Window) -> Result<u32, Unread> {
    for size in [512u32, 4096] {
        let last = window.size().saturating_sub(size.into()) / u64::from(size) * u64::from(size);
        for offset in [u64::from(size), last] {
            if window.array::<8>(offset)? == Some(b"EFI PART") {
                return Ok(size);
            }
        }
    }
    Ok(512)
}

fn settle(copy: Result<Copy, Flaw>) -> Result<Result<Copy, &'static str>, Unread> {
    match copy {
        Ok(copy) => Ok(Ok(copy)),
        Err(Flaw::Because(reason)) => Ok(Err(reason)),
        Err(Flaw::Unread(unread)) => Err(unread),
    }
}

fn copy(window: &Window, sector_size: u32, sector: u64) -> Result<Copy, Flaw> {
    let unit = u64::from(sector_size);
    let require = |holds: bool, reason| {
        if holds { Ok(()) } else { Err(Flaw::Because(reason)) }
    };
    let offset = sector
        .checked_mul(unit)
        .ok_or(Flaw::Because("its header lies beyond the end of the disk"))?;
    let Some(bytes) = window.get(offset, unit)? else {
        return Err(Flaw::Because("its header lies beyond the end of the disk"));
    };
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Err(Flaw::Because("its sector is too short"));
    };
    require(header.starts_with(b"EFI PART"), "it has no signature")?;
    let length = usize::try_from(le32(header, 12)).unwrap_or(usize::MAX);
    require((HEADER..=bytes.len()).contains(&length), "its header has an impossible size")?;
    require(
        header_checksum(&bytes[..length]) == le32(header, 16),
        "the checksum of its header is wrong",
    )?;
    require(le64(header, 24) == sector, "its header names another sector than its own")?;

    let disk = window.size() / unit;
    let (first_usable, last_usable) = (le64(header, 40), le64(header, 48));
    require(
        first_usable <= last_usable && last_usable < disk,
        "its usable sectors lie beyond the end of the disk",
    )?;
    let (count, size) = (u64::from(le32(header, 80)), u64::from(le32(header, 84)));
    // The kernel takes entries of 128 bytes only; so does every tool that makes them.
    require(size == 128, "its entries are not of 128 bytes")?;
    let length = count * size;
    require((1..=MAX_RANGE).contains(&length), "its number of entries is impossible")?;
    let Some(entries) = le64(header, 72).checked_mul(unit) else {
        return Err(Flaw::Because("its entries lie beyond the end of the disk"));
    };
    let Some(entries) = window.get(entries, length)? else {
        return Err(Flaw::Because("its entries lie beyond the end of the disk"));
    };
    require(crc::ieee(entries) == le32(header, 88), "the checksum of its entries is wrong")?;
    Ok(Copy {
        first_usable,
        last_usable,
        other: le64(header, 32),
        disk: array16(header, 56),
        partitions: partitions(entries, last_usable),
    })
}

/// The header's checksum, taken with its own field as zero.
fn header_checksum(header: &[u8]) -> u32 {
    let state = crc::ieee_raw(!0, &header[..16]);
    let state = crc::ieee_raw(state, &[0; 4]);
    !crc::ieee_raw(state, &header[20..])
}

fn partitions(entries: &[u8], last_usable: u64) -> Vec<Partition> {
    let (entries, _) = entries.as_chunks::<128>();
    entries
        .iter()
        .zip(1..)
        .filter_map(|(entry, number)| {
            let kind = array16(entry, 0);
            let (first, last) = (le64(entry, 32), le64(entry, 40));
            let counts = kind != [0; 16] && first <= last && last <= last_usable;
            let attributes = le64(entry, 48);
            counts.then(|| Partition {
                number,
                start: first,
                sectors: last - first + 1,
                kind: guid(kind),
                name: name(&entry[56..]),
                uuid: Some(guid(array16(entry, 16))),
                bootable: attributes & 0x4 != 0,
                attributes,
                role: Role::Primary,
            })
        })
        .collect()
}

fn name(bytes: &[u8]) -> Option<String> {
    let (units, _) = bytes.as_chunks::<2>();
    let units: Vec<_> =
        units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0).collect();
    let name = String::from_utf16_lossy(&units);
    (!name.is_empty()).then_some(name)
}
