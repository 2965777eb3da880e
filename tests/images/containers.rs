//! What DiskImage reads against what qemu-img wrote, through every container.

use guestprep::sys::Container;

use crate::tools::{SIZE, content, directory, disk, has, open, sh};

/// A way to make a container of disk.raw, the file it makes, and what it is.
type Way = (&'static str, &'static str, Container);

const DYNAMIC: Container = Container::Vhd { dynamic: true };
const FIXED: Container = Container::Vhd { dynamic: false };

const WAYS: &[Way] = &[
    ("-O qcow2 disk.raw", "disk", Container::Qcow2),
    ("-O qcow2 -o compat=0.10 disk.raw", "disk", Container::Qcow2),
    ("-O qcow2 -c -o compression_type=zlib disk.raw", "disk", Container::Qcow2),
    ("-O qcow2 -o cluster_size=2M,preallocation=falloc disk.raw", "disk", Container::Qcow2),
    ("-O vpc -o force_size=on disk.raw", "disk", DYNAMIC),
    ("-O vpc -o subformat=fixed,force_size=on disk.raw", "disk", FIXED),
    ("-O vhdx disk.raw", "disk", Container::Vhdx),
    ("-O vhdx -o subformat=fixed disk.raw", "disk", Container::Vhdx),
    ("-O vmdk disk.raw", "disk", Container::Vmdk),
    ("-O vmdk -o subformat=streamOptimized disk.raw", "disk", Container::Vmdk),
    ("-O vdi disk.raw", "disk", Container::Vdi),
    ("-O vdi -o static=on disk.raw", "disk", Container::Vdi),
];

#[test]
fn every_container_reads_as_the_raw_disk() {
    if !has("qemu-img") || !has("mke2fs") {
        return;
    }
    let directory = directory();
    let raw = disk(directory.path());
    let wanted = std::fs::read(&raw).unwrap();
    for (way, name, container) in WAYS {
        sh(directory.path(), &format!("qemu-img convert -f raw {way} {name}"));
        let path = directory.path().join(name);
        let before = std::fs::read(&path).unwrap();
        let image = open(&path).unwrap_or_else(|e| panic!("{way}: {e}"));
        assert_eq!(image.container(), container, "{way}");
        assert_eq!(image.size(), SIZE, "{way}");
        assert!(content(&image) == wanted, "{way}");
        assert_eq!(image.is_own_file(), *container == FIXED, "{way}");
        assert!(std::fs::read(&path).unwrap() == before, "{way}: the image was written to");
        image.check_unchanged().unwrap();
        std::fs::remove_file(&path).unwrap();
    }
    let image = open(&raw).unwrap();
    assert_eq!((image.container(), image.is_own_file()), (&Container::Raw, true));
    assert!(content(&image) == wanted && std::fs::read(&raw).unwrap() == wanted);
}
