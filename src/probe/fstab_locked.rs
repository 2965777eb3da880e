//! `fstab-locked`: a configuration file that `prepare`, kernel updates or the DHCP client write
//! has the immutable or append-only flag.

use super::shadow_locked::locked;
use super::{Answer, Guest};
use crate::guest::FileKind;
use crate::model::{GuestPath, Verdict};

/// What is written after the image was made, of each boot loader and release the path it uses.
const FILES: [&str; 9] = [
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/default/grub",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/etc/grub.conf",
    "/etc/resolv.conf",
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let mut seen = Vec::new();
    for path in FILES.map(GuestPath::from) {
        let file = match guest.stat(&path) {
            Ok(Some(file)) if file.kind == FileKind::Regular => file,
            Ok(_) => continue,
            Err(why) => {
                doubts.push(why.0);
                continue;
            }
        };
        // menu.lst is a link to grub.conf on Enterprise Linux.
        let inode = (file.device, file.inode);
        if seen.contains(&inode) {
            continue;
        }
        seen.push(inode);
        match guest.flags(&path) {
            Ok(Some(flags)) => findings.extend(locked(&path, flags, guest.policy().clear_flags)),
            Ok(None) => {}
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}
