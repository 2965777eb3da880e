//! MBR partition tables against sfdisk, sgdisk, partx (which is libblkid's reading) and blkid.

use crate::tools::{Image, blkid, drive, have, run, run_with};
use guestprep::parse::partition_table::{self, PartitionTable, Role, Scheme, TableError};

pub fn parse(
    image: &Image,
    sector_size: Option<u32>,
) -> Result<Option<PartitionTable>, TableError> {
    drive(
        &image.path(),
        partition_table::wanted,
        |window| partition_table::parse(window, sector_size),
        |error| match error {
            TableError::Unread(unread) => Some(unread),
            _ => None,
        },
    )
}

/// What partx says: number, start and size in sectors of 512 bytes, name, identifier, type, flags, scheme.
fn partx(image: &Image, sector_size: &str) -> Vec<Vec<String>> {
    let columns =
        ["-b", "-P", "-o", "NR,START,SECTORS,NAME,UUID,TYPE,FLAGS,SCHEME", "-S", sector_size];
    let text = run("partx", &[&columns[..], &[&image.arg()]].concat());
    let values = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    text.lines().map(values).collect()
}

/// Parses an image and compares everything with partx and blkid.
#[track_caller]
pub fn agree(image: &Image, sector_size: Option<u32>) -> PartitionTable {
    let table = parse(image, sector_size).unwrap().expect("no partition table");
    let unit = u64::from(table.sector_size / 512);
    let ours: Vec<_> = table
        .partitions
        .iter()
        .map(|partition| {
            let flags = match table.scheme {
                Scheme::Mbr => u64::from(partition.bootable) << 7,
                Scheme::Gpt(_) => partition.attributes,
            };
            vec![
                partition.number.to_string(),
                (partition.start * unit).to_string(),
                (partition.sectors * unit).to_string(),
                partition.name.clone().unwrap_or_default(),
                partition.uuid.clone().unwrap_or_default(),
                partition.kind.clone(),
                format!("{flags:#x}"),
                table.scheme.name().to_owned(),
            ]
        })
        .collect();
    assert_eq!(ours, partx(image, &table.sector_size.to_string()));
    if table.sector_size == 512 {
        let blkid = blkid(&image.path());
        assert_eq!(blkid.get("PTTYPE").map(String::as_str), Some(table.scheme.name()));
        assert_eq!(blkid.get("PTUUID"), table.id.as_ref());
    }
    table
}

pub fn sfdisk(image: &Image, script: &str) {
    run_with("sfdisk", &["-q", "--no-reread", &image.arg()], script);
}

