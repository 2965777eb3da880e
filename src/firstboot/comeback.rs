//! What was parked comes back, one thing after another, until nothing more can.
//!
//! The guest is looked at anew after each: a bind mount, or a swap file, can come back once the
//! filesystem that it lies on has.

use std::collections::BTreeMap;

use super::report::{Back, Report, Stays};
use super::{Clone, Trouble, lines, units};
use crate::change::Legacy;
use crate::guest::Guest;
use crate::model::Edit;

/// Something that was put away, and what is to become of it.
pub struct Parked {
    /// `/etc/fstab:3`, or a unit. Stays the same while others come back.
    pub what: String,
    /// Where it is mounted, `swap`, or the name of an encrypted volume.
    pub target: String,
    /// What the operator named its device by.
    pub source: String,
    /// The check that put it away.
    pub check: String,
    /// What brings it back, or why it stays away.
    pub comeback: Result<Vec<Edit>, String>,
}

/// Bring back everything that this clone has the disks for. What does not come back stays as it is,
/// and the report says why.
pub fn everything(clone: &Clone, legacy: &mut Legacy, report: &mut Report) -> Result<(), Trouble> {
    // What was tried and failed is not tried again at this boot.
    let mut failed: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let guest = (clone.open)()?;
        let mut parked = all(&guest, legacy);
        let next =
            parked.iter().position(|one| one.comeback.is_ok() && !failed.contains_key(&one.what));
        let Some(at) = next else {
            report.parked = parked.into_iter().map(|one| stays(one, &failed)).collect();
            return Ok(());
        };
        let one = parked.swap_remove(at);
        if !clone.may_go_on() {
            failed.insert(one.what, "there was no time left for it".to_owned());
            continue;
        }
        let edits = one.comeback.unwrap_or_default();
        match clone.carry_out(&guest, &one.check, edits)? {
            Ok(()) => {
                let is_whole = units::came_back(legacy, &one.what);
                clone.store.keep(legacy)?;
                if is_whole {
                    let Parked { what, target, source, .. } = one;
                    report.back.push(Back { what, target, source });
                }
            }
            Err(why) => {
                failed.insert(one.what, why);
            }
        }
    }
}

fn all(guest: &Guest, legacy: &Legacy) -> Vec<Parked> {
    let mut parked = lines::crypttab(guest, legacy);
    parked.extend(lines::fstab(guest, legacy));
    parked.extend(units::masked(guest, legacy));
    parked
}

fn stays(one: Parked, failed: &BTreeMap<String, String>) -> Stays {
    let why = match (failed.get(&one.what), one.comeback) {
        (Some(why), _) => why.clone(),
        (None, Err(why)) => why,
        (None, Ok(_)) => String::new(),
    };
    Stays { what: one.what, target: one.target, why }
}
