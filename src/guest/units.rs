//! The mount, automount and swap units that boot would start: those that some target wants or
//! requires through a link in its `.wants` or `.requires` directory.

use super::{Fact, Guest};
use crate::model::{ByteString, GuestPath};
use crate::parse::unit::{self, Settings};

/// A unit that boot would start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootUnit {
    /// Its full name.
    pub name: String,
    /// Its file.
    pub path: GuestPath,
    /// `What=`; empty for an automount.
    pub what: ByteString,
    /// `Where=`; none for a swap.
    pub target: Option<GuestPath>,
    /// `Type=`.
    pub fstype: ByteString,
    /// `Options=`.
    pub options: ByteString,
    /// The units that pull it in, and whether they require it.
    pub pulled_by: Vec<(String, bool)>,
}

impl BootUnit {
    /// Whether it is an automount unit.
    pub fn is_automount(&self) -> bool {
        self.name.ends_with(".automount")
    }

    /// Whether it is a swap unit.
    pub fn is_swap(&self) -> bool {
        self.name.ends_with(".swap")
    }
}

/// Every unit that boot would start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitTable {
    /// Sorted by name.
    pub units: Vec<BootUnit>,
}

pub(super) fn read(guest: &Guest) -> Fact<UnitTable> {
    let mut units: Vec<BootUnit> = Vec::new();
    for link in guest.unit_files()?.links() {
        if ![".mount", ".automount", ".swap"].iter().any(|s| link.name.ends_with(s)) {
            continue;
        }
        let pulled_by = (link.puller.clone(), link.required);
        match units.iter_mut().find(|u| u.name == link.name) {
            Some(unit) => unit.pulled_by.push(pulled_by),
            None => units.extend(
                load(guest, &link.name)?
                    .map(|unit| BootUnit { pulled_by: vec![pulled_by], ..unit }),
            ),
        }
    }
    // What an automount unit mounts on access is in the mount unit beside it, which nothing pulls.
    for unit in &mut units {
        if let Some(stem) = unit.name.strip_suffix(".automount")
            && let Some(mount) = load(guest, &format!("{stem}.mount"))?
        {
            unit.what = mount.what;
            unit.fstype = mount.fstype;
            unit.options = mount.options;
        }
    }
    units.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(UnitTable { units })
}

/// The paths that services which boot would start require to be mounted (`RequiresMountsFor=`),
/// each with the service's name.
pub(super) fn required_mounts(guest: &Guest) -> Fact<Vec<(String, GuestPath)>> {
    let files = guest.unit_files()?;
    let mut found = Vec::new();
    for name in files.links().iter().map(|link| &link.name) {
        if !name.ends_with(".service") {
            continue;
        }
        let Some(unit) = files.load(guest, name)? else { continue };
        let settings = &unit.settings;
        for value in settings.get_all("Unit", "RequiresMountsFor") {
            let paths = unit::words(value).into_iter().filter(|word| word.starts_with(b"/"));
            found.extend(paths.map(|path| (name.clone(), GuestPath::new(&path))));
        }
    }
    Ok(found)
}

/// A unit with its drop-ins; `None` when it has no file, or is masked.
fn load(guest: &Guest, name: &str) -> Fact<Option<BootUnit>> {
    let read = guest.unit_files()?.load(guest, name)?;
    Ok(read.map(|unit| from_settings(name, unit.path.clone(), &unit.settings)))
}

fn from_settings(name: &str, path: GuestPath, settings: &Settings) -> BootUnit {
    let section = if name.ends_with(".swap") {
        "Swap"
    } else if name.ends_with(".automount") {
        "Automount"
    } else {
        "Mount"
    };
    let get = |key: &str| ByteString::from(settings.get_last(section, key).unwrap_or_default());
    BootUnit {
        name: name.to_owned(),
        path,
        what: get("What"),
        target: settings.get_last(section, "Where").map(GuestPath::new),
        fstype: get("Type"),
        options: get("Options"),
        pulled_by: Vec::new(),
    }
}
