//! What is looked at in an image before a program that believes it sees it: whether all of the
//! disk lies in this file.
//!
//! A backing file, an external data file or an extent is a name in the image, and whoever made the
//! image chose it: `/etc/shadow` of the machine that looks would be read as the guest's disk. And
//! of a file that was not copied to its end QEMU reads zeros. Not seen is a cut between two sectors
//! of a VMDK's last grain, and one between two megabytes of a VHDX's last block.

use std::collections::HashSet;

use super::Result;
use super::recognise::Foreign;

/// Reads bytes of the image at an offset; fewer at its end.
pub(super) type Read<'a> = &'a dyn Fn(u64, usize) -> Result<Vec<u8>>;

/// Look whether an image of `size` bytes names other files, needs a key or is cut off. The inner error says what
/// is wrong with it, as a whole clause.
///
/// # Errors
/// What reading says.
pub(super) fn check(foreign: Foreign, size: u64, read: Read<'_>) -> Result<Checked> {
    match foreign {
        Foreign::Qcow2 => match qcow2(&read(0, QCOW2_LONGEST)?) {
            Ok(()) => qcow2_clusters(size, read),
            refused => Ok(refused),
        },
        Foreign::Vmdk if !size.is_multiple_of(512) => {
            Ok(Err(format!("it is cut off: it has {size} bytes, which are no whole sectors")))
        }
        Foreign::Vmdk => vmdk(read),
        // QEMU reads no parent of these three, and refuses an image that has one.
        Foreign::Vdi => Ok(vdi(&read(0, 512)?, size)),
        Foreign::Vhdx => Ok(vhdx(size)),
        Foreign::DynamicVhd => Ok(Ok(())),
    }
}

/// Whether an image can be given to the converter.
pub(super) type Checked = std::result::Result<(), String>;

/// A cluster is 2 MiB at most, and the header with its extensions lies in the first.
const QCOW2_LONGEST: usize = 2 << 20;

/// Source: docs/interop/qcow2.rst of QEMU, "Header" and "Header extensions".
fn qcow2(head: &[u8]) -> Checked {
    let cut_off = || "its qcow2 header is cut off".to_owned();
    let number = |at| big_endian_32(head, at).ok_or_else(cut_off);
    let long_number = |at| big_endian_64(head, at).ok_or_else(cut_off);
    let version = number(4)?;
    if !matches!(version, 2 | 3) {
        return Err(format!("it is of qcow version {version}, which is not read here"));
    }
    if long_number(8)? != 0 || number(16)? != 0 {
        return Err("it is a qcow2 with a backing file, in which the rest of the disk lies".into());
    }
    if number(32)? != 0 {
        return Err("it is an encrypted qcow2".to_owned());
    }
    let mut at = 72;
    if version == 3 {
        let incompatible = long_number(72)?;
        if incompatible & (1 << 2) != 0 {
            return Err("it is a qcow2 with an external data file, in which the disk lies".into());
        }
        at = usize::try_from(number(100)?).map_err(|_| cut_off())?;
    }
    // An extension ends at the first cluster's end, or with the kind 0. The data file's name is
    // one of them: it would be opened for the flag above alone, and is not taken along either.
    while let (Some(kind), Some(length)) = (big_endian_32(head, at), big_endian_32(head, at + 4)) {
        match kind {
            0 => break,
            0x4441_5441 => {
                return Err("it is a qcow2 that names an external data file".to_owned());
            }
            _ => {}
        }
        let Ok(length) = usize::try_from(length) else { break };
        let Some(next) = length.checked_next_multiple_of(8).and_then(|l| l.checked_add(at + 8))
        else {
            break;
        };
        at = next;
    }
    Ok(())
}

/// The largest first table that QEMU reads, in entries of 8 bytes.
const QCOW2_LONGEST_TABLE: u64 = (32 << 20) / 8;

/// Whether every cluster that the tables name lies in the file. qemu-img check looks at whole
/// clusters, and not at compressed ones.
///
/// Source: docs/interop/qcow2.rst of QEMU, "Cluster mapping".
fn qcow2_clusters(size: u64, read: Read<'_>) -> Result<Checked> {
    let head = read(0, 104)?;
    let (Some(bits @ 9..=21), Some(disk), Some(entries), Some(first)) = (
        big_endian_32(&head, 20),
        big_endian_64(&head, 24),
        big_endian_32(&head, 36),
        big_endian_64(&head, 40),
    ) else {
        return Ok(Err("its qcow2 header is malformed".to_owned()));
    };
    let cluster = 1_u64 << bits;
    // Bit 4 of the incompatible features: an entry has a second half, which names no place.
    let is_long = head.get(7) == Some(&3) && head.get(79).is_some_and(|byte| byte & 0x10 != 0);
    let width = if is_long { 16 } else { 8 };
    let cut_off = || "it is cut off: a part of the disk lies behind its end".to_owned();
    let entries = u64::from(entries);
    if entries > QCOW2_LONGEST_TABLE || first.saturating_add(entries * 8) > size {
        return Ok(Err(cut_off()));
    }
    let table = read(first, usize::try_from(entries * 8).unwrap_or(0))?;
    let mut seen = HashSet::new();
    for (at, entry) in (0_u64..).zip(table.chunks_exact(8)) {
        let offset = big_endian_64(entry, 0).unwrap_or(0) & QCOW2_PLACE;
        // A table that is named twice is damage, which is for qemu-img check to say.
        if offset == 0 || !seen.insert(offset) {
            continue;
        }
        if offset.saturating_add(cluster) > size {
            return Ok(Err(cut_off()));
        }
        let in_table = cluster / width;
        let table = read(offset, usize::try_from(cluster).unwrap_or(0))?;
        let width = usize::try_from(width).unwrap_or(8);
        for (n, entry) in (0_u64..).zip(table.chunks_exact(width)) {
            let entry = big_endian_64(entry, 0).unwrap_or(0);
            let place = (at * in_table + n).saturating_mul(cluster);
            // What is behind the disk's end nobody reads.
            let wanted = disk.saturating_sub(place).min(cluster);
            if cluster_end(entry, bits, wanted) > size {
                return Ok(Err(cut_off()));
            }
        }
    }
    Ok(Ok(()))
}

