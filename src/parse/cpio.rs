//! A cpio archive as the kernel unpacks an initramfs from: the formats `newc` and `crc`.
//!
//! Read as a stream: the name and the numbers of one entry at a time, its content only when it is
//! asked for. Nothing is held but the current name. Rule: init/initramfs.c of the kernel and its
//! documentation driver-api/early-userspace/buffer-format.rst.

use std::io::{BufRead, Read};

use super::initramfs::{Error, Result};

/// `070701`, and `070702` with a sum of each content, which is not verified here.
pub const MAGICS: [&[u8; 6]; 2] = [b"070701", b"070702"];

/// Longer names than PATH_MAX the kernel skips; no tool writes them.
const MAX_NAME: u64 = 4096;

/// The magic and thirteen numbers of eight hexadecimal digits.
const HEADER: usize = 110;

/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One file, directory, link or device of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name as it stands in the archive: no leading slash as a rule, perhaps `./`.
    pub name: &'a [u8],
    /// `st_mode`: type and permission bits.
    pub mode: u32,
    /// Seconds since the epoch.
    pub modified: u32,
    /// Bytes of content; 0 for all but the last of several names of one file.
    pub size: u32,
}

impl Entry<'_> {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

/// One archive of a stream, from its first header to its trailer.
#[derive(Debug)]
pub struct Archive<R> {
    input: R,
    name: Vec<u8>,
    /// Bytes of the current content that were not read yet.
    left: u64,
    /// Zeros after the current content.
    padding: u64,
}

impl<R: BufRead> Archive<R> {
    /// An archive that begins where the input is now.
    pub fn new(input: R) -> Self {
        Self { input, name: Vec::new(), left: 0, padding: 0 }
    }

    /// The next entry; `None` behind the trailer. What was not read of the content before is
    /// skipped.
    ///
    /// # Errors
    /// When the input ends before the trailer, or holds no header where one has to be.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>> {
        skip(&mut self.input, self.left + self.padding)?;
        let mut header = [0; HEADER];
        self.input.read_exact(&mut header)?;
        if !MAGICS.iter().any(|magic| header.starts_with(*magic)) {
            return Err(Error::Header);
        }
        let number = |index: usize| -> Result<u32> {
            let digits = &header[6 + 8 * index..14 + 8 * index];
            let all_digits = digits.iter().all(u8::is_ascii_hexdigit);
            let text = std::str::from_utf8(digits).ok().filter(|_| all_digits);
            text.and_then(|text| u32::from_str_radix(text, 16).ok()).ok_or(Error::Header)
        };
        let (mode, modified, size) = (number(1)?, number(5)?, number(6)?);
        let name_size = u64::from(number(11)?);
        if name_size == 0 || name_size > MAX_NAME {
            return Err(Error::Name);
        }
        self.name.clear();
        (&mut self.input).take(name_size).read_to_end(&mut self.name)?;
        if self.name.pop() != Some(0) || self.name.len() as u64 + 1 != name_size {
            return Err(Error::Name);
        }
        // Header with name, and content, each end at a multiple of four.
        skip(&mut self.input, (HEADER as u64 + name_size).wrapping_neg() & 3)?;
        if self.name == TRAILER {
            return Ok(None);
        }
        self.left = u64::from(size);
        self.padding = u64::from(size).wrapping_neg() & 3;
        Ok(Some(Entry { name: &self.name, mode, modified, size }))
    }

    /// The content of the entry that was asked for last.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { archive: self }
    }

    /// The input, behind what was read of it.
    pub fn into_inner(self) -> R {
        self.input
    }
}

/// The content of one entry.
#[derive(Debug)]
pub struct Content<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: BufRead> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.archive.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.archive.input.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.archive.left -= read as u64;
        Ok(read)
    }
}

fn skip(input: &mut impl BufRead, mut count: u64) -> Result<()> {
    while count > 0 {
        let there = input.fill_buf()?.len();
        if there == 0 {
            return Err(Error::Truncated);
        }
        let step = there.min(usize::try_from(count).unwrap_or(usize::MAX));
        input.consume(step);
        count -= step as u64;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An archive as cpio(1) writes it.
    pub fn pack(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut archive = Vec::new();
        let trailer = (TRAILER.to_vec(), Vec::new());
        for (name, content) in entries.iter().chain([&trailer]) {
            let numbers = [1, 0o100_644, 0, 0, 1, 7, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
            archive.extend_from_slice(b"070701");
            for number in numbers {
                archive.extend_from_slice(format!("{number:08x}").as_bytes());
            }
            archive.extend_from_slice(name);
            archive.push(0);
            archive.resize(archive.len().next_multiple_of(4), 0);
            archive.extend_from_slice(content);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
        archive
    }

    fn entries() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let name = prop::collection::vec(1..=255u8, 0..40)
            .prop_filter("the trailer's name ends the archive", |name| name != TRAILER);
        prop::collection::vec((name, prop::collection::vec(any::<u8>(), 0..50)), 0..8)
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut archive = Archive::new(bytes);
        let mut found = Vec::new();
        while let Some(entry) = archive.next_entry()? {
            assert!(entry.is_file() && entry.modified == 7);
            let name = entry.name.to_vec();
            let mut content = Vec::new();
            archive.content().read_to_end(&mut content)?;
            found.push((name, content));
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn what_was_packed_is_found(entries in entries()) {
            prop_assert_eq!(unpack(&pack(&entries)).unwrap(), entries);
        }

        #[test]
        fn content_that_nobody_reads_is_skipped(entries in entries()) {
            let packed = pack(&entries);
            let mut archive = Archive::new(packed.as_slice());
            for (name, content) in &entries {
                let entry = archive.next_entry().unwrap().unwrap();
                prop_assert_eq!(entry.name, name.as_slice());
                prop_assert_eq!(entry.size as usize, content.len());
            }
            prop_assert!(archive.next_entry().unwrap().is_none());
            prop_assert!(archive.into_inner().is_empty());
        }

        #[test]
        fn an_archive_that_is_cut_short_is_an_error(entries in entries(), cut in any::<prop::sample::Index>()) {
            let packed = pack(&entries);
            prop_assert!(unpack(&packed[..cut.index(packed.len())]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..300, byte in any::<u8>()) {
            let _ = unpack(&bytes);
            let mut packed = pack(&[(b"lib/modules".to_vec(), b"content".to_vec())]);
            if let Some(place) = packed.get_mut(at) {
                *place = byte;
            }
            let _ = Archive::new(packed.as_slice()).next_entry().map(|_| ());
        }
    }

    #[test]
    fn an_absurd_name_is_refused_unread() {
        let mut packed = pack(&[(b"a".to_vec(), Vec::new())]);
        packed[94..102].copy_from_slice(b"ffffffff");
        assert!(matches!(unpack(&packed), Err(Error::Name)));
    }
}
