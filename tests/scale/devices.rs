//! A machine with thousands of block devices: a sysfs that shows them beside the real ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::command::run;
use crate::common::live::Live;
use crate::cost::{self, Cost, alone};

/// What a device may take: its name, number and size, what was read of it, and what lies on it.
const BYTES: f64 = 4000.0;

/// The real /sys/class/block, and `many` disks more, each with a volume on it.
fn show_many(live: &Live, many: usize) {
    let made = live.at("/run/sys");
    let _ = fs::remove_dir_all(&made);
    let class = Path::new(&made).join("class/block");
    fs::create_dir_all(&class).unwrap();
    for entry in fs::read_dir("/sys/class/block").unwrap() {
        let entry = entry.unwrap();
        let real = fs::canonicalize(entry.path()).unwrap();
        let device = Path::new(&made).join(real.strip_prefix("/sys").unwrap());
        for name in
            ["dev", "size", "partition", "loop/backing_file", "loop/autoclear", "loop/offset"]
        {
            if let Ok(text) = fs::read(real.join(name)) {
                write(&device.join(name), &text);
            }
        }
        let link = fs::read_link(entry.path()).unwrap();
        symlink(link, class.join(entry.file_name())).unwrap();
    }
    for number in 0..many / 2 {
        let (disk, volume) = (format!("sd{number}x"), format!("dm-{}", 1000 + number));
        show(&made, &disk, &format!("259:{}", 1000 + number), &[]);
        let names =
            [("dm/name", format!("vg-lv{number}")), ("dm/uuid", format!("LVM-{number:064}"))];
        show(&made, &volume, &format!("251:{}", 1000 + number), &names);
        let slaves = Path::new(&made).join(format!("devices/virtual/block/{volume}/slaves"));
        fs::create_dir(&slaves).unwrap();
        symlink(format!("../../{disk}"), slaves.join(&disk)).unwrap();
    }
    run(&["mount", "--bind", &made, &live.at("/sys")]);
}

fn show(sys: &str, name: &str, number: &str, more: &[(&str, String)]) {
    let device = Path::new(sys).join("devices/virtual/block").join(name);
    write(&device.join("size"), b"2097152\n");
    write(&device.join("dev"), format!("{number}\n").as_bytes());
    for (file, text) in more {
        write(&device.join(file), format!("{text}\n").as_bytes());
    }
    let link = Path::new(sys).join("class/block").join(name);
    symlink(format!("../../devices/virtual/block/{name}"), link).unwrap();
}

fn write(path: &Path, text: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn an_audit_grows_in_proportion_to_the_block_devices() {
    if !cost::is_measured() {
        return;
    }
    alone(&[], |live| {
        live.data();
        let audit = |live: &Live, many: usize| -> Cost {
            show_many(live, many);
            let (cost, done) = cost::of(live, &["audit", "--format", "json"], 1);
            run(&["umount", &live.at("/sys")]);
            let report = done.json();
            let of =
                |id| report["checks"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap();
            assert_eq!(of("data-disk-mounted")["verdict"], "fail", "{report}");
            cost
        };
        let many = 5000;
        let costs = [audit(live, 0), audit(live, many), audit(live, 2 * many)];
        cost::grows_in_proportion("block devices", many, costs, BYTES);
    });
}
