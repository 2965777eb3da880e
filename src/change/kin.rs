//! Whose run it is: this guest's own, or that of the guest that this one is a clone of.
//!
//! The journal of a live guest lies in its image too. What the hypervisor and cloud-init call the
//! machine tells the two apart, where they call it anything.

use super::journal::Header;
use super::store::root_of;
use crate::guest::Guest;
use crate::model::GuestPath;

/// UUIDs that firmware gives to every machine of its kind, and that therefore name none.
const NAMELESS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
];

/// There once cloud-init has found out, at this boot, which instance this is.
const CLOUD_INIT_HAS_ASKED: &str = "/run/cloud-init/instance-data.json";

/// What the guest of a run is to this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kin {
    /// This guest.
    Own,
    /// Another instance, of which this one is a clone.
    Source,
    /// It cannot be told, and why.
    Untold(String),
}

/// What the guest of a run is to this one. Where nothing tells, it is neither: a guess would take a
/// source's journal, or leave a clone with it.
pub fn kin(guest: &Guest, header: &Header) -> Kin {
    let id = &header.id;
    if header.root != root_of(guest) {
        return Kin::Untold(format!("run {id} was made on the tree at {}", header.root));
    }
    let machine = compare(named(header.dmi_uuid.as_deref()), named(guest.dmi_uuid().as_deref()));
    let cloud = compare(header.cloud_id.as_deref(), guest.cloud_id().as_deref());
    match (machine, cloud) {
        (Some(false), _) => Kin::Source,
        (Some(true), Some(false)) => Kin::Untold(format!(
            "the machine has the DMI product UUID of run {id}, and another instance id"
        )),
        (Some(true), _) => Kin::Own,
        (None, Some(false)) => Kin::Source,
        (None, Some(true)) if cloud_init_has_asked(guest) => Kin::Own,
        (None, Some(true)) => Kin::Untold(format!(
            "the instance id is that of run {id}, and cloud-init has not asked yet whether it still holds"
        )),
        (None, None) => Kin::Untold(format!(
            "there is neither a DMI product UUID nor an instance id to compare with run {id}"
        )),
    }
}

/// Whether two names are one; `None` where one of them is missing.
fn compare(theirs: Option<&str>, ours: Option<&str>) -> Option<bool> {
    Some(theirs? == ours?)
}

fn named(uuid: Option<&str>) -> Option<&str> {
    uuid.filter(|uuid| !NAMELESS.contains(uuid))
}

fn cloud_init_has_asked(guest: &Guest) -> bool {
    guest.stat(&GuestPath::from(CLOUD_INIT_HAS_ASKED)).is_ok_and(|found| found.is_some())
}
