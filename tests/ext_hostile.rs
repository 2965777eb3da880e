//! The reader of ext2, ext3 and ext4 on filesystems that were made to harm it.
//!
//! A test program of its own, because it limits its own memory: 256 MiB more than it begins with. No case may panic,
//! take longer than its time, or ask for more. Package of Debian: e2fsprogs.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use guestprep::parse::ext::{Ext, ExtError, FileType, ReadAt};
use proptest::prelude::*;

/// The longest that one hostile filesystem may take, unoptimised and beside others.
const TIME: Duration = Duration::from_secs(20);

/// An image, with bytes of which some are changed.
struct Changed<'a> {
    image: &'a [u8],
    bytes: BTreeMap<u64, u8>,
}

impl ReadAt for Changed<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.image.read_at(offset, buffer)?;
        for (at, byte) in self.bytes.range(offset..offset + buffer.len() as u64) {
            buffer[usize::try_from(at - offset).unwrap()] = *byte;
        }
        Ok(())
    }
}

/// Bytes here and there on a device of any size; all others are zeros.
struct Sparse {
    size: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl ReadAt for Sparse {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        assert!(end <= self.size, "a read at {offset} beyond the end");
        buffer.fill(0);
        for (start, bytes) in self.pieces.range(..end) {
            for (at, byte) in (*start..).zip(bytes).filter(|(at, _)| (offset..end).contains(at)) {
                buffer[usize::try_from(at - offset).unwrap()] = *byte;
            }
        }
        Ok(())
    }
}

/// Lets this process have 256 MiB more than it has, once.
fn limit_memory() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
        let now: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let most = Some((now << 10) + (256 << 20));
        let limit = rustix::process::Rlimit { current: most, maximum: most };
        rustix::process::setrlimit(rustix::process::Resource::As, limit).unwrap();
    });
}

/// Filesystems with everything in them, one with checksums, the others without: a wrong byte gets further there.
fn images() -> Option<&'static [Vec<u8>]> {
    static IMAGES: OnceLock<Option<Vec<Vec<u8>>>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        let images = [
            "-t ext4 -b 1024 -I 256",
            "-t ext4 -b 1024 -O ^metadata_csum,inline_data,ea_inode",
            "-t ext4 -b 4096 -O ^metadata_csum,^64bit",
            "-t ext2 -b 1024",
            "-t ext3 -b 1024",
        ]
        .map(make);
        images.into_iter().collect()
    });
    limit_memory();
    if images.is_none() {
        eprintln!("left out: mke2fs or debugfs is not installed");
    }
    images.as_deref()
}

fn make(arguments: &str) -> Option<Vec<u8>> {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    let write = |path: &str, length: usize| {
        fs::write(source.join(path), "content ".repeat(length / 8 + 1)).unwrap();
    };
    fs::create_dir_all(source.join("a/b/c")).unwrap();
    fs::create_dir_all(source.join("many")).unwrap();
    (0..60).for_each(|number| write(&format!("many/some name {number}"), number));
    for size in [10, 100, 3000, 20_000, 100_000, 600_000] {
        write(&format!("a/file {size}"), size);
    }
    for length in [10, 59, 60, 100, 500] {
        let target = "t/".repeat(length);
        std::os::unix::fs::symlink(&target[..length], source.join(format!("link {length}")))
            .unwrap();
    }
    let image = temp.path().join("image");
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let mut mkfs = Command::new("/usr/sbin/mke2fs");
    mkfs.args(["-q", "-F", "-d"]).arg(&source).args(arguments.split(' ')).arg(&image);
    mkfs.output().ok().filter(|output| output.status.success())?;
    let script = temp.path().join("script");
    let mut commands = vec![
        "ea_set a user.small value".to_owned(),
        format!("ea_set a user.block {}", "v".repeat(500)),
        format!("ea_set \"a/file 10\" user.block {}", "v".repeat(700)),
    ];
    if !arguments.contains("ext2") {
        // A journal that must be replayed.
        let block = temp.path().join("block");
        fs::write(&block, vec![0x5a; 8192]).unwrap();
        let block = block.display();
        commands.extend(
            [
                "jo",
                &format!("jw -b 5000,5001 {block}"),
                "jw -r 5000",
                &format!("jw -b 5002 {block}"),
                "jc",
            ]
            .map(str::to_owned),
        );
        if arguments.contains("4096") {
            commands.retain(|command| !command.starts_with('j'));
        }
    }
    fs::write(&script, commands.join("\n")).unwrap();
    let mut debugfs = Command::new("/usr/sbin/debugfs");
    debugfs.arg("-w").arg("-f").arg(&script).arg(&image).output().ok()?;
    fs::read(&image).ok()
}

