//! What the superblock says of the filesystem's shape, checked as the kernel checks it before a mount.

use super::bytes::ReadAt;
use super::checksum::Seed;
use super::error::{ExtError, Place, Result};
use crate::parse::crc::castagnoli_raw;
use crate::parse::field::{array16, le16, le32};
use crate::parse::superblock::ext::{Compat, Incompat, RoCompat};

/// Offset of the superblock, and its length.
const OFFSET: u64 = 1024;
const LENGTH: usize = 1024;
const MAGIC: u16 = 0xef53;

/// Without these a reader goes wrong; all of them are read here, as far as each inode's flags allow.
const READ: Incompat = Incompat(
    Incompat::FILETYPE.0
        | Incompat::NEEDS_RECOVERY.0
        | Incompat::META_BG.0
        | Incompat::EXTENT.0
        | Incompat::BIT64.0
        | Incompat::MMP.0
        | Incompat::FLEX_BG.0
        | Incompat::EA_INODE.0
        | Incompat::METADATA_CSUM_SEED.0
        | Incompat::LARGE_DIR.0
        | Incompat::INLINE_DATA.0
        | Incompat::ENCRYPT.0
        | Incompat::CASEFOLD.0,
);

/// The shape of the filesystem. Counts are in blocks and inodes.
#[derive(Debug, Clone)]
pub(super) struct Geometry {
    pub compat: Compat,
    pub incompat: Incompat,
    pub ro_compat: RoCompat,
    /// Bytes of a block: a power of two from 1,024 to 65,536.
    pub block_size: u32,
    /// All blocks; they fit in the source.
    pub blocks: u64,
    pub reserved_blocks: u64,
    /// Free blocks and inodes as of the last clean unmount.
    pub free_blocks: u64,
    pub free_inodes: u32,
    pub first_data_block: u32,
    pub blocks_per_group: u32,
    /// Blocks that bigalloc allocates together; 1 without it.
    pub cluster: u32,
    pub groups: u32,
    pub inodes: u32,
    pub inodes_per_group: u32,
    /// Bytes of an inode: a power of two from 128 to a block.
    pub inode_size: u32,
    /// Bytes of a group descriptor.
    pub descriptor_size: u32,
    pub reserved_descriptor_blocks: u16,
    pub first_meta_group: u32,
    /// The groups that have the copies of the superblock under sparse_super2.
    backup_groups: [u32; 2],
    /// Clusters that no file can have, as mkfs counted them; 0 if it did not.
    pub overhead: u32,
    /// The inode of the journal; 0 if there is none, or if it is on another device.
    pub journal: u32,
    pub uuid: [u8; 16],
    pub seed: Seed,
    /// Whether Linux made it: only then the kernel looks at the checksums of inodes.
    pub made_by_linux: bool,
}

impl Geometry {
    /// Reads the superblock of a source of `size` bytes.
    pub(super) fn read(size: u64, read: impl FnOnce(u64, &mut [u8]) -> Result<()>) -> Result<Self> {
        if size < OFFSET + LENGTH as u64 {
            return Err(ExtError::NotExt);
        }
        let mut sb = [0; LENGTH];
        read(OFFSET, &mut sb)?;
        Self::parse(&sb, size)
    }

    /// The superblock of a source that nothing stands in front of.
    pub(super) fn of_source(source: &impl ReadAt, size: u64) -> Result<Self> {
        Self::read(size, |offset, buffer| {
            let length = buffer.len();
            source.read_at(offset, buffer).map_err(|error| ExtError::Read {
                offset,
                length,
                cause: error.to_string(),
            })
        })
    }

