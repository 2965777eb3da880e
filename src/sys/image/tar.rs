//! A tar archive that holds one file, read as a stream.
//!
//! The crate `tar` reads long names and pax headers into memory however long they say they are,
//! reads the holes of a sparse file as zeros, which of an exbibyte never ends, and does not know
//! the sparse formats of pax. What is read into memory here is bounded, and a hole is passed over.
//!
//! Source: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format"
//! and "Storing Sparse Files".

use std::io::{self, Read};

use super::pax::{self, Extent, Records};
use super::{Error, ErrorKind, Result};

/// The size of a header in bytes, and what everything is filled up to.
pub(super) const BLOCK: usize = 512;
/// How much is handed on at a time, in bytes.
const PIECE: usize = 1 << 20;
/// The longest name and pax header that is read, in bytes. A map in a pax header has some 25 bytes
/// for each piece of a file.
const LONGEST_HEADER: u64 = 16 << 20;
/// The most pieces that a sparse file may have.
const MOST_EXTENTS: usize = 1 << 20;
/// The most headers: one file needs a few, and directories above it.
const MOST_HEADERS: usize = 1024;

/// Where the archive's file goes.
pub(super) trait Target {
    /// It has so many bytes, all of them zeros so far.
    fn begin(&mut self, size: u64) -> Result<()>;
    /// It has these bytes at an offset; at most `left` more come after them.
    fn put(&mut self, offset: u64, bytes: &[u8], left: u64) -> Result<()>;
}

/// Whether a file's first bytes are the header of a tar archive.
pub(super) fn is_header(head: &[u8]) -> bool {
    let block = head.first_chunk::<BLOCK>();
    block.is_some_and(|block| &block[257..262] == b"ustar" && has_good_sum(block))
}

/// Read the one file of an archive into `target`, and give the file's name. `shown` is the archive
/// as a message names it.
///
/// # Errors
/// What reading or `target` says; an archive without a file or with more, with links, devices or a
/// name that leads out of it, and one that is cut off.
pub(super) fn only_file(
    archive: impl Read,
    shown: &str,
    target: &mut dyn Target,
) -> Result<String> {
    let mut reader = Reader { archive, shown };
    let mut records = Records::default();
    let mut name = None;
    let mut long_name = None;
    for _ in 0..MOST_HEADERS {
        let Some(header) = reader.header()? else {
            return name.ok_or_else(|| reader.refused("there is no file in it"));
        };
        let told = reader.field(&header[124..136])?;
        let size = records.size.unwrap_or(told);
        match header[156] {
            b'x' => {
                let bytes = reader.long(told)?;
                records = pax::records(&bytes).map_err(|cause| reader.refused(cause))?;
                continue;
            }
            b'L' => {
                let mut bytes = reader.long(told)?;
                bytes.truncate(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
                long_name = Some(String::from_utf8_lossy(&bytes).into_owned());
                continue;
            }
            // A long link target, and what holds for every file: neither says anything of a disk.
            b'K' | b'g' => {
                reader.long(told)?;
                continue;
            }
            kind => {
                let own = records.path.take().or_else(|| long_name.take());
                let member = own.unwrap_or_else(|| usual_name(&header));
                reader.check_entry(kind, &member)?;
                let is_directory = kind == b'5' || member.ends_with('/');
                if is_directory {
                    if size != 0 {
                        return Err(reader.refused("a directory in it has content"));
                    }
                } else if let Some(first) = &name {
                    let cause = format!("there are several files in it, {first} and {member}");
                    return Err(reader.refused(cause));
                } else {
                    reader.file(&header, size, &records, target)?;
                    name = Some(member);
                }
            }
        }
        records = Records::default();
        long_name = None;
    }
    Err(reader.refused("there are more headers in it than one file has"))
}

struct Reader<'a, R> {
    archive: R,
    shown: &'a str,
}

