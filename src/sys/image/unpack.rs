//! The one file of a tar archive, unpacked into a file without a name.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::open::command_argument;
use super::temporary::Temporary;
use super::{Error, ErrorKind, Result, tar};

/// How much of a gzip file may follow the archive in it, in bytes: tar fills its last record, of
/// 10 KiB unless it is told otherwise.
const LONGEST_END: u64 = 64 << 20;

/// How much is read of the archive's file at a time, in bytes.
const PIECE: usize = 256 << 10;

/// Unpack an archive, and give its file, the file's size in bytes, and its name in the archive.
/// `progress` is told how much of the archive's file is read, and of how much.
///
/// # Errors
/// As [`tar::only_file`]; [`ErrorKind::NoSpace`] where the file does not fit.
pub(super) fn unpack(
    archive: &File,
    is_gzip: bool,
    shown: &str,
    of: u64,
    progress: &dyn Fn(u64, u64),
) -> Result<(Temporary, u64, String)> {
    let done = Cell::new(0);
    let counted = Counted { archive, done: &done };
    let buffered = BufReader::with_capacity(PIECE, counted);
    let tell = || progress(done.get(), of);
    let mut unpacked = Unpacked { file: Temporary::create()?, size: 0, tell: &tell };
    let member = if is_gzip {
        let mut plain = MultiGzDecoder::new(buffered);
        let mut head = Vec::new();
        let fail = |e| Error::io("unpack", shown, &e);
        plain.by_ref().take(tar::BLOCK as u64).read_to_end(&mut head).map_err(fail)?;
        if !tar::is_header(&head) {
            let cause = "what is in it is no tar archive; unpack it with: gzip -dk";
            let cause = format!("{cause} {}", command_argument(shown));
            return Err(Error::new("unpack", shown, ErrorKind::Refused, cause));
        }
        let member = tar::only_file(head.as_slice().chain(&mut plain), shown, &mut unpacked)?;
        check_end(plain, shown)?;
        member
    } else {
        tar::only_file(buffered, shown, &mut unpacked)?
    };
    progress(of, of);
    Ok((unpacked.file, unpacked.size, member))
}

/// Read a gzip file to its end, where its checksum stands, which the decoder compares.
fn check_end(plain: impl Read, shown: &str) -> Result<()> {
    let rest = io::copy(&mut plain.take(LONGEST_END), &mut io::sink())
        .map_err(|e| Error::io("unpack", shown, &e))?;
    if rest == LONGEST_END {
        let cause = "it goes on behind the end of the archive in it";
        return Err(Error::new("unpack", shown, ErrorKind::Other, cause));
    }
    Ok(())
}

struct Counted<'a> {
    archive: &'a File,
    done: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.archive.read(buffer)?;
        self.done.set(self.done.get() + read as u64);
        Ok(read)
    }
}

struct Unpacked<'a> {
    file: Temporary,
    size: u64,
    tell: &'a dyn Fn(),
}

impl tar::Target for Unpacked<'_> {
    fn begin(&mut self, size: u64) -> Result<()> {
        self.size = size;
        self.file.set_size(size)
    }

    fn put(&mut self, offset: u64, bytes: &[u8], left: u64) -> Result<()> {
        (self.tell)();
        self.file.write(offset, bytes, left)
    }
}
