//! Single files: deep trees, encryption, and what debugfs says of an inode.

use std::fs;

use guestprep::parse::ext::{Ext, ExtError, Inode, ReadAt};

use super::fill::{fragments, noise};
use super::kernel::{Mount, alone};
use super::tools::{Image, have, run};

/// The inode at a path of names without slashes.
fn at(ext: &Ext<impl ReadAt>, path: &[&str]) -> Inode {
    let root = ext.inode(2).unwrap();
    path.iter().fold(root, |directory, name| {
        let number = ext.lookup(&directory, name.as_bytes()).unwrap();
        ext.inode(number.unwrap_or_else(|| panic!("{name} is not there"))).unwrap()
    })
}

#[test]
fn an_extent_tree_of_three_levels() {
    alone(|| {
        // 84 extents in a block, 4 in the inode: 4 * 84 * 84 fit in two levels.
        let image = Image::new(96, &["-t", "ext4", "-b", "1024", "-O", "^has_journal"]);
        let count = 30_000;
        let mount = Mount::new(&image.path(), "rw");
        fragments(&mount.top.join("file"), count, 2048);
        drop(mount);
        let shown = image.ask("dump_extents -n /file");
        assert!(shown.contains(" 1/ 3 "), "{}", &shown[..500.min(shown.len())]);
        let ext = image.open();
        let file = at(&ext, &["file"]);
        let mut bytes = [0xaa; 2048];
        for number in (0..count).step_by(7) {
            ext.read(&file, number * 2048, &mut bytes).unwrap();
            assert_eq!(bytes[..900], noise(900, number), "{number}");
            assert!(number + 1 == count || bytes[900..].iter().all(|byte| *byte == 0), "{number}");
        }
    });
}

#[test]
fn blocks_that_were_never_written_are_zeros() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    // What lies in a block before it is written is what was there before.
    let image = Image::new(1, &["-t", "ext4"]);
    fs::write(image.path(), vec![0xaa; 16 << 20]).unwrap();
    run(&["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-E", "nodiscard", &image.arg()]);
    let content = image.dir.path().join("content");
    fs::write(&content, noise(5 * 1024, 1)).unwrap();
    image.debugfs(&[
        &format!("write {} file", content.display()),
        "fallocate file 5 99",
        "sif file size 102400",
    ]);
    let shown = image.ask("dump_extents -l file");
    assert!(shown.contains("Uninit"), "{shown}");
    let ext = image.open();
    let mut bytes = vec![0x55; 102_400];
    assert_eq!(ext.read(&at(&ext, &["file"]), 0, &mut bytes), Ok(102_400));
    assert_eq!(bytes[..5 * 1024], noise(5 * 1024, 1));
    assert!(bytes[5 * 1024..].iter().all(|byte| *byte == 0));
}

#[test]
fn encrypted_files_and_directories_say_so() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let image = Image::new(16, &["-t", "ext4", "-O", "encrypt"]);
    let content = image.dir.path().join("content");
    fs::write(&content, noise(5000, 1)).unwrap();
    image.debugfs(&[
        "mkdir dir",
        &format!("write {} dir/file", content.display()),
        &format!("write {} file", content.display()),
        "symlink link target",
        // 0x80800 is EXT4_ENCRYPT_FL with EXT4_EXTENTS_FL.
        "sif dir flags 0x80800",
        "sif file flags 0x80800",
        "sif link flags 0x800",
    ]);
    let ext = image.open();
    let dir = at(&ext, &["dir"]);
    let encrypted = |inode: &Inode| ExtError::Encrypted(inode.number);
    assert_eq!(ext.lookup(&dir, b"file"), Err(encrypted(&dir)));
    assert_eq!(ext.entries(&dir, 10), Err(encrypted(&dir)));
    let file = at(&ext, &["file"]);
    assert_eq!((file.size, file.flags), (5000, 0x80800));
    assert_eq!(ext.read(&file, 0, &mut [0; 10]), Err(encrypted(&file)));
    let link = at(&ext, &["link"]);
    assert_eq!(ext.link(&link), Err(encrypted(&link)));
    assert!(encrypted(&dir).to_string().contains("is encrypted"));
}