impl<R: Read> Reader<'_, R> {
    fn refused(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("unpack", self.shown, ErrorKind::Other, cause)
    }

    /// The next header; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.archive.read(&mut block[filled..]) {
                // Some tars write no end, and others do not mind.
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.failed(&io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.failed(&e)),
            }
        }
        if block == [0; BLOCK] {
            return Ok(None);
        }
        if !has_good_sum(&block) {
            return Err(self.refused("what is in it is no tar archive, or a damaged one"));
        }
        Ok(Some(block))
    }

    /// What is no disk image's, by its kind and name.
    fn check_entry(&self, kind: u8, member: &str) -> Result<()> {
        let what = match kind {
            b'0' | b'7' | b'S' | b'5' | 0 => None,
            b'1' | b'2' => Some("a link"),
            b'3' | b'4' => Some("a device"),
            b'6' => Some("a FIFO"),
            _ => Some("an entry of an unknown kind"),
        };
        if let Some(what) = what {
            return Err(self.refused(format!("there is {what} in it, {member}")));
        }
        if member.starts_with('/') || member.split('/').any(|part| part == "..") {
            return Err(self.refused(format!("a name in it leads out of it, {member}")));
        }
        Ok(())
    }

    /// The data of a name or of a pax header, with what fills its last block.
    fn long(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > LONGEST_HEADER {
            return Err(self.refused(format!("a header in it has {size} bytes")));
        }
        let mut bytes = Vec::new();
        let read = self.archive.by_ref().take(size).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == size => self.skip_padding(size)?,
            Ok(_) => return Err(self.failed(&io::ErrorKind::UnexpectedEof.into())),
            Err(e) => return Err(self.failed(&e)),
        }
        Ok(bytes)
    }

    fn file(
        &mut self,
        header: &[u8; BLOCK],
        size: u64,
        records: &Records,
        target: &mut dyn Target,
    ) -> Result<()> {
        let (real_size, extents, left) = if header[156] == b'S' {
            let real_size = self.field(&header[483..495])?;
            (real_size, self.old_map(header)?, size)
        } else if records.map_in_data {
            let (extents, used) = self.map_in_data(size)?;
            (records.real_size.unwrap_or(0), extents, size - used)
        } else if let Some(map) = &records.map {
            (records.real_size.unwrap_or(0), map.clone(), size)
        } else {
            (size, vec![(0, size)], size)
        };
        if real_size == 0 {
            return Err(self.refused("the file in it is empty"));
        }
        self.check_map(&extents, real_size, left)?;
        target.begin(real_size)?;
        let mut left = left;
        let mut piece = vec![0; PIECE];
        for (offset, length) in extents {
            let mut done = 0;
            while done < length {
                let wanted = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
                self.fill(&mut piece[..wanted])?;
                left -= wanted as u64;
                target.put(offset + done, &piece[..wanted], left)?;
                done += wanted as u64;
            }
        }
        self.skip_padding(size)
    }

    /// The map of GNU tar's own sparse format: four pieces in the header, 21 in each block after
    /// it, which do not count as the file's data.
    fn old_map(&mut self, header: &[u8; BLOCK]) -> Result<Vec<Extent>> {
        let mut extents = Vec::new();
        let mut more = self.old_extents(&header[386..482], &mut extents)? && header[482] != 0;
        while more {
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            more = self.old_extents(&block[..504], &mut extents)? && block[504] != 0;
        }
        Ok(extents)
    }

    /// Whether all of them are used, so that more may follow.
    fn old_extents(&self, fields: &[u8], extents: &mut Vec<Extent>) -> Result<bool> {
        for field in fields.chunks_exact(24) {
            if field[12] == 0 {
                return Ok(false);
            }
            self.push(extents, (self.field(&field[..12])?, self.field(&field[12..])?))?;
        }
        Ok(true)
    }

    /// The map of pax's sparse format 1.0: decimal numbers, one a line, the first of them how many
    /// pairs there are, in as many whole blocks as they need. Gives the bytes of these too.
    fn map_in_data(&mut self, size: u64) -> Result<(Vec<Extent>, u64)> {
        let mut extents = Vec::new();
        let mut used = 0;
        let mut digits = Vec::new();
        let mut pairs = None;
        let mut offset = None;
        while pairs.is_none_or(|pairs| (extents.len() as u64) < pairs) {
            if size - used < BLOCK as u64 {
                return Err(self.refused("the map of its holes is cut off"));
            }
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            used += BLOCK as u64;
            for byte in block {
                if byte != b'\n' {
                    digits.push(byte);
                    if digits.len() > 20 {
                        return Err(self.refused("the map of its holes is malformed"));
                    }
                    continue;
                }
                let number = pax::number(&digits);
                let number =
                    number.ok_or_else(|| self.refused("the map of its holes is malformed"))?;
                digits.clear();
                match (pairs, offset.take()) {
                    (None, _) => pairs = Some(number),
                    (Some(_), None) => offset = Some(number),
                    (Some(_), Some(start)) => self.push(&mut extents, (start, number))?,
                }
                if pairs == Some(extents.len() as u64) {
                    break;
                }
            }
        }
        Ok((extents, used))
    }

    fn push(&self, extents: &mut Vec<Extent>, extent: Extent) -> Result<()> {
        if extents.len() >= MOST_EXTENTS {
            let cause = format!("the file in it has more than {MOST_EXTENTS} pieces");
            return Err(self.refused(cause));
        }
        extents.push(extent);
        Ok(())
    }

    /// The pieces lie in order inside the file, and are all of its data.
    fn check_map(&self, extents: &[Extent], real_size: u64, data: u64) -> Result<()> {
        let mut end = 0;
        let mut sum = 0_u64;
        for (offset, length) in extents {
            let next = offset.checked_add(*length).filter(|next| *next <= real_size);
            let (Some(next), true) = (next, *offset >= end) else {
                return Err(self.refused("the map of its holes contradicts itself"));
            };
            end = next;
            sum += length;
        }
        if sum != data {
            return Err(self.refused("the map of its holes does not fit the file's data"));
        }
        Ok(())
    }

    fn skip_padding(&mut self, size: u64) -> Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        let mut rest = [0; BLOCK];
        self.fill(&mut rest[..(BLOCK - over) % BLOCK])
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.archive.read_exact(bytes).map_err(|e| self.failed(&e))
    }

    fn failed(&self, cause: &io::Error) -> Error {
        if cause.kind() == io::ErrorKind::UnexpectedEof {
            return self.refused("it ends in the middle, so it was not copied to its end");
        }
        Error::io("unpack", self.shown, cause)
    }

    fn field(&self, bytes: &[u8]) -> Result<u64> {
        number(bytes).ok_or_else(|| self.refused("a number in it is malformed"))
    }
}

