//! Disks of a recorded guest, as a case describes them: what sysfs, udev's database, `/dev/disk`,
//! mountinfo and /proc/swaps of the same guest would show.
//!
//! `fixtures/disks/*.toml` holds the sets of disks that many cases share.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use guestprep::parse::source::udev_encode;
use serde::Deserialize;

use super::fixture::fixtures;

/// Block devices and what is done with them now.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Disks {
    /// The devices.
    pub device: Vec<Device>,
    /// Lines of mountinfo.
    pub mounts: Vec<String>,
    /// Lines of /proc/swaps.
    pub swaps: Vec<String>,
}

/// One block device.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Device {
    /// The kernel's name.
    name: String,
    /// `major:minor`.
    number: String,
    /// Its size in GiB; 20 where the case does not care.
    gib: Option<u64>,
    /// The serial number that virtio gives a disk.
    serial: Option<String>,
    /// Its number as a partition of the one device in `on`.
    partition: Option<u32>,
    /// What it lies on.
    on: Vec<String>,
    /// The name below /dev/mapper.
    mapped: Option<String>,
    /// Device mapper's own uuid: `LVM-...`, `CRYPT-...`.
    mapped_uuid: Option<String>,
    /// The file behind a loop device.
    loop_file: Option<String>,
    /// Whether the loop device goes with its last user.
    autoclear: bool,
    /// What blkid(8) says that it holds.
    fstype: Option<String>,
    uuid: Option<String>,
    label: Option<String>,
    part_uuid: Option<String>,
    part_label: Option<String>,
    /// The partition's type, as blkid(8) prints it, and a GPT's attribute bits.
    part_type: Option<String>,
    part_flags: Option<String>,
    /// More links below /dev that udev made.
    links: Vec<String>,
    /// Whether udev has no entry for it.
    unknown_to_udev: bool,
}

impl Disks {
    /// A set of `fixtures/disks`.
    pub fn named(name: &str) -> Self {
        let path = fixtures().join("disks").join(format!("{name}.toml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Give a guest these disks, beside those that it has.
    pub fn attach(&self, root: &Path, kernel: &Path) {
        for device in &self.device {
            device.in_sysfs(&kernel.join("sys"));
            device.in_udev(root);
        }
        for process in ["self", "1"] {
            append(&kernel.join("proc").join(process).join("mountinfo"), &self.mounts);
        }
        append(&kernel.join("proc/swaps"), &self.swaps);
    }
}

impl Device {
    fn in_sysfs(&self, sys: &Path) {
        let place = match (self.partition, self.on.first()) {
            (Some(_), Some(disk)) => format!("devices/virtual/block/{disk}/{}", self.name),
            _ => format!("devices/virtual/block/{}", self.name),
        };
        let directory = sys.join(&place);
        let file = |name: &str, text: &str| write(&directory.join(name), &format!("{text}\n"));
        file("dev", &self.number);
        // In sectors of 512 bytes, as the kernel counts.
        file("size", &(self.gib.unwrap_or(20) << 21).to_string());
        if let Some(partition) = self.partition {
            file("partition", &partition.to_string());
        } else {
            file("queue/logical_block_size", "512");
            for member in &self.on {
                link(&format!("../../{member}"), &directory.join("slaves").join(member));
            }
        }
        if let Some(serial) = &self.serial {
            write(&directory.join("serial"), serial); // virtio_blk writes no newline
        }
        if let Some(name) = &self.mapped {
            file("dm/name", name);
            file("dm/uuid", self.mapped_uuid.as_deref().unwrap_or_default());
        }
        if let Some(backing) = &self.loop_file {
            file("loop/backing_file", backing);
            file("loop/autoclear", if self.autoclear { "1" } else { "0" });
        }
        link(&format!("../../{place}"), &sys.join("class/block").join(&self.name));
    }

    fn in_udev(&self, root: &Path) {
        if self.unknown_to_udev {
            return;
        }
        let mut links = self.links.clone();
        let mut lines = Vec::new();
        let mut tag = |key: &str, directory: &str, value: &Option<String>| {
            let Some(value) = value else { return };
            let encoded = udev_encode(value.as_bytes());
            lines.push(format!("E:{key}={encoded}"));
            if !directory.is_empty() {
                links.push(format!("disk/{directory}/{encoded}"));
            }
        };
        tag("ID_FS_TYPE", "", &self.fstype);
        tag("ID_FS_UUID_ENC", "by-uuid", &self.uuid);
        tag("ID_FS_LABEL_ENC", "by-label", &self.label);
        tag("ID_PART_ENTRY_UUID", "by-partuuid", &self.part_uuid);
        tag("ID_PART_ENTRY_NAME", "by-partlabel", &self.part_label);
        tag("ID_PART_ENTRY_TYPE", "", &self.part_type);
        tag("ID_PART_ENTRY_FLAGS", "", &self.part_flags);
        if let Some(serial) = &self.serial {
            links.push(format!("disk/by-id/virtio-{serial}"));
        }
        if let Some(name) = &self.mapped {
            links.push(format!("mapper/{name}"));
        }
        for path in &links {
            let up = "../".repeat(path.matches('/').count());
            link(&format!("{up}{}", self.name), &root.join("dev").join(path));
        }
        let links = links.into_iter().map(|path| format!("S:{path}"));
        let text: String = links.chain(lines).map(|line| line + "\n").collect();
        write(&root.join("run/udev/data").join(format!("b{}", self.number)), &text);
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// The last device to claim a link has it, as with udev.
fn link(target: &str, path: &Path) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    let _ = fs::remove_file(path);
    symlink(target, path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn append(path: &Path, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for line in lines {
        writeln!(file, "{line}").expect("a line");
    }
}
