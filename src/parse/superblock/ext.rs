//! ext2, ext3, ext4 and their external journals.
//!
//! Layout: struct ext2_super_block of ext2fs/ext2_fs.h (e2fsprogs), little endian, 1024 bytes at offset 1024. Which of
//! the names a superblock goes by follows libblkid: by what the ext2 and ext3 drivers can mount. libblkid besides asks
//! the running kernel whether it has an ext2 driver at all; an image is judged without that.

use super::bits::bit_set;
use super::{Checksum, Detail, Kind, Superblock};
use crate::parse::crc;
use crate::parse::field::{array16, c_string, label, le16, le32, uuid};
use crate::parse::window::{Unread, Window};

const OFFSET: u64 = 1024;
const LENGTH: usize = 1024;
const MAGIC: u16 = 0xef53;

bit_set! {
    /// Features that a kernel may ignore; names as `tune2fs -l` prints them.
    Compat, "FEATURE_C", {
        DIR_PREALLOC = 0x1, "dir_prealloc";
        IMAGIC_INODES = 0x2, "imagic_inodes";
        HAS_JOURNAL = 0x4, "has_journal";
        EXT_ATTR = 0x8, "ext_attr";
        RESIZE_INODE = 0x10, "resize_inode";
        DIR_INDEX = 0x20, "dir_index";
        LAZY_BG = 0x40, "lazy_bg";
        EXCLUDE_BITMAP = 0x100, "snapshot_bitmap";
        SPARSE_SUPER2 = 0x200, "sparse_super2";
        FAST_COMMIT = 0x400, "fast_commit";
        STABLE_INODES = 0x800, "stable_inodes";
        ORPHAN_FILE = 0x1000, "orphan_file";
    }
}

bit_set! {
    /// Features without which a kernel must not mount the filesystem; names as `tune2fs -l` prints them.
    Incompat, "FEATURE_I", {
        COMPRESSION = 0x1, "compression";
        FILETYPE = 0x2, "filetype";
        /// The journal is to be replayed: normal while mounted for writing, else the sign of a crash.
        NEEDS_RECOVERY = 0x4, "needs_recovery";
        JOURNAL_DEV = 0x8, "journal_dev";
        META_BG = 0x10, "meta_bg";
        EXTENT = 0x40, "extent";
        BIT64 = 0x80, "64bit";
        MMP = 0x100, "mmp";
        FLEX_BG = 0x200, "flex_bg";
        EA_INODE = 0x400, "ea_inode";
        DIRDATA = 0x1000, "dirdata";
        METADATA_CSUM_SEED = 0x2000, "metadata_csum_seed";
        LARGE_DIR = 0x4000, "large_dir";
        INLINE_DATA = 0x8000, "inline_data";
        ENCRYPT = 0x1_0000, "encrypt";
        CASEFOLD = 0x2_0000, "casefold";
    }
}

bit_set! {
    /// Features without which a kernel may only read; names as `tune2fs -l` prints them.
    RoCompat, "FEATURE_R", {
        SPARSE_SUPER = 0x1, "sparse_super";
        LARGE_FILE = 0x2, "large_file";
        HUGE_FILE = 0x8, "huge_file";
        GDT_CSUM = 0x10, "uninit_bg";
        DIR_NLINK = 0x20, "dir_nlink";
        EXTRA_ISIZE = 0x40, "extra_isize";
        QUOTA = 0x100, "quota";
        BIGALLOC = 0x200, "bigalloc";
        METADATA_CSUM = 0x400, "metadata_csum";
        REPLICA = 0x800, "replica";
        READONLY = 0x1000, "read-only";
        PROJECT = 0x2000, "project";
        SHARED_BLOCKS = 0x4000, "shared_blocks";
        VERITY = 0x8000, "verity";
        ORPHAN_PRESENT = 0x1_0000, "orphan_present";
    }
}

/// What the ext2 driver has; a superblock with more is not ext2. 0x4 was meant for B-tree directories.
const EXT2_INCOMPAT: u32 = Incompat::FILETYPE.0 | Incompat::META_BG.0;
const EXT3_INCOMPAT: u32 = EXT2_INCOMPAT | Incompat::NEEDS_RECOVERY.0;
const EXT23_RO_COMPAT: u32 = RoCompat::SPARSE_SUPER.0 | RoCompat::LARGE_FILE.0 | 0x4;

/// The bits of s_state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State(pub u16);

impl State {
    /// Unmounted cleanly. With a journal it stays set while mounted; then [`Incompat::NEEDS_RECOVERY`] tells.
    pub fn clean(self) -> bool {
        self.0 & 0x1 != 0
    }

    /// The kernel found errors: the next fsck checks everything.
    pub fn errors(self) -> bool {
        self.0 & 0x2 != 0
    }

    /// Orphaned inodes are being recovered.
    pub fn orphans(self) -> bool {
        self.0 & 0x4 != 0
    }
}

/// What the kernel does when it finds an error (s_errors), unless a mount option says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Go on.
    Continue,
    /// Remount read-only.
    RemountReadOnly,
    /// Panic.
    Panic,
    /// A value that is none of these; the kernel then goes on.
    Unknown(u16),
}

