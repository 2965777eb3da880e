//! A second audit does not read an unchanged image again; a changed one it does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::common::initramfs::Image;
use crate::host::{guestprep, with_kernel};

const CHECK: [&str; 3] = ["audit", "--check", "driver-virtio"];

/// What the disk's driver needs, of those that are no part of the kernel.
const MODULES: &str = "\"virtio.ko\", \"virtio_ring.ko\", \"virtio_blk.ko\", \"virtio_pci.ko\", \
    \"virtio_pci_legacy_dev.ko\", \"virtio_pci_modern_dev.ko\"";

fn write_image(release: &str, modules: &str) {
    let text = format!(
        "path = \"boot/initrd.img-{release}\"\nrelease = \"{release}\"\nmodules = [{modules}]\ncompression = \"zstd\"\n"
    );
    toml::from_str::<Image>(&text).expect("an image").make(Path::new("/"));
}

#[test]
fn an_unchanged_image_is_read_once_and_a_changed_one_again() {
    with_kernel(&[], |kernel, _| {
        write_image(&kernel.release, MODULES);
        guestprep(&CHECK).exits(0);
        let kept: Vec<PathBuf> = fs::read_dir("/run/guestprep-cache")
            .expect("results")
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        let mode = |path: &Path| fs::metadata(path).expect("a result").permissions().mode() & 0o777;
        assert_eq!((mode(Path::new("/run/guestprep-cache")), mode(&kept[0])), (0o700, 0o600));

        // A result that is not what the image has shows that it is what is read.
        let text = fs::read_to_string(&kept[0]).expect("a result");
        fs::write(&kept[0], text.replace("virtio_blk", "another")).expect("a result");
        guestprep(&["audit", "--check", "driver-virtio"]).exits(1).says("lacks virtio_blk");
        // Of the same size, at the same place, an instant later.
        let image = format!("/boot/initrd.img-{}", kernel.release);
        let content = fs::read(&image).expect("the image");
        fs::write(&image, content).expect("the image");
        guestprep(&["audit", "--check", "driver-virtio"]).exits(0);

        // A result that is damaged is no error.
        fs::write(&kept[0], "{").expect("a result");
        guestprep(&["audit", "--check", "driver-virtio"]).exits(0);
    });
}

#[test]
fn nothing_is_kept_of_a_tree() {
    with_kernel(&[], |kernel, temp| {
        let root = temp.join("root");
        fs::create_dir_all(root.join("boot")).expect("a tree");
        fs::write(root.join(format!("boot/vmlinuz-{}", kernel.release)), "a kernel")
            .expect("a kernel");
        fs::write(root.join(format!("boot/initrd.img-{}", kernel.release)), "").expect("an image");
        guestprep(&["audit", "--check", "driver-virtio", "--root", root.to_str().expect("a path")]);
        assert!(!Path::new("/run/guestprep-cache").exists());
    });
}