    fn parse(sb: &[u8; LENGTH], size: u64) -> Result<Self> {
        if le16(sb, 0x38) != MAGIC {
            return Err(ExtError::NotExt);
        }
        let holds = |ok, why| Place::Superblock.holds(ok, why);
        let revision = le32(sb, 0x4c);
        if revision > 1 {
            return Err(ExtError::Features(format!("revision {revision} of the format")));
        }
        let incompat = Incompat(le32(sb, 0x60));
        let ro_compat = RoCompat(le32(sb, 0x64));
        let unread = Incompat(incompat.0 & !READ.0);
        if unread.0 != 0 {
            return Err(ExtError::Features(unread.names().join(", ")));
        }
        let checksums = ro_compat.contains(RoCompat::METADATA_CSUM);
        if checksums {
            if sb[0x175] != 1 {
                return Err(ExtError::Features(format!("checksum algorithm {}", sb[0x175])));
            }
            Place::Superblock.matches(le32(sb, 0x3fc) == castagnoli_raw(!0, &sb[..0x3fc]))?;
        }
        let wide = incompat.contains(Incompat::BIT64);
        let high = |at: usize| if wide { u64::from(le32(sb, at)) << 32 } else { 0 };

        let log_block_size = le32(sb, 0x18);
        holds(log_block_size <= 6, "a block is larger than 64 KiB")?;
        let block_size = 1024_u32 << log_block_size;
        let bits = block_size * 8;
        let cluster = if ro_compat.contains(RoCompat::BIGALLOC) {
            let log = le32(sb, 0x1c).wrapping_sub(log_block_size);
            // The kernel's limit of s_log_cluster_size is 20 (EXT4_MAX_CLUSTER_LOG_SIZE is 30, counted from 1 byte).
            holds(log <= 20, "the size of a cluster makes no sense")?;
            1 << log
        } else {
            1
        };
        let blocks = u64::from(le32(sb, 0x04)) | high(0x150);
        let first_data_block = le32(sb, 0x14);
        holds(u64::from(first_data_block) < blocks, "its first data block is beyond its end")?;
        holds(first_data_block <= 1, "its first data block is neither 0 nor 1")?;
        holds(
            blocks.checked_mul(block_size.into()).is_some_and(|bytes| bytes <= size),
            "the filesystem is larger than what it lies on",
        )?;
        let blocks_per_group = le32(sb, 0x20);
        holds(
            blocks_per_group > 0
                && blocks_per_group.is_multiple_of(cluster)
                && blocks_per_group / cluster <= bits,
            "the number of blocks in a group makes no sense",
        )?;
        let inode_size = if revision == 0 { 128 } else { le16(sb, 0x58).into() };
        holds(
            inode_size >= 128 && inode_size <= block_size && inode_size.is_power_of_two(),
            "the size of an inode makes no sense",
        )?;
        let inodes_per_group = le32(sb, 0x28);
        holds(
            inodes_per_group >= block_size / inode_size && inodes_per_group <= bits,
            "the number of inodes in a group makes no sense",
        )?;
        let groups = (blocks - u64::from(first_data_block)).div_ceil(blocks_per_group.into());
        let inodes = le32(sb, 0x00);
        holds(
            groups.checked_mul(inodes_per_group.into()) == Some(inodes.into()),
            "its groups and its inodes do not add up",
        )?;
        let descriptor_size: u32 = if wide { le16(sb, 0xfe).into() } else { 32 };
        holds(
            (if wide { 64 } else { 32 }..=1024).contains(&descriptor_size)
                && descriptor_size.is_power_of_two(),
            "the size of a group descriptor makes no sense",
        )?;
        let uuid = array16(sb, 0x68);
        let seed = if incompat.contains(Incompat::METADATA_CSUM_SEED) {
            Seed(le32(sb, 0x270))
        } else {
            Seed::of_uuid(&uuid)
        };
        Ok(Self {
            compat: Compat(le32(sb, 0x5c)),
            incompat,
            ro_compat,
            block_size,
            blocks,
            reserved_blocks: u64::from(le32(sb, 0x08)) | high(0x154),
            free_blocks: u64::from(le32(sb, 0x0c)) | high(0x158),
            free_inodes: le32(sb, 0x10),
            first_data_block,
            blocks_per_group,
            cluster,
            // No more than `inodes`, which are counted in 32 bits.
            groups: u32::try_from(groups).unwrap_or(u32::MAX),
            inodes,
            inodes_per_group,
            inode_size,
            descriptor_size,
            reserved_descriptor_blocks: le16(sb, 0xce),
            first_meta_group: le32(sb, 0x104),
            backup_groups: [le32(sb, 0x24c), le32(sb, 0x250)],
            overhead: le32(sb, 0x248),
            journal: le32(sb, 0xe0),
            uuid,
            seed,
            made_by_linux: le32(sb, 0x48) == 0,
        })
    }

