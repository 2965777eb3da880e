//! Which filesystem of an image is the root.

use crate::guest::{Fact, Unknown};
use crate::model::GuestPath;
use crate::sys::{FileKind, Root};

/// The root partition of an x86-64 system (Discoverable Partitions Specification).
pub const ROOT_TYPE: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";

/// Files of which a Linux system has at least one, whatever its distribution and age.
const SIGNS: [&str; 6] = [
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/redhat-release",
    "/etc/debian_version",
    "/etc/SuSE-release",
    "/etc/fstab",
];

/// What a root can run, wherever /usr lies: at least one is there, as a link too.
const PROGRAMS: [&str; 5] = ["/sbin", "/usr/sbin", "/bin", "/usr/bin", "/usr"];

/// Whether a filesystem is the root of a Linux system.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_root(root: &Root) -> Fact<bool> {
    let exists = |path: &str| -> Fact<bool> { Ok(root.lstat(&GuestPath::from(path))?.is_some()) };
    let is_there = |paths: &[&str]| -> Fact<bool> {
        for path in paths {
            if exists(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let etc = root.lstat(&GuestPath::from("/etc"))?;
    if etc.is_none_or(|etc| etc.kind != FileKind::Directory) {
        return Ok(false);
    }
    Ok(is_there(&SIGNS)? && is_there(&PROGRAMS)?)
}

/// Nothing on the image is a root.
pub fn none(image: &str, doubts: &[String]) -> Unknown {
    let mut text = format!("{image}: none of its filesystems is the root of a Linux system");
    for doubt in doubts {
        text.push_str("; ");
        text.push_str(doubt);
    }
    Unknown(text)
}
