//! The repair: the distribution's own tool takes the drivers in, and rollback puts the old image
//! back.

use std::fs;
use std::path::Path;

use crate::host::{guestprep, run, stand_in, with_kernel};
use crate::names::configuration;

/// The cloud kernel has the driver of NVMe disks built in.
const CHECKS: [&str; 2] = ["--check", "driver-virtio,driver-nvme"];

/// The image lacks the drivers; prepare takes them in, rollback takes them out again.
fn mends(image: &Path, asked_in: &Path, temp: &Path) {
    let state = temp.join("state");
    let state = ["--state-dir", state.to_str().expect("a path")];
    let look = |path: &Path| fs::read(path).ok();
    let before = (look(image), look(asked_in), times(image));
    guestprep(&[&["audit"][..], &CHECKS].concat()).exits(1).says("lacks virtio, virtio_blk");
    guestprep(&[&["prepare", "--yes"][..], &CHECKS, &state].concat()).exits(0);
    assert_ne!(before.0, look(image), "the image was made again");
    let asked = String::from_utf8(look(asked_in).expect("a file that asks")).expect("text");
    assert!(asked.contains("virtio_blk"), "{asked}");
    guestprep(&[&["audit"][..], &CHECKS].concat()).exits(0);
    guestprep(&[&["rollback", "--yes"][..], &state].concat()).exits(0);
    assert_eq!(before, (look(image), look(asked_in), times(image)), "all is as it was");
    guestprep(&[&["audit"][..], &CHECKS].concat()).exits(1);
}

fn times(path: &Path) -> std::time::SystemTime {
    fs::metadata(path).and_then(|about| about.modified()).expect("the image")
}

#[test]
fn initramfs_tools_takes_the_drivers_in() {
    with_kernel(&["update-initramfs", "mkinitramfs", "cpio"], |kernel, temp| {
        let conf = configuration(temp, "gzip", "list");
        stand_in(&conf, "/etc/initramfs-tools");
        let image = format!("/boot/initrd.img-{}", kernel.release);
        run(&["mkinitramfs", "-o", &image, &kernel.release]);
        mends(Path::new(&image), Path::new("/etc/initramfs-tools/modules"), temp);
    });
}

#[test]
fn dracut_takes_the_drivers_in() {
    with_kernel(&["dracut", "cpio"], |kernel, temp| {
        let conf = temp.join("dracut.conf.d");
        fs::create_dir(&conf).expect("a directory");
        let text = "dracutmodules+=\" base \"\nhostonly=no\ncompress=gzip\n";
        fs::write(conf.join("10-small.conf"), text).expect("a drop-in");
        fs::create_dir_all("/etc/dracut.conf.d").expect("a directory of dracut's");
        stand_in(&conf, "/etc/dracut.conf.d");
        let image = format!("/boot/initramfs-{}.img", kernel.release);
        run(&["dracut", "--force", &image, &kernel.release]);
        mends(Path::new(&image), Path::new("/etc/dracut.conf.d/guestprep-virtio.conf"), temp);
    });
}

/// The release comes from the name of a file in /boot: the tool would take this one for options.
#[test]
fn no_tool_is_given_a_kernel_that_is_called_like_an_option() {
    with_kernel(&["update-initramfs", "mkinitramfs", "cpio"], |kernel, temp| {
        let conf = configuration(temp, "gzip", "list");
        stand_in(&conf, "/etc/initramfs-tools");
        let named = |what: &str, release: &str| format!("{what}-{release}");
        let hostile = "-ck";
        let image = named("/boot/initrd.img", hostile);
        run(&["mkinitramfs", "-o", &image, &kernel.release]);
        for what in ["/boot/config", "/boot/vmlinuz"] {
            fs::rename(named(what, &kernel.release), named(what, hostile)).expect("a kernel");
        }
        let modules = format!("/lib/modules/{hostile}");
        fs::create_dir(&modules).expect("the directory of modules");
        let own = kernel.tree.join("lib/modules").join(&kernel.release);
        stand_in(&own, &modules);
        let before = fs::read(&image).expect("the image");
        guestprep(&[&["audit"][..], &CHECKS].concat()).exits(1).says("lacks virtio, virtio_blk");
        let plan = guestprep(&[&["plan", "--format", "json"][..], &CHECKS].concat());
        assert!(!plan.out.contains("update-initramfs"), "{}", plan.out);
        let state = temp.join("state");
        let state = ["--state-dir", state.to_str().expect("a path")];
        guestprep(&[&["prepare", "--yes"][..], &CHECKS, &state].concat()).exits(1);
        assert_eq!(before, fs::read(&image).expect("the image"));
    });
}
