//! Filesystems that were cut off: what the journal holds is what the next mount shows.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use guestprep::parse::ext::ExtError;

use super::fill::noise;
use super::kernel::{Mount, alone};
use super::tools::{Image, command, open, run};
use super::tree::{self, Tree, assert_same};

/// A name, the arguments of mke2fs and the options of the mount.
const VARIANTS: &[(&str, &str, &str)] = &[
    ("checksums of version 3", "-t ext4 -b 4096", "rw"),
    ("1 KiB", "-t ext4 -b 1024", "rw"),
    ("32 bits", "-t ext4 -b 1024 -O ^64bit", "rw"),
    ("no checksums", "-t ext4 -b 1024 -O ^metadata_csum", "rw"),
    ("no checksums, 32 bits", "-t ext4 -b 4096 -O ^metadata_csum,^64bit", "rw"),
    ("ext3", "-t ext3 -b 1024", "rw"),
    ("content in the journal", "-t ext4 -b 4096", "rw,data=journal"),
    ("content in the journal of ext3", "-t ext3 -b 1024", "rw,data=journal"),
    ("checksums of version 1", "-t ext4 -b 1024 -O ^metadata_csum", "rw,journal_checksum"),
    ("asynchronous commits", "-t ext4 -b 4096", "rw,journal_async_commit,data=writeback"),
    (
        "asynchronous, version 1",
        "-t ext4 -b 4096 -O ^metadata_csum",
        "rw,journal_async_commit,data=writeback",
    ),
    (
        "content and checksums",
        "-t ext4 -b 1024 -O ^metadata_csum",
        "rw,data=journal,journal_checksum",
    ),
    ("orphan file", "-t ext4 -b 4096 -O orphan_file", "rw"),
    ("inline data", "-t ext4 -b 4096 -O inline_data", "rw"),
    ("bigalloc", "-t ext4 -b 4096 -C 16384 -O bigalloc", "rw"),
];

/// Commits what is pending to the journal. sync(1) would write it back as well, and leave nothing to replay.
fn commit(top: &Path) {
    File::open(top).unwrap().sync_all().unwrap();
}

/// Changes of every kind, each round committed and none written back, with blocks that change their use in between.
fn change(top: &Path, rounds: u64) {
    // A block that begins as the journal's own do is escaped in the log.
    let mut escaped = 0xc03b_3998_u32.to_be_bytes().to_vec();
    escaped.resize(1024, 0x55);
    for round in 0..rounds {
        let dir = top.join(format!("dir-{round}"));
        fs::create_dir(&dir).unwrap();
        for number in 0..60 {
            fs::write(dir.join(format!("file number {number}")), noise(number * 40, round))
                .unwrap();
        }
        symlink("t/".repeat(100), dir.join("link")).unwrap();
        let magic = File::create(dir.join("magic")).unwrap();
        magic.write_all_at(&escaped.repeat(8), 0).unwrap();
        magic.sync_all().unwrap();
        run(&["chattr", "+i", dir.join("file number 7").to_str().unwrap()]);
        commit(top);
        // The blocks of an older directory are revoked, and used for content.
        if let Some(old) = round.checked_sub(2) {
            let old = top.join(format!("dir-{old}"));
            run(&["chattr", "-i", old.join("file number 7").to_str().unwrap()]);
            fs::remove_dir_all(old).unwrap();
            let content = File::create(top.join(format!("content-{round}"))).unwrap();
            content.write_all_at(&noise(200_000, round), 0).unwrap();
            content.sync_all().unwrap();
        }
        commit(top);
    }
}

/// A copy of a filesystem as it lies on the disk while it is mounted.
fn cut_off(arguments: &str, options: &str, change: impl FnOnce(&Path)) -> Image {
    let image = Image::new(64, &arguments.split(' ').collect::<Vec<_>>());
    let mount = Mount::new(&image.path(), options);
    change(&mount.top);
    let copy = Image::copy_of(&image.path());
    drop(mount);
    copy
}

/// What is said of a filesystem that the kernel mounts.
const NOT_WHOLE: &str = "the kernel does not read it whole";

