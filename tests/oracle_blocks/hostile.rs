//! No bytes make a parser panic, ask for what is not there, or ask without end.
//!
//! Random bytes seldom get past a magic, so most cases start from what the tools made and damage it: bytes changed,
//! parts overwritten with the bytes of another format, the device cut short.

use crate::tools::{Image, attempt, have, run_with};
use guestprep::parse::lvm_metadata::{self, MetadataError};
use guestprep::parse::partition_table::{self, TableError};
use guestprep::parse::superblock::{self, Detail, Unidentified};
use guestprep::parse::window::{MAX_RANGE, MAX_READS, Unread, Window};
use proptest::prelude::*;
use std::fs;
use std::ops::Range;
use std::sync::LazyLock;

/// A device in memory, and how far it goes on, all zeros, behind its bytes.
struct Device<'a> {
    bytes: &'a [u8],
    size: u64,
}

impl Device<'_> {
    fn read(&self, range: Range<u64>) -> Vec<u8> {
        let at = |offset: u64| usize::try_from(offset).unwrap().min(self.bytes.len());
        let mut bytes = self.bytes[at(range.start)..at(range.end)].to_vec();
        bytes.resize((range.end - range.start) as usize, 0);
        bytes
    }

    fn drive<T, E>(
        &self,
        wanted: Vec<Range<u64>>,
        parse: impl Fn(&Window) -> Result<T, E>,
        unread: fn(&E) -> Option<&Unread>,
    ) -> Result<T, E> {
        let mut window = Window::new(self.size);
        for pair in wanted.windows(2) {
            assert!(pair[0].end < pair[1].start, "{wanted:?}");
        }
        for range in wanted {
            self.add(&mut window, range);
        }
        for _ in 0..MAX_READS {
            let result = parse(&window);
            match result.as_ref().err().and_then(unread) {
                Some(Unread(range)) => self.add(&mut window, range.clone()),
                None => return result,
            }
        }
        panic!("the parser asks for more and more");
    }

    fn add(&self, window: &mut Window, range: Range<u64>) {
        assert!(range.start < range.end && range.end <= self.size, "{range:?} of {}", self.size);
        assert!(range.end - range.start <= MAX_RANGE, "{range:?}");
        window.insert(range.start, self.read(range));
    }

    /// All parsers. What they say does not matter here.
    fn all(&self) {
        let found =
            self.drive(superblock::wanted(self.size), superblock::identify, |error| match error {
                Unidentified::Unread(unread) => Some(unread),
                Unidentified::Ambiguous(_) => None,
            });
        if let Ok(Some(superblock)) = found
            && let Detail::Lvm(volume) = superblock.detail
        {
            let read = |window: &Window| lvm_metadata::read(window, &volume);
            let group = self.drive(Vec::new(), read, |error| match error {
                MetadataError::Unread(unread) => Some(unread),
                _ => None,
            });
            if let Ok(Some(group)) = group {
                for volume in &group.logical_volumes {
                    let _ = group.needs(&volume.name);
                }
            }
        }
        for sector_size in [None, Some(512), Some(4096)] {
            let parse = |window: &Window| partition_table::parse(window, sector_size);
            let table =
                self.drive(partition_table::wanted(self.size), parse, |error| match error {
                    TableError::Unread(unread) => Some(unread),
                    _ => None,
                });
            for partition in table.iter().flatten().flat_map(|table| &table.partitions) {
                assert!(
                    partition.sectors > 0
                        && partition.bytes(sector_size.unwrap_or(512)).start < u64::MAX
                );
            }
        }
    }
}

/// What the tools make, 2 MiB of each: longer images only go on with zeros.
static MADE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let with = |mib: u64, program: &str, args: &[&str], input: &str| {
        let image = Image::new(mib);
        let path = image.arg();
        if !have(&[program]) {
            return None;
        }
        let (ok, _, error) = attempt(program, &[args, &[&path]].concat(), input);
        assert!(ok, "{program}: {error}");
        let mut bytes = fs::read(image.path()).unwrap();
        bytes.truncate(2 << 20);
        Some(bytes)
    };
    let made = [
        with(16, "mke2fs", &["-q", "-F", "-t", "ext4"], ""),
        with(320, "mkfs.xfs", &["-q", "-f"], ""),
        with(128, "mkfs.btrfs", &["-q", "-f"], ""),
        with(2, "mkfs.vfat", &["-F", "12"], ""),
        with(64, "mkfs.vfat", &["-F", "32", "-s", "1", "-n", "LABEL"], ""),
        with(2, "mkswap", &[], ""),
        with(2, "sfdisk", &["-q"], "label: dos\n1,3,83\n8,,5\n10,4,83\n20,4,83\n30,4,83\n"),
        with(2, "sfdisk", &["-q"], "label: gpt\nsize=100\nsize=100, name=x\n"),
    ];
    let mut made: Vec<_> = made.into_iter().flatten().collect();
    if have(&["cryptsetup"]) {
        let image = Image::new(32);
        let args = [
            "luksFormat",
            "-q",
            "--pbkdf",
            "pbkdf2",
            "--pbkdf-force-iterations",
            "1000",
            &image.arg(),
            "-",
        ];
        run_with("cryptsetup", &args, "secret");
        made.push(fs::read(image.path()).unwrap()[..2 << 20].to_vec());
    }
    made.push(physical_volume());
    made.push(crate::md::md_v1(4096, 128));
    let mut tail = vec![0; (2 << 20) - 65536];
    tail.extend(crate::md::md_v090(false));
    tail.resize(2 << 20, 0);
    made.push(tail);
    assert!(made.len() > 3);
    made
});

