//! `driver-virtio`: a kernel of the boot menu that would not find its system disk, or its network, on an
//! instance.

use super::drivers::{self, Wanted};
use super::{Answer, Guest};
use crate::guest::Driver;

/// The disk is a virtio block device on the PCI bus, and is needed before the root filesystem is
/// there; the network card is needed after that.
const WANTED: Wanted = Wanted {
    early: &[
        Driver { module: "virtio_blk", option: "VIRTIO_BLK" },
        Driver { module: "virtio_pci", option: "VIRTIO_PCI" },
    ],
    late: &[Driver { module: "virtio_net", option: "VIRTIO_NET" }],
    name: "virtio",
};

pub fn judge(guest: &Guest) -> Answer {
    drivers::judge(guest, &WANTED)
}
