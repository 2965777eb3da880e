//! A set of named contents as one zstd-compressed tar.
//!
//! Reading is for archives of unknown origin: everything stays in memory, sizes are bounded, and
//! whatever is no plain file is refused. A name is only a name here; nothing is ever unpacked.

use std::collections::BTreeMap;
use std::io::Read;

use tar::{Archive, Builder, EntryType, Header};

/// An archive holds no more than this, uncompressed, in bytes.
pub const MAX_UNPACKED: u64 = 256 << 20;

/// And no more entries than this.
pub const MAX_ENTRIES: usize = 1_000_000;

/// The largest window that a stream may ask for, as a power of two: 8 MiB is the most that zstd
/// itself asks for below its "ultra" levels.
const WINDOW_LOG: u32 = 23;

/// How hard it is compressed; zstd's own default.
const LEVEL: i32 = 3;

/// Why an archive cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is not compressed by zstd, or damaged.
    #[error("it is no zstd-compressed tar, or damaged: {0}")]
    Damaged(String),
    /// It unpacks to more than [`MAX_UNPACKED`].
    #[error("it unpacks to more than {} MiB", MAX_UNPACKED >> 20)]
    TooLarge,
    /// It holds more than [`MAX_ENTRIES`].
    #[error("it holds more than {MAX_ENTRIES} entries")]
    TooMany,
    /// An entry is a link, a device or the like.
    #[error("{0}: it is no plain file")]
    NotPlain(String),
    /// A name comes twice.
    #[error("{0}: it is there twice")]
    Twice(String),
}

/// Put contents into an archive: the one named `first` before the others, which follow by name.
/// `modified` is every entry's time, in seconds since 1970.
///
/// # Errors
/// What tar or zstd say; writing to memory, neither has a reason.
pub fn pack(
    first: (&str, &[u8]),
    contents: &BTreeMap<String, Vec<u8>>,
    modified: u64,
) -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?);
    let others = contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    for (name, bytes) in std::iter::once(first).chain(others) {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(modified);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes)?;
    }
    builder.into_inner()?.finish()
}

/// Take the contents out of an archive, by name.
///
/// # Errors
/// See [`ArchiveError`].
pub fn unpack(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    let damaged = |error: std::io::Error| ArchiveError::Damaged(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(archive).map_err(damaged)?;
    decoder.window_log_max(WINDOW_LOG).map_err(damaged)?;
    let mut tar = Vec::new();
    decoder.take(MAX_UNPACKED + 1).read_to_end(&mut tar).map_err(damaged)?;
    if tar.len() as u64 > MAX_UNPACKED {
        return Err(ArchiveError::TooLarge);
    }
    let mut contents = BTreeMap::new();
    let mut archive = Archive::new(tar.as_slice());
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().escape_ascii().to_string();
        if entry.header().entry_type() != EntryType::Regular {
            return Err(ArchiveError::NotPlain(name));
        }
        if contents.len() >= MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        if contents.insert(name.clone(), bytes).is_some() {
            return Err(ArchiveError::Twice(name));
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tar_of(make: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        make(&mut builder);
        zstd::encode_all(builder.into_inner().unwrap().as_slice(), 1).unwrap()
    }

    fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, &b""[..]).unwrap();
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(
            // Not `.` and `..`, which a tar has no entry of that name for.
            contents in proptest::collection::btree_map("[!-~&&[^./\\\\'\"]][!-~&&[^/\\\\'\"]]{0,149}(/[a-z%0-9]{1,120}){0,3}", proptest::collection::vec(any::<u8>(), 0..3000), 0..8)
        ) {
            let packed = pack(("0-first", b"{}"), &contents, 12).unwrap();
            let mut unpacked = unpack(&packed).unwrap();
            prop_assert_eq!(unpacked.remove("0-first").unwrap(), b"{}");
            prop_assert_eq!(unpacked, contents);
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = unpack(&bytes);
            let _ = unpack(&zstd::encode_all(bytes.as_slice(), 1).unwrap());
        }

        #[test]
        fn a_changed_archive_is_no_panic(at in 0usize..3000, with in any::<u8>()) {
            let mut tar = Builder::new(Vec::new());
            entry(&mut tar, EntryType::Regular, "a");
            entry(&mut tar, EntryType::Regular, &"long".repeat(60));
            let mut bytes = tar.into_inner().unwrap();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = unpack(&zstd::encode_all(bytes.as_slice(), 1).unwrap());
        }
    }

    #[test]
    fn only_plain_files_are_taken() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Fifo,
            EntryType::Directory,
            EntryType::GNUSparse,
        ] {
            let archive = tar_of(|tar| entry(tar, kind, "a"));
            let refused = unpack(&archive).unwrap_err();
            let is_refused =
                matches!(refused, ArchiveError::NotPlain(_) | ArchiveError::Damaged(_));
            assert!(is_refused, "{kind:?}: {refused}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        let archive = tar_of(|tar| {
            entry(tar, EntryType::Regular, "a");
            entry(tar, EntryType::Regular, "a");
        });
        assert_eq!(unpack(&archive), Err(ArchiveError::Twice("a".to_owned())));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let zeros = std::io::repeat(0).take(MAX_UNPACKED + 1);
        let mut packed = Vec::new();
        zstd::stream::copy_encode(zeros, &mut packed, 1).unwrap();
        assert!(packed.len() < 1 << 20);
        assert_eq!(unpack(&packed), Err(ArchiveError::TooLarge));
    }
}
