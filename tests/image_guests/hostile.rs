//! Images that somebody made to do harm, or that are broken: no escape, no hang, no panic, and no
//! kernel asked to mount what a look at the superblock rejects.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use guestprep::guest::{Access, Guest, Image};
use guestprep::model::{GuestPath, Policy};
use guestprep::sys::{DiskImage, PrivateMounts, Use};
use tempfile::TempDir;

use crate::common::command::Done;
use crate::common::fixture::{Fixture, copy_tree};
use crate::host::{directory_in_memory, has, run};
use crate::program::{assert_nothing_left, fingerprint, guestprep, wrapped};
use crate::shell::sh;

struct Workshop {
    directory: TempDir,
    disk: PathBuf,
}

impl Workshop {
    fn new() -> Self {
        let directory = directory_in_memory();
        copy_tree(&Fixture::distro_in_memory("debian-12").root, &directory.path().join("root"));
        let disk = directory.path().join("disk.raw");
        Self { directory, disk }
    }

    fn made(script: &str) -> Self {
        let workshop = Self::new();
        sh(workshop.directory.path(), &workshop.disk, script);
        workshop
    }

    /// A look has to end with an answer, without a panic, and with nothing changed or left.
    #[track_caller]
    fn look(&self, command: &[&str], at: &str) -> Done {
        let before = fingerprint(&self.disk);
        let done = guestprep(command, &self.disk);
        assert_sound(&done, at);
        assert_eq!(before, fingerprint(&self.disk), "{at}: the image was changed");
        done
    }
}

/// An answer, whatever it is.
#[track_caller]
fn assert_sound(done: &Done, at: &str) {
    assert!((0..=3).contains(&done.code), "{at}: {done:?}");
    let broke = done.err.contains("panicked") || done.out.contains("the probe broke");
    assert!(!broke, "{at}: {done:?}");
}

/// Trees that are not what they seem: commands run in the root, and whether it is still a root.
const TREES: &[(&str, &str, bool)] = &[
    ("/etc is an absolute link", "mv etc usr/etc; ln -s /usr/etc etc", false),
    ("/etc leads out", "mv etc usr/etc; ln -s ../../../../../../etc etc", false),
    (
        "/etc/fstab leads to a file of the machine",
        "ln -sf /../../../proc/self/environ etc/fstab",
        true,
    ),
    ("/etc/fstab leads to itself", "ln -sf fstab etc/fstab", true),
    ("/etc/fstab is a FIFO", "rm etc/fstab; mkfifo etc/fstab", true),
    ("/etc/shadow is a FIFO", "rm -f etc/shadow; mkfifo etc/shadow", true),
    ("/etc/fstab is the machine's disk", "rm etc/fstab; mknod etc/fstab b 7 0", true),
    ("/etc/passwd is /dev/zero", "rm etc/passwd; mknod etc/passwd c 1 5", true),
    ("/etc/os-release is a directory", "rm etc/os-release; mkdir etc/os-release", true),
    ("/boot leads out", "rm -r boot; ln -s ../../../../boot boot", true),
    ("/boot leads to itself", "rm -r boot; ln -s boot boot", true),
    ("setuid programs", "cp /bin/true usr/bin/su; chmod 6755 usr/bin/su", true),
    ("directories without end", "for n in $(seq 1500); do mkdir d; cd d; done", true),
    ("a file of 1 TiB", "truncate -s 1T etc/hostname; truncate -s 1T etc/fstab", true),
];

#[test]
fn a_hostile_tree_is_looked_at_and_nothing_else() {
    if !has(&["mke2fs"]) {
        return;
    }
    for (name, commands, is_root) in TREES {
        let script = format!("new 24; ext4 0 24 root; within 0 24 '{commands}'");
        let workshop = Workshop::made(&script);
        let done = workshop.look(&["audit"], name);
        assert_eq!(
            done.err.contains("is the root of a Linux system"),
            !is_root,
            "{name}: {done:?}"
        );
        if !is_root {
            assert_eq!(done.code, 3, "{name}: {done:?}");
        }
        workshop.look(&["plan"], name);
        assert_nothing_left(workshop.directory.path(), name);
    }
}

