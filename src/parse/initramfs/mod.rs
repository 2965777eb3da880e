//! An initramfs image: cpio archives one behind another, each as it is or inside a compressed
//! stream.
//!
//! Read as the kernel reads it (init/initramfs.c): zeros between archives mean nothing, an
//! uncompressed archive with CPU microcode may stand before the compressed one, and compressed
//! streams may follow each other. Everything is streamed: in memory are one buffer, one name and
//! the decoder's window, and [`Limits`] end what a hostile image would make of them.

mod lz4;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

use liblzma::stream::Stream;

use super::cpio::{Archive, Entry, MAGICS};

/// The most that reading one image may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all archives together, decompressed.
    pub output: u64,
    /// Entries of all archives together.
    pub entries: u64,
}

/// 1 GiB and 200,000 entries: images with a GPU's firmware come to half of the first, a generic
/// image of Debian to 0.14 GiB and 2,000 entries.
pub const LIMITS: Limits = Limits { output: 1 << 30, entries: 200_000 };

/// The kernel's own limit of a zstd window (128 MiB), taken for xz and lzma too, whose dictionary
/// the stream chooses.
const MAX_WINDOW_LOG: u32 = 27;

/// Why an image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing in it but zeros.
    #[error("it holds no archive")]
    Empty,
    /// It begins with no magic number of an archive or a compression.
    #[error("byte {at} begins neither a cpio archive nor a compression that is known")]
    Unrecognized {
        /// Where, from 0, in the file.
        at: u64,
    },
    /// A compression that is known and not read.
    #[error("it is compressed with {0}, which guestprep does not read")]
    Unsupported(&'static str),
    /// A kernel with its initramfs inside.
    #[error("it is an EFI program, and what a unified kernel image holds is not read")]
    Efi,
    /// It ends too early.
    #[error("it ends in the middle of an archive")]
    Truncated,
    /// No header where one has to be.
    #[error("an entry of its archive has a malformed header")]
    Header,
    /// A name that is empty, too long or not ended.
    #[error("an entry of its archive has a malformed name")]
    Name,
    /// It decompresses to more than [`Limits::output`].
    #[error("it decompresses to more than {0} bytes")]
    TooLarge(u64),
    /// It has more entries than [`Limits::entries`].
    #[error("it has more than {0} entries")]
    TooMany(u64),
    /// The bytes are not what the compression makes, or could not be read.
    #[error("it cannot be decompressed: {0}")]
    Stream(String),
}

/// The result of reading an image.
pub type Result<T> = std::result::Result<T, Error>;

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Error::Truncated,
            Err(error) => Error::Stream(error.to_string()),
        }
    }
}

/// What is done with each entry; its content can be read, or left.
pub type Visit<'a> = dyn FnMut(&Entry, &mut dyn Read) -> io::Result<()> + 'a;

/// Read an image and show every entry of it.
///
/// # Errors
/// See [`Error`]. What was shown before the error was there.
pub fn read(image: impl BufRead, limits: Limits, visit: &mut Visit) -> Result<()> {
    let at = Cell::new(0);
    let mut image = Counted { input: image, count: &at, limit: u64::MAX };
    let mut budget = Budget { limits, output: Cell::new(0), entries: 0 };
    let mut is_empty = true;
    while skip_zeros(&mut image)? {
        is_empty = false;
        let begin = at.get();
        let mut head = [0; 6];
        let length = read_up_to(&mut image, &mut head)?;
        let head = &head[..length];
        let mut stream = head.chain(&mut image);
        match Kind::of(head) {
            Kind::Cpio => budget.archive(&mut stream, visit)?,
            Kind::Gzip => budget.archives(flate2::bufread::GzDecoder::new(stream), visit)?,
            Kind::Bzip2 => budget.archives(bzip2::bufread::BzDecoder::new(stream), visit)?,
            Kind::Xz | Kind::Lzma => {
                let most = 1 << MAX_WINDOW_LOG;
                let decoder = match Kind::of(head) {
                    Kind::Xz => Stream::new_stream_decoder(most, 0),
                    _ => Stream::new_lzma_decoder(most),
                };
                let decoder = decoder.map_err(io::Error::from)?;
                budget.archives(liblzma::bufread::XzDecoder::new_stream(stream, decoder), visit)?;
            }
            Kind::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(stream)?.single_frame();
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                budget.archives(decoder, visit)?;
            }
            Kind::Lz4 => budget.archives(lz4::Decoder::new(stream), visit)?,
            Kind::Lzo => return Err(Error::Unsupported("lzo")),
            Kind::Efi => return Err(Error::Efi),
            Kind::Unknown => return Err(Error::Unrecognized { at: begin }),
        }
    }
    if is_empty { Err(Error::Empty) } else { Ok(()) }
}