/// A physical volume without checksums that hold is none, so that damage to a real one goes no further than the label.
/// This one is built here, and [`sealed`] mends its checksums after the damage.
fn physical_volume() -> Vec<u8> {
    let mut bytes = vec![0; 2 << 20];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(512, b"LABELONE");
    put(520, &1u64.to_le_bytes());
    put(532, &32u32.to_le_bytes());
    put(536, b"LVM2 001");
    put(544, &[b'a'; 32]);
    put(576, &(2u64 << 20).to_le_bytes());
    put(584, &(1u64 << 20).to_le_bytes());
    put(616, &4096u64.to_le_bytes());
    put(624, &8192u64.to_le_bytes());
    put(4100, b" LVM2 x[5A%r0N*>");
    put(4116, &1u32.to_le_bytes());
    put(4120, &4096u64.to_le_bytes());
    put(4128, &8192u64.to_le_bytes());
    put(4136, &8000u64.to_le_bytes());
    put(4144, &(400u64).to_le_bytes());
    let text = b"vg { id = \"i\" seqno = 1 extent_size = 8192 logical_volumes { a { id = \"a\" segment1 { start_extent = 0 extent_count = 1 type = \"thin\" thin_pool = \"a\" } } } }";
    let mut text = text.to_vec();
    text.resize(400, b' ');
    put(4096 + 8000, &text[..192]);
    put(4096 + 512, &text[192..]);
    bytes
}

/// Bitwise, so that it shares nothing with the code under test.
fn lvm_checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum: u32, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < 1 << 20 || bytes[512..520] != *b"LABELONE" {
        return bytes;
    }
    let text = [&bytes[4096 + 8000..4096 + 8192], &bytes[4096 + 512..4096 + 512 + 208]].concat();
    let sum = lvm_checksum(&text);
    bytes[4152..4156].copy_from_slice(&sum.to_le_bytes());
    let sum = lvm_checksum(&bytes[4100..4608]);
    bytes[4096..4100].copy_from_slice(&sum.to_le_bytes());
    let sum = lvm_checksum(&bytes[532..1024]);
    bytes[528..532].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn the_built_volume_is_read() {
    let bytes = sealed(physical_volume());
    let Ok(Some(found)) = superblock::identify(&Window::of(bytes.clone())) else { panic!() };
    let Detail::Lvm(volume) = found.detail else { panic!() };
    let group = lvm_metadata::read(&Window::of(bytes), &volume).unwrap().unwrap();
    assert_eq!(group.logical_volumes[0].segments[0].volumes, ["a"]);
}

/// Where superblocks and tables lie, with more weight than elsewhere.
fn offsets() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0usize..1024,
        4 => 1024usize..2048,
        2 => 2048usize..0x3000,
        2 => 0x10000usize..0x10400,
        1 => 0usize..(2 << 20),
        1 => (2usize << 20) - 65536..2 << 20,
    ]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop_oneof![Just(0u64), Just(u64::MAX), Just(1), Just(1 << 63), any::<u64>()]
            .prop_flat_map(
                |value| (1usize..=8).prop_map(move |length| value.to_le_bytes()[..length].to_vec())
            ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn damaged(
        index: prop::sample::Index,
        changes in prop::collection::vec((offsets(), values()), 0..6),
        other in prop::option::weighted(0.2, (any::<prop::sample::Index>(), offsets(), 1usize..4096)),
        cut in prop::option::weighted(0.3, 0usize..(2 << 20)),
        beyond in prop_oneof![Just(0u64), 0u64..1 << 20, Just(1 << 40), Just(u64::MAX >> 1)],
    ) {
        let mut bytes = MADE[index.index(MADE.len())].clone();
        for (at, value) in changes {
            if let Some(place) = bytes.get_mut(at..at + value.len()) {
                place.copy_from_slice(&value);
            }
        }
        if let Some((other, at, length)) = other {
            let other = &MADE[other.index(MADE.len())];
            if let (Some(place), Some(from)) = (bytes.get_mut(at..at + length), other.get(at..at + length)) {
                place.copy_from_slice(from);
            }
        }
        let mut bytes = sealed(bytes);
        bytes.truncate(cut.unwrap_or(usize::MAX));
        Device { bytes: &bytes, size: bytes.len() as u64 + beyond }.all();
    }

    #[test]
    fn random(bytes in prop::collection::vec(any::<u8>(), 0..4096), beyond in 0u64..200_000) {
        Device { bytes: &bytes, size: bytes.len() as u64 + beyond }.all();
    }

    #[test]
    fn sizes(size: u64) {
        for ranges in [superblock::wanted(size), partition_table::wanted(size)] {
            prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size));
            prop_assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= 80 << 10);
        }
    }
}
