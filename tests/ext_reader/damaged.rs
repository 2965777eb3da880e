//! A wrong bit in every structure that has a checksum: the error names the structure.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use guestprep::parse::ext::{Ext, ExtError, Inode, Place, ReadAt};

use super::fill::noise;
use super::tools::{Image, Source, have, open};

const BLOCK: u64 = 1024;

/// A file with an extent block, a directory of many blocks with an index, and attributes in a block.
fn image() -> Image {
    let image = Image::new(16, &["-t", "ext4", "-b", "1024", "-O", "metadata_csum"]);
    let file = |name: &str, bytes: &[u8]| {
        let path = image.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let content = file("content", &noise(300_000, 1));
    let one = file("one", b"1");
    let mut commands = vec!["mkdir dir".to_owned(), format!("write {content} file")];
    // Holes make extents: four fit in the inode.
    commands
        .extend((0..10).map(|number| format!("punch file {} {}", number * 20, number * 20 + 4)));
    commands
        .extend((0..100).map(|n| format!("write {one} \"dir/name number {n} of some length\"")));
    commands.push(format!("ea_set file user.large {}", "v".repeat(600)));
    image.debugfs(&commands.iter().map(String::as_str).collect::<Vec<_>>());
    image
}

/// What opening says after one bit is turned.
fn error(image: &Image, offset: u64) -> Option<ExtError> {
    let file = File::options().read(true).write(true).open(image.path()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
    let error = open(&image.path()).err();
    file.write_all_at(&byte, offset).unwrap();
    error
}

fn inode_at(ext: &Ext<impl ReadAt>, name: &str) -> Inode {
    let root = ext.inode(2).unwrap();
    ext.inode(ext.lookup(&root, name.as_bytes()).unwrap().unwrap()).unwrap()
}

/// Turns a bit at an offset, asks, and turns it back.
fn after_damage<T>(image: &Image, offset: u64, ask: impl FnOnce(&Ext<Source>) -> T) -> T {
    let file = File::options().read(true).write(true).open(image.path()).unwrap();
    let ext = image.open();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
    let result = ask(&ext);
    file.write_all_at(&byte, offset).unwrap();
    result
}

#[test]
fn a_wrong_bit_is_named_by_its_place() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let image = image();
    let ext = image.open();
    let (file, dir) = (inode_at(&ext, "file"), inode_at(&ext, "dir"));
    let checksum = |place| ExtError::Checksum(place);

    for offset in [0x48, 0x88, 0x3ff] {
        assert_eq!(error(&image, 1024 + offset), Some(checksum(Place::Superblock)));
    }
    for (group, offset) in [(0, 0x0c), (0, 0x3f), (1, 0x20)] {
        let at = 2 * BLOCK + group * 64 + offset;
        let place = Place::Descriptor(u32::try_from(group).unwrap());
        assert_eq!(error(&image, at), Some(checksum(place)), "{offset}");
    }
    let shown = image.ask("imap file");
    let (_, place) = shown.split_once("located at block ").unwrap();
    let (block, offset) = place.trim().split_once(", offset 0x").unwrap();
    let block: u64 = block.parse().unwrap();
    let offset = u64::from_str_radix(offset, 16).unwrap();
    for inside in [0x00, 0x7d, 0x90, 0xff] {
        let at = block * BLOCK + offset + inside;
        let result = after_damage(&image, at, |ext| ext.inode(file.number).map(|_| ()));
        assert_eq!(result, Err(checksum(Place::Inode(file.number))), "{inside}");
    }
    let shown = image.ask("dump_extents -n file");
    assert!(shown.contains(" 0/ 1 "), "{shown}");
    // The only line of level 0 ends in the block below: its first number behind the logical range.
    let line = shown.lines().find(|line| line.trim_start().starts_with("0/ 1")).unwrap();
    let leaf: u64 = line.split_whitespace().rev().nth(1).unwrap().parse().unwrap();
    let mut buffer = vec![0; 300_000];
    for inside in [4, 20, 700] {
        // The entries that the block has room for are covered, in use or not.
        let at = leaf * BLOCK + inside;
        let result = after_damage(&image, at, |ext| ext.read(&file, 0, &mut buffer));
        assert_eq!(result, Err(checksum(Place::ExtentBlock(file.number, leaf))), "{inside}");
    }
    let shown = image.ask("blocks dir");
    let blocks: Vec<u64> = shown.split_whitespace().map(|block| block.parse().unwrap()).collect();
    assert!(blocks.len() > 3, "{shown}");
    for block in &blocks {
        let at = block * BLOCK + 45;
        let result = after_damage(&image, at, |ext| ext.entries(&dir, 1000));
        assert_eq!(result, Err(checksum(Place::DirectoryBlock(dir.number, *block))), "{block}");
    }
    let shown = image.ask("stat file");
    let at = shown.find("File ACL: ").unwrap();
    let words = shown[at..].split_whitespace().nth(2).unwrap();
    let block: u64 = words.parse().unwrap();
    for inside in [8, 0x10, 1023] {
        let at = block * BLOCK + inside;
        let result = after_damage(&image, at, |ext| ext.xattr(&file, "user.large"));
        assert_eq!(result, Err(checksum(Place::AttributeBlock(file.number, block))), "{inside}");
    }
    // And with nothing wrong, nothing is said.
    assert_eq!(ext.read(&file, 0, &mut buffer), Ok(300_000));
    assert_eq!(ext.entries(&dir, 1000).unwrap().len(), 100);
    assert_eq!(ext.xattr(&file, "user.large").unwrap().unwrap().len(), 600);
}

#[test]
fn checksums_of_groups_alone() {
    if !have(&["mke2fs"]) {
        return;
    }
    for features in ["^metadata_csum,uninit_bg", "^metadata_csum,uninit_bg,^64bit"] {
        let image = Image::new(16, &["-t", "ext4", "-b", "1024", "-O", features]);
        let size = if features.contains("^64bit") { 32 } else { 64 };
        let at = 2 * BLOCK + size + 0x0c;
        let found = error(&image, at);
        assert_eq!(found, Some(ExtError::Checksum(Place::Descriptor(1))), "{features}");
        assert_eq!(error(&image, 1024 + 0x88), None);
    }
}