/// The fields of an ext superblock that a verdict can depend on. Times are seconds since 1970; 0 means never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ext {
    /// Features that a kernel may ignore.
    pub compat: Compat,
    /// Features without which a kernel must not mount.
    pub incompat: Incompat,
    /// Features without which a kernel may only read.
    pub ro_compat: RoCompat,
    /// s_state
    pub state: State,
    /// s_errors
    pub on_error: OnError,
    /// Mounts since the last check.
    pub mount_count: u16,
    /// A check is due when `mount_count` reaches it; off if it is 0 or negative (tune2fs -c).
    pub max_mount_count: i16,
    /// Time of the last check.
    pub last_check: u64,
    /// A check is due this many seconds after the last; 0 is off (tune2fs -i).
    pub check_interval: u32,
    /// Time of the last mount.
    pub mounted_at: u64,
    /// Time of the last write.
    pub written_at: u64,
    /// Time of mkfs.
    pub made_at: u64,
    /// Where it was mounted last.
    pub last_mounted: Vec<u8>,
    /// Errors since the last fsck.
    pub error_count: u32,
    /// Time of the first of them.
    pub first_error_at: u64,
    /// Time of the last of them.
    pub last_error_at: u64,
    /// Size of a block in bytes, 0 if the field makes no sense.
    pub block_size: u64,
    /// Blocks of the filesystem.
    pub blocks: u64,
    /// Free blocks; the kernel keeps this up to date only at unmount.
    pub free_blocks: u64,
    /// The journal's identifier, if it is on another device.
    pub journal_uuid: Option<String>,
}

impl Ext {
    /// Whether the journal must be replayed.
    pub fn needs_recovery(&self) -> bool {
        self.incompat.contains(Incompat::NEEDS_RECOVERY)
    }

    /// Whether fsck would check everything because of the number of mounts, as e2fsck decides.
    pub fn check_due_by_count(&self) -> bool {
        u16::try_from(self.max_mount_count).is_ok_and(|max| max > 0 && self.mount_count >= max)
    }

    /// Whether fsck would check everything because of the time, at `now` seconds since 1970.
    pub fn check_due_by_time(&self, now: u64) -> bool {
        self.check_interval > 0 && now >= self.last_check.saturating_add(self.check_interval.into())
    }
}

/// # Errors
/// [`Unread`] if the window lacks the superblock.
pub(super) fn parse(window: &Window) -> Result<Option<Superblock>, Unread> {
    let Some(sb) = window.array::<LENGTH>(OFFSET)? else {
        return Ok(None);
    };
    if le16(sb, 0x38) != MAGIC {
        return Ok(None);
    }
    let ext = fields(sb);
    Ok(Some(Superblock {
        kind: kind(&ext),
        uuid: uuid(array16(sb, 0x68)),
        uuid_sub: None,
        label: label(&sb[0x78..0x88]),
        version: Some(format!("{}.{}", le32(sb, 0x4c), le16(sb, 0x3e))),
        block_size: u32::try_from(ext.block_size).ok().filter(|size| *size > 0),
        checksum: checksum(sb, &ext),
        detail: Detail::Ext(Box::new(ext)),
    }))
}

fn kind(ext: &Ext) -> Kind {
    let has_journal = ext.compat.contains(Compat::HAS_JOURNAL);
    let only =
        |incompat: u32| ext.incompat.0 & !incompat == 0 && ext.ro_compat.0 & !EXT23_RO_COMPAT == 0;
    if ext.incompat.contains(Incompat::JOURNAL_DEV) {
        Kind::Jbd
    } else if has_journal && only(EXT3_INCOMPAT) {
        Kind::Ext3
    } else if !has_journal && only(EXT2_INCOMPAT) {
        Kind::Ext2
    } else {
        Kind::Ext4
    }
}

fn checksum(sb: &[u8; LENGTH], ext: &Ext) -> Checksum {
    if !ext.ro_compat.contains(RoCompat::METADATA_CSUM) {
        return Checksum::Absent;
    }
    // s_checksum_type: 1 is crc32c, the only one there is.
    if sb[0x175] != 1 {
        return Checksum::NotChecked;
    }
    Checksum::of(le32(sb, 0x3fc) == crc::castagnoli_raw(!0, &sb[..0x3fc]))
}

fn fields(sb: &[u8; LENGTH]) -> Ext {
    let incompat = Incompat(le32(sb, 0x60));
    let journal_inode = le32(sb, 0xe0);
    let high = |at: usize| {
        if incompat.contains(Incompat::BIT64) { u64::from(le32(sb, at)) << 32 } else { 0 }
    };
    // The times got eight more bits each, at 0x274 and on.
    let time = |low: usize, high: usize| u64::from(le32(sb, low)) | u64::from(sb[high]) << 32;
    Ext {
        compat: Compat(le32(sb, 0x5c)),
        incompat,
        ro_compat: RoCompat(le32(sb, 0x64)),
        state: State(le16(sb, 0x3a)),
        on_error: match le16(sb, 0x3c) {
            1 => OnError::Continue,
            2 => OnError::RemountReadOnly,
            3 => OnError::Panic,
            other => OnError::Unknown(other),
        },
        mount_count: le16(sb, 0x34),
        max_mount_count: le16(sb, 0x36).cast_signed(),
        last_check: time(0x40, 0x277),
        check_interval: le32(sb, 0x44),
        mounted_at: time(0x2c, 0x275),
        written_at: time(0x30, 0x274),
        made_at: time(0x108, 0x276),
        last_mounted: c_string(&sb[0x88..0xc8]).to_vec(),
        error_count: le32(sb, 0x194),
        first_error_at: time(0x198, 0x278),
        last_error_at: time(0x1cc, 0x279),
        // EXT2_MAX_BLOCK_LOG_SIZE is 16, that is 64 KiB.
        block_size: if le32(sb, 0x18) <= 6 { 1024 << le32(sb, 0x18) } else { 0 },
        blocks: u64::from(le32(sb, 0x04)) | high(0x150),
        free_blocks: u64::from(le32(sb, 0x0c)) | high(0x158),
        journal_uuid: if journal_inode == 0 { uuid(array16(sb, 0xd0)) } else { None },
    }
}
