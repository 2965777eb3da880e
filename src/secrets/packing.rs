//! Archives and compressed files, read as streams, with as little of them in memory as they allow.

use std::io::{self, BufRead, BufReader, Read};

use crate::model::ByteString;

/// Enough of a file to tell what it is: ustar's magic stands behind byte 257.
pub(super) const HEAD: usize = 512;

/// The largest window of zstd, as a power of two: what `zstd --ultra -20` asks for.
const MAX_WINDOW_LOG: u32 = 25;
/// The largest dictionary of xz: that of `xz -9`, the largest preset.
const MAX_DICTIONARY: u64 = 64 << 20;
/// The smallest limit of a window that libzstd takes (ZSTD_WINDOWLOG_MIN).
const MIN_WINDOW_LOG: u32 = 10;
/// What xz needs beside its dictionary.
const XZ_STATE: u64 = 1 << 20;
/// A block of tar.
const BLOCK: usize = 512;
/// A longer name than this is not kept.
const MAX_NAME: u64 = 64 * 1024;

/// How something is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    /// With the dictionary that its first block asks for.
    Xz(u64),
    /// With the window that its first frame asks for.
    Zstd(u64),
    Bzip2,
    Tar,
    Zip,
}

impl Packing {
    /// Told by the first bytes, never by a name.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, _, _, _, _, _, _, block @ ..] => {
                Some(Self::Xz(dictionary_of_xz(block).unwrap_or(MAX_DICTIONARY)))
            }
            [0x28, 0xb5, 0x2f, 0xfd, frame @ ..] => {
                Some(Self::Zstd(window_of_zstd(frame).unwrap_or(1 << MAX_WINDOW_LOG)))
            }
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some(Self::Bzip2),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }

    /// The bytes of what was unpacked last that have to be kept to unpack more.
    pub fn dictionary(self) -> u64 {
        match self {
            Self::Xz(dictionary) | Self::Zstd(dictionary) => dictionary,
            // Those of gzip and bzip2 are smaller than what a scan reads at once, or nearly.
            Self::Gzip | Self::Bzip2 | Self::Tar | Self::Zip => 0,
        }
    }

    /// What a compressed file unpacks to; `None` of an archive, which has members.
    ///
    /// # Errors
    /// `OutOfMemory` of what asks for more than is allowed, and what a decoder says.
    pub fn unpacked<'a>(self, packed: impl Read + 'a) -> io::Result<Option<Box<dyn Read + 'a>>> {
        if matches!(self, Self::Xz(asked) if asked > MAX_DICTIONARY)
            || matches!(self, Self::Zstd(asked) if asked > 1 << MAX_WINDOW_LOG)
        {
            let asked = self.dictionary() >> 20;
            let cause =
                format!("it needs {asked} MiB of memory to be unpacked, more than is allowed");
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, cause));
        }
        Ok(Some(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(packed)),
            // A later block or frame may ask for no more than the first.
            Self::Xz(dictionary) => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    dictionary + XZ_STATE,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::read::XzDecoder::new_stream(packed, stream))
            }
            Self::Zstd(window) => {
                let log = window.next_power_of_two().ilog2();
                let mut decoder = zstd::stream::read::Decoder::new(packed)?;
                decoder.window_log_max(log.max(MIN_WINDOW_LOG))?;
                Box::new(decoder)
            }
            Self::Tar | Self::Zip => return Ok(None),
        }))
    }
}

/// The dictionary of the first block of an xz file, from its header (xz-file-format.txt, 3.1 and 5.3.1).
fn dictionary_of_xz(block: &[u8]) -> Option<u64> {
    const LZMA2: u64 = 0x21;
    let (size, rest) = block.split_first()?;
    if *size == 0 {
        return Some(0); // The index: there is no block.
    }
    let (flags, mut rest) = rest.split_first()?;
    // The packed and the unpacked size, where they are told.
    for told in [0x40, 0x80] {
        if flags & told != 0 {
            xz_number(&mut rest)?;
        }
    }
    for _ in 0..=flags & 3 {
        let filter = xz_number(&mut rest)?;
        let length = usize::try_from(xz_number(&mut rest)?).ok()?;
        let (properties, behind) = rest.split_at_checked(length)?;
        if filter == LZMA2 {
            let bits = u32::from(*properties.first()?).min(40);
            return Some(u64::from(2 | bits & 1) << (bits / 2 + 11));
        }
        rest = behind;
    }
    None
}