/// The content of a file that gzip(1) made, such as /proc/config.gz; up to `limit` bytes.
///
/// # Errors
/// When it is not gzip's, is damaged, or larger.
pub fn gunzip(content: &[u8], limit: u64) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    flate2::bufread::GzDecoder::new(content).take(limit + 1).read_to_end(&mut text)?;
    if text.len() as u64 > limit { Err(Error::TooLarge(limit)) } else { Ok(text) }
}

/// What a part of an image is, by its first bytes. Those of the compressions are the kernel's
/// (lib/decompress.c); the lz4 of the kernel is the legacy frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpio,
    Gzip,
    Bzip2,
    Lzma,
    Xz,
    Lzo,
    Lz4,
    Zstd,
    Efi,
    Unknown,
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        match head {
            _ if MAGICS.iter().any(|magic| head == *magic) => Kind::Cpio,
            [0x1f, 0x8b, ..] => Kind::Gzip,
            [b'B', b'Z', b'h', ..] => Kind::Bzip2,
            [0x5d, 0, 0, ..] => Kind::Lzma,
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Kind::Xz,
            [0x89, b'L', b'Z', b'O', ..] => Kind::Lzo,
            [0x02, 0x21, 0x4c, 0x18, ..] => Kind::Lz4,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Zstd,
            [b'M', b'Z', ..] => Kind::Efi,
            _ => Kind::Unknown,
        }
    }
}

/// What was used of the limits so far.
struct Budget {
    limits: Limits,
    output: Cell<u64>,
    entries: u64,
}

impl Budget {
    /// Every archive of a decompressed stream, to its end.
    fn archives(&mut self, decoder: impl Read, visit: &mut Visit) -> Result<()> {
        let mut stream = BufReader::with_capacity(128 << 10, decoder);
        // Zeros count too: they are cheap to compress and not cheap to make.
        while self.skip_zeros(&mut stream)? {
            self.archive(&mut stream, visit)?;
        }
        Ok(())
    }

    fn skip_zeros(&mut self, stream: impl BufRead) -> Result<bool> {
        skip_zeros(&mut Counted { input: stream, count: &self.output, limit: self.limits.output })
    }

    fn archive(&mut self, stream: impl BufRead, visit: &mut Visit) -> Result<()> {
        let limit = self.limits.output;
        let mut archive = Archive::new(Counted { input: stream, count: &self.output, limit });
        while let Some(entry) = archive.next_entry()? {
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Error::TooMany(self.limits.entries));
            }
            // The name is the archive's, and so is the content.
            let name = entry.name.to_vec();
            let entry = Entry { name: &name, ..entry };
            visit(&entry, &mut archive.content())?;
        }
        Ok(())
    }
}

/// Counts what is taken from an input, and ends with an error beyond a limit.
struct Counted<'a, R> {
    input: R,
    count: &'a Cell<u64>,
    limit: u64,
}

impl<R> Counted<'_, R> {
    fn add(&self, bytes: usize) {
        self.count.set(self.count.get().saturating_add(bytes as u64));
    }

    fn check(&self) -> io::Result<()> {
        if self.count.get() > self.limit {
            return Err(io::Error::other(Error::TooLarge(self.limit)));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let read = self.input.read(buffer)?;
        self.add(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.input.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.add(bytes);
        self.input.consume(bytes);
    }
}

/// Skip zeros; whether anything follows.
fn skip_zeros(input: &mut impl BufRead) -> Result<bool> {
    loop {
        let there = input.fill_buf()?;
        if there.is_empty() {
            return Ok(false);
        }
        match there.iter().position(|byte| *byte != 0) {
            Some(zeros) => {
                input.consume(zeros);
                return Ok(true);
            }
            None => {
                let zeros = there.len();
                input.consume(zeros);
            }
        }
    }
}

/// Fill a buffer as far as the input goes.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
