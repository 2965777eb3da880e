//! Block devices, read for their superblocks and partition tables and for nothing else.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags};

use super::record::{Notes, Record, Whose};
use super::trace::{self, Question};
use super::{Error, ErrorKind, Result};

/// The block devices of this machine, or of the one that notes are of, by kernel name.
#[derive(Debug)]
pub struct Devices {
    record: Option<(Record, Whose)>,
}

impl Devices {
    pub(super) fn live() -> Self {
        Self { record: None }
    }

    /// The devices that notes are of.
    pub fn replayed(notes: &Rc<Notes>, whose: Whose) -> Self {
        Self { record: Some((Record::Read(Rc::clone(notes)), whose)) }
    }

    pub(super) fn with_record(record: Record, whose: Whose) -> Self {
        Self { record: Some((record, whose)) }
    }

    /// Note the bytes that an answer rests on; what was read beside them is not kept.
    pub fn note<'a>(&self, name: &str, pieces: impl IntoIterator<Item = (u64, &'a [u8])>) {
        if let Some((Record::Written(recorder), whose)) = &self.record {
            for (offset, bytes) in pieces {
                recorder.note_device(*whose, name, offset, bytes);
            }
        }
    }

    /// Read ranges of a device, each as far as the device goes.
    ///
    /// `name` is the kernel's (`vda1`, `dm-0`), `number` its major and minor as sysfs gives them:
    /// a node in /dev that is not that device is refused before it is opened for reading.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] without the right to read it, [`ErrorKind::NotFound`] without a
    /// node in /dev.
    pub fn read(
        &self,
        name: &str,
        number: (u32, u32),
        ranges: &[Range<u64>],
    ) -> Result<Vec<(u64, Vec<u8>)>> {
        trace::asked(|| Question::Device(name.to_owned()));
        match &self.record {
            None => read(name, number, ranges),
            Some((Record::Written(recorder), whose)) => {
                let answer = read(name, number, ranges);
                recorder.note_asked(*whose, name, ranges);
                if let Err(error) = &answer {
                    recorder.note(|notes| {
                        let kernel = notes.kernels.entry(*whose).or_default();
                        let device = kernel.devices.entry(name.to_owned()).or_default();
                        device.failed = Some(error.clone());
                    });
                }
                answer
            }
            Some((Record::Read(notes), whose)) => noted(notes, *whose, name, ranges),
        }
    }
}

/// The noted pieces that lie in these ranges.
fn noted(
    notes: &Notes,
    whose: Whose,
    name: &str,
    ranges: &[Range<u64>],
) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut found = Vec::new();
    for range in ranges {
        found.extend(Record::pieces(notes, whose, name, range)?);
    }
    Ok(found)
}

fn read(name: &str, number: (u32, u32), ranges: &[Range<u64>]) -> Result<Vec<(u64, Vec<u8>)>> {
    let path = format!("/dev/{}", name.replace('!', "/"));
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node =
        rustix::fs::open(&path, look, Mode::empty()).map_err(|e| Error::errno("open", &path, e))?;
    check_node(&node, &path, number)?;
    drop(node);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(&path, flags, Mode::empty())
        .map_err(|e| Error::errno("open", &path, e))?;
    check_node(&fd, &path, number)?;
    let file = File::from(fd);
    let mut pieces = Vec::with_capacity(ranges.len());
    for range in ranges {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut piece = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut piece[filled..], range.start + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", &path, &e)),
            }
        }
        piece.truncate(filled);
        pieces.push((range.start, piece));
    }
    Ok(pieces)
}

fn check_node(fd: impl std::os::fd::AsFd, path: &str, number: (u32, u32)) -> Result<()> {
    let stat = rustix::fs::fstat(fd).map_err(|e| Error::errno("look at", path, e))?;
    let found = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    if FileType::from_raw_mode(stat.st_mode) != FileType::BlockDevice || found != number {
        let cause = format!("it is not the block device {}:{}", number.0, number.1);
        return Err(Error::new("open", path, ErrorKind::NotRegular, cause));
    }
    Ok(())
}
