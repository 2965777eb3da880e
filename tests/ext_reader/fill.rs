//! What the filesystems are filled with.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use super::kernel::Mount;
use super::tools::{command, run};

/// Bytes that differ from block to block.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(length)
        .collect()
}

/// A tree for `mke2fs -d`: what needs no kernel.
pub fn source(top: &Path) {
    let file = |path: &str, bytes: &[u8]| fs::write(top.join(path), bytes).unwrap();
    for dir in ["etc/deep/deeper/deepest", "empty", "many", "links"] {
        fs::create_dir_all(top.join(dir)).unwrap();
    }
    for size in [0, 1, 59, 60, 61, 100, 150, 160, 1023, 1024, 4095, 4096, 4097, 100_000, 400_000] {
        file(&format!("etc/size-{size}"), &noise(size, size as u64));
    }
    file("etc/deep/deeper/deepest/file", b"deep");
    for number in 0..300 {
        file(&format!("many/name of some length {number}"), &noise(number, 7));
    }
    for length in [1, 58, 59, 60, 61, 150, 1000] {
        symlink(&"t/".repeat(length)[..length], top.join(format!("links/{length}"))).unwrap();
    }
    fs::hard_link(top.join("etc/size-100"), top.join("links/hard")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"not \xff utf-8 \n");
    fs::write(top.join(odd), b"odd").unwrap();
    let sparse = File::create(top.join("sparse")).unwrap();
    sparse.write_all_at(&noise(5000, 3), 700_000).unwrap();
    sparse.set_len(1_000_000).unwrap();
}

/// What the kernel writes best: hashed directories, fragments, flags, attributes, times. `names` go in one directory.
pub fn live(mount: &Mount, names: usize, large_values: bool) {
    let top = &mount.top;
    let arg = |path: &str| mount.arg(path);
    fs::create_dir(top.join("big")).unwrap();
    for number in 0..names {
        File::create(top.join(format!("big/a name that is not short, number {number}"))).unwrap();
    }
    // Names that go leave gaps, and blocks without any name.
    fs::create_dir(top.join("gaps")).unwrap();
    for number in 0..500 {
        File::create(top.join(format!("gaps/some name {number}"))).unwrap();
    }
    for number in (0..500).filter(|number| number % 7 != 0) {
        fs::remove_file(top.join(format!("gaps/some name {number}"))).unwrap();
    }
    fragments(&top.join("fragments"), 600, 16384);
    let large = File::create(top.join("large")).unwrap();
    for (offset, seed) in [(0, 1), (70_000_000, 2), (200_000_123, 3), (299_999_000, 4)] {
        large.write_all_at(&noise(1000, seed), offset).unwrap();
    }
    large.set_len(300_000_000).unwrap();
    let unwritten = File::create(top.join("unwritten")).unwrap();
    // ext2 and ext3 cannot allocate without a write.
    let mode = rustix::fs::FallocateFlags::empty();
    let _ = rustix::fs::fallocate(&unwritten, mode, 0, 600_000);
    unwritten.write_all_at(&noise(5000, 9), 300_000).unwrap();

    for (name, flag) in [("immutable", "+i"), ("append", "+a"), ("nodump", "+d")] {
        fs::write(top.join(name), name).unwrap();
        run(&["chattr", flag, &arg(name)]);
    }
    for (name, size) in [("small", 20), ("middle", 700), ("fits", 300)] {
        fs::write(top.join(name), name).unwrap();
        let value = "v".repeat(size);
        run(&["setfattr", "-n", "user.one", "-v", &value, &arg(name)]);
        run(&["setfattr", "-n", "trusted.two", "-v", "2", &arg(name)]);
        run(&["setfattr", "-n", "user.empty", &arg(name)]);
        run(&[
            "setfattr",
            "-n",
            "security.selinux",
            "-v",
            "system_u:object_r:etc_t:s0",
            &arg(name),
        ]);
    }
    if large_values {
        fs::write(top.join("values"), "large values").unwrap();
        for size in [5000, 20_000, 60_000] {
            let value = "w".repeat(size);
            run(&["setfattr", "-n", &format!("user.{size}"), "-v", &value, &arg("values")]);
        }
        symlink("short", top.join("link with a large value")).unwrap();
        let value = "x".repeat(9000);
        let link = arg("link with a large value");
        run(&["setfattr", "-h", "-n", "trusted.large", "-v", &value, &link]);
    }
    symlink("short", top.join("link with a value")).unwrap();
    run(&["setfattr", "-h", "-n", "trusted.x", "-v", &"y".repeat(400), &arg("link with a value")]);
    fs::write(top.join("acl"), "acl").unwrap();
    run(&["setfacl", "-m", "u:1000:rw,g:2000:r,u:70000:x,m::rwx", &arg("acl")]);
    run(&["setfacl", "-d", "-m", "u:1000:rwx,g::r", &arg("gaps")]);
    fs::write(top.join("capable"), "cap").unwrap();
    run(&["setcap", "cap_net_raw,cap_net_admin+ep", &arg("capable")]);
    for (name, date) in [
        ("old", "1901-12-14 00:00:00.123456789"),
        ("before", "1969-12-31 23:59:59.999999999"),
        ("later", "2100-02-28 12:00:00.5"),
        ("last", "2446-05-10 22:38:55"),
    ] {
        File::create(top.join(name)).unwrap();
        run(&["touch", "-m", "-d", date, &arg(name)]);
        run(&["touch", "-a", "-d", "2030-01-01", &arg(name)]);
    }
    File::create(top.join("owned")).unwrap();
    run(&["chown", "70000:4000000000", &arg("owned")]);
    run(&["chmod", "6751", &arg("owned")]);
    for (name, kind) in
        [("fifo", vec!["p"]), ("char", vec!["c", "1", "3"]), ("block", vec!["b", "8", "300"])]
    {
        run(&[&["mknod", &arg(name)], &kind[..]].concat());
    }
    drop(std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap());
    // The verity of a file, and project quota, where the filesystem has them.
    let _ = command(&["chattr", "-p", "7", &arg("gaps")]).output();
}

/// A file of `count` single blocks, `apart` bytes from each other, with holes between.
pub fn fragments(path: &Path, count: u64, apart: u64) {
    let file = File::create(path).unwrap();
    for number in 0..count {
        file.write_all_at(&noise(900, number), number * apart).unwrap();
    }
    file.sync_all().unwrap();
}
