//! Archives that tar makes, in each of its formats, and those that hold no disk.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use guestprep::sys::{Container, DiskImage, ErrorKind, Use};

use crate::tools::{SIZE, content, directory, disk, has, open, sh};

/// Every format that has a magic number, with and without a map of the holes.
const FORMATS: &[&str] = &[
    "--format=gnu",
    "--format=oldgnu",
    "--format=gnu -S",
    "--format=oldgnu -S",
    "--format=ustar",
    "--format=posix",
    "--format=posix -S --sparse-version=0.0",
    "--format=posix -S --sparse-version=0.1",
    "--format=posix -S --sparse-version=1.0",
    "--format=posix -S --hole-detection=raw",
    "--format=gnu -b 1",
    "--format=gnu -b 2048",
];

fn allocated(image: &DiskImage) -> u64 {
    File::from(image.file().try_clone_to_owned().unwrap()).metadata().unwrap().blocks() * 512
}

#[test]
fn every_format_of_tar_reads_as_the_raw_disk() {
    if !has("mke2fs") {
        return;
    }
    let directory = directory();
    let raw = disk(directory.path());
    let wanted = std::fs::read(&raw).unwrap();
    let data = raw.metadata().unwrap().blocks() * 512;
    for format in FORMATS {
        sh(directory.path(), &format!("tar {format} -cf disk.tar ./disk.raw; gzip -kf1 disk.tar"));
        let member = "./disk.raw".to_owned();
        for (archive, container) in [
            ("disk.tar", Container::Tar { member: member.clone() }),
            ("disk.tar.gz", Container::TarGz { member }),
        ] {
            let path = directory.path().join(archive);
            let before = std::fs::read(&path).unwrap();
            let image = open(&path).unwrap_or_else(|e| panic!("{format} {archive}: {e}"));
            assert_eq!(image.container(), &container, "{format}");
            assert!(content(&image) == wanted, "{format} {archive}");
            assert!(!image.is_own_file());
            assert!(allocated(&image) <= data + (64 << 10), "{format}: holes are filled");
            assert!(std::fs::read(&path).unwrap() == before, "{format}: written to");
        }
    }
}

#[test]
fn a_disk_of_many_pieces_beyond_8_gib_keeps_its_place() {
    let directory = directory();
    let path = directory.path().join("disk.raw");
    let size = (9_u64 << 30) + 512;
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    // More than the 4 of the header and the 21 of a block after it, and odd lengths.
    let pieces: Vec<(u64, usize)> =
        (0..300_u64).map(|n| (n * 30_000_000 / 4096 * 4096, 700 + 13 * n as usize)).collect();
    for (at, length) in &pieces {
        file.write_all_at(&vec![(at >> 20) as u8 | 1; *length], *at).unwrap();
    }
    file.write_all_at(b"end", size - 3).unwrap();
    for format in ["--format=gnu", "--format=posix", "--format=posix --sparse-version=0.1"] {
        sh(directory.path(), &format!("tar {format} -S -czf disk.tar.gz disk.raw"));
        let image = open(&directory.path().join("disk.tar.gz")).unwrap();
        assert_eq!(image.size(), size, "{format}");
        let ranges: Vec<_> = pieces.iter().map(|(at, _)| *at..at + 8192).collect();
        let own = open(&path).unwrap();
        assert_eq!(image.read_ranges(&ranges).unwrap(), own.read_ranges(&ranges).unwrap());
        let mut end = [0; 12];
        assert_eq!(image.read_at(size - 3, &mut end).unwrap(), 3, "{format}");
        assert!(end.starts_with(b"end"));
        assert!(allocated(&image) < 8 << 20, "{format}: {} bytes", allocated(&image));
    }
}

#[test]
fn long_names_and_directories_are_no_disks() {
    let directory = directory();
    let deep = format!("{}/{}", "directory-of-some-length/".repeat(5), "n".repeat(80));
    sh(directory.path(), &format!("mkdir -p $(dirname {deep}); echo disk > {deep}"));
    for format in ["gnu", "ustar", "posix"] {
        sh(directory.path(), &format!("tar --format={format} -czf disk.tar.gz directory-of*"));
        let image = open(&directory.path().join("disk.tar.gz")).unwrap();
        let member = deep.replace("//", "/");
        assert_eq!(image.container(), &Container::TarGz { member }, "{format}");
        assert_eq!(content(&image), b"disk\n");
    }
}

