//! Archives and compressed files, read as streams, with as little of them in memory as they allow.

use std::io::{self, BufRead, BufReader, Read};

use crate::model::ByteString;

/// Enough of a file to tell what it is: ustar's magic stands behind byte 257.
pub(super) const HEAD: usize = 512;

/// The largest window of zstd, as a power of two: what `zstd --ultra -20` asks for.
const WINDOW_LOG: u32 = 25;
/// The most memory of xz: what a file of `xz -9` needs, the largest preset.
const XZ_MEMORY: u64 = 80 << 20;
/// A block of tar.
const BLOCK: usize = 512;
/// A longer name than this is not kept.
const MAX_NAME: u64 = 64 * 1024;

/// How something is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Tar,
    Zip,
}

impl Packing {
    /// Told by the first bytes, never by a name.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some(Self::Bzip2),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }

    /// What a compressed file unpacks to; `None` of an archive, which has members.
    pub fn unpacked<'a>(self, packed: impl Read + 'a) -> io::Result<Option<Box<dyn Read + 'a>>> {
        Ok(Some(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Self::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(packed)),
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )?;
                Box::new(liblzma::read::XzDecoder::new_stream(packed, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(packed)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Tar | Self::Zip => return Ok(None),
        }))
    }
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
            return Err(damaged("the zip is encrypted"));
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
            (0, false) => return Err(damaged("the zip has a member without its size")),
            _ => return Err(damaged("the zip is compressed in a way that is not known")),
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

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
