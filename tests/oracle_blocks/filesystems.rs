//! XFS, btrfs and FAT against their tools and blkid.

use crate::tools::{Image, agree, attempt, blkid, have, identify, run};
use guestprep::parse::superblock::btrfs::ChecksumType;
use guestprep::parse::superblock::{Checksum, Detail};

#[test]
fn xfs() {
    if !have(&["mkfs.xfs", "xfs_db", "blkid"]) {
        return;
    }
    for args in [
        &["-L", "twelve bytes"][..],
        &["-b", "size=1024"],
        &["-s", "size=4096"],
        &["-m", "reflink=0,rmapbt=1,finobt=0,inobtcount=0,bigtime=0"],
        &["-m", "crc=0"],
    ] {
        let image = Image::new(320);
        // mkfs refuses version 4 from some release on.
        let (made, _, error) =
            attempt("mkfs.xfs", &[&["-q", "-f"], args, &[&image.arg()]].concat(), "");
        if !made && args.contains(&"crc=0") {
            eprintln!("left out: mkfs.xfs makes no version 4: {error}");
            continue;
        }
        assert!(made, "{error}");
        let found = agree(&image);
        let Detail::Xfs(xfs) = &found.detail else { panic!("{found:?}") };
        let db = |field: &str| -> u64 {
            let text =
                run("xfs_db", &["-r", "-c", "sb 0", "-c", &format!("p {field}"), &image.arg()]);
            let value = text.trim().rsplit(' ').next().unwrap().to_owned();
            match value.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
                None => value.parse().unwrap(),
            }
        };
        let v5 = xfs.sb_version == 5;
        assert_eq!(v5, !args.contains(&"crc=0"));
        assert_eq!(found.checksum, if v5 { Checksum::Good } else { Checksum::Absent });
        assert_eq!(u64::from(xfs.block_size), db("blocksize"));
        assert_eq!(u64::from(xfs.sector_size), db("sectsize"));
        assert_eq!((xfs.blocks, xfs.free_blocks), (db("dblocks"), db("fdblocks")));
        assert_eq!(u64::from(xfs.sb_version), db("versionnum") & 0xf);
        if v5 {
            assert_eq!(u64::from(xfs.incompat.0), db("features_incompat"));
            assert_eq!(u64::from(xfs.ro_compat.0), db("features_ro_compat"));
        }
        assert!(!xfs.needs_repair() && !xfs.in_progress && !xfs.external_log);
    }
}

