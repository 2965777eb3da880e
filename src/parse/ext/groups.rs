//! Block groups: where their inodes are, and what is free.

use super::bytes::{ReadAt, length, piece};
use super::cache::Use;
use super::checksum::crc16;
use super::error::{Place, Result};
use super::geometry::Geometry;
use super::{Ext, Usage};
use crate::parse::field::{le16, le32};
use crate::parse::superblock::ext::{Compat, Incompat, RoCompat};

/// Up to this many groups are read when the filesystem is opened: 128 TiB with blocks of 4 KiB, 64 MiB of descriptors.
/// Of a larger filesystem the counts of the superblock have to do.
const COUNTED: u32 = 1 << 20;

/// Of a group's descriptor what a reader needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// The first block of its inodes.
    pub inodes: u64,
    /// Free clusters.
    free_clusters: u32,
    free_inodes: u32,
}

impl<S: ReadAt> Ext<S> {
    pub(super) fn group(&self, number: u32) -> Result<Group> {
        let place = Place::Descriptor(number);
        let geometry = &self.geometry;
        let (per_block, size) = (geometry.descriptors_per_block(), geometry.descriptor_size);
        place.holds(number < geometry.groups, "there is no such group")?;
        let index = number / per_block;
        let number_of_block = geometry.descriptor_block(index);
        place.holds(number_of_block < geometry.blocks, "it lies beyond the end")?;
        let size = length(size.into());
        let block = self.device.block(number_of_block, Use::Descriptors, |block| {
            let first = index * per_block;
            (first..geometry.groups.min(first.saturating_add(per_block)))
                .zip(block.chunks_exact(size))
                .try_for_each(|(group, bytes)| {
                    Place::Descriptor(group).matches(matches(geometry, group, bytes))
                })
        })?;
        let at = length((number % per_block).into()) * size;
        let low = piece::<32>(&block, at).ok_or_else(|| place.damaged("it is cut off"))?;
        let high = match size {
            32 => &[0; 32],
            _ => piece::<32>(&block, at + 32).ok_or_else(|| place.damaged("it is cut off"))?,
        };
        let group = Group {
            inodes: u64::from(le32(low, 0x08)) | u64::from(le32(high, 0x08)) << 32,
            free_clusters: u32::from(le16(low, 0x0c)) | u32::from(le16(high, 0x0c)) << 16,
            free_inodes: u32::from(le16(low, 0x0e)) | u32::from(le16(high, 0x0e)) << 16,
        };
        place.holds(
            geometry.has(group.inodes, geometry.inode_blocks_per_group().into()),
            "its inodes lie beyond the end",
        )?;
        Ok(group)
    }

    /// Counts what is free, as the kernel does at mount, and looks at every descriptor on the way.
    pub(super) fn count(&self) -> Result<Usage> {
        let geometry = &self.geometry;
        let (mut free_blocks, mut free_inodes) = (0, 0);
        if geometry.groups <= COUNTED {
            for number in 0..geometry.groups {
                let group = self.group(number)?;
                free_blocks += u64::from(group.free_clusters) * u64::from(geometry.cluster);
                free_inodes += u64::from(group.free_inodes);
            }
        } else {
            (free_blocks, free_inodes) = (geometry.free_blocks, geometry.free_inodes.into());
        }
        let kept = geometry.reserved_blocks.saturating_add(kept_back(geometry));
        Ok(Usage {
            block_size: geometry.block_size,
            blocks: geometry.blocks.saturating_sub(self.overhead()),
            free_blocks,
            reserved_blocks: geometry.reserved_blocks,
            available_blocks: free_blocks.saturating_sub(kept),
            inodes: geometry.inodes.into(),
            free_inodes,
        })
    }

    /// Blocks that can belong to no file: copies of superblock and descriptors, bitmaps, inodes, the journal
    /// (ext4_calculate_overhead of the kernel).
    fn overhead(&self) -> u64 {
        let geometry = &self.geometry;
        if geometry.ro_compat.contains(RoCompat::BIGALLOC) && geometry.overhead > 0 {
            return u64::from(geometry.overhead) * u64::from(geometry.cluster);
        }
        let inodes = u64::from(geometry.inode_blocks_per_group());
        let mut overhead = u64::from(geometry.first_data_block);
        for group in 0..geometry.groups.min(COUNTED) {
            overhead += inodes + 2 + u64::from(geometry.descriptor_blocks_in(group));
            if geometry.has_superblock(group) {
                overhead += 1 + u64::from(geometry.reserved_descriptor_blocks);
            }
        }
        let journal = geometry.compat.contains(Compat::HAS_JOURNAL) && geometry.journal > 0;
        if journal && let Ok(inode) = self.inode(geometry.journal.into()) {
            overhead += inode.size / u64::from(geometry.block_size);
        }
        overhead
    }
}

/// Blocks that ext4 keeps back for the growth of extent trees (ext4_set_resv_clusters of the kernel): a fiftieth of the
/// clusters, and no more than 4,096 of them.
fn kept_back(geometry: &Geometry) -> u64 {
    if !geometry.incompat.contains(Incompat::EXTENT) {
        return 0;
    }
    let cluster = u64::from(geometry.cluster);
    (geometry.blocks / cluster / 50).min(4096) * cluster
}

/// Whether the checksum of a descriptor is right, or the format has none. `bytes` are the whole descriptor.
fn matches(geometry: &Geometry, group: u32, bytes: &[u8]) -> bool {
    let (Some(head), Some(stored)) = (bytes.first_chunk::<0x1e>(), piece(bytes, 0x1e)) else {
        return false;
    };
    let rest = &bytes[0x20..];
    let stored = u16::from_le_bytes(*stored);
    let number = group.to_le_bytes();
    if geometry.checksums() {
        let seed = geometry.seed.and(&number).and(head).and(&[0; 2]).and(rest);
        // The low half is all that is kept.
        return u32::from(stored) == seed.0 & 0xffff;
    }
    if geometry.ro_compat.contains(RoCompat::GDT_CSUM) {
        let state = crc16(crc16(crc16(!0, &geometry.uuid), &number), head);
        return stored == crc16(state, rest);
    }
    true
}
