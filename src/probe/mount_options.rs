//! Which mount options a filesystem takes, and which it refuses the mount for.
//!
//! For the probe of fstab. The kernel refuses a whole mount, and a remount of `/`, for one word that the filesystem does not
//! know. The tables are those of mount(8), ext4(5), xfs(5), btrfs(5), tmpfs(5) and of the drivers from Linux 2.6.32 to 6.18;
//! values are not judged. A word that stands in none of them may be of a vendor's kernel: it is not known, not refused.

/// A kernel's version, as far as options come and go by it.
pub type Version = (u32, u32);

/// What becomes of a mount with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The option is known.
    Yes,
    /// The mount fails.
    Refused,
    /// It cannot be told.
    Untold,
}

/// What a filesystem of this type does with an option, given by its name, under a kernel of this version.
pub fn taken(fstype: &str, name: &str, kernel: Option<Version>) -> Taken {
    let is_comment = ["x-", "X-", "comment", "verity."].iter().any(|start| name.starts_with(start));
    if is_comment || has(GENERIC, name) {
        return Taken::Yes;
    }
    let known = match fstype {
        // It has had few options, and never took one that it does not know (shmem_parse_one of mm/shmem.c). The nodes of
        // `mpol=bind:0,2` have the comma that separates options.
        "tmpfs" if has(TMPFS, name) || name.starts_with(|first: char| first.is_ascii_digit()) => {
            return Taken::Yes;
        }
        "tmpfs" => return Taken::Refused,
        "ext2" | "ext3" | "ext4" => EXT,
        "xfs" => XFS,
        "btrfs" => BTRFS,
        "vfat" => VFAT,
        _ => return Taken::Yes,
    };
    if has(known, name) {
        return Taken::Yes;
    }
    let kind = if fstype.starts_with("ext") { "ext" } else { fstype };
    let removed = REMOVED.iter().find(|row| row.fstype == kind && has(row.options, name));
    match (removed, kernel) {
        (Some(row), Some(kernel)) if kernel < row.taken_before => Taken::Yes,
        (Some(row), Some(kernel)) if kernel >= row.refused_from => Taken::Refused,
        (Some(_), _) => Taken::Untold,
        (None, _) if is_of_another(name) || !is_misspelt(name) => Taken::Untold,
        (None, _) => Taken::Refused,
    }
}

fn has(table: &str, name: &str) -> bool {
    table.split_whitespace().any(|word| word == name)
}

fn is_of_another(name: &str) -> bool {
    let removed = REMOVED.iter().map(|row| row.options);
    [TMPFS, EXT, XFS, BTRFS, VFAT, OLD].into_iter().chain(removed).any(|table| has(table, name))
}

/// Whether a word is one of mount(8)'s with a slip: `default`, `nofial`, `noatme`. No filesystem has an option so near to one
/// that every filesystem shares.
fn is_misspelt(name: &str) -> bool {
    GENERIC.split_whitespace().any(|word| {
        let most = match word.len() {
            ..4 => 0,
            4..6 => 1,
            _ => 2,
        };
        word.len().abs_diff(name.len()) <= most && strsim::osa_distance(word, name) <= most
    })
}

/// Options that no filesystem is told of, or every one is (mount(8), systemd.mount(5)), and those of security modules.
const GENERIC: &str = "defaults rw ro suid nosuid dev nodev exec noexec sync async dirsync atime noatime diratime nodiratime \
    relatime norelatime strictatime nostrictatime lazytime nolazytime mand nomand iversion noiversion silent loud remount \
    auto noauto user nouser users nousers owner noowner group nogroup nofail fail _netdev symfollow nosymfollow \
    context fscontext defcontext rootcontext seclabel smackfsdef smackfsdefault smackfsfloor smackfshat smackfsroot \
    smackfstransmute bind rbind move shared rshared private rprivate slave rslave unbindable runbindable \
    helper uhelper loop offset sizelimit pri";

/// What mount(8) of old kept to itself (util-linux 2.13), and what mountall of upstart does.
const OLD: &str = "encryption keybits speed vfs kudzu managed pamconsole \
    bootwait nobootwait optional showthrough timeout";

/// tmpfs up to Linux 6.18.
const TMPFS: &str = "size nr_blocks nr_inodes mode uid gid huge mpol inode32 inode64 noswap quota usrquota grpquota \
    usrquota_block_hardlimit usrquota_inode_hardlimit grpquota_block_hardlimit grpquota_inode_hardlimit \
    casefold strict_encoding acl";

/// ext2, ext3 and ext4, whichever of their drivers mounts it.
const EXT: &str = "bsddf minixdf grpid nogrpid bsdgroups sysvgroups resgid resuid sb errors nouid32 debug oldalloc orlov \
    user_xattr nouser_xattr acl noacl norecovery noload bh nobh commit min_batch_time max_batch_time \
    journal_dev journal_path journal_checksum nojournal_checksum journal_async_commit journal_ioprio abort data data_err \
    usrjquota grpjquota jqfmt usrquota grpquota prjquota quota noquota barrier nobarrier i_version dax stripe \
    delalloc nodelalloc warn_on_error nowarn_on_error debug_want_extra_isize mblk_io_submit nomblk_io_submit \
    block_validity noblock_validity inode_readahead_blks auto_da_alloc noauto_da_alloc \
    dioread_lock dioread_nolock nodioread_nolock discard nodiscard init_itable noinit_itable max_dir_size_kb \
    test_dummy_encryption inlinecrypt nombcache no_mbcache prefetch_block_bitmaps no_prefetch_block_bitmaps \
    mb_optimize_scan fc_debug_force fc_debug_max_replay check nocheck reservation noreservation";

