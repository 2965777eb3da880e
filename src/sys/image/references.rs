//! What of an image lies in other files: refused before a program that would open them sees it.
//!
//! A backing file, an external data file or an extent is a name in the image, and whoever made the
//! image chose it: `/etc/shadow` of the machine that looks would be read as the guest's disk.

use super::Result;
use super::recognise::Foreign;

/// Reads bytes of the image at an offset; fewer at its end.
pub(super) type Read<'a> = &'a dyn Fn(u64, usize) -> Result<Vec<u8>>;

/// Look whether an image names other files, or needs what nobody gave. The inner error says what
/// is wrong with it, as a whole clause.
///
/// # Errors
/// What reading says.
pub(super) fn check(foreign: Foreign, read: Read<'_>) -> Result<Checked> {
    match foreign {
        Foreign::Qcow2 => Ok(qcow2(&read(0, QCOW2_LONGEST)?)),
        Foreign::Vmdk => vmdk(read),
        // QEMU reads no parent of these three, and refuses an image that has one.
        Foreign::DynamicVhd | Foreign::Vhdx | Foreign::Vdi => Ok(Ok(())),
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

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

fn big_endian_32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn big_endian_64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

fn little_endian_64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