#[test]
fn the_wrong_kind_is_an_error() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let image = Image::new(16, &["-t", "ext4"]);
    image.debugfs(&["mkdir dir", "symlink link target", "mknod device c 1 3", "mkdir dir/sub"]);
    let ext = image.open();
    let (dir, link, device) = (at(&ext, &["dir"]), at(&ext, &["link"]), at(&ext, &["device"]));
    let kind = |inode: &Inode, wanted| ExtError::Kind { inode: inode.number, wanted };
    assert_eq!(ext.read(&dir, 0, &mut [0]), Err(kind(&dir, "regular file")));
    // Where pointers to blocks would be, a device has its number.
    assert_eq!(ext.read(&device, 0, &mut [0]), Err(kind(&device, "regular file")));
    assert_eq!(ext.link(&dir), Err(kind(&dir, "symbolic link")));
    assert_eq!(ext.lookup(&link, b"a"), Err(kind(&link, "directory")));
    assert_eq!(ext.lookup(&at(&ext, &["dir", "sub"]), b"..").unwrap(), Some(dir.number));
    let root = ext.inode(2).unwrap();
    let names = ExtError::TooLarge {
        place: guestprep::parse::ext::Place::Inode(2),
        limit: 3,
        unit: "names",
    };
    assert_eq!(ext.entries(&root, 3), Err(names));
    assert_eq!(ext.entries(&root, 4).unwrap().len(), 4);
    for number in [0, 1 << 33, u64::from(u32::MAX), ext.usage().inodes + 1] {
        assert!(ext.inode(number).is_err(), "{number}");
    }
    // The last inode is there, and in no use.
    let unused = ext.inode(ext.usage().inodes).unwrap_err();
    assert!(unused.to_string().contains("not in use"), "{unused}");
}

/// What debugfs shows of an inode, read out of its memory of the format and not the kernel's.
#[test]
fn inodes_as_debugfs_shows_them() {
    if !have(&["mke2fs", "debugfs"]) {
        return;
    }
    let image = Image::new(16, &["-t", "ext4", "-I", "256"]);
    let content = image.dir.path().join("content");
    fs::write(&content, noise(5000, 1)).unwrap();
    image.debugfs(&[
        &format!("write {} file", content.display()),
        "sif file mode 0104751",
        "sif file uid 70001",
        "sif file gid 4000000000",
        "sif file mtime @-1000",
        "sif file atime @0x123456789",
        "sif file atime_extra 0x3b9ac9fd",
        "sif file flags 0x80010",
        "ea_set file user.one two",
        "ea_set file security.selinux system_u:object_r:shadow_t:s0",
    ]);
    let ext = image.open();
    let file = at(&ext, &["file"]);
    let shown = image.ask("stat file");
    assert!(shown.contains(&format!("Inode: {} ", file.number)), "{shown}");
    assert!(shown.contains("User: 70001") && file.uid == 70001, "{shown}");
    assert!(shown.contains("Group: 4000000000") || shown.contains("Group: -294967296"), "{shown}");
    assert_eq!(file.gid, 4_000_000_000);
    assert!(shown.contains("Mode:  04751") && file.mode == 0o104_751, "{shown}");
    assert!(shown.contains("Flags: 0x80010") && file.flags == 0x80010, "{shown}");
    assert!(shown.contains("mtime: 0xfffffc18") && file.modified.seconds == -1000, "{shown}");
    assert_eq!(file.accessed.nanoseconds, 0x3b9a_c9fd >> 2);
    let label = ext.xattr(&file, "security.selinux").unwrap().unwrap();
    let shown = image.ask("ea_get file security.selinux");
    assert!(shown.contains(std::str::from_utf8(&label).unwrap()) && !label.is_empty(), "{shown}");
}