/// Seven bits a byte, the lowest first, until one has no high bit (xz-file-format.txt, 1.2).
fn xz_number(rest: &mut &[u8]) -> Option<u64> {
    let length = rest.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
    let (digits, behind) = rest.split_at(length);
    *rest = behind;
    Some(digits.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
}

/// The window of a frame of zstd, from its header (RFC 8878, 3.1.1.1).
fn window_of_zstd(frame: &[u8]) -> Option<u64> {
    let (descriptor, rest) = frame.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = *rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // All of it is the window: behind the number of a dictionary stands its size.
    let rest = rest.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
    let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let size = rest.get(..length)?.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    Some(if length == 2 { size + 256 } else { size })
}

/// Hand each member of a tar to `member`, which reads as much of it as it wants.
pub(super) fn tar(
    packed: &mut dyn Read,
    member: &mut dyn FnMut(ByteString, &mut dyn Read),
) -> io::Result<()> {
    let mut header = [0; BLOCK];
    let mut long_name = None;
    loop {
        if !read_block(packed, &mut header)? || header.iter().all(|b| *b == 0) {
            return Ok(());
        }
        if !has_checksum(&header) {
            return Err(damaged("a header of the tar has another checksum"));
        }
        let size = number(&header[124..136]).ok_or_else(|| damaged("a size in the tar is none"))?;
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut content = packed.take(size);
        match header[156] {
            b'L' if size <= MAX_NAME => {
                let mut name = Vec::new();
                content.read_to_end(&mut name)?;
                name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
                long_name = Some(name);
            }
            b'x' if size <= MAX_NAME => {
                let mut records = Vec::new();
                content.read_to_end(&mut records)?;
                long_name = pax_path(&records).or(long_name);
            }
            // Regular files: of ustar, of tar before it, of sparse files, and contiguous ones.
            b'0' | 0 | b'S' | b'7' => {
                let name = long_name.take().unwrap_or_else(|| name_of(&header));
                member(name.into(), &mut content);
            }
            b'x' | b'g' | b'L' | b'K' => {}
            _ => long_name = None,
        }
        io::copy(&mut content, &mut io::sink())?;
        if content.limit() > 0 {
            return Err(damaged("the tar ends within a member"));
        }
        io::copy(&mut packed.take(padding), &mut io::sink())?;
    }
}

/// A whole block; `false` at the end.
fn read_block(packed: &mut dyn Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < BLOCK {
        match packed.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(damaged("the tar ends within a header")),
            read => filled += read,
        }
    }
    Ok(true)
}

/// The sum of all bytes, the field of the sum taken as spaces (tar(5)).
fn has_checksum(header: &[u8; BLOCK]) -> bool {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    number(&header[148..156]) == Some(sum)
}

