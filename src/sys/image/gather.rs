//! A volume that lies in several pieces of an image, as one file.
//!
//! A loop device shows one range of a file, and device mapper, which could join several, would have
//! to be cleaned up after a process that was killed.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::temporary::Temporary;
use super::{Container, DiskImage, Error, Opened, Result};

/// How much is read at a time, in bytes.
const PIECE: usize = 1 << 20;

impl DiskImage {
    /// Copy ranges of the disk, one behind the other, into a file without a name.
    ///
    /// # Errors
    /// What the system says; [`super::ErrorKind::NoSpace`] where it does not fit.
    pub fn gather(&self, runs: &[Range<u64>]) -> Result<DiskImage> {
        let mut temporary = Temporary::create()?;
        let size = runs.iter().map(|run| run.end - run.start).sum();
        temporary.set_size(size)?;
        let mut buffer = vec![0; PIECE];
        for (at, piece) in pieces(runs) {
            let bytes = &mut buffer[..length(&piece)];
            self.fill(&self.0, piece.start, bytes)?;
            temporary.write(at, bytes, 0)?;
        }
        Ok(DiskImage(Arc::new(Opened {
            file: temporary.file,
            size,
            container: Container::Raw,
            path: self.0.path.clone(),
            stamp: None,
            own: false,
        })))
    }

    /// Write what was changed in a gathered volume back to the ranges that it was gathered from,
    /// and wait until the disk has it. A process that is killed meanwhile leaves the volume half
    /// written: only for a file that nobody uses before this is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn put_back(&self, gathered: &DiskImage, runs: &[Range<u64>]) -> Result<()> {
        let fail = |e: &io::Error| Error::io("write", self.0.path.display(), e);
        let (mut before, mut after) = (vec![0; PIECE], vec![0; PIECE]);
        for (at, piece) in pieces(runs) {
            let length = length(&piece);
            self.fill(&self.0, piece.start, &mut before[..length])?;
            self.fill(&gathered.0, at, &mut after[..length])?;
            if before[..length] != after[..length] {
                self.0.file.write_all_at(&after[..length], piece.start).map_err(|e| fail(&e))?;
            }
        }
        self.0.file.sync_all().map_err(|e| fail(&e))
    }

    fn fill(&self, from: &Opened, at: u64, buffer: &mut [u8]) -> Result<()> {
        from.file
            .read_exact_at(buffer, at)
            .map_err(|e| Error::io("read", self.0.path.display(), &e))
    }
}

fn length(piece: &Range<u64>) -> usize {
    usize::try_from(piece.end - piece.start).unwrap_or(PIECE).min(PIECE)
}

/// The ranges in pieces, each with its place in what is gathered of them.
fn pieces(runs: &[Range<u64>]) -> impl Iterator<Item = (u64, Range<u64>)> + '_ {
    let mut before = 0;
    runs.iter().flat_map(move |run| {
        let first = before;
        before += run.end - run.start;
        (run.start..run.end).step_by(PIECE).map(move |start| {
            (first + (start - run.start), start..run.end.min(start + PIECE as u64))
        })
    })
}