#[test]
fn mbr() {
    if !have(&["sfdisk", "partx", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    sfdisk(&image, "label: dos\nlabel-id: 0x00abcdef\n2048,4096,83,*\n,8192,82\n");
    let table = agree(&image, None);
    assert_eq!(table.partitions[0].uuid.as_deref(), Some("00abcdef-01"));
    assert!(table.partitions[0].bootable && !table.partitions[1].bootable);
    sfdisk(&image, "label: dos\n");
    assert_eq!(agree(&image, None).partitions, []);
    // Without the second the number of the third stays.
    sfdisk(&image, "label: dos\nimage1 : start=2048, size=2048\nimage3 : start=4096, size=2048\n");
    assert_eq!(agree(&image, None).partitions[1].number, 3);
    image.write(440, &[0; 4]);
    let table = agree(&image, None);
    assert_eq!((table.id, &table.partitions[0].uuid), (None, &None));
}

#[test]
fn logical_partitions() {
    if !have(&["sfdisk", "partx", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    let mut script = "label: dos\n2048,2048,83\n4096,,f\n".to_owned();
    for index in 0..14 {
        script +=
            &format!("{},2048,83{}\n", 6144 + index * 4096, if index == 3 { ",*" } else { "" });
    }
    sfdisk(&image, &script);
    let table = agree(&image, None);
    assert_eq!(table.partitions.len(), 16);
    let last = table.partitions.last().unwrap();
    assert!(
        last.number == 18
            && last.role == Role::Logical
            && last.uuid.as_ref().unwrap().ends_with("-12")
    );
    // One in the middle is deleted: those after it move up. sfdisk rewrites the chain.
    run("sfdisk", &["-q", "--no-reread", "--delete", &image.arg(), "7"]);
    assert_eq!(agree(&image, None).partitions.len(), 15);
    // Linux's own type, the extended partition not the last, and nothing in it.
    sfdisk(&image, "label: dos\n2048,8192,85\n20480,2048,83\n");
    assert_eq!(agree(&image, None).partitions[0].role, Role::Extended);
    // Garbage in the third entry of a logical record: partx and the kernel leave it out by its bounds.
    sfdisk(&image, "label: dos\n2048,8192,5\n4096,2048,83\n");
    let chain = u64::from(agree(&image, None).partitions[0].start as u32) * 512;
    image.write(chain + 446 + 32, &[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 0, 0, 0x70, 0, 0, 0, 0x70]);
    assert_eq!(agree(&image, None).partitions.len(), 2);
}

#[test]
fn chains_that_do_not_end() {
    if !have(&["sfdisk"]) {
        return;
    }
    let image = Image::new(64);
    sfdisk(&image, "label: dos\n2048,40960,5\n4096,2048,83\n8192,2048,83\n");
    let second = |entry: &mut [u8], link: u32| entry[8..12].copy_from_slice(&link.to_le_bytes());
    let extended = 2048 * 512;
    let mut record = image.read(extended + 462, 16);
    assert_eq!(record[4], 5);
    second(&mut record, 0);
    image.write(extended + 462, &record);
    assert_eq!(parse(&image, None), Err(TableError::EndlessChain { sector: 2048 }));
    second(&mut record, 1000);
    image.write(extended + 462, &record);
    assert_eq!(parse(&image, None), Err(TableError::BrokenChain { sector: 3048 }));
    second(&mut record, 50000);
    image.write(extended + 462, &record);
    assert_eq!(parse(&image, None), Err(TableError::BrokenChain { sector: 52048 }));
    image.write(extended + 462, &[0; 16]);
    image.write(extended + 446 + 12, &[0xff; 4]);
    assert_eq!(parse(&image, None), Err(TableError::OutsideExtended { number: 5 }));
}

#[test]
fn tables_that_contradict_themselves() {
    if !have(&["sfdisk"]) {
        return;
    }
    let image = Image::new(64);
    sfdisk(&image, "label: dos\n2048,4096,83\n8192,4096,83\n");
    image.write(446 + 12, &8192u32.to_le_bytes());
    assert_eq!(parse(&image, None), Err(TableError::Overlap { first: 1, second: 2 }));
    image.write(446 + 12, &4096u32.to_le_bytes());
    image.write(446 + 16 + 12, &[0xff; 4]);
    let end = 8192 + u64::from(u32::MAX);
    assert_eq!(parse(&image, None), Err(TableError::OutsideDisk { number: 2, end, disk: 131_072 }));
}

#[test]
fn a_filesystem_is_no_partition_table() {
    if !have(&["mkfs.vfat", "mke2fs", "partx", "blkid"]) {
        return;
    }
    let image = Image::new(64);
    assert_eq!(parse(&image, None), Ok(None));
    image.make("mkfs.vfat", &["-F", "32"]);
    assert_eq!(image.read(510, 2), [0x55, 0xaa]);
    assert_eq!(parse(&image, None), Ok(None));
    assert_eq!(blkid(&image.path()).get("PTTYPE"), None);
    // A boot sector with code where the flags would be.
    image.write(0, &[0x90; 510]);
    assert_eq!(parse(&image, None), Ok(None));
    assert_eq!(blkid(&image.path()).get("PTTYPE"), None);
    assert_eq!(parse(&Image::new(0), None), Ok(None));
}
