//! Filesystems of an image that are read in user space: without root, without a loop device,
//! without the kernel's driver.

mod ext;
mod fat;

use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::layout::{Layout, Runs};
use crate::parse::superblock::{Detail, Superblock};
use crate::sys::{Answer, DiskImage, Filesystem};

/// The bytes of one device of an image.
#[derive(Clone, Debug)]
pub(super) struct Bytes {
    file: DiskImage,
    runs: Runs,
}

impl Bytes {
    pub(super) fn of(file: &DiskImage, layout: &Layout, device: usize) -> Self {
        Self { file: file.clone(), runs: layout.runs[device].clone() }
    }

    fn size(&self) -> u64 {
        self.runs.size()
    }

    /// Fill a buffer from an offset on, as far as the device goes; how much there was.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted: Range<u64> = offset..offset.saturating_add(buffer.len() as u64);
        let mut filled = 0;
        for (_, piece) in self.runs.within(&wanted) {
            let length = usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX);
            let part = &mut buffer[filled..filled + length];
            let read = self.file.read_at(piece.start, part)?;
            filled += read;
            if read < length {
                break;
            }
        }
        Ok(filled)
    }
}

/// Open a filesystem that can be read in user space; `None` for a type that cannot.
///
/// # Errors
/// What is damaged or not understood.
pub(super) fn open(bytes: Bytes, superblock: &Superblock) -> Answer<Option<Rc<dyn Filesystem>>> {
    match superblock.detail {
        Detail::Ext(_) => Ok(Some(Rc::new(ext::View::open(bytes)?))),
        Detail::Vfat(_) => Ok(Some(Rc::new(fat::View::open(bytes)?))),
        _ => Ok(None),
    }
}