#[test]
fn a_container_in_an_archive_is_seen_through() {
    if !has("mke2fs") || !has("qemu-img") {
        return;
    }
    let directory = directory();
    let raw = disk(directory.path());
    let wanted = std::fs::read(&raw).unwrap();
    for way in ["qcow2", "vpc -o force_size=on,subformat=fixed", "vmdk"] {
        sh(directory.path(), &format!("qemu-img convert -f raw -O {way} disk.raw inner"));
        sh(directory.path(), "tar -czf disk.tar.gz inner");
        let image = open(&directory.path().join("disk.tar.gz")).unwrap();
        assert_eq!(image.size(), SIZE);
        assert!(content(&image) == wanted, "{way}");
    }
    sh(directory.path(), "qemu-img create -q -f qcow2 -b disk.raw -F raw inner 8M");
    sh(directory.path(), "tar -czf disk.tar.gz inner");
    let error = open(&directory.path().join("disk.tar.gz")).unwrap_err();
    assert!(error.to_string().contains("backing file"), "{error}");
}

/// What a shell makes in an empty directory as `it`, and what is said of it.
const REFUSED: &[(&str, &str)] = &[
    ("echo a > a; echo b > b; tar -czf it a b", "several files in it, a and b"),
    ("mkdir d; tar -czf it d", "there is no file in it"),
    ("tar -czf it -T /dev/null", "what is in it is no tar archive"),
    ("ln -s /etc/shadow a; tar -czf it a", "there is a link in it, a"),
    ("echo a > a; ln a b; tar -czf it a b", "there is a link in it, b"),
    ("mkfifo a; tar -czf it a", "there is a FIFO in it, a"),
    ("mknod a c 1 3; tar -czf it a", "there is a device in it, a"),
    ("echo a > a; tar -czPf it $PWD/a", "a name in it leads out of it"),
    ("mkdir d; echo a > a; cd d; tar -czPf ../it ../a", "a name in it leads out of it, ../a"),
    (": > a; tar -czf it a", "the file in it is empty"),
    ("echo a > a; tar -cJf it a", "packed with xz; unpack it with: xz --decompress --keep"),
    ("echo a > a; tar -c a | zstd -q > it", "packed with zstd; unpack it with: zstd --decompress"),
    ("echo a > a; tar -c a | bzip2 > it", "packed with bzip2; unpack it with: bzip2"),
    ("echo a | gzip > it", "is no tar archive; unpack it with: gzip -dk"),
    ("echo a > a; tar -c a | gzip > a.gz; tar -czf it a.gz", "an archive in the archive"),
    (
        "head -c 300000 /dev/urandom > a; tar -czf b a; head -c 200000 b > it",
        "it ends in the middle",
    ),
    (
        "head -c 300000 /dev/urandom > a; tar -cf b a; head -c 200000 b > it",
        "it ends in the middle",
    ),
    // The checksum of a gzip file stands before the 4 bytes of its length.
    (
        "echo a > a; tar -czf it a; printf x | dd of=it bs=1 conv=notrunc seek=$(($(wc -c < it)-6))",
        "corrupt",
    ),
];

#[test]
fn what_is_no_archive_of_one_disk_is_refused() {
    for (script, wanted) in REFUSED {
        let directory = directory();
        sh(directory.path(), script);
        let path = directory.path().join("it");
        let error = open(&path).map(|_| ()).expect_err(script).to_string();
        assert!(error.contains(wanted), "{script}: {error}");
        let times = error.matches(&*path.to_string_lossy()).count();
        assert!(times == 1 || error.contains(" it with: "), "{error}");
    }
}

#[test]
fn an_archive_is_not_changed_in_place() {
    let directory = directory();
    sh(directory.path(), "echo a > a; tar -cf it.tar a; tar -czf it.tar.gz a");
    for (name, option) in [("it.tar", "-xf"), ("it.tar.gz", "-xzf")] {
        let path = directory.path().join(name);
        let error = DiskImage::open(&path, Use::Change, &|_, _| {}).unwrap_err();
        let wanted =
            format!("for audit and scan only; unpack it with: tar {option} {}", path.display());
        assert!(error.to_string().ends_with(&wanted), "{error}");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

#[test]
fn unpacking_says_how_far_it_is() {
    let directory = directory();
    sh(directory.path(), "head -c 9000000 /dev/urandom > a; tar -czf it a");
    let path = directory.path().join("it");
    let told = std::cell::RefCell::new(Vec::new());
    DiskImage::open(&path, Use::Read, &|done, of| told.borrow_mut().push((done, of))).unwrap();
    let told = told.into_inner();
    let size = Path::metadata(&path).unwrap().len();
    assert!(told.len() > 5 && told.is_sorted() && told.last() == Some(&(size, size)), "{told:?}");
}
