use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::parse::cpio::tests::pack;

const COMPRESSIONS: [&str; 7] = ["none", "gzip", "bzip2", "xz", "lzma", "zstd", "lz4"];

fn compress(how: &str, content: &[u8]) -> Vec<u8> {
    match how {
        "none" => content.to_vec(),
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        "bzip2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => liblzma::encode_all(content, 0).unwrap(),
        "lzma" => {
            let options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
            let stream = Stream::new_lzma_encoder(&options).unwrap();
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(content, 1).unwrap(),
        "lz4" => {
            let mut frame = 0x184c_2102_u32.to_le_bytes().to_vec();
            for block in content.chunks(8 << 20) {
                let block = lz4_flex::block::compress(block);
                frame.extend_from_slice(&u32::try_from(block.len()).unwrap().to_le_bytes());
                frame.extend_from_slice(&block);
            }
            frame
        }
        other => panic!("{other}"),
    }
}

fn names(image: &[u8], limits: Limits) -> Result<Vec<String>> {
    let mut names = Vec::new();
    read(image, limits, &mut |entry, _| {
        names.push(String::from_utf8_lossy(entry.name).into_owned());
        Ok(())
    })?;
    Ok(names)
}

fn archive(names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| (name.as_bytes().to_vec(), b"some content".repeat(9));
    pack(&names.iter().map(entry).collect::<Vec<_>>())
}

#[test]
fn every_compression_is_read_behind_microcode() {
    for how in COMPRESSIONS {
        let mut image = archive(&["kernel/x86/microcode/GenuineIntel.bin"]);
        image.resize(image.len().next_multiple_of(512), 0);
        image.extend(compress(how, &archive(&["lib/a.ko", "lib/b.ko"])));
        image.extend([0; 37]);
        let found = names(&image, LIMITS).unwrap_or_else(|error| panic!("{how}: {error}"));
        assert_eq!(
            found,
            ["kernel/x86/microcode/GenuineIntel.bin", "lib/a.ko", "lib/b.ko"],
            "{how}"
        );
    }
}

#[test]
fn compressed_streams_follow_each_other() {
    // The lz4 of the kernel has no end but the end of the file.
    for first in COMPRESSIONS.into_iter().filter(|how| *how != "lz4") {
        for second in COMPRESSIONS {
            let mut two = archive(&["a"]);
            two.extend([0; 8]);
            two.extend(archive(&["b"]));
            let image =
                [compress(first, &two), vec![0; 4], compress(second, &archive(&["c"]))].concat();
            assert_eq!(names(&image, LIMITS).unwrap(), ["a", "b", "c"], "{first} {second}");
        }
    }
}

/// A block of lz4 may be 8 MiB; that room is not made anew for each that holds a byte.
#[test]
fn small_blocks_cost_little() {
    let content = [archive(&["a"]), vec![0; 20_000]].concat();
    let blocks = content.iter().flat_map(|byte| [2, 0, 0, 0, 0x10, *byte]);
    let frame: Vec<u8> = 0x184c_2102_u32.to_le_bytes().into_iter().chain(blocks).collect();
    let began = std::time::Instant::now();
    assert_eq!(names(&frame, LIMITS).unwrap(), ["a"]);
    // Anew, it is minutes.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn what_is_not_read_says_why() {
    let mut lzo = vec![0x89];
    lzo.extend(b"LZO\0\r\n\x1a\n");
    for (image, why) in [
        (&b""[..], "it holds no archive"),
        (&[0; 600][..], "it holds no archive"),
        (b"placeholder\n", "byte 0 begins neither"),
        (&lzo, "compressed with lzo"),
        (b"MZ\x90\0\0\0", "EFI program"),
        (b"070701", "in the middle of an archive"),
        (b"\x1f\x8b\x08\0", "in the middle of an archive"),
        (b"BZh9 is no block of bzip2", "cannot be decompressed"),
    ] {
        let error = names(image, LIMITS).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_bomb_is_an_error_and_takes_no_memory() {
    let limits = Limits { output: 1 << 20, entries: 10 };
    for how in COMPRESSIONS {
        let zeros = [archive(&["a"]), vec![0; 2 << 20]].concat();
        if how != "none" {
            let result = names(&compress(how, &zeros), limits);
            assert!(matches!(result, Err(Error::TooLarge(_))), "{how} {result:?}");
        }
        let large = pack(&[(b"large".to_vec(), vec![b'x'; 2 << 20])]);
        let result = names(&compress(how, &large), limits);
        assert!(matches!(result, Err(Error::TooLarge(_))), "{how} {result:?}");
        let many = archive(&["x"; 11]);
        let result = names(&compress(how, &many), limits);
        assert!(matches!(result, Err(Error::TooMany(10))), "{how} {result:?}");
    }
}

#[test]
fn a_window_larger_than_the_kernel_takes_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&archive(&["a"])).unwrap();
    assert!(matches!(names(&encoder.finish().unwrap(), LIMITS), Err(Error::Stream(_))));
    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    options.dict_size(1 << 29);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(&archive(&["a"])).unwrap();
    assert!(matches!(names(&encoder.finish().unwrap(), LIMITS), Err(Error::Stream(_))));
}

#[test]
fn a_gzipped_text_is_read_up_to_a_limit() {
    let packed = compress("gzip", b"CONFIG_X=y\n");
    assert_eq!(gunzip(&packed, 11).unwrap(), b"CONFIG_X=y\n");
    assert!(matches!(gunzip(&packed, 10), Err(Error::TooLarge(10))));
    assert!(gunzip(b"CONFIG_X=y\n", 100).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_image_that_is_cut_short_or_damaged_is_no_other_image(
        how in prop::sample::select(&COMPRESSIONS[..]),
        at in any::<prop::sample::Index>(),
        bits in 1..=255u8,
    ) {
        let image = compress(how, &archive(&["lib/modules/6.1/virtio_blk.ko", "init"]));
        let cut = at.index(image.len() - 1) + 1;
        // The last bytes of an archive as it is are zeros behind its trailer, and those of lz4 and
        // lzma may be of the same.
        if cut + 16 < image.len() && !["lzma", "lz4"].contains(&how) {
            prop_assert!(names(&image[..cut], LIMITS).is_err());
        }
        let _ = names(&image[..cut], LIMITS);
        let mut damaged = image;
        damaged[cut - 1] ^= bits;
        let _ = names(&damaged, LIMITS);
    }

    #[test]
    fn no_bytes_make_it_panic(
        head in prop::sample::select(vec![
            &b"070701"[..], &[0x1f, 0x8b, 8], b"BZh9", &[0x5d, 0, 0, 0x80, 0], b"\xfd7zXZ\0",
            &[2, 0x21, 0x4c, 0x18], &[0x28, 0xb5, 0x2f, 0xfd], b"",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = names(&[head, &rest].concat(), Limits { output: 1 << 20, entries: 100 });
    }
}
