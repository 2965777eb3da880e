//! ext2, ext3 and ext4, read as an audit of an image reads them: small filesystems, damaged here and there.
//!
//! They have no checksums, which would end the reading of most that is damaged. `tests/ext_hostile.rs` has larger ones.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::LazyLock;

use guestprep::parse::ext::{Ext, ReadAt};
use guestprep::parse::initramfs::gunzip;

/// What `images/make` made.
static IMAGES: LazyLock<Vec<Image>> = LazyLock::new(|| {
    [
        &include_bytes!("../images/ext2.gz")[..],
        include_bytes!("../images/ext3.gz"),
        include_bytes!("../images/ext4.gz"),
    ]
    .map(|packed| Image::of(gunzip(packed, 16 << 20).expect("an image")))
    .into()
});

struct Image {
    bytes: Vec<u8>,
    /// Where blocks with anything in them begin: the superblock first.
    blocks: Vec<usize>,
}

impl Image {
    fn of(bytes: Vec<u8>) -> Self {
        let used = |at: &usize| bytes[*at..at + 1024].iter().any(|byte| *byte != 0);
        let blocks = (1024..bytes.len()).step_by(1024).filter(used).collect();
        Self { bytes, blocks }
    }
}

/// An image, with bytes of which some are others.
struct Damaged<'a> {
    image: &'a [u8],
    bytes: BTreeMap<usize, u8>,
}

impl ReadAt for Damaged<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.image.read_at(offset, buffer)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        for (at, byte) in self.bytes.range(offset..offset + buffer.len()) {
            buffer[at - offset] = *byte;
        }
        Ok(())
    }
}

// The input is which image, and where it has which bytes: a block, a place in it with the width above its ten bits, and
// the value.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, changes)) = input.split_first() else { return };
    let image = &IMAGES[usize::from(*which) % IMAGES.len()];
    let mut bytes = BTreeMap::new();
    for change in changes.chunks_exact(7) {
        let block = image.blocks[usize::from(change[0]) % image.blocks.len()];
        let place = usize::from(u16::from_le_bytes([change[1], change[2]]));
        let width = [1, 2, 4, 4][place >> 10 & 3];
        bytes.extend(
            (block + place % 1024..image.bytes.len()).zip(change[3..3 + width].iter().copied()),
        );
    }
    let size = image.bytes.len() as u64;
    let Ok(ext) = Ext::open(Damaged { image: &image.bytes, bytes }, size) else { return };
    let mut numbers = vec![Ext::<Damaged>::ROOT];
    let mut seen = BTreeSet::new();
    while let Some(number) = numbers.pop() {
        if seen.len() > 32 || !seen.insert(number) {
            continue;
        }
        let Ok(inode) = ext.inode(number) else { continue };
        let _ = ext.xattrs(&inode);
        let _ = ext.link(&inode);
        let mut buffer = [0; 512];
        for offset in [0, inode.size / 2, u64::MAX] {
            if let Ok(read) = ext.read(&inode, offset, &mut buffer) {
                assert!(read as u64 <= inode.size.saturating_sub(offset));
            }
        }
        let _ = ext.lookup(&inode, b"a");
        if let Ok(entries) = ext.entries(&inode, 64) {
            numbers.extend(entries.into_iter().map(|(_, number)| number));
        }
    }
});
