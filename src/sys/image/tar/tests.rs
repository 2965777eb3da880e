//! The reader of archives against archives that are damaged in every way.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// Keeps what is put, as long as it is what was announced.
#[derive(Default)]
struct Kept {
    size: Option<u64>,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Target for Kept {
    fn begin(&mut self, size: u64) -> Result<()> {
        assert!(self.size.replace(size).is_none(), "it begins twice");
        Ok(())
    }

    fn put(&mut self, offset: u64, bytes: &[u8], _left: u64) -> Result<()> {
        let end = offset + bytes.len() as u64;
        assert!(end <= self.size.unwrap(), "it goes beyond its end");
        let last = self.pieces.last();
        assert!(last.is_none_or(|(at, piece)| at + piece.len() as u64 <= offset), "it goes back");
        self.pieces.push((offset, bytes.to_vec()));
        Ok(())
    }
}

fn read(archive: &[u8]) -> (Result<String>, Kept) {
    let mut kept = Kept::default();
    let name = only_file(archive, "it", &mut kept);
    (name, kept)
}

/// Archives by tar itself, of a file with holes.
fn archives() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(directory.path().join("disk")).unwrap();
    file.set_len(300_000).unwrap();
    file.write_all(b"the beginning").unwrap();
    for piece in 1..9_u64 {
        std::os::unix::fs::FileExt::write_all_at(&file, b"a piece", piece * 32768).unwrap();
    }
    ["gnu", "posix", "posix --sparse-version=0.0", "posix --sparse-version=0.1"]
        .iter()
        .map(|format| {
            let line = format!("tar --format={format} -S -c disk");
            let mut command = Command::new("sh");
            command.args(["-c", &line]).current_dir(directory.path()).stderr(Stdio::null());
            command.output().unwrap().stdout
        })
        .collect()
}

#[test]
fn holes_are_passed_over() {
    for archive in archives() {
        let (name, kept) = read(&archive);
        assert_eq!((name.unwrap().as_str(), kept.size), ("disk", Some(300_000)));
        let sum: usize = kept.pieces.iter().map(|(_, piece)| piece.len()).sum();
        assert!(kept.pieces.len() >= 9 && sum < 100_000, "{sum}");
        assert!(kept.pieces[0].1.starts_with(b"the beginning"));
        assert!(kept.pieces[1].0 == 32768 && kept.pieces[1].1.starts_with(b"a piece"));
    }
}

#[test]
fn numbers_of_both_kinds() {
    assert_eq!(number(b"00000001750\0"), Some(1000));
    assert_eq!(number(b"  1750 \0"), Some(1000));
    assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x03\xe8"), Some(1000));
    assert_eq!(number(b"\0\0\0\0"), Some(0));
    assert_eq!(number(b"0008"), None);
    // Negative, and more than an offset can be.
    assert_eq!(number(&[0xff; 12]), None);
    assert_eq!(number(b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), None);
}

#[test]
fn records_may_hold_any_byte() {
    let records = pax::records(b"19 path=a\n14 b=c\nd\n12 size=345\n").unwrap();
    assert_eq!(records.path.as_deref(), Some("a\n14 b=c\nd"));
    assert_eq!(records.size, Some(345));
    for bad in ["4 a=\n", "99 a=b\n", "0 \n", "6 a=bc", "11 size=-1\n", "20 GNU.sparse.map=1\n"] {
        pax::records(bad.as_bytes()).expect_err(bad);
    }
}

proptest! {
    #[test]
    fn damaged_archives_are_errors_or_files(
        which in 0..4_usize,
        damage in prop::collection::vec((0..8192_usize, any::<u8>()), 0..12),
        fields in prop::collection::vec((0..16_usize, 0..512_usize, any::<[u8; 12]>()), 0..3),
        length in 0..40_000_usize,
        mend in any::<bool>(),
    ) {
        use std::sync::LazyLock;
        static ARCHIVES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(archives);
        let mut archive = ARCHIVES[which].clone();
        for (block, at, bytes) in fields {
            let start = (block * BLOCK + at).min(archive.len() - 12);
            archive[start..start + 12].copy_from_slice(&bytes);
        }
        for (at, byte) in damage {
            archive[at] = byte;
        }
        if mend {
            // Past the checksums, which would stop nearly all of it.
            for block in archive.chunks_exact_mut(BLOCK).take(8) {
                if &block[257..262] == b"ustar" {
                    block[148..156].fill(b' ');
                    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
                    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
                }
            }
        }
        archive.truncate(length.max(BLOCK));
        let (name, kept) = read(&archive);
        if name.is_ok() {
            prop_assert!(kept.size.is_some_and(|size| size > 0));
        }
    }

    #[test]
    fn any_bytes_are_records_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = pax::records(&bytes);
        let _ = is_header(&bytes);
    }
}