const XFS: &str = "logbufs logbsize logdev rtdev wsync noalign swalloc sunit swidth nouuid grpid nogrpid bsdgroups sysvgroups \
    allocsize norecovery inode32 inode64 ikeep noikeep largeio nolargeio attr2 noattr2 filestreams \
    quota noquota usrquota grpquota prjquota uquota gquota pquota uqnoenforce gqnoenforce pqnoenforce qnoenforce \
    discard nodiscard dax lifetime nolifetime max_open_zones max_atomic_write errortag";

const BTRFS: &str = "acl noacl autodefrag noautodefrag barrier nobarrier clear_cache commit compress compress-force \
    datacow nodatacow datasum nodatasum degraded device discard nodiscard enospc_debug noenospc_debug fatal_errors \
    flushoncommit noflushoncommit fragment max_inline metadata_ratio norecovery rescan_uuid_tree rescue usebackuproot \
    skip_balance space_cache nospace_cache ssd nossd ssd_spread nossd_spread subvol subvolid thread_pool \
    treelog notreelog user_subvol_rm_allowed ref_verify ref_tracker";

const VFAT: &str = "uid gid umask dmask fmask allow_utime blocksize codepage charset iocharset conv check quiet showexec debug \
    sys_immutable flush usefree tz time_offset dos1xfloppy nfs errors discard shortname utf8 uni_xlate nonumtail rodir \
    dots nodots dotsOK fat cvf_format cvf_option cvf_options posix";

/// Options that a filesystem has had. Between the two versions it depends on what the distribution's kernel took over.
struct Removed {
    fstype: &'static str,
    options: &'static str,
    /// Every kernel before takes them.
    taken_before: Version,
    /// None from here on does.
    refused_from: Version,
}

const REMOVED: [Removed; 6] = [
    // admin-guide/xfs.rst, "Removed Mount Options". DISTRO(el8): 4.18 with the XFS of later ones.
    Removed {
        fstype: "xfs",
        options: "barrier nobarrier",
        taken_before: (4, 18),
        refused_from: (4, 19),
    },
    // DISTRO(el7): 3.10 with the XFS of later ones.
    Removed {
        fstype: "xfs",
        options: "delaylog nodelaylog ihashsize irixsgid osyncisdsync osyncisosync",
        taken_before: (3, 10),
        refused_from: (4, 0),
    },
    // From here on: those that 6.18 was seen to refuse.
    Removed {
        fstype: "xfs",
        options: "biosize mtpt dmapi dmi xdsm",
        taken_before: (2, 6),
        refused_from: (6, 18),
    },
    Removed {
        fstype: "btrfs",
        options: "check_int check_int_data check_int_print_mask inode_cache noinode_cache alloc_start subvolrootid \
            nologreplay recovery",
        taken_before: (6, 7),
        refused_from: (6, 18),
    },
    Removed {
        fstype: "ext",
        options: "extents noextents mballoc nomballoc",
        taken_before: (2, 6),
        refused_from: (6, 18),
    },
    Removed {
        fstype: "ext",
        options: "journal resize xip",
        taken_before: (4, 0),
        refused_from: (6, 18),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_kernels() {
        for (fstype, name, kernel, expected) in [
            ("ext4", "errors", None, Taken::Yes),
            ("ext3", "x-systemd.growfs", None, Taken::Yes),
            ("ext4", "default", None, Taken::Refused),
            ("ext4", "nofile", None, Taken::Refused),
            ("xfs", "nofali", None, Taken::Refused),
            ("vfat", "noauo", None, Taken::Refused),
            ("ext4", "lustre_thing", None, Taken::Untold),
            // Near to `fail`, and an option of old.
            ("ext4", "nobootwait", None, Taken::Untold),
            ("vfat", "nobarrier", Some((6, 1)), Taken::Untold),
            ("xfs", "nobarrier", None, Taken::Untold),
            ("xfs", "nobarrier", Some((3, 10)), Taken::Yes),
            ("xfs", "nobarrier", Some((4, 18)), Taken::Untold),
            ("xfs", "nobarrier", Some((4, 19)), Taken::Refused),
            ("ext4", "nobarrier", Some((6, 12)), Taken::Yes),
            ("tmpfs", "default", None, Taken::Refused),
            ("tmpfs", "2", None, Taken::Yes),
            ("nfs", "default", None, Taken::Yes),
        ] {
            assert_eq!(taken(fstype, name, kernel), expected, "{fstype} {name} {kernel:?}");
        }
    }

    /// No word of a table reads as a slip, whichever filesystem it is given to.
    #[test]
    fn no_known_word_is_refused() {
        let tables = [GENERIC, OLD, EXT, XFS, BTRFS, VFAT];
        for name in tables.into_iter().flat_map(str::split_whitespace) {
            for fstype in ["ext4", "xfs", "btrfs", "vfat"] {
                assert_ne!(taken(fstype, name, None), Taken::Refused, "{fstype} {name}");
            }
        }
    }
}