/// The bits of an entry that say where a table or a cluster begins.
const QCOW2_PLACE: u64 = 0x00ff_ffff_ffff_fe00;

/// Where the bytes that an entry names end in the file; of a cluster, `wanted` are.
fn cluster_end(entry: u64, bits: u32, wanted: u64) -> u64 {
    if entry & (1 << 62) == 0 {
        // Bit 0: it reads as zeros, whatever lies there.
        let offset = entry & QCOW2_PLACE;
        return if offset == 0 || entry & 1 != 0 { 0 } else { offset.saturating_add(wanted) };
    }
    // A place in bytes, and how many sectors beyond its own the compressed bytes touch, of which
    // the last need not be whole.
    let split = 62 - (bits - 8);
    let offset = entry & ((1 << split) - 1);
    let sectors = (entry >> split) & ((1 << (62 - split)) - 1);
    let last = (offset & !511).saturating_add(sectors * 512);
    last.max(offset).saturating_add(1)
}

/// Where QEMU looks for a parent, and how far, in bytes.
const VMDK_DESCRIPTOR: (u64, usize) = (512, 20 * 512);
/// The longest descriptor that QEMU reads, in bytes.
const VMDK_LONGEST: usize = 1 << 20;

/// Source: VMware Virtual Disk Format 5.0, "Hosted Sparse Extents" and "The Descriptor File"; what
/// QEMU opens: block/vmdk.c.
fn vmdk(read: Read<'_>) -> Result<Checked> {
    let head = read(0, 512)?;
    let (Some(capacity), Some(start), Some(length)) =
        (little_endian_64(&head, 12), little_endian_64(&head, 28), little_endian_64(&head, 36))
    else {
        return Ok(Err("its VMDK header is cut off".to_owned()));
    };
    // Without a size of its own it is only a place for the names of the files that make the disk.
    if capacity == 0 {
        return Ok(Err("it is a VMDK that names other files, in which the disk lies".to_owned()));
    }
    let length = usize::try_from(length.saturating_mul(512)).unwrap_or(VMDK_LONGEST);
    let own = (start.saturating_mul(512).min(1 << 62), length.min(VMDK_LONGEST));
    for (offset, length) in [VMDK_DESCRIPTOR, own] {
        let text = read(offset, length)?;
        if contains(&text, b"parentFileNameHint") {
            return Ok(
                Err("it is a VMDK with a parent, in which the rest of the disk lies".into()),
            );
        }
    }
    Ok(Ok(()))
}

/// Source: VirtualBox, VDICore.h, "VDIHEADER1"; its blocks stand one behind the other.
fn vdi(head: &[u8], size: u64) -> Checked {
    let number = |at| little_endian_32(head, at).map(u64::from);
    let (Some(data), Some(block), Some(blocks), Some(allocated), Some(disk)) =
        (number(0x158), number(0x178), number(0x180), number(0x184), little_endian_64(head, 0x170))
    else {
        return Err("its VDI header is cut off".to_owned());
    };
    // The last block may end where the disk does.
    let beyond = (blocks * block).saturating_sub(disk).min(block);
    let wanted = data + (allocated * block).saturating_sub(beyond);
    if size < wanted {
        return Err(format!("it is cut off: its blocks take {wanted} bytes, and it has {size}"));
    }
    Ok(())
}

/// Source: [MS-VHDX] 2.1, by which everything in the file takes whole megabytes.
fn vhdx(size: u64) -> Checked {
    if !size.is_multiple_of(1 << 20) {
        return Err(format!("it is cut off: it has {size} bytes, which are no whole megabytes"));
    }
    Ok(())
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

fn big_endian_32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn big_endian_64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn little_endian_32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn little_endian_64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extensions_of_a_qcow2_are_walked() {
        let mut head = vec![0; 512];
        head[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        head[100..104].copy_from_slice(&112_u32.to_be_bytes());
        assert_eq!(qcow2(&head), Ok(()));
        // A table of feature names, of 5 bytes filled up to 8, and then the name of a file.
        head[112..120].copy_from_slice(b"\x68\x03\xf8\x57\0\0\0\x05");
        head[128..136].copy_from_slice(b"DATA\0\0\0\x04");
        assert!(qcow2(&head).unwrap_err().contains("external data file"));
        head[128] = 0;
        assert_eq!(qcow2(&head), Ok(()));
        assert!(qcow2(&head[..90]).is_err());
    }

    proptest! {
        #[test]
        fn any_header_is_judged(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            size in any::<u64>(),
        ) {
            let read = |offset: u64, length: usize| {
                let at = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes[at..bytes.len().min(at.saturating_add(length))].to_vec())
            };
            for foreign in [Foreign::Qcow2, Foreign::Vmdk, Foreign::Vdi, Foreign::Vhdx] {
                let _ = check(foreign, size, &read).unwrap();
            }
        }
    }
}
