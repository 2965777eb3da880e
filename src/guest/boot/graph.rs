//! Which item needs which, and which are absent on a clone because of another.

use std::collections::HashMap;

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
    let needs = {
        let targets = Targets::of(items);
        (0..items.len()).map(|at| needs(items, &targets, at)).collect::<Vec<_>>()
    };
    for (item, needs) in items.iter_mut().zip(needs) {
        item.needs = needs;
    }
}

fn needs(items: &[BootItem], targets: &Targets<'_>, at: usize) -> Vec<usize> {
    let mut needs = Vec::new();
    let item = &items[at];
    if let Place::Inside(path) = &item.place {
        needs.extend(targets.mount_holding(at, path));
    }
    if item.kind == ItemKind::Mount
        && let Some(target) = &item.target
    {
        needs.extend(targets.mount_holding(at, &target.parent()).filter(|other| {
            items[*other].target.as_ref().is_some_and(|above| target.is_below(above))
        }));
    }
    for path in item.options.values("x-systemd.requires-mounts-for") {
        needs.extend(targets.mount_holding(at, &GuestPath::new(path)));
    }
    for named in item.options.values("x-systemd.requires") {
        needs.extend(targets.mount_named(at, named));
    }
    if item.fstype.as_bytes() == b"overlay" {
        for option in ["lowerdir", "upperdir", "workdir"] {
            for path in item.options.values(option).flat_map(|v| v.split(|b| *b == b':')) {
                needs.extend(targets.mount_holding(at, &GuestPath::new(path)));
            }
        }
    }
    if let Source::Path(path) = &item.source {
        needs.extend(targets.volume(at, &GuestPath::new(path)));
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Which items stand for a path, in their order. A file may name many thousands.
struct Targets<'a> {
    mounts: HashMap<&'a [u8], Vec<usize>>,
    volumes: HashMap<&'a [u8], Vec<usize>>,
}

impl<'a> Targets<'a> {
    fn of(items: &'a [BootItem]) -> Self {
        let mut targets = Self { mounts: HashMap::new(), volumes: HashMap::new() };
        for (at, item) in items.iter().enumerate() {
            let Some(target) = &item.target else { continue };
            let of_kind = match item.kind {
                ItemKind::Mount | ItemKind::Automount => &mut targets.mounts,
                ItemKind::Crypt => &mut targets.volumes,
                ItemKind::Swap => continue,
            };
            of_kind.entry(target.as_bytes()).or_default().push(at);
        }
        targets
    }

    /// The mount with the deepest target at or above a path, `/` and the item itself left out.
    fn mount_holding(&self, own: usize, path: &GuestPath) -> Option<usize> {
        let itself = Some(path.as_bytes()).filter(|path| *path != b"/");
        itself
            .into_iter()
            .chain(path.ancestors())
            .find_map(|target| self.mounts.get(target)?.iter().rev().copied().find(|at| *at != own))
    }

    /// The mount that `x-systemd.requires=` names, by its mount point or as a unit (systemd.mount(5)).
    fn mount_named(&self, own: usize, named: &[u8]) -> Option<usize> {
        let path = match named.strip_suffix(b".mount") {
            Some(stem) => unit_name::unescape_path(stem)?,
            None => named.to_vec(),
        };
        let target = path.starts_with(b"/").then(|| GuestPath::new(&path))?;
        self.mounts.get(target.as_bytes())?.iter().copied().find(|at| *at != own)
    }

    /// The volume that a line of crypttab opens by this name.
    fn volume(&self, own: usize, path: &GuestPath) -> Option<usize> {
        self.volumes.get(path.as_bytes())?.iter().copied().find(|at| *at != own)
    }
}

/// Say of every item whether a clone lacks it: by itself, or through what it needs.
pub fn settle(items: &mut [BootItem]) {
    for at in 0..items.len() {
        let opened_by_crypttab =
            items[at].needs.iter().any(|other| items[*other].kind == ItemKind::Crypt);
        items[at].absence = match &items[at].place {
            Place::Data { .. } => Absence::Own,
            // A volume that crypttab opens is where its device is.
            Place::Missing | Place::Untold(_) | Place::Closed { .. } if opened_by_crypttab => {
                Absence::Present
            }
            Place::Missing | Place::Closed { .. } => Absence::Own,
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