#[test]
fn xfs_that_needs_repair_and_has_a_new_uuid() {
    if !have(&["mkfs.xfs", "xfs_db", "xfs_admin", "blkid"]) {
        return;
    }
    let image = Image::new(320);
    image.make("mkfs.xfs", &["-q", "-f", "-m", "uuid=11111111-2222-3333-4444-555555555555"]);
    // xfs_db writes the checksum too.
    for command in ["write features_incompat 0x1b", "uuid 66666666-2222-3333-4444-555555555555"] {
        if command.starts_with("uuid") {
            run("xfs_db", &["-x", "-c", command, &image.arg()]);
            let found = agree(&image);
            let Detail::Xfs(xfs) = &found.detail else { panic!("{found:?}") };
            assert_eq!(found.uuid.as_deref(), Some("66666666-2222-3333-4444-555555555555"));
            assert_eq!(xfs.meta_uuid.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
        }
    }
    run("xfs_db", &["-x", "-c", "sb 0", "-c", "write features_incompat 0x1f", &image.arg()]);
    let found = agree(&image);
    let Detail::Xfs(xfs) = &found.detail else { panic!("{found:?}") };
    assert!(xfs.needs_repair());
    assert_eq!(found.checksum, Checksum::Good);
    let version = run("xfs_db", &["-r", "-c", "version", &image.arg()]);
    assert!(version.to_lowercase().contains("needsrepair"), "{version}");
}

#[test]
fn btrfs() {
    if !have(&["mkfs.btrfs", "btrfs", "blkid"]) {
        return;
    }
    for (args, kind) in [
        (&["-L", "a label"][..], ChecksumType::Crc32c),
        (&["--csum", "xxhash"], ChecksumType::Xxhash),
        (&["--csum", "sha256"], ChecksumType::Sha256),
        (&["--csum", "blake2"], ChecksumType::Blake2),
    ] {
        let image = Image::new(128);
        image.make("mkfs.btrfs", &[&["-q", "-f"], args].concat());
        let found = agree(&image);
        let Detail::Btrfs(btrfs) = &found.detail else { panic!("{found:?}") };
        assert_eq!(btrfs.checksum_type, kind);
        let crc32c = kind == ChecksumType::Crc32c;
        assert_eq!(found.checksum, if crc32c { Checksum::Good } else { Checksum::NotChecked });
        let dump = run("btrfs", &["inspect-internal", "dump-super", &image.arg()]);
        let value = |key: &str| -> u64 {
            let line =
                dump.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
            let value = line.split_whitespace().nth(1).unwrap();
            value
                .strip_prefix("0x")
                .map_or_else(|| value.parse(), |hex| u64::from_str_radix(hex, 16))
                .unwrap()
        };
        assert_eq!(
            (btrfs.devices, btrfs.device_id),
            (value("num_devices"), value("dev_item.devid"))
        );
        assert_eq!(
            (btrfs.total_bytes, btrfs.bytes_used),
            (value("total_bytes"), value("bytes_used"))
        );
        assert_eq!(btrfs.device_bytes, value("dev_item.total_bytes"));
        assert_eq!(u64::from(btrfs.node_size), value("nodesize"));
        assert_eq!(u64::from(btrfs.sector_size), value("sectorsize"));
        assert_eq!(btrfs.incompat, value("incompat_flags"));
        assert_eq!(btrfs.has_log, value("log_root") != 0);
        image.write(0x10000 + 0x300, &[1]);
        if crc32c {
            assert_eq!(identify(&image.path()).unwrap().unwrap().checksum, Checksum::Bad);
        }
    }
}

#[test]
fn btrfs_of_two_devices_and_with_another_uuid() {
    if !have(&["mkfs.btrfs", "btrfstune", "blkid"]) {
        return;
    }
    let images = [Image::new(128), Image::new(128)];
    run("mkfs.btrfs", &["-q", "-f", &images[0].arg(), &images[1].arg()]);
    let found = [agree(&images[0]), agree(&images[1])];
    assert_eq!(found[0].uuid, found[1].uuid);
    assert_ne!(found[0].uuid_sub, found[1].uuid_sub);
    for one in &found {
        assert!(matches!(&one.detail, Detail::Btrfs(btrfs) if btrfs.devices == 2));
    }

    let image = Image::new(128);
    image.make("mkfs.btrfs", &["-q", "-f"]);
    let before = agree(&image).uuid;
    image.make("btrfstune", &["-m"]);
    let after = agree(&image);
    assert_ne!(after.uuid, before);
    assert!(matches!(&after.detail, Detail::Btrfs(btrfs) if btrfs.metadata_uuid == before));
}

#[test]
fn vfat() {
    if !have(&["mkfs.vfat", "blkid"]) {
        return;
    }
    for (mib, args) in [
        (4, &["-F", "12", "-n", "TWELVE"][..]),
        (32, &["-F", "16", "-n", "SIX TEEN", "-i", "1234abcd"]),
        (64, &["-F", "32", "-n", "THIRTYTWO"]),
        (64, &["-F", "32"]),
        (64, &["-F", "32", "-S", "4096"]),
        (64, &["-F", "16", "-s", "16", "-r", "1024"]),
        (300, &["-F", "32", "-s", "8", "-f", "1"]),
    ] {
        let image = Image::new(mib);
        image.make("mkfs.vfat", args);
        let found = agree(&image);
        assert!(args.contains(&found.version.as_deref().unwrap().trim_start_matches("FAT")));
    }
}

/// The label is the one in the root directory, wherever in its chain, and not the one in the boot sector.
#[test]
fn vfat_label() {
    if !have(&["mkfs.vfat", "blkid"]) {
        return;
    }
    for bits in ["12", "16", "32"] {
        let image = Image::new(if bits == "12" { 4 } else { 64 });
        image.make("mkfs.vfat", &["-F", bits, "-n", "BOTH", "-s", "4"]);
        let boot_label = if bits == "32" { 0x47 } else { 0x2b };
        image.write(boot_label, b"IN BOOT    ");
        let found = agree(&image);
        assert_eq!(found.label.as_deref(), Some(&b"BOTH"[..]));
        let Detail::Vfat(vfat) = &found.detail else { panic!("{found:?}") };
        assert_eq!(vfat.boot_label.as_deref(), Some(&b"IN BOOT"[..]));
        assert_eq!(blkid(&image.path())["LABEL_FATBOOT"], "IN BOOT");
    }
    // FAT32: fill the first cluster of the root directory, so that the label lies in the second.
    let image = Image::new(64);
    image.make("mkfs.vfat", &["-F", "32", "-s", "1"]);
    let boot = image.read(0, 64);
    let reserved = u64::from(u16::from_le_bytes([boot[14], boot[15]]));
    let fat = u64::from(u32::from_le_bytes([boot[36], boot[37], boot[38], boot[39]]));
    let data = (reserved + 2 * fat) * 512;
    let file = *b"FILE    TXT\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\0";
    let mut label = [0; 32];
    label[..12].copy_from_slice(b"\x05ECOND     \x08");
    image.write(data, &file.repeat(16));
    image.write(data + 4 * 512, &label);
    // Cluster 2, then 6.
    image.write(reserved * 512 + 8, &6u32.to_le_bytes());
    image.write(reserved * 512 + 24, &0x0fff_ffffu32.to_le_bytes());
    let found = identify(&image.path()).unwrap().unwrap();
    assert_eq!(found.label.as_deref(), Some(&b"\xe5ECOND"[..]));
    assert!(blkid(&image.path())["LABEL"].contains("ECOND"));
    // A chain that comes back to its start ends.
    image.write(data + 4 * 512, &file);
    image.write(data + 4 * 512, &file.repeat(16));
    image.write(reserved * 512 + 24, &2u32.to_le_bytes());
    assert_eq!(agree(&image).label, None);
}

/// FAT32's second sector has signatures or zeros; anything else, and libblkid does not take it for FAT.
#[test]
fn vfat_without_its_signatures() {
    if !have(&["mkfs.vfat", "blkid"]) {
        return;
    }
    for (at, bytes, is_vfat) in [
        (0, b"\0\0\0\0", true),
        (0x1e4, b"\0\0\0\0", true),
        (0, b"xxxx", false),
        (0x1e4, b"xxxx", false),
    ] {
        let image = Image::new(64);
        image.make("mkfs.vfat", &["-F", "32"]);
        image.write(512 + at, bytes);
        if is_vfat {
            agree(&image);
        } else {
            assert_eq!(identify(&image.path()), Ok(None));
            assert_eq!(blkid(&image.path()).get("TYPE"), None);
        }
    }
}
