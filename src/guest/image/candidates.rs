//! Which of an image's filesystems can be mounted, by their superblocks alone.

use super::layout::Layout;
use crate::guest::Fact;
use crate::parse::superblock::{Checksum, Detail, Superblock};

/// A filesystem that may hold the root.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The device that it is on.
    pub device: usize,
    /// Its type as the kernel names it.
    pub fstype: &'static str,
    /// Its journal or log is to be replayed before its content is what it should be.
    pub needs_recovery: bool,
}

/// The filesystems of an image that may hold the root, and what is wrong with the others.
pub fn find(
    layout: &Layout,
    superblocks: &[Fact<Option<Superblock>>],
) -> (Vec<Candidate>, Vec<String>) {
    let mut found = Vec::new();
    let mut doubts = layout.doubts.clone();
    for (device, superblock) in superblocks.iter().enumerate() {
        if layout.disks.children(device).next().is_some() {
            continue;
        }
        let about = &layout.disks.devices[device];
        let superblock = match superblock {
            Ok(Some(superblock)) => superblock,
            Ok(None) => continue,
            Err(why) => {
                doubts.push(why.0.clone());
                continue;
            }
        };
        match is_mountable(about.size, superblock) {
            Err(why) => doubts.push(format!("{}: {why}", about.path())),
            Ok(false) => {}
            Ok(true) => {
                if let Some((fstype, needs_recovery)) = of_linux(superblock) {
                    found.push(Candidate { device, fstype, needs_recovery });
                }
            }
        }
    }
    (found, doubts)
}

/// A filesystem that a Linux system can have for its root, and whether it was not unmounted.
fn of_linux(superblock: &Superblock) -> Option<(&'static str, bool)> {
    let fstype = superblock.kind.name();
    match &superblock.detail {
        Detail::Ext(ext) => Some((fstype, ext.needs_recovery())),
        Detail::Btrfs(btrfs) => Some((fstype, btrfs.has_log)),
        // Nothing in the superblock of XFS says that its log is not empty.
        Detail::Xfs(_) => Some((fstype, false)),
        _ => None,
    }
}

/// Whether there is a filesystem, and whether the kernel may be asked to mount it.
///
/// # Errors
/// Why it may not: what it says of itself cannot be, or it needs what is not here.
pub fn is_mountable(size: u64, superblock: &Superblock) -> Result<bool, String> {
    let fits = |bytes: u64| {
        let cause = || format!("its filesystem says {bytes} bytes, of which {size} are there");
        if bytes <= size { Ok(()) } else { Err(cause()) }
    };
    match &superblock.detail {
        Detail::Ext(_) if superblock.kind.name() == "jbd" => return Ok(false),
        Detail::Ext(ext) => {
            fits(ext.blocks.saturating_mul(ext.block_size))?;
            if let Some(uuid) = &ext.journal_uuid {
                return Err(format!("its journal lies on another device, {uuid}"));
            }
        }
        Detail::Xfs(xfs) => {
            fits(xfs.blocks.saturating_mul(xfs.block_size.into()))?;
            if xfs.external_log {
                return Err("its log lies on another device".to_owned());
            }
            if xfs.in_progress || xfs.needs_repair() {
                return Err("xfs_repair has to run before it can be mounted".to_owned());
            }
        }
        Detail::Btrfs(btrfs) => {
            fits(btrfs.device_bytes)?;
            if btrfs.devices != 1 {
                return Err(format!("it is one of {} devices of a btrfs", btrfs.devices));
            }
        }
        Detail::Luks(_) => return Err("it is encrypted (LUKS)".to_owned()),
        Detail::Md(_) => return Err("it is a member of a software RAID".to_owned()),
        Detail::Vfat(_) => {}
        Detail::Lvm(_) | Detail::Swap(_) | Detail::None => return Ok(false),
    }
    if superblock.checksum == Checksum::Bad {
        return Err(format!("the checksum of its {} superblock is wrong", superblock.kind));
    }
    Ok(true)
}