    /// Whether metadata has crc32c checksums.
    pub(super) fn checksums(&self) -> bool {
        self.ro_compat.contains(RoCompat::METADATA_CSUM)
    }

    pub(super) fn descriptors_per_block(&self) -> u32 {
        self.block_size / self.descriptor_size
    }

    /// Blocks that the descriptors of all groups take.
    pub(super) fn descriptor_blocks(&self) -> u32 {
        self.groups.div_ceil(self.descriptors_per_block())
    }

    /// Blocks that the inodes of one group take.
    pub(super) fn inode_blocks_per_group(&self) -> u32 {
        // At most 65,536 * 8 inodes of at most 65,536 bytes: more than 32 bits hold.
        let bytes = u64::from(self.inodes_per_group) * u64::from(self.inode_size);
        u32::try_from(bytes.div_ceil(self.block_size.into())).unwrap_or(u32::MAX)
    }

    /// Whether the `count` blocks from `start` lie in the filesystem, behind its superblock.
    pub(super) fn has(&self, start: u64, count: u64) -> bool {
        start > self.first_data_block.into()
            && start.checked_add(count).is_some_and(|end| end <= self.blocks)
    }

    /// Whether a group begins with a copy of the superblock (ext4_bg_has_super of the kernel).
    pub(super) fn has_superblock(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.compat.contains(Compat::SPARSE_SUPER2) {
            return self.backup_groups.contains(&group);
        }
        if group == 1 || !self.ro_compat.contains(RoCompat::SPARSE_SUPER) {
            return true;
        }
        [3, 5, 7].into_iter().any(|base| {
            let mut rest = group;
            while rest.is_multiple_of(base) {
                rest /= base;
            }
            rest == 1
        })
    }

    /// The block with the `index`th block's worth of group descriptors (descriptor_loc of the kernel).
    pub(super) fn descriptor_block(&self, index: u32) -> u64 {
        let superblock = if self.block_size == 1024 { 1 } else { 0 };
        if !self.incompat.contains(Incompat::META_BG) || index < self.first_meta_group {
            return superblock + 1 + u64::from(index);
        }
        let group = u64::from(index) * u64::from(self.descriptors_per_block());
        // Below `groups`, since the index is that of a group there is.
        let mut before =
            u64::from(u32::try_from(group).is_ok_and(|group| self.has_superblock(group)));
        if self.block_size == 1024 && index == 0 && self.first_data_block == 0 {
            // bigalloc with blocks of 1 KiB: block 0 is the boot block, and the superblock is block 1 all the same.
            before += 1;
        }
        group * u64::from(self.blocks_per_group) + u64::from(self.first_data_block) + before
    }

    /// Blocks of descriptors that a group begins with (ext4_bg_num_gdb of the kernel).
    pub(super) fn descriptor_blocks_in(&self, group: u32) -> u32 {
        let per_block = self.descriptors_per_block();
        let meta = self.incompat.contains(Incompat::META_BG);
        if meta && group / per_block >= self.first_meta_group {
            let inside = group % per_block;
            return u32::from(inside <= 1 || inside == per_block - 1);
        }
        match (self.has_superblock(group), meta) {
            (false, _) => 0,
            (true, true) => self.first_meta_group,
            (true, false) => self.descriptor_blocks(),
        }
    }
}
