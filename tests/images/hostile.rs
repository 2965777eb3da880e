//! Images that lie: about their size, about their kind, about where their content is.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use guestprep::sys::{Container, DiskImage, ErrorKind, Use};
use proptest::prelude::*;

use crate::child::{answer, command};
use crate::tools::{content, directory, disk, has, open, sh};

/// What is read of another file must not come out of an image: this is in one.
const SECRET: &[u8] = b"not the guest's";

/// A directory on a filesystem that takes files of exbibytes, which ext4 does not.
fn roomy() -> Option<tempfile::TempDir> {
    let directory = tempfile::tempdir_in("/dev/shm").ok()?;
    let file = File::create(directory.path().join("probe")).ok()?;
    if file.set_len(1 << 60).is_err() {
        eprintln!("left out: no filesystem here takes a file of an exbibyte");
        return None;
    }
    Some(directory)
}

#[test]
fn an_exbibyte_opens_at_once_and_is_read_by_offset() {
    let Some(directory) = roomy() else { return };
    let path = directory.path().join("disk.raw");
    let size = 1_u64 << 60;
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    file.write_all_at(b"end", size - 3).unwrap();
    let started = Instant::now();
    let image = open(&path).unwrap();
    assert_eq!((image.size(), image.container()), (size, &Container::Raw));
    let pieces = image.read_ranges(&[0..512, size - 3..u64::MAX, size..size + 9]).unwrap();
    let lengths: Vec<usize> = pieces.iter().map(|(_, piece)| piece.len()).collect();
    assert_eq!(lengths, [512, 3, 0]);
    assert_eq!(pieces[1].1, b"end");
    assert_eq!(image.read_at(u64::MAX, &mut [0; 9]).unwrap(), 0);
    let whole = 0..size;
    let all = std::slice::from_ref(&whole);
    assert_eq!(image.read_ranges(all).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_is_no_file_is_refused_unopened() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    sh(
        directory.path(),
        "mkfifo fifo; mkdir directory; : > empty; mknod null c 1 3; ln -s fifo link",
    );
    let _socket = UnixListener::bind(path("socket")).unwrap();
    for name in ["fifo", "link", "directory", "null", "socket"] {
        for wanted in [Use::Read, Use::Change] {
            // A FIFO that is opened for reading waits for a writer.
            let error = DiskImage::open(&path(name), wanted, &|_, _| {}).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotRegular, "{error}");
        }
    }
    assert!(open(&path("empty")).unwrap_err().to_string().ends_with("empty: it is empty"));
    assert_eq!(open(&path("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_link_of_the_operators_is_followed() {
    let directory = directory();
    sh(directory.path(), "echo a disk > disk; ln -s disk link");
    assert_eq!(content(&open(&directory.path().join("link")).unwrap()), b"a disk\n");
}

#[test]
fn a_block_device_is_read_as_it_is() {
    let directory = directory();
    let path = directory.path().join("disk");
    let mut bytes = b"QFI\xfb\0\0\0\x03".to_vec();
    bytes.resize(1 << 20, 7);
    fs::write(&path, &bytes).unwrap();
    let attached = Command::new("losetup").args(["-f", "--show", "-r"]).arg(&path).output();
    let Some(attached) = attached.ok().filter(|output| output.status.success()) else {
        eprintln!("left out: a loop device cannot be had");
        return;
    };
    let device = String::from_utf8(attached.stdout).unwrap();
    let device = Path::new(device.trim());
    let image = open(device);
    let change = DiskImage::open(device, Use::Change, &|_, _| {});
    let read = image.as_ref().map(content);
    let is_raw = image.as_ref().map(|image| image.container() == &Container::Raw);
    let (read, is_raw) = (read.ok(), is_raw.ok());
    drop(image);
    Command::new("losetup").arg("-d").arg(device).status().unwrap();
    assert!(read == Some(bytes) && is_raw == Some(true));
    assert_eq!(change.unwrap_err().kind(), ErrorKind::NotRegular);
}

#[test]
fn a_file_that_changes_is_told() {
    let directory = directory();
    let path = directory.path().join("disk");
    fs::write(&path, [1; 9000]).unwrap();
    let image = open(&path).unwrap();
    image.check_unchanged().unwrap();
    File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
    assert_eq!(image.check_unchanged().unwrap_err().kind(), ErrorKind::Changed);
    let error = image.read_at(0, &mut [0; 9000]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_fixed_vhd_is_changed_in_place_and_others_are_not() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    disk(directory.path());
    let change =
        |name: &str| DiskImage::open(&directory.path().join(name), Use::Change, &|_, _| {});
    sh(directory.path(), "qemu-img convert -f raw -O vpc -o subformat=fixed disk.raw fixed");
    let image = change("fixed").unwrap();
    assert!(image.is_own_file());
    let before = fs::read(image.path()).unwrap();
    File::from(image.file().try_clone_to_owned().unwrap()).write_all_at(b"changed", 4096).unwrap();
    let mut wanted = before;
    wanted[4096..4103].copy_from_slice(b"changed");
    assert!(fs::read(image.path()).unwrap() == wanted);
    for (format, name) in [("qcow2", "q"), ("vpc", "v"), ("vhdx", "x"), ("vmdk", "m"), ("vdi", "i")]
    {
        sh(directory.path(), &format!("qemu-img convert -f raw -O {format} disk.raw {name}"));
        let error = change(name).unwrap_err();
        let path = directory.path().join(name);
        let path = path.display();
        let wanted =
            format!("convert it with: qemu-img convert -f {format} -O raw {path} {path}.raw");
        assert!(error.to_string().ends_with(&wanted), "{error}");
    }
}

#[test]
fn a_damaged_vhd_is_not_taken_for_a_raw_disk() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    disk(directory.path());
    sh(directory.path(), "qemu-img convert -f raw -O vpc -o subformat=fixed disk.raw whole");
    let whole = fs::read(directory.path().join("whole")).unwrap();
    let path = directory.path().join("it");
    let footer = whole.len() - 512;
    let said = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        open(&path).map(|_| ()).unwrap_err().to_string()
    };
    let mut bytes = whole.clone();
    bytes[footer + 48] ^= 1;
    assert!(said(&bytes).contains("the checksum of its VHD footer is wrong"));
    // Its end without the part before it.
    assert!(said(&whole[4096..]).contains("tells of a disk of"));
    for (kind, wanted) in [(4, "lies partly in another file"), (6, "an unknown disk type, 6")] {
        let mut bytes = whole.clone();
        bytes[footer + 63] = kind;
        // A footer's checksum falls by what its bytes rise.
        bytes[footer + 67] = bytes[footer + 67].wrapping_sub(kind - 2);
        assert!(said(&bytes).contains(wanted), "{}", said(&bytes));
    }
}

/// A VMDK header that holds only the text of a descriptor, at its second sector.
fn vmdk_of_names(capacity: u64, text: &str) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    bytes[..8].copy_from_slice(b"KDMV\x01\0\0\0");
    bytes[8] = 3;
    for (at, value) in [(12, capacity), (20, 128), (28, 1), (36, 20)] {
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    bytes[512..512 + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

#[test]
fn an_image_that_names_another_file_is_refused_unread() {
    if !has("qemu-img") {
        return;
    }
    let directory = directory();
    let mut secret = SECRET.to_vec();
    secret.resize(1 << 20, 0);
    fs::write(directory.path().join("secret"), secret).unwrap();
    let secret = directory.path().join("secret");
    let secret = secret.display();
    let descriptor = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
         createType=\"monolithicFlat\"\nRW 2048 FLAT \"{secret}\" 0\n"
    );
    fs::write(directory.path().join("names"), vmdk_of_names(0, &descriptor)).unwrap();
    fs::write(directory.path().join("text"), &descriptor).unwrap();
    sh(
        directory.path(),
        "qemu-img create -q -f qcow2 -b $PWD/secret -F raw backing
         qemu-img create -q -f qcow2 -o data_file=$PWD/secret,data_file_raw=on external 1M
         printf \"not the guest's\" | dd of=secret conv=notrunc status=none
         qemu-img convert -f raw -O vmdk secret base
         qemu-img create -q -f vmdk -b base -F vmdk parent",
    );
    let cases = [
        ("backing", "qcow2", "a qcow2 with a backing file"),
        ("external", "qcow2", "a qcow2 with an external data file"),
        ("names", "vmdk", "a VMDK that names other files"),
        ("text", "vmdk", "a VMDK that names other files"),
        ("parent", "vmdk", "a VMDK with a parent"),
    ];
    for (name, format, wanted) in cases {
        // The control: the converter does read the other file.
        sh(directory.path(), &format!("qemu-img convert -f {format} -O raw {name} out"));
        let out = fs::read(directory.path().join("out")).unwrap();
        assert!(out.starts_with(SECRET), "{name}: the control is none");
        let error = open(&directory.path().join(name)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
    // The header's crypt_method: AES of old and LUKS. qemu-img cannot be asked for one: it times its
    // key derivation, and where too little time was counted for it, it gives up.
    sh(directory.path(), "qemu-img create -q -f qcow2 encrypted 1M");
    for method in [1_u32, 2] {
        let image = File::options().write(true).open(directory.path().join("encrypted")).unwrap();
        image.write_all_at(&method.to_be_bytes(), 32).unwrap();
        let error = open(&directory.path().join("encrypted")).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("an encrypted qcow2"), "{method}: {error}");
    }
}

/// A tar header with a good checksum, of a kind, and with the raw bytes of its size.
fn header(kind: u8, size: [u8; 12]) -> [u8; 512] {
    let mut header = [0; 512];
    header[..4].copy_from_slice(b"disk");
    header[124..136].copy_from_slice(&size);
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar  \0");
    sum(&mut header);
    header
}

fn sum(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// A size that octal does not reach.
fn binary(size: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = 0x80;
    bytes[4..].copy_from_slice(&size.to_be_bytes());
    bytes
}

/// A gzip file of a header and then so many zeros.
fn bomb(path: &Path, header: &[u8; 512], zeros: usize) {
    let mut gzip = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    gzip.write_all(header).unwrap();
    for _ in 0..zeros >> 20 {
        gzip.write_all(&[0; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap();
}

#[test]
fn archives_that_claim_exbibytes_end_soon() {
    let directory = directory();
    let path = directory.path().join("it");
    let exbibytes = (8 << 60) - 512;
    for (kind, zeros, wanted) in [
        (b'x', 17 << 20, "a header in it has 9223372036854775296 bytes"),
        (b'L', 1 << 20, "a header in it has 9223372036854775296 bytes"),
        (b'g', 1 << 20, "a header in it has 9223372036854775296 bytes"),
        (b'0', 17 << 20, ""),
        (b'S', 1 << 20, "the map of its holes does not fit"),
    ] {
        let mut header = header(kind, binary(exbibytes));
        if kind == b'S' {
            header[483..495].copy_from_slice(&binary(exbibytes));
            sum(&mut header);
        }
        bomb(&path, &header, zeros);
        let started = Instant::now();
        let error = open(&path).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60), "{error}");
    }
    // More than a file's offset can be.
    for size in [u64::MAX, 1 << 63] {
        bomb(&path, &header(b'0', binary(size)), 0);
        let error = open(&path).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("a number in it is malformed"), "{error}");
    }
    // Directories without end.
    let directory_header = header(b'5', *b"00000000000\0");
    let mut gzip = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    for _ in 0..5000 {
        gzip.write_all(&directory_header).unwrap();
    }
    gzip.finish().unwrap();
    let error = open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("more headers in it than one file has"), "{error}");
}

#[test]
fn an_exbibyte_of_holes_is_unpacked_at_once() {
    let Some(directory) = roomy() else { return };
    let path = directory.path().join("it.tar.gz");
    let size = 7_u64 << 60;
    let mut header = header(b'S', binary(512));
    header[386..398].copy_from_slice(&binary(size - 512));
    header[398..410].copy_from_slice(b"00000001000\0");
    header[483..495].copy_from_slice(&binary(size));
    sum(&mut header);
    bomb(&path, &header, 1 << 20);
    let started = Instant::now();
    let said = answer(command(&path, "").env("TMPDIR", directory.path()));
    assert_eq!(said, format!("read {size} tar.gz"));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_cut_off_image_never_reads_as_another_disk() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    let raw = disk(directory.path());
    let wanted = fs::read(raw).unwrap();
    for way in ["qcow2", "qcow2 -c", "vhdx", "vhdx -o block_size=1M", "vmdk", "vdi", "vpc"] {
        sh(directory.path(), &format!("qemu-img convert -f raw disk.raw -O {way} whole"));
        let whole = fs::read(directory.path().join("whole")).unwrap();
        let path = directory.path().join("it");
        let size = whole.len();
        assert!(content(&open(&directory.path().join("whole")).unwrap())[..wanted.len()] == wanted);
        let ends = (1..8).map(|n| size * n / 8).chain([size - 136 * 512, size - 513, size - 1]);
        for length in [4, 8, 72, 104, 511, 512, 600, 1024, 65536].into_iter().chain(ends) {
            fs::write(&path, &whole[..length]).unwrap();
            match open(&path) {
                // Too short for a signature that stands later.
                Ok(image) if image.container() == &Container::Raw => {
                    assert!(length < 72, "{way} of {length} bytes");
                }
                // Nothing of the disk was cut off.
                Ok(image) => assert!(
                    length + (1 << 20) > size && content(&image)[..wanted.len()] == wanted,
                    "{way}, {length} bytes of {size}"
                ),
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn garbage_in_a_header_neither_panics_nor_hangs(
        start in prop::sample::select(vec![
            &b"QFI\xfb\0\0\0\x03"[..], b"QFI\xfb\0\0\0\x02", b"KDMV\x01\0\0\0", b"conectix", b"vhdxfile",
            b"\x1f\x8b\x08\0", b"# Disk DescriptorFile\n", b"\xfd7zXZ\0", b"COWD", b"",
        ]),
        garbage in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..4096),
        is_vdi in any::<bool>(),
        footer in any::<bool>(),
    ) {
        let directory = directory();
        let path = directory.path().join("it");
        let mut bytes = [start, &garbage[..]].concat();
        if is_vdi && bytes.len() > 0x44 {
            bytes[0x40..0x44].copy_from_slice(&0xbeda_107f_u32.to_le_bytes());
        }
        if footer && bytes.len() > 512 {
            let at = bytes.len() - 512;
            bytes[at..at + 8].copy_from_slice(b"conectix");
        }
        fs::write(&path, &bytes).unwrap();
        let started = Instant::now();
        match open(&path) {
            Ok(image) => { content(&image); }
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
        prop_assert!(started.elapsed() < Duration::from_secs(30));
        prop_assert!(fs::read(&path).unwrap() == bytes);
    }
}