/// A number in octal digits, or in base 256 where its first bit is set (tar(5)).
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        let is_small = high[0] & 0x7f == 0 && high[1..].iter().all(|b| *b == 0);
        let value = u64::from_be_bytes(low.try_into().ok()?);
        return (is_small && value < 1 << 62).then_some(value);
    }
    let digits = field.iter().skip_while(|b| **b == b' ').take_while(|b| !matches!(b, 0 | b' '));
    digits.copied().try_fold(0_u64, |value, digit| {
        let digit = (b'0'..=b'7').contains(&digit).then(|| u64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

fn name_of(header: &[u8; BLOCK]) -> Vec<u8> {
    let text = |field: &[u8]| field.split(|b| *b == 0).next().unwrap_or_default().to_vec();
    let name = text(&header[..100]);
    // GNU's own format has other things where ustar has the prefix.
    let prefix = if &header[257..263] == b"ustar\0" { text(&header[345..500]) } else { Vec::new() };
    if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
}

/// `path` of the records of a pax header: `27 path=some/name\n` each.
fn pax_path(records: &[u8]) -> Option<Vec<u8>> {
    records.split(|b| *b == b'\n').find_map(|record| {
        let (_, field) = record.split_at(record.iter().position(|b| *b == b' ')? + 1);
        field.strip_prefix(b"path=").map(<[u8]>::to_vec)
    })
}

/// Hand each member of a zip to `member`, in the order of its local headers (APPNOTE.TXT, 4.3).
pub(super) fn zip(
    packed: &mut dyn Read,
    member: &mut dyn FnMut(ByteString, &mut dyn Read),
) -> io::Result<()> {
    const LOCAL: [u8; 4] = *b"PK\x03\x04";
    const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
    let mut packed = BufReader::with_capacity(32 * 1024, packed);
    loop {
        let mut signature = [0; 4];
        packed.read_exact(&mut signature)?;
        if signature == DESCRIPTOR {
            packed.read_exact(&mut [0; 12])?;
            continue;
        }
        if signature != LOCAL {
            return Ok(()); // The directory at the end, which says again what was said.
        }
        let mut header = [0; 26];
        packed.read_exact(&mut header)?;
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let (flags, method) = (short(2), short(4));
        let size = u32::from_le_bytes([header[14], header[15], header[16], header[17]]);
        let mut name = vec![0; short(22).into()];
        packed.read_exact(&mut name)?;
        let mut extra = vec![0; short(24).into()];
        packed.read_exact(&mut extra)?;
        let has_size = flags & 8 == 0;
        let size = if size == u32::MAX { long_size(&extra) } else { size.into() };
        if flags & 1 != 0 {
            return Err(unsupported("the zip is encrypted"));
        }
        match (method, has_size) {
            (0, true) => {
                let mut content = (&mut packed).take(size);
                member(name.into(), &mut content);
                io::copy(&mut content, &mut io::sink())?;
            }
            (8, true) => {
                let mut content = (&mut packed).take(size);
                member(name.into(), &mut flate2::bufread::DeflateDecoder::new(&mut content));
                io::copy(&mut content, &mut io::sink())?;
            }
            // Its size stands behind it; deflate says itself where it ends.
            (8, false) => {
                let mut content = flate2::bufread::DeflateDecoder::new(&mut packed);
                member(name.into(), &mut content);
                io::copy(&mut content, &mut io::sink())?;
            }
            (0, false) => {
                return Err(unsupported("the zip has a member without its size"));
            }
            _ => return Err(unsupported("the zip is compressed in a way that is not known")),
        }
        if packed.fill_buf()?.is_empty() {
            return Ok(());
        }
    }
}

/// The packed size in the extra field of ZIP64 (APPNOTE.TXT, 4.5.3): its second number.
fn long_size(extra: &[u8]) -> u64 {
    match extra {
        [1, 0, _, _, rest @ ..] if rest.len() >= 16 => {
            u64::from_le_bytes(rest[8..16].try_into().unwrap_or_default())
        }
        _ => u32::MAX.into(),
    }
}

/// What is an archive and not damaged, and cannot be read all the same.
fn unsupported(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The presets of xz(1), by its table.
    #[test]
    fn the_dictionary_of_xz_is_read() {
        for (preset, mebibytes) in [(1, 1), (2, 2), (3, 4), (6, 8), (7, 16), (8, 32), (9, 64)] {
            let mut packer = liblzma::write::XzEncoder::new(Vec::new(), preset);
            packer.write_all(b"some text").unwrap();
            let packed = packer.finish().unwrap();
            assert_eq!(Packing::of(&packed), Some(Packing::Xz(mebibytes << 20)), "-{preset}");
            for end in 13..packed.len().min(24) {
                assert!(matches!(Packing::of(&packed[..end]), Some(Packing::Xz(_))), "{end}");
            }
        }
    }

    #[test]
    fn the_window_of_zstd_is_read() {
        for log in [10, 17, 23, 25, 27] {
            let mut packer = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
            packer.window_log(log).unwrap();
            packer.write_all(b"some text").unwrap();
            packer.flush().unwrap();
            let packed = packer.finish().unwrap();
            assert_eq!(Packing::of(&packed), Some(Packing::Zstd(1 << log)), "{log}");
        }
        // What is packed at once is its own window.
        for length in [0_usize, 1, 255, 256, 1000, 70_000] {
            let packed = zstd::bulk::compress(&vec![b'x'; length], 3).unwrap();
            assert_eq!(Packing::of(&packed), Some(Packing::Zstd(length as u64)), "{length}");
        }
    }
}
