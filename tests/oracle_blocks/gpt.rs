//! GPT against sfdisk, sgdisk, partx (which is libblkid's reading) and blkid.

use crate::tables::{agree, parse, sfdisk};
use crate::tools::{Image, attempt, blkid, have, run};
use guestprep::parse::partition_table::{Backup, Gpt, PartitionTable, Scheme, TableError};

fn gpt(table: &PartitionTable) -> &Gpt {
    match &table.scheme {
        Scheme::Gpt(gpt) => gpt,
        Scheme::Mbr => panic!("not a GPT"),
    }
}

#[test]
fn gpt_table() {
    if !have(&["sfdisk", "sgdisk", "partx", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    sfdisk(
        &image,
        "label: gpt\nsize=2048, type=U, name=\"EFI System\"\nsize=2048, type=L, name=\"d\u{e9}j\u{e0} \u{1f4be}\", attrs=\"LegacyBIOSBootable,GUID:63\"\ntype=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F\n",
    );
    let table = agree(&image, None);
    assert_eq!(table, agree(&image, Some(512)));
    assert_eq!(gpt(&table).backup, Backup::AtEnd);
    assert!(!gpt(&table).hybrid && gpt(&table).primary_damaged.is_none());
    assert!(table.partitions[1].bootable);
    assert_eq!(table.partitions[1].attributes, 1 << 63 | 1 << 2);
    let info = run("sgdisk", &["-p", &image.arg()]);
    let usable = format!(
        "First usable sector is {}, last usable sector is {}",
        gpt(&table).first_usable,
        gpt(&table).last_usable
    );
    assert!(info.contains(&usable), "{info}");

    // Numbers with gaps, and a table with room for few or many.
    for entries in ["4", "56", "512"] {
        run("sgdisk", &["-o", "-S", entries, "-n", "2:4096:8191", "-n", "4:8192:0", &image.arg()]);
        let numbers: Vec<_> =
            agree(&image, None).partitions.iter().map(|partition| partition.number).collect();
        assert_eq!(numbers, [2, 4]);
    }
    // A hybrid MBR: Linux goes by the GPT.
    run("sgdisk", &["-h", "2", &image.arg()]);
    let table = agree(&image, None);
    assert!(gpt(&table).hybrid);
    assert_eq!(table.partitions.len(), 2);
}

#[test]
fn gpt_with_sectors_of_4096_bytes() {
    if !have(&["sfdisk", "partx", "losetup", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    let (ok, device, error) =
        attempt("losetup", &["--find", "--show", "--sector-size", "4096", &image.arg()], "");
    if !ok {
        eprintln!("left out: no loop device: {error}");
        return;
    }
    for (label, sector_size) in [("gpt", None), ("gpt", Some(4096)), ("dos", Some(4096))] {
        let script = format!("label: {label}\n256,256,L\n512,,L\n");
        let made =
            attempt("sfdisk", &["-q", "--no-reread", "--wipe", "always", device.trim()], &script);
        attempt("blockdev", &["--flushbufs", device.trim()], "");
        assert!(made.0, "{made:?}");
        let table = agree(&image, sector_size);
        assert_eq!(table.sector_size, 4096);
        assert_eq!(table.partitions[0].bytes(4096), 1 << 20..2 << 20);
    }
    run("losetup", &["--detach", device.trim()]);
}

#[test]
fn gpt_after_the_disk_has_grown() {
    if !have(&["sfdisk", "sgdisk", "partx", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    sfdisk(&image, "label: gpt\n2048,,L\n");
    let before = agree(&image, None);
    image.set_size(128 << 20);
    let after = agree(&image, None);
    assert_eq!(after.partitions, before.partitions);
    assert_eq!(gpt(&after).backup, Backup::BeforeEnd);
    // What growpart does.
    run("sgdisk", &["-e", &image.arg()]);
    assert_eq!(gpt(&agree(&image, None)).backup, Backup::AtEnd);
    image.set_size(32 << 20);
    assert!(matches!(parse(&image, None), Err(TableError::DamagedGpt { .. })));
}

#[test]
fn gpt_with_a_damaged_copy() {
    if !have(&["sfdisk", "partx", "blkid"]) {
        return;
    }
    let make = || {
        let image = Image::new(64);
        sfdisk(
            &image,
            "label: gpt\nstart=2048, size=4096, type=L, name=one, uuid=0a1b2c3d-0000-4000-8000-000000000001\n",
        );
        image
    };
    let end = 64 << 20;
    let headers = [(512, 1024), (end - 512, end - 33 * 512)];
    let whole = agree(&make(), None).partitions;
    // The signature, the checksum of the header, the header, the entries.
    for flaw in [0, 17, 50, 512] {
        for (header, entries) in headers {
            let image = make();
            let at = if flaw == 512 { entries + 5 } else { header + flaw };
            image.write(at, &[!image.read(at, 1)[0]]);
            let table = agree(&image, None);
            assert_eq!(table.partitions, whole);
            let primary = header == 512;
            assert_eq!(gpt(&table).primary_damaged.is_some(), primary);
            assert_eq!(matches!(gpt(&table).backup, Backup::Damaged(_)), !primary);
            let other = headers[usize::from(primary)].0;
            image.write(other, &[0xee]);
            assert!(matches!(parse(&image, None), Err(TableError::DamagedGpt { .. })));
        }
    }
    // Both whole, but of different tables.
    let (image, other) = (make(), Image::new(64));
    sfdisk(&other, "label: gpt\nstart=4096, size=4096, type=L, name=two\n");
    image.write(end - 33 * 512, &other.read(end - 33 * 512, 33 * 512));
    assert_eq!(gpt(&agree(&image, None)).backup, Backup::Differs);
    // Without the MBR that stands for it, Linux sees no partitions.
    image.write(446, &[0; 64]);
    assert_eq!(agree(&image, None).partitions, []);
    image.write(510, &[0; 2]);
    assert_eq!(parse(&image, None), Ok(None));
    assert_eq!(blkid(&image.path()).get("PTTYPE"), None);
}

/// A copy of a GPT whose header was copied elsewhere, and two copies that name different disks.
#[test]
fn gpt_with_a_header_of_another_place() {
    if !have(&["sfdisk", "sgdisk", "partx", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    sfdisk(&image, "label: gpt\nstart=2048, size=4096, type=L\n");
    let end = 64 << 20;
    // The header of the second copy, whole, in the place of the first.
    let first = image.read(512, 512);
    image.write(512, &image.read(end - 512, 512));
    assert!(gpt(&agree(&image, None)).primary_damaged.is_some());
    image.write(512, &first);
    assert!(gpt(&agree(&image, None)).primary_damaged.is_none());
    // The same partitions on a disk of another name.
    let second = image.read(end - 512, 512);
    run("sgdisk", &["-U", "0a1b2c3d-0000-4000-8000-000000000001", &image.arg()]);
    image.write(end - 512, &second);
    assert_eq!(gpt(&agree(&image, None)).backup, Backup::Differs);
}
