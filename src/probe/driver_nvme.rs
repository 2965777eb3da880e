//! `driver-nvme`: a kernel of the boot menu that would not find its system disk on an instance whose disks
//! are NVMe.

use super::drivers::{self, Wanted};
use super::{Answer, Guest};
use crate::guest::Driver;

const WANTED: Wanted =
    Wanted { early: &[Driver { module: "nvme", option: "BLK_DEV_NVME" }], late: &[], name: "nvme" };

pub fn judge(guest: &Guest) -> Answer {
    drivers::judge(guest, &WANTED)
}