/// A number of a header: octal between blanks, or binary behind a first byte of 0x80, which GNU
/// tar writes where octal does not reach. What a file's offset cannot be is none.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    let value = if first & 0x80 == 0 {
        let text = field.split(|byte| *byte == 0).next()?.trim_ascii();
        if text.is_empty() {
            return Some(0);
        }
        text.iter().try_fold(0_u64, |value, byte| {
            let digit = matches!(byte, b'0'..=b'7').then(|| u64::from(byte - b'0'))?;
            value.checked_mul(8)?.checked_add(digit)
        })?
    } else {
        let high = u64::from(first & 0x7f);
        rest.iter()
            .try_fold(high, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)))?
    };
    i64::try_from(value).is_ok().then_some(value)
}

/// The sum of all bytes, its own field taken as blanks. Old tars took bytes for signed.
fn has_good_sum(block: &[u8; BLOCK]) -> bool {
    let (mut unsigned, mut signed) = (0_i64, 0_i64);
    for (at, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    let told = number(&block[148..156]).and_then(|told| i64::try_from(told).ok());
    told.is_some_and(|told| told == unsigned || told == signed)
}

fn usual_name(header: &[u8; BLOCK]) -> String {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let name = text(&header[..100]);
    // GNU tar keeps times and the sparse map where POSIX has the first part of a long name.
    let prefix =
        if &header[257..263] == b"ustar\0" { text(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

#[cfg(test)]
mod tests;
