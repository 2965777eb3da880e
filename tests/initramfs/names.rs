//! The names that we find in an image against those that lsinitramfs(8) finds with cpio(1).

use std::collections::BTreeSet;
use std::fs;
use std::io::BufReader;
use std::path::Path;

use guestprep::parse::initramfs::{LIMITS, read};

use crate::host::{Kernel, run, with_kernel};

fn ours(image: &Path) -> Result<BTreeSet<String>, String> {
    let file = fs::File::open(image).expect("the image");
    let mut names = BTreeSet::new();
    read(BufReader::new(file), LIMITS, &mut |entry, _| {
        names.insert(String::from_utf8_lossy(entry.name).into_owned());
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok(names)
}

fn theirs(image: &Path) -> BTreeSet<String> {
    run(&["lsinitramfs", image.to_str().expect("a path")]).lines().map(str::to_owned).collect()
}

fn same_names(image: &Path, kernel: &Kernel) {
    let (ours, theirs) = (ours(image).expect("an image"), theirs(image));
    let differing: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(differing.is_empty(), "{}: {differing:?}", image.display());
    let module = format!("{}/kernel/drivers/block/virtio_blk.ko", kernel.release);
    assert!(ours.len() > 100 && ours.iter().any(|name| name.ends_with(&module)), "{}", ours.len());
}

#[test]
fn every_compression_of_initramfs_tools() {
    let tools =
        ["mkinitramfs", "lsinitramfs", "cpio", "zstd", "xz", "lz4", "bzip2", "lzop", "lzma"];
    with_kernel(&tools, |kernel, temp| {
        for how in ["gzip", "zstd", "xz", "lz4", "bzip2", "lzma", "lzop"] {
            // All modules once: to compress them seven times is not what is tried here.
            let conf = configuration(temp, how, if how == "gzip" { "most" } else { "list" });
            fs::write(conf.join("modules"), "virtio_blk\nvirtio_net\next4\n").expect("modules");
            let image = temp.join(format!("{how}.img"));
            let (conf, path) = (conf.to_str().expect("a path"), image.to_str().expect("a path"));
            run(&["mkinitramfs", "-d", conf, "-o", path, &kernel.release]);
            if how == "lzop" {
                assert_eq!(
                    ours(&image),
                    Err("it is compressed with lzo, which guestprep does not read".to_owned())
                );
            } else {
                same_names(&image, kernel);
            }
        }
    });
}

#[test]
fn dracut_with_microcode_before_it() {
    with_kernel(&["dracut", "lsinitramfs", "cpio", "zstd"], |kernel, temp| {
        let image = temp.join("dracut.img");
        let path = image.to_str().expect("a path");
        let small = ["--no-hostonly", "--modules", "base", "--add-drivers", "virtio_blk"];
        run(&[&["dracut", "--force", "--zstd", path, &kernel.release][..], &small].concat());
        same_names(&image, kernel);
        // The microcode of this machine's processor is of no package that has to be here.
        let mut wanted = ours(&image).expect("an image");
        let mut early = early_archive(temp);
        wanted.extend(
            ["kernel/x86/microcode/GenuineIntel.bin", "kernel/x86/microcode"].map(str::to_owned),
        );
        wanted.extend(["kernel/x86", "kernel"].map(str::to_owned));
        early.extend(fs::read(&image).expect("the image"));
        fs::write(&image, early).expect("the image");
        assert_eq!(ours(&image), Ok(wanted));
    });
}

/// An archive as dracut puts it before the image, made by cpio(1).
fn early_archive(temp: &Path) -> Vec<u8> {
    let folder = temp.join("early");
    fs::create_dir_all(folder.join("kernel/x86/microcode")).expect("a directory");
    fs::write(folder.join("kernel/x86/microcode/GenuineIntel.bin"), [7; 999]).expect("a file");
    let script = "find . -print0 | sort -z | cut -z -c3- | grep -z . | cpio --null -o -H newc --quiet >../early.cpio";
    run(&["sh", "-c", &format!("cd {} && {script}", folder.display())]);
    fs::read(temp.join("early.cpio")).expect("the archive")
}

/// A copy of this machine's configuration of initramfs-tools.
pub fn configuration(temp: &Path, compression: &str, modules: &str) -> std::path::PathBuf {
    let folder = temp.join(format!("conf-{compression}-{modules}"));
    run(&["cp", "-a", "/etc/initramfs-tools", folder.to_str().expect("a path")]);
    let file = folder.join("initramfs.conf");
    let text = fs::read_to_string(&file).expect("initramfs.conf");
    let lines = text.lines().filter(|l| !l.starts_with("COMPRESS") && !l.starts_with("MODULES="));
    let lines: Vec<&str> = lines.collect();
    let text = format!("{}\nMODULES={modules}\nCOMPRESS={compression}\n", lines.join("\n"));
    fs::write(file, text).expect("initramfs.conf");
    folder
}