/// What the kernel, or e2fsck and then the kernel, makes of a copy.
fn recovered(image: &Image, e2fsck: bool) -> Result<(Tree, [u64; 5]), String> {
    let copy = Image::copy_of(&image.path());
    if e2fsck {
        let output = command(&["e2fsck", "-fy", &copy.arg()]).output().unwrap();
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // A read-only mount makes a loop device that is read-only, and then nothing is replayed.
    let mount = Mount::try_new(&copy.path(), "rw,noatime")?;
    let space = rustix::fs::statvfs(&mount.top).unwrap();
    let usage = [space.f_blocks, space.f_bfree, space.f_bavail, space.f_files, space.f_ffree];
    let tree = std::panic::catch_unwind(|| tree::kernels(&mount.top));
    Ok((tree.map_err(|_| NOT_WHOLE.to_owned())?, usage))
}

fn ours(image: &Image) -> Result<(Tree, [u64; 5]), String> {
    let ext = open(&image.path()).map_err(|error| error.to_string())?;
    let usage = ext.usage();
    let usage =
        [usage.blocks, usage.free_blocks, usage.available_blocks, usage.inodes, usage.free_inodes];
    Ok((tree::try_ours(&ext, &|_| Vec::new())?, usage))
}

#[test]
fn a_journal_is_replayed() {
    alone(|| {
        for (name, arguments, options) in VARIANTS {
            let image = cut_off(arguments, options, |top| change(top, 5));
            let replayed = image.open().replayed();
            assert!(replayed.is_some_and(|count| count >= 5), "{name}: {replayed:?}");
            let (tree, usage) = ours(&image).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (theirs, space) = recovered(&image, false).unwrap();
            assert_same(name, &tree, &theirs, &[]);
            assert_eq!(usage, space, "{name}: blocks, free, available, inodes, free");
            let (theirs, _) = recovered(&image, true).unwrap();
            assert_same(&format!("{name}, e2fsck"), &tree, &theirs, &[]);

            // Without the journal it is another filesystem: the comparison above could have failed.
            let copy = Image::copy_of(&image.path());
            let mount = Mount::new(&copy.path(), "ro,noload");
            let old = std::panic::catch_unwind(|| tree::kernels(&mount.top));
            assert!(old.map_or(true, |old| old != tree), "{name}: the journal was empty");
        }
    });
}

#[test]
fn the_log_is_a_ring() {
    alone(|| {
        // 1,024 blocks of log, and rounds that write more than that together.
        let arguments = "-t ext4 -b 1024 -J size=1";
        let image = cut_off(arguments, "rw,data=journal", |top| change(top, 12));
        let (tree, usage) = ours(&image).unwrap();
        let (theirs, space) = recovered(&image, false).unwrap();
        assert_same("ring", &tree, &theirs, &[]);
        assert_eq!(usage, space);
        let log = image.ask("logdump -a");
        assert!(log.contains("sequence"), "{log}");
    });
}

#[test]
fn files_that_were_open_when_they_were_removed() {
    alone(|| {
        let image = cut_off("-t ext4 -b 4096", "rw", |top| {
            let path = top.join("removed");
            fs::write(&path, noise(50_000, 1)).unwrap();
            let held = File::open(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(top.join("kept"), "kept").unwrap();
            commit(top);
            drop(held);
        });
        let (tree, _) = ours(&image).unwrap();
        assert!(tree.contains_key(&b"/kept"[..]) && !tree.contains_key(&b"/removed"[..]));
        let (theirs, _) = recovered(&image, true).unwrap();
        assert_same("orphans", &tree, &theirs, &[]);
    });
}

#[test]
fn fast_commits_are_refused() {
    alone(|| {
        let arguments = "-t ext4 -b 4096 -O fast_commit";
        let image = cut_off(arguments, "rw", |top| {
            change(top, 2);
            let file = File::create(top.join("fast")).unwrap();
            file.write_all_at(b"fast", 0).unwrap();
            file.sync_all().unwrap();
        });
        match open(&image.path()) {
            Err(ExtError::Journal(why)) => assert!(why.contains("fast commits"), "{why}"),
            Err(error) => panic!("{error}"),
            Ok(ext) => panic!("nothing of fast commits was seen: {:?}", ext.replayed()),
        }
        // Without a fast commit the feature alone does no harm.
        let image = cut_off(arguments, "rw", |top| change(top, 3));
        let (tree, _) = ours(&image).unwrap();
        assert_same("feature alone", &tree, &recovered(&image, false).unwrap().0, &[]);
    });
}

/// Every version of the checksums, with blocks that debugfs put in the journal.
#[test]
fn journals_that_debugfs_writes() {
    alone(|| {
        for (features, version) in [
            // Not -c: debugfs leaves the checksum of version 1 without a value.
            ("^metadata_csum", ""),
            ("^metadata_csum,^64bit", ""),
            ("metadata_csum", "-c -v 2"),
            ("metadata_csum,^64bit", "-c -v 2"),
            ("metadata_csum", "-c -v 3"),
            ("metadata_csum,^64bit", "-c -v 3"),
            ("metadata_csum", ""),
        ] {
            let name = format!("{features} {version}");
            let image = Image::new(64, &["-t", "ext4", "-b", "1024", "-O", features]);
            let old = image.dir.path().join("old");
            fs::write(&old, noise(20 * 1024, 1)).unwrap();
            let mut content = noise(20 * 1024, 2);
            // Escaped.
            content[..4].copy_from_slice(&0xc03b_3998_u32.to_be_bytes());
            let new = image.dir.path().join("new");
            fs::write(&new, &content).unwrap();
            image.debugfs(&[&format!("write {} file", old.display())]);
            let blocks = image.ask("blocks file");
            let blocks: Vec<&str> = blocks.split_whitespace().collect();
            assert_eq!(blocks.len(), 20);
            image.debugfs(&[
                &format!("jo {version}"),
                &format!("jw -b {} {}", blocks.join(","), new.display()),
                // The fifth block is revoked, and the sixth revoked and written again.
                &format!("jw -r {},{}", blocks[4], blocks[5]),
                &format!("jw -b {} {}", blocks[5], new.display()),
                "jc",
            ]);
            assert_eq!(image.open().replayed(), Some(3), "{name}");
            let (tree, _) = ours(&image).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (theirs, _) = recovered(&image, true).unwrap();
            assert_same(&name, &tree, &theirs, &["atime", "ctime", "mtime"]);
            let ext = image.open();
            let root = ext.inode(2).unwrap();
            let file = ext.inode(ext.lookup(&root, b"file").unwrap().unwrap()).unwrap();
            let mut bytes = vec![0; 20 * 1024];
            ext.read(&file, 0, &mut bytes).unwrap();
            let block = |number: usize| number * 1024..(number + 1) * 1024;
            assert_eq!(bytes[block(0)], content[block(0)], "{name}");
            assert_eq!(bytes[block(4)], noise(20 * 1024, 1)[block(4)], "{name}");
            assert_eq!(bytes[block(5)], content[block(0)], "{name}");
        }
    });
}

/// Where the journal's blocks lie, from debugfs.
fn journal_blocks(image: &Image) -> Vec<u64> {
    let blocks = image.ask("blocks <8>");
    blocks.split_whitespace().map(|block| block.parse().unwrap()).collect()
}

/// A journal with a wrong byte: what the kernel mounts shows the same here, and what is read here the kernel mounts.
#[test]
fn damaged_journals_are_judged_as_the_kernel_does() {
    alone(|| {
        let (mut same, mut refused) = (0, 0);
        for (name, arguments, options) in
            [VARIANTS[0], VARIANTS[3], VARIANTS[6], VARIANTS[8], VARIANTS[9]]
        {
            let image = cut_off(arguments, options, |top| change(top, 3));
            let blocks = journal_blocks(&image);
            let is_unchecked = arguments.contains("^metadata_csum");
            let size = if arguments.contains("1024") { 1024 } else { 4096 };
            for step in 0..12_usize {
                let copy = Image::copy_of(&image.path());
                // The blocks of the log that are in use are the first.
                let random = noise(16, step as u64 * 77 + 5);
                let block = blocks[1 + usize::from(random[0]) % 120];
                let offset = match step % 3 {
                    0 => u64::from(random[1]) % 64,
                    1 => u64::from(u16::from_le_bytes([random[2], random[3]])) % size,
                    _ => size - 1 - u64::from(random[4]) % 8,
                };
                let file = File::options().read(true).write(true).open(copy.path()).unwrap();
                let mut byte = [0];
                file.read_exact_at(&mut byte, block * size + offset).unwrap();
                byte[0] ^= 1 << (random[5] % 8);
                file.write_all_at(&byte, block * size + offset).unwrap();
                let what = format!("{name}, byte {offset} of block {block}");
                match (ours(&copy), recovered(&copy, false)) {
                    (Ok((tree, _)), Ok((theirs, _))) => {
                        same += 1;
                        assert_same(&what, &tree, &theirs, &[]);
                    }
                    (Err(_), Err(_)) => refused += 1,
                    // Without checksums there is damage that only the driver's own bookkeeping shows.
                    (Ok(_), Err(error)) if error == NOT_WHOLE && is_unchecked => refused += 1,
                    (Ok(_), Err(error)) => panic!("{what}: the kernel refuses it: {error}"),
                    (Err(error), Ok(_)) => panic!("{what}: the kernel takes it: {error}"),
                }
            }
        }
        assert!(same > 5 && refused > 5, "{same} the same, {refused} refused");
    });
}
