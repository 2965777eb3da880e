//! Every kind of filesystem that mke2fs makes, as a whole tree.

use std::fs;
use std::path::Path;

use super::fill;
use super::kernel::{Mount, alone};
use super::tools::{Image, have};
use super::tree::{self, assert_same};

/// A name, the arguments of mke2fs, and the number of names in one directory.
const VARIANTS: &[(&str, &str, usize)] = &[
    ("ext2, 1 KiB", "-t ext2 -b 1024", 3000),
    ("ext2, 4 KiB", "-t ext2 -b 4096", 300),
    ("ext2 without types", "-t ext2 -b 2048 -O ^filetype,^dir_index", 300),
    ("ext2 with small inodes", "-t ext2 -b 1024 -I 128 -O ^sparse_super,^resize_inode", 300),
    ("ext3, 1 KiB", "-t ext3 -b 1024", 300),
    ("ext3, 4 KiB", "-t ext3 -b 4096 -I 128", 300),
    ("ext4, 1 KiB", "-t ext4 -b 1024", 3000),
    ("ext4, 2 KiB", "-t ext4 -b 2048", 300),
    ("ext4, 4 KiB", "-t ext4 -b 4096 -N 24000", 20_000),
    ("without extents", "-t ext4 -b 1024 -O ^extents,^64bit,^bigalloc", 300),
    ("32 bits", "-t ext4 -b 1024 -O ^64bit", 300),
    ("inline data", "-t ext4 -b 4096 -I 256 -O inline_data", 300),
    ("inline data, large inodes", "-t ext4 -b 4096 -I 1024 -O inline_data", 300),
    ("inline data, 1 KiB", "-t ext4 -b 1024 -I 512 -O inline_data,^metadata_csum", 300),
    ("meta_bg", "-t ext4 -b 1024 -O meta_bg,^resize_inode", 300),
    ("meta_bg, 32 bits", "-t ext4 -b 1024 -g 256 -O meta_bg,^resize_inode,^64bit,^flex_bg", 300),
    ("bigalloc", "-t ext4 -b 4096 -C 16384 -O bigalloc", 300),
    ("bigalloc, 1 KiB", "-t ext4 -b 1024 -C 8192 -O bigalloc", 300),
    ("no checksums", "-t ext4 -b 1024 -O ^metadata_csum,^uninit_bg", 300),
    ("checksums of groups", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", 300),
    ("checksums of groups, 32 bits", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^64bit", 300),
    ("seed of its own", "-t ext4 -b 4096 -O metadata_csum_seed", 300),
    ("values in inodes", "-t ext4 -b 4096 -O ea_inode", 300),
    ("values in inodes, 1 KiB", "-t ext4 -b 1024 -O ea_inode,^metadata_csum", 300),
    ("large directories", "-t ext4 -b 1024 -N 24000 -O large_dir", 20_000),
    ("no index", "-t ext4 -b 1024 -O ^dir_index", 1000),
    ("no flexible groups", "-t ext4 -b 4096 -O ^flex_bg", 300),
    ("no journal", "-t ext4 -b 4096 -O ^has_journal", 300),
    ("small inodes", "-t ext4 -b 4096 -I 128", 300),
    ("inodes of 4 KiB", "-t ext4 -b 4096 -I 4096 -N 8192 -O inline_data", 300),
    ("two backups", "-t ext4 -b 1024 -O sparse_super2,^resize_inode", 300),
    ("quota and projects", "-t ext4 -b 4096 -O quota,project", 300),
    ("names without case", "-t ext4 -b 4096 -O casefold", 300),
    ("encryption possible", "-t ext4 -b 4096 -O encrypt,verity,stable_inodes", 300),
    ("orphan file, fast commits", "-t ext4 -b 4096 -O orphan_file,fast_commit", 300),
    ("multiple mount protection", "-t ext4 -b 4096 -O mmp -E mmp_update_interval=1", 300),
];

/// What this kernel, with pages of 4 KiB, does not mount.
const LARGE_BLOCKS: &[(&str, &str, usize)] = &[
    ("8 KiB", "-t ext4 -b 8192", 0),
    ("16 KiB, no extents", "-t ext3 -b 16384 -O ^metadata_csum", 0),
    ("32 KiB, inline data", "-t ext4 -b 32768 -O inline_data", 0),
    ("64 KiB", "-t ext4 -b 65536", 0),
    ("64 KiB, no checksums", "-t ext2 -b 65536", 0),
];

/// A tree that mke2fs itself fills, with 64 MiB around it.
fn made(source: &Path, arguments: &str) -> Image {
    let source = source.to_str().unwrap();
    let arguments: Vec<&str> = arguments.split(' ').chain(["-d", source]).collect();
    Image::new(64, &arguments)
}

/// Compares with the kernel what a mounted image shows.
fn compare_with_kernel(name: &str, image: &Image) {
    let before = fs::metadata(image.path()).unwrap().modified().unwrap();
    let mount = match Mount::try_new(&image.path(), "ro") {
        Ok(mount) => mount,
        Err(why) => return eprintln!("left out: {name}: this kernel does not mount it: {why}"),
    };
    let theirs = tree::kernels(&mount.top);
    let space = rustix::fs::statvfs(&mount.top).unwrap();
    let pieces = |path: &[u8]| {
        let path = String::from_utf8_lossy(path).into_owned();
        let path = mount.top.join(path.trim_start_matches('/'));
        if path.metadata().is_ok_and(|meta| meta.len() > 4 << 20) {
            tree::pieces(&path)
        } else {
            Vec::new()
        }
    };
    let ext = image.open();
    assert_same(name, &tree::ours(&ext, &pieces), &theirs, &[]);
    let usage = ext.usage();
    assert_eq!(
        (usage.blocks, usage.free_blocks, usage.available_blocks, usage.inodes, usage.free_inodes),
        (space.f_blocks, space.f_bfree, space.f_bavail, space.f_files, space.f_ffree),
        "{name}: blocks, free, available, inodes, free"
    );
    assert_eq!(u64::from(usage.block_size), space.f_frsize, "{name}");
    drop(mount);
    assert_eq!(before, fs::metadata(image.path()).unwrap().modified().unwrap(), "{name}");
}

fn compare_with_view(name: &str, image: &Image) -> bool {
    match tree::views(&image.path()) {
        Ok(view) => {
            let mut ours = tree::ours(&image.open(), &|_| Vec::new());
            let all = ours.len();
            ours.retain(|path, _| view.contains_key(path));
            assert!(ours.len() + 20 > all, "{name}: ext4-view read {} of {all}", ours.len());
            assert_same(name, &ours, &view, &[]);
            true
        }
        Err(why) => {
            eprintln!("{name}: ext4-view does not read it: {why}");
            false
        }
    }
}

#[test]
fn trees_that_mke2fs_fills() {
    if !have(&["mke2fs"]) {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    fill::source(source.path());
    // What mke2fs copies; it makes inodes, and the directories' sizes, itself.
    let mut expected = tree::kernels(source.path());
    for node in expected.values_mut() {
        if node["mode"].starts_with('4') {
            node.remove("size");
        }
    }
    let mut seen = 0;
    for (name, arguments, _) in VARIANTS.iter().chain(LARGE_BLOCKS) {
        let image = made(source.path(), arguments);
        seen += u32::from(compare_with_view(name, &image));
        let mut ours = tree::ours(&image.open(), &|_| Vec::new());
        assert!(ours.remove(&b"/lost+found"[..]).is_some(), "{name}");
        if arguments.contains("inline_data") {
            // mke2fs 1.47.0 cuts off the hole at its end there; the kernel shows the same.
            ours.remove(&b"/sparse"[..]);
            ours.insert(b"/sparse".to_vec(), expected[&b"/sparse"[..]].clone());
        }
        let own = ["inode", "atime", "ctime", "mtime", "flags", "links"];
        assert_same(name, &ours, &expected, &own);
    }
    assert!(seen >= 20, "ext4-view read {seen} filesystems");
}

#[test]
fn trees_that_the_kernel_fills() {
    alone(|| {
        let source = tempfile::tempdir().unwrap();
        fill::source(source.path());
        for (name, arguments, names) in VARIANTS {
            let image = made(source.path(), arguments);
            match Mount::try_new(&image.path(), "rw") {
                Ok(mount) => fill::live(&mount, *names, arguments.contains("ea_inode")),
                Err(why) => {
                    eprintln!("left out: {name}: this kernel does not write to it: {why}");
                }
            }
            compare_with_kernel(name, &image);
            compare_with_view(name, &image);
        }
    });
}
