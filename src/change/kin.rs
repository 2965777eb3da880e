//! Whose run it is: this guest's own, or that of the guest that this one is a clone of.
//!
//! The journal of a live guest lies in its image too. What the hypervisor and cloud-init call the
//! machine tells the two apart, where they call it anything; where they do not, that it still is the
//! boot that the run was made in. What may be undone where follows from it, here and nowhere else.

use super::journal::Header;
use super::store::root_of;
use crate::guest::{Guest, Mode};
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
    Source {
        /// What it was called.
        theirs: String,
        /// What this one is called.
        ours: String,
    },
    /// A guest at another root.
    Elsewhere,
    /// It cannot be told, and why.
    Untold(String),
}

/// Why a rollback was not even begun.
#[derive(Debug, thiserror::Error)]
pub enum RollbackRefused {
    /// This is a clone of the guest that the run was made on.
    #[error(
        "run {run} was made on another instance ({theirs}; this is {ours}): this is a clone of it, \
         and what was put away for the image stays away"
    )]
    Clone {
        /// The run.
        run: String,
        /// The instance that it was made on.
        theirs: String,
        /// This instance.
        ours: String,
    },
    /// The run was made on another tree.
    #[error("run {run} was made on the guest at {root}")]
    OtherRoot {
        /// The run.
        run: String,
        /// Where its guest was.
        root: String,
    },
    /// This may be a clone, and nobody is there to say that it is none.
    #[error("{0}")]
    Untold(String),
}

/// What the guest of a run is to this one. Where nothing tells, it is neither: a guess would take a
/// source's journal, or put a clone back to what its source was.
pub fn kin(guest: &Guest, header: &Header) -> Kin {
    let is_of_a_boot = [&header.boot_id, &header.dmi_uuid, &header.cloud_id]
        .into_iter()
        .any(|name| name.is_some());
    let is_live = guest.mode() == Mode::Live;
    if header.root != root_of(guest) || is_of_a_boot && !is_live {
        return Kin::Elsewhere;
    }
    if !is_live {
        // A tree and an image are known by where they lie.
        return Kin::Own;
    }
    let id = &header.id;
    let (their_uuid, our_uuid) = (header.dmi_uuid.as_deref(), guest.dmi_uuid());
    let (their_cloud, our_cloud) = (header.cloud_id.as_deref(), guest.cloud_id());
    let machine = compare(named(their_uuid), named(our_uuid.as_deref()));
    let cloud = compare(their_cloud, our_cloud.as_deref());
    let source = |theirs: Option<&str>, ours: Option<&str>| Kin::Source {
        theirs: theirs.unwrap_or_default().to_owned(),
        ours: ours.unwrap_or_default().to_owned(),
    };
    match (machine, cloud) {
        (Some(false), _) => source(their_uuid, our_uuid.as_deref()),
        (Some(true), Some(false)) => Kin::Untold(format!(
            "the machine has the DMI product UUID of run {id}, and another instance id"
        )),
        (None, Some(false)) => source(their_cloud, our_cloud.as_deref()),
        (Some(true), _) => Kin::Own,
        // A clone is another boot: what goes on is the machine itself.
        (None, _) if is_same_boot(guest, header) => Kin::Own,
        (None, Some(true)) if cloud_init_has_asked(guest) => Kin::Own,
        (None, Some(true)) => Kin::Untold(format!(
            "the instance id is that of run {id}, and cloud-init has not asked yet whether it still holds"
        )),
        (None, None) => Kin::Untold(format!(
            "there is neither a DMI product UUID nor an instance id to compare with run {id}"
        )),
    }
}

/// Whether a run may be rolled back on this guest where somebody asks for it, who knows which machine
/// this is.
///
/// # Errors
/// Where it certainly is another one.
pub(super) fn asked(guest: &Guest, header: &Header) -> Result<(), RollbackRefused> {
    let run = header.id.clone();
    match kin(guest, header) {
        Kin::Own | Kin::Untold(_) => Ok(()),
        Kin::Source { theirs, ours } => Err(RollbackRefused::Clone { run, theirs, ours }),
        Kin::Elsewhere => Err(RollbackRefused::OtherRoot { run, root: header.root.clone() }),
    }
}

/// Whether it may be rolled back by itself, as when a lease ends.
///
/// # Errors
/// Where it is not certain that this is the guest that it was made on.
pub(super) fn unasked(guest: &Guest, header: &Header) -> Result<(), RollbackRefused> {
    match kin(guest, header) {
        Kin::Untold(why) => Err(RollbackRefused::Untold(why)),
        _ => asked(guest, header),
    }
}

/// Whether two names are one; `None` where one of them is missing.
fn compare(theirs: Option<&str>, ours: Option<&str>) -> Option<bool> {
    Some(theirs? == ours?)
}

fn named(uuid: Option<&str>) -> Option<&str> {
    uuid.filter(|uuid| !NAMELESS.contains(uuid))
}

fn is_same_boot(guest: &Guest, header: &Header) -> bool {
    let now = guest.boot_id().ok().flatten();
    header.boot_id.is_some() && header.boot_id == now
}

fn cloud_init_has_asked(guest: &Guest) -> bool {
    guest.stat(&GuestPath::from(CLOUD_INIT_HAS_ASKED)).is_ok_and(|found| found.is_some())
}