/// Mount points of an fstab that lead out of the root.
#[test]
fn nothing_is_mounted_outside_of_the_root() {
    if !has(&["mke2fs", "sfdisk"]) {
        return;
    }
    let workshop = Workshop::made(
        "new 40; table <<<'label: dos
            1: start=2048,size=49152
            2: start=51200,size=16384'
        fstab <<<'/dev/vda1 / ext4 defaults 0 1
            /dev/vda2 /../../../../etc ext4 defaults 0 0
            /dev/vda2 /run/guestprep/mnt ext4 defaults 0 0
            /dev/vda2 /out ext4 defaults 0 0
            /dev/vda2 /up ext4 defaults 0 0
            /dev/vda2 /loop ext4 defaults 0 0
            /dev/vda2 /file ext4 defaults 0 0
            /dev/vda2 relative ext4 defaults 0 0
            /dev/vda1 /again ext4 defaults 0 0'
        mkdir home; echo secret >home/kept
        mkdir root/again root/relative; : >root/file
        ln -s /etc root/out; ln -s ../../../../../etc root/up; ln -s loop root/loop
        ext4 1 24 root; ext4 25 8 home",
    );
    let mounts = Rc::new(PrivateMounts::enter().expect("private mounts"));
    let points = || -> Vec<String> {
        // Not /proc/self: that is the main thread, whose namespace is another.
        let info = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
        info.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect()
    };
    let before = points();
    let file = DiskImage::open(&workshop.disk, Use::Read, &|_, _| {}).expect("an image");
    let image = Image::open(file, &workshop.disk, Access::Look, Some(&mounts)).expect("a guest");
    let more: Vec<String> = points().into_iter().filter(|p| !before.contains(p)).collect();
    let outside = more.iter().find(|point| !point.starts_with("/run/guestprep/mnt/"));
    assert!(outside.is_none(), "mounted on {outside:?}");
    assert!(more.len() > 3, "{more:?}: nothing was mounted where fstab says");
    let image = Rc::new(image);
    let guest = Guest::image(&image, Policy::default()).expect("a guest");
    let kept = |path: &str| guest.root().lstat(&GuestPath::from(path)).expect("a look").is_some();
    assert!(kept("/etc/kept"), "/../../../../etc is /etc of the guest");
    drop(guest);
    Rc::into_inner(image).expect("nobody else's").close().expect("unmounted");
    assert_eq!(before, points());
}

/// What is no disk, and disks that cannot be right: what makes each, and what has to be said.
const DISKS: &[(&str, &str, &str)] = &[
    ("an empty file", ": >\"$disk\"", "it is empty"),
    ("a directory", "mkdir \"$disk\"", "it is a directory"),
    ("a FIFO", "mkfifo \"$disk\"", "neither a file nor a block device"),
    ("a character device", "mknod \"$disk\" c 1 5", "neither a file nor a block device"),
    (
        "a socket",
        "python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(\"disk.raw\")'",
        "neither a file nor a block device",
    ),
    ("1 EiB of nothing", "truncate -s 1E \"$disk\"", "none of its filesystems is the root"),
    (
        "a partition beyond the end",
        "new 64; table <<<'1: start=2048,size=129000,type=83'; truncate -s 24M \"$disk\"",
        "",
    ),
    (
        "overlapping partitions",
        "new 32; ext4 1 24 root; table --force <<<'1: start=2048,size=49152,type=83'
            printf '\\203\\0\\0\\0\\0\\10\\0\\0\\0\\300\\0\\0' |
                dd of=\"$disk\" bs=1 seek=466 conv=notrunc status=none",
        "",
    ),
    (
        "a filesystem larger than its partition",
        "new 40; ext4 1 32 root; table --force <<<'1: start=2048,size=32768,type=83'",
        "bytes, of which",
    ),
];

#[test]
fn what_is_no_disk_is_refused() {
    if !has(&["mke2fs", "sfdisk", "python3"]) {
        return;
    }
    for (name, make, said) in DISKS {
        let workshop = Workshop::made(make);
        for command in
            [&["audit"][..], &["plan"], &["prepare", "--yes"], &["prepare", "--in-place", "--yes"]]
        {
            let done = guestprep(command, &workshop.disk);
            assert_eq!(done.code, 3, "{name}, {command:?}: {done:?}");
            done.says(said);
        }
        assert_nothing_left(workshop.directory.path(), name);
        let beside = std::fs::read_dir(workshop.directory.path()).expect("the directory");
        let names: Vec<_> = beside.map(|entry| entry.expect("an entry").file_name()).collect();
        let left = names.iter().find(|name| name.to_string_lossy().contains("prepared"));
        assert!(left.is_none(), "{name}: {left:?} is left");
    }
}

/// A whole block device is looked at as a file is, and not changed.
#[test]
fn a_block_device_is_looked_at_and_not_changed() {
    if !has(&["mke2fs"]) {
        return;
    }
    let workshop = Workshop::made("new 24; ext4 0 24 root");
    let before = fingerprint(&workshop.disk);
    let device = run("losetup", &["-f", "--show", workshop.disk.to_str().expect("UTF-8")]);
    let device = device.trim();
    let answers: Vec<Done> = [&["audit"][..], &["prepare", "--in-place", "--yes"]]
        .iter()
        .map(|command| guestprep(command, Path::new(device)))
        .collect();
    run("losetup", &["-d", device]);
    let _ = std::fs::remove_dir_all(format!("{device}.guestprep"));
    assert!([0, 1].contains(&answers[0].code), "{:?}", answers[0]);
    assert_eq!(answers[1].code, 3, "{:?}", answers[1]);
    assert!(answers[1].err.contains("a block device is only read"), "{:?}", answers[1]);
    assert_eq!(before, fingerprint(&workshop.disk));
    assert_nothing_left(workshop.directory.path(), "a block device");
}

