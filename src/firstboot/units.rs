//! The mount, automount and swap units that were masked, and what each of them waits for.

use super::comeback::Parked;
use super::lines::{device, is_the_same, runs_systemd};
use crate::change::{Legacy, MaskedUnit, UnitFile};
use crate::guest::{Guest, Unknown};
use crate::model::{ByteString, Edit, GuestPath};
use crate::parse::source::Source;

/// The check that masks units.
const CHECK: &str = "mount-unit-data-disk";
/// What follows the name of a unit whose mask is gone and whose file is still to be written.
const FILE: &str = " (its file)";

/// The units that this clone's source masked.
pub fn masked(guest: &Guest, legacy: &Legacy) -> Vec<Parked> {
    legacy.units.iter().map(|masked| judged(guest, legacy, masked)).collect()
}

fn judged(guest: &Guest, legacy: &Legacy, masked: &MaskedUnit) -> Parked {
    let carried = legacy.carried(&ByteString::from(masked.unit.as_str()));
    let source = carried.map(|carried| carried.source.to_string());
    let (what, comeback) = match stands(guest, &masked.unit) {
        Ok(stands) => {
            let suffix = if stands == Stands::Nothing { FILE } else { "" };
            (format!("{}{suffix}", masked.unit), back(guest, legacy, masked, stands))
        }
        Err(Unknown(why)) => (masked.unit.clone(), Err(why)),
    };
    Parked {
        what,
        target: masked.unit.clone(),
        source: source.unwrap_or_else(|| "-".to_owned()),
        check: CHECK.to_owned(),
        comeback,
    }
}

/// What stands where the mask stood.
#[derive(PartialEq, Eq)]
enum Stands {
    Mask,
    Nothing,
    Other,
}

fn path_of(unit: &str) -> GuestPath {
    GuestPath::from(format!("/etc/systemd/system/{unit}").as_str())
}

fn stands(guest: &Guest, unit: &str) -> Result<Stands, Unknown> {
    let path = path_of(unit);
    Ok(match guest.root().read_link(&path)? {
        Some(target) if target == b"/dev/null" => Stands::Mask,
        Some(_) => Stands::Other,
        None if guest.root().lstat(&path)?.is_none() => Stands::Nothing,
        None => Stands::Other,
    })
}

fn back(
    guest: &Guest,
    legacy: &Legacy,
    masked: &MaskedUnit,
    stands: Stands,
) -> Result<Vec<Edit>, String> {
    let known = |Unknown(why)| why;
    let carried = legacy
        .carried(&ByteString::from(masked.unit.as_str()))
        .ok_or_else(|| "what it mounts was not noted".to_owned())?;
    let source = Source::parse(carried.source.as_bytes());
    let device = device(&guest.place(&source, None).map_err(known)?)?;
    is_the_same(guest, device, carried)?;
    if !runs_systemd(guest).map_err(known)? {
        return Err("systemd does not run".to_owned());
    }
    let path = path_of(&masked.unit);
    let start = Edit::Start { unit: masked.unit.clone(), wait: true };
    match (stands, &masked.before) {
        (Stands::Mask, None) => Ok(vec![Edit::Remove { path }, start]),
        // The mask goes first: one plan has one thing to do with a name.
        (Stands::Mask, Some(UnitFile::File { .. })) => Ok(vec![Edit::Remove { path }]),
        (Stands::Nothing, Some(UnitFile::File { content, mode })) => {
            let content = content.clone();
            Ok(vec![Edit::WriteFile { path, content, mode: *mode }, start])
        }
        (Stands::Mask, Some(UnitFile::Link(target))) => {
            Err(format!("its unit was a link; `systemctl link {target}` makes it again"))
        }
        (Stands::Nothing | Stands::Other, _) => {
            Err("somebody else has changed it since".to_owned())
        }
    }
}

/// Note that something came back. Whether it is whole: of a unit that had a file the mask goes
/// first, and its file comes next.
pub fn came_back(legacy: &mut Legacy, what: &str) -> bool {
    let unit = what.strip_suffix(FILE).unwrap_or(what);
    let Some(at) = legacy.units.iter().position(|known| known.unit == unit) else { return true };
    if legacy.units[at].before.is_some() && !what.ends_with(FILE) {
        return false;
    }
    legacy.units.remove(at);
    true
}