/// Asks everything that can be asked, and gives how many inodes and errors there were.
fn walk(source: impl ReadAt, size: u64) -> Result<(usize, usize), ExtError> {
    let ext = Ext::open(source, size)?;
    let mut seen = HashSet::new();
    let mut stack = vec![Ext::<Vec<u8>>::ROOT];
    let mut errors = 0;
    while let Some(number) = stack.pop() {
        if !seen.insert(number) || seen.len() > 1000 {
            continue;
        }
        let inode = match ext.inode(number) {
            Ok(inode) => inode,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                errors += 1;
                continue;
            }
        };
        errors += usize::from(ext.xattrs(&inode).is_err());
        errors += usize::from(ext.xattr(&inode, "user.small").is_err());
        let mut buffer = [0; 5000];
        // Of every kind, whatever the inode is.
        for offset in [0, inode.size / 2, inode.size.saturating_sub(2500), inode.size, u64::MAX] {
            let read = ext.read(&inode, offset, &mut buffer);
            let left = usize::try_from(inode.size.saturating_sub(offset)).unwrap();
            match read {
                Ok(count) => assert_eq!(count, left.min(buffer.len())),
                Err(_) => errors += usize::from(inode.kind == FileType::Regular),
            }
        }
        if let Err(ExtError::Damaged { .. }) = ext.link(&inode) {
            errors += 1;
        }
        match ext.entries(&inode, 2000) {
            Ok(entries) => stack.extend(entries.into_iter().map(|(_, number)| number)),
            Err(_) => errors += usize::from(inode.kind == FileType::Directory),
        }
        let _ = ext.lookup(&inode, b"name that is not there");
    }
    Ok((seen.len(), errors))
}

/// Where something stands in an image: the blocks with anything in them, those of the metadata first.
fn places(image: &[u8]) -> Vec<u64> {
    image
        .chunks(1024)
        .zip(0..)
        .filter(|(chunk, _)| {
            let text = chunk.windows(8).filter(|window| window == b"content ").count();
            text < 20 && chunk.iter().any(|byte| *byte != 0)
        })
        .map(|(_, number)| number * 1024)
        .collect()
}

/// Those of each image.
static PLACES: OnceLock<Vec<Vec<u64>>> = OnceLock::new();