/// Filesystems with a checksum over their superblock: what makes each, and a byte of it.
const CHECKSUMMED: &[(&str, &str, u64)] = &[
    ("ext4", "new 24; ext4 0 24 root", 1024 + 0x78),
    ("xfs", "new 300; mkfs.xfs -q \"$disk\"", 0x20 + 8),
    ("btrfs", "new 120; mkfs.btrfs -q \"$disk\"", 65536 + 0x2b + 200),
];

#[test]
fn what_the_look_rejects_no_kernel_is_asked_to_mount() {
    if !has(&["mke2fs", "mkfs.xfs", "mkfs.btrfs", "strace"]) {
        return;
    }
    for (name, make, at) in CHECKSUMMED {
        let workshop = Workshop::made(make);
        let log = workshop.directory.path().join("strace.log");
        let mounted = || {
            let strace = ["strace", "-f", "-qq", "-e", "trace=execve,mount,fsopen", "-o"];
            let strace = [&strace[..], &[log.to_str().expect("UTF-8")]].concat();
            let done = wrapped(&strace, &["audit"], &workshop.disk);
            let text = std::fs::read_to_string(&log).expect("what strace saw");
            (done, text.contains("\"mount\"") || text.contains("/mount\""))
        };
        assert!(mounted().1, "{name}: a sound filesystem is mounted");
        flip(&workshop.disk, *at, 0x40);
        // Where a filesystem keeps copies of its superblock, a spoilt one is no doubt of the others.
        let (done, was_mounted) = mounted();
        assert_eq!(done.code, 3, "{name}: {done:?}");
        assert!(!was_mounted, "{name}: its checksum is wrong, and it was mounted: {done:?}");
    }
}

/// Change bits of a byte.
fn flip(disk: &Path, at: u64, bits: u8) {
    let file = File::options().read(true).write(true).open(disk).expect("an image");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ bits], at).expect("a byte");
}

/// The same numbers in every run (a linear congruential generator, Knuth's MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What is spoilt: what makes the disk, the bytes that are, and how often.
const SPOILT: &[(&str, &str, std::ops::Range<u64>, usize)] = &[
    ("ext4", "new 24; ext4 0 24 root", 1024..2048, 20),
    ("ext4 without checksums", "new 24; ext4 0 24 root -O ^metadata_csum", 1024..1400, 30),
    ("group descriptors of ext4", "new 24; ext4 0 24 root -O ^metadata_csum", 2048..4096, 10),
    ("xfs", "new 300; xfs 0 300 root", 0..512, 10),
    ("btrfs", "new 120; mkfs.btrfs -q --rootdir root \"$disk\"", 65536..69632, 15),
    (
        "GPT",
        "new 40; ext4 1 24 root; table <<<'label: gpt
            1: start=2048,size=49152,type=L'",
        512..1536,
        25,
    ),
    (
        "MBR",
        "new 40; ext4 2 24 root; table <<<'label: dos
            2: start=2048,size=61440,type=5
            5: start=4096,size=49152'",
        440..512,
        25,
    ),
    (
        "the chain of logical partitions",
        "new 40; ext4 2 24 root; table <<<'label: dos
            2: start=2048,size=61440,type=5
            5: start=4096,size=49152'",
        1_048_576 + 440..1_048_576 + 512,
        10,
    ),
];

#[test]
fn a_spoilt_disk_is_answered() {
    if !has(&["mke2fs", "mkfs.xfs", "mkfs.btrfs", "sfdisk"]) {
        return;
    }
    let mut numbers = Numbers(4);
    let mut answers = [0; 4];
    for (name, make, range, times) in SPOILT {
        let workshop = Workshop::made(make);
        let before = fingerprint(&workshop.disk);
        for n in 0..*times {
            // Few bits once, many at another time.
            let flips: Vec<(u64, u8)> = (0..=n % 4)
                .map(|_| {
                    let at = range.start + numbers.below(range.end - range.start);
                    let bits = u8::try_from(1 + numbers.below(255)).expect("a byte");
                    (at, bits)
                })
                .collect();
            for (at, bits) in &flips {
                flip(&workshop.disk, *at, *bits);
            }
            // One check reads fstab, which is enough to have all mounted.
            let command = ["audit", "--check", "fstab-malformed", "--quiet"];
            let done = guestprep(&command, &workshop.disk);
            assert_sound(&done, &format!("{name} {flips:?}"));
            answers[usize::try_from(done.code).expect("0 to 3")] += 1;
            for (at, bits) in flips.iter().rev() {
                flip(&workshop.disk, *at, *bits);
            }
        }
        // Not after each: the larger images take a second.
        assert_eq!(before[..64], fingerprint(&workshop.disk)[..64], "{name}: a look changed it");
        assert_nothing_left(workshop.directory.path(), name);
        let done = workshop.look(&["audit", "--check", "fstab-malformed"], name);
        assert_eq!(done.code, 0, "{name}: mended again it is whole: {done:?}");
    }
    println!("exit codes of spoilt disks: {answers:?}");
    assert!(answers[3] > 60, "{answers:?}: hardly anything was spoilt");
}
