//! Devices with no superblock, or with several, against blkid.

use crate::tools::{Image, attempt, blkid, have, identify};
use guestprep::parse::superblock::{Kind, Unidentified};

#[test]
fn nothing() {
    if !have(&["blkid"]) {
        return;
    }
    for mib in [0, 1, 16] {
        let image = Image::new(mib);
        assert_eq!(identify(&image.path()), Ok(None));
        assert_eq!(blkid(&image.path()).get("TYPE"), None);
    }
}

/// Two filesystems on one device: blkid names neither.
#[test]
fn two_filesystems_are_ambiguous() {
    if !have(&["mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkswap", "blkid"]) {
        return;
    }
    let xfs = Image::new(320);
    xfs.make("mkfs.xfs", &["-q", "-f"]);
    let ext = Image::new(320);
    ext.make("mke2fs", &["-q", "-F", "-t", "ext4"]);
    let btrfs = Image::new(320);
    btrfs.make("mkfs.btrfs", &["-q", "-f"]);
    let swap = Image::new(320);
    swap.make("mkswap", &[]);

    let ext_superblock = ext.read(1024, 1024);
    for (image, kinds) in [
        (&xfs, [Kind::Xfs, Kind::Ext4]),
        (&btrfs, [Kind::Ext4, Kind::Btrfs]),
        (&swap, [Kind::Swap, Kind::Ext4]),
    ] {
        if image.path() == swap.path() {
            // Both have fields at 1024: one magic is all that swap leaves.
            let header = image.read(1024, 64);
            let mut both = ext_superblock.clone();
            both[..8].copy_from_slice(&header[..8]);
            // Without a checksum, which the mixture would break.
            both[0x65] &= !0x04;
            image.write(1024, &both);
        } else {
            image.write(1024, &ext_superblock);
        }
        assert_eq!(identify(&image.path()), Err(Unidentified::Ambiguous(kinds.to_vec())));
        let (ok, stdout, stderr) = attempt("blkid", &["-p", &image.arg()], "");
        assert!(!ok && stdout.is_empty() && stderr.contains("ambivalent"), "{stdout}{stderr}");
    }
}