/// What a field is changed to.
#[derive(Debug, Clone)]
enum Value {
    Byte(u8),
    Half(u16),
    Word(u32),
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Byte(value) => vec![*value],
            Self::Half(value) => value.to_le_bytes().to_vec(),
            Self::Word(value) => value.to_le_bytes().to_vec(),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![Just(0), Just(u32::MAX), Just(1 << 31), 0..10_000_u32, any::<u32>(),];
    let half = prop_oneof![Just(0), Just(u16::MAX), Just(0x8000), 0..5000_u16, any::<u16>()];
    prop_oneof![
        any::<u8>().prop_map(Value::Byte),
        half.prop_map(Value::Half),
        word.prop_map(Value::Word),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_is_survived(
        number in 0..5_usize,
        // The first three places are the superblock and the descriptors, which alone can reach everything.
        changes in prop::collection::vec(
            (prop_oneof![0..3_usize, any::<usize>()], 0..256_u64, value()), 1..12),
    ) {
        let Some(images) = images() else { return Ok(()) };
        let image = &images[number];
        let places = PLACES.get_or_init(|| images.iter().map(|image| places(image)).collect());
        let places = &places[number];
        let mut bytes = BTreeMap::new();
        for (place, field, value) in changes {
            let at = places[place % places.len()] + field * 4;
            bytes.extend((at..).zip(value.bytes()));
        }
        let began = Instant::now();
        let _ = walk(Changed { image, bytes }, image.len() as u64);
        prop_assert!(began.elapsed() < TIME, "{:?}", began.elapsed());
    }
}

#[test]
fn the_images_are_whole() {
    let Some(images) = images() else { return };
    for (number, image) in images.iter().enumerate() {
        let size = image.len() as u64;
        let replayed = Ext::open(image.as_slice(), size).unwrap().replayed();
        assert_eq!(replayed.is_some(), matches!(number, 0 | 1 | 4), "image {number}");
        let (inodes, errors) = walk(image.as_slice(), size).unwrap();
        assert!(inodes > 70 && errors == 0, "image {number}: {inodes} inodes, {errors} errors");
    }
}

/// Cut off anywhere, it is refused or read; nothing beyond its end is asked for.
#[test]
fn an_image_that_ends_too_early() {
    let Some(images) = images() else { return };
    for image in images {
        for length in (0..image.len()).step_by(300_007).chain([1023, 1024, 2047, 2048]) {
            let cut = &image[..length];
            assert!(walk(cut, length as u64).is_err(), "{length}");
            // A source that is shorter than it says.
            let _ = walk(cut, image.len() as u64);
        }
    }
}

/// A superblock with these fields over those of a usual one of a huge filesystem.
fn superblock(fields: &[(usize, u32)]) -> Vec<u8> {
    let mut sb = vec![0; 1024];
    let usual = [
        (0x00, 1 << 31),
        (0x04, u32::MAX),
        (0x18, 2),
        (0x1c, 2),
        (0x20, 32768),
        (0x24, 32768),
        (0x28, 8192),
        (0x38, 0x1_ef53),
        (0x4c, 1),
        (0x58, 256),
        (0x60, 0x2c2),
    ];
    for (at, value) in usual.iter().chain(fields) {
        sb[*at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    // s_desc_size, which shares four bytes with others.
    sb[0xfe..0x100].copy_from_slice(&64_u16.to_le_bytes());
    sb
}

#[test]
fn superblocks_that_promise_too_much() {
    limit_memory();
    let cases: &[&[(usize, u32)]] = &[
        &[],
        // As many groups as inodes can be counted: 2^32 - 1, of one inode each.
        &[(0x00, u32::MAX), (0x18, 6), (0x1c, 6), (0x28, 1), (0x58, 0), (0x150, 0)],
        &[(0x150, u32::MAX)],
        &[(0x150, 0x7fff), (0x00, u32::MAX)],
        &[(0x20, 0)],
        &[(0x20, 1)],
        &[(0x20, u32::MAX)],
        &[(0x28, 0)],
        &[(0x28, 1)],
        &[(0x18, 7)],
        &[(0x18, u32::MAX)],
        &[(0x14, u32::MAX)],
        &[(0x58, 1)],
        &[(0x58, 0xffff)],
        &[(0x64, 0x200), (0x1c, u32::MAX)],
        &[(0x64, 0x200), (0x1c, 31)],
        &[(0x60, 0x2d2), (0x104, u32::MAX)],
        &[(0x60, u32::MAX)],
        &[(0x60, 0x2c6), (0xe0, 8)],
        &[(0x60, 0x2c6), (0xe0, u32::MAX)],
        &[(0x4c, 9)],
    ];
    for fields in cases {
        for size in [1 << 20, 16 << 40, 1 << 60] {
            let pieces = BTreeMap::from([(1024, superblock(fields))]);
            let began = Instant::now();
            let result = walk(Sparse { size, pieces }, size);
            assert!(result.is_err(), "{fields:x?} of {size}: {result:?}");
            assert!(began.elapsed() < TIME, "{fields:x?}: {:?}", began.elapsed());
        }
    }
}

#[test]
fn what_is_not_read_is_named() {
    let Some(images) = images() else { return };
    let image = &images[2];
    let with = |at: u64, bytes: [u8; 4]| {
        let bytes = (1024 + at..).zip(bytes).collect();
        walk(Changed { image, bytes }, image.len() as u64).unwrap_err().to_string()
    };
    let incompat = u32::from_le_bytes(image[1024 + 0x60..1024 + 0x64].try_into().unwrap());
    let text = with(0x60, (incompat | 0x1001 | 1 << 30).to_le_bytes());
    assert!(text.contains("compression, dirdata, FEATURE_I30"), "{text}");
    let text = with(0x4c, 2_u32.to_le_bytes());
    assert!(text.contains("revision 2"), "{text}");
    let empty = walk(Path::new("").as_os_str().as_encoded_bytes(), 0).unwrap_err();
    assert_eq!(empty, ExtError::NotExt);
}
