//! Which item needs which, and which are absent on a clone because of another.

use super::{Absence, BootItem, ItemKind, Place};
use crate::model::GuestPath;
use crate::parse::source::Source;
use crate::parse::unit_name;

/// Find what every item needs.
///
/// systemd makes a mount require the mounts that its target and, for bind mounts and loop files,
/// its source lie in, `noauto` ones too (RequiresMountsFor= in systemd.unit(5)); the scripts of
/// older releases fail at the same place for want of the directory.
pub fn link(items: &mut [BootItem]) {
    for at in 0..items.len() {
        let mut needs = Vec::new();
        let item = &items[at];
        if let Place::Inside(path) = &item.place {
            needs.extend(mount_holding(items, at, path));
        }
        if item.kind == ItemKind::Mount
            && let Some(target) = &item.target
        {
            needs.extend(mount_holding(items, at, &target.parent()).filter(|other| {
                items[*other].target.as_ref().is_some_and(|above| target.is_below(above))
            }));
        }
        for path in item.options.values("x-systemd.requires-mounts-for") {
            needs.extend(mount_holding(items, at, &GuestPath::new(path)));
        }
        for named in item.options.values("x-systemd.requires") {
            needs.extend(mount_named(items, at, named));
        }
        if item.fstype.as_bytes() == b"overlay" {
            for option in ["lowerdir", "upperdir", "workdir"] {
                for path in item.options.values(option).flat_map(|v| v.split(|b| *b == b':')) {
                    needs.extend(mount_holding(items, at, &GuestPath::new(path)));
                }
            }
        }
        if let Source::Path(path) = &item.source {
            let path = GuestPath::new(path);
            needs.extend(items.iter().enumerate().position(|(other, candidate)| {
                other != at
                    && candidate.kind == ItemKind::Crypt
                    && candidate.target.as_ref() == Some(&path)
            }));
        }
        needs.sort_unstable();
        needs.dedup();
        items[at].needs = needs;
    }
}

/// The mount that `x-systemd.requires=` names, by its mount point or as a unit (systemd.mount(5)).
fn mount_named(items: &[BootItem], own: usize, named: &[u8]) -> Option<usize> {
    let path = match named.strip_suffix(b".mount") {
        Some(stem) => unit_name::unescape_path(stem)?,
        None => named.to_vec(),
    };
    let target = path.starts_with(b"/").then(|| GuestPath::new(&path));
    items.iter().enumerate().position(|(at, item)| {
        at != own
            && matches!(item.kind, ItemKind::Mount | ItemKind::Automount)
            && item.target.is_some()
            && item.target == target
    })
}

/// The mount with the deepest target at or above a path, `/` and the item itself left out.
fn mount_holding(items: &[BootItem], own: usize, path: &GuestPath) -> Option<usize> {
    items
        .iter()
        .enumerate()
        .filter(|(at, item)| {
            *at != own
                && matches!(item.kind, ItemKind::Mount | ItemKind::Automount)
                && item
                    .target
                    .as_ref()
                    .is_some_and(|target| target.as_bytes() != b"/" && path.is_within(target))
        })
        .max_by_key(|(_, item)| item.target.as_ref().map_or(0, |t| t.as_bytes().len()))
        .map(|(at, _)| at)
}

/// Say of every item whether a clone lacks it: by itself, or through what it needs.
pub fn settle(items: &mut [BootItem]) {
    for at in 0..items.len() {
        let opened_by_crypttab =
            items[at].needs.iter().any(|other| items[*other].kind == ItemKind::Crypt);
        items[at].absence = match &items[at].place {
            Place::Data { .. } => Absence::Own,
            // A volume that crypttab opens is where its device is.
            Place::Missing | Place::Untold(_) if opened_by_crypttab => Absence::Present,
            Place::Missing => Absence::Own,
            // By its old serial number the clone's system disk is not found.
            Place::Serial { .. } => Absence::Own,
            Place::Untold(why) => Absence::Untold(why.clone()),
            Place::System { .. } | Place::NoDevice | Place::Inside(_) => Absence::Present,
        };
    }
    // Each round settles at least one item, or none is left to settle.
    for _ in 0..items.len() {
        let mut changed = false;
        for at in 0..items.len() {
            if items[at].absence != Absence::Present {
                continue;
            }
            let absent = |other: &&usize| {
                matches!(items[**other].absence, Absence::Own | Absence::Through(_))
            };
            let next = if let Some(other) = items[at].needs.iter().find(absent) {
                Absence::Through(*other)
            } else if let Some(why) =
                items[at].needs.iter().find_map(|other| match &items[*other].absence {
                    Absence::Untold(why) => Some(why.clone()),
                    _ => None,
                })
            {
                Absence::Untold(why)
            } else {
                continue;
            };
            items[at].absence = next;
            changed = true;
        }
        if !changed {
            break;
        }
    }
}
