//! What names of devices say by themselves, and how they are written.

use crate::model::{ByteString, GuestPath};
use crate::parse::source::{LinkKind, Source};

/// Whether a by-id name is made of the disk's serial number, which a clone's disk does not share.
/// The names that are made of what the disk holds (device mapper, md, LVM) are copied with it.
pub fn is_serial_link(source: &Source) -> bool {
    let (Source::DiskLink { kind: LinkKind::Id, value } | Source::Id(value)) = source else {
        return false;
    };
    ![&b"dm-"[..], b"md-", b"lvm-pv-uuid-"].iter().any(|prefix| value.starts_with(prefix))
}

/// A source as fstab would write it.
pub fn shown(source: &Source) -> String {
    let text = |tag: &str, value: &[u8]| format!("{tag}{}", ByteString::from(value));
    match source {
        Source::Uuid(value) => text("UUID=", value),
        Source::Label(value) => text("LABEL=", value),
        Source::PartUuid(value) => text("PARTUUID=", value),
        Source::PartLabel(value) => text("PARTLABEL=", value),
        Source::Id(value) => text("ID=", value),
        Source::DiskLink { kind, value } => {
            text(&format!("/dev/disk/{}/", kind.directory()), value)
        }
        Source::Path(path) | Source::File(path) | Source::Network(path) | Source::Keyword(path) => {
            text("", path)
        }
    }
}

/// The 16 bytes of a UUID as blkid(8) prints it.
pub(super) fn uuid_bytes(text: &[u8]) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.iter().copied().filter(|b| *b != b'-').collect();
    let digits = std::str::from_utf8(&digits).ok().filter(|d| d.len() == 32 && d.is_ascii())?;
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The kernel's name in a path such as `/dev/vdb1`; none for links and mapped devices.
pub(in crate::guest) fn kernel_name(path: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(path.strip_prefix(b"/dev/")?).ok()?;
    disk_of_kernel_name(name).map(|_| name.to_owned())
}

/// The disk in a kernel's name of a disk or partition: `vdb` of `vdb1`, `nvme0n1` of `nvme0n1p2`.
pub fn disk_of_kernel_name(name: &str) -> Option<String> {
    for prefix in ["xvd", "vd", "sd", "hd"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            let letters = rest.trim_end_matches(|c: char| c.is_ascii_digit());
            let valid = !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase());
            return valid.then(|| format!("{prefix}{letters}"));
        }
    }
    for prefix in ["nvme", "mmcblk"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            let disk = match rest.split_once('p') {
                Some((disk, part))
                    if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) =>
                {
                    disk
                }
                Some(_) => return None,
                None => rest,
            };
            let valid = !disk.is_empty() && disk.bytes().all(|b| b.is_ascii_digit() || b == b'n');
            return valid.then(|| format!("{prefix}{disk}"));
        }
    }
    None
}

pub(in crate::guest) fn is_first_name(disk: &str) -> bool {
    matches!(disk, "vda" | "xvda" | "sda" | "hda" | "nvme0n1" | "mmcblk0")
}

/// `/dev/disk/by-uuid/../../vda1` without its dots.
pub(super) fn normal(path: &GuestPath) -> GuestPath {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.as_bytes().split(|b| *b == b'/').filter(|p| !p.is_empty()) {
        if part == b".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    GuestPath::new(&parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_name_names_its_disk() {
        for (name, disk) in [
            ("vda", Some("vda")),
            ("vdb1", Some("vdb")),
            ("xvdba12", Some("xvdba")),
            ("nvme0n1", Some("nvme0n1")),
            ("nvme10n2p15", Some("nvme10n2")),
            ("mmcblk0p1", Some("mmcblk0")),
            ("vd", None),
            ("sd1", None),
            ("mapper/vg-lv", None),
            ("md0", None),
            ("nvme0n1px", None),
        ] {
            assert_eq!(disk_of_kernel_name(name).as_deref(), disk, "{name}");
        }
    }
}
