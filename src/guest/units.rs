//! The mount, automount and swap units that boot would start: those that some target wants or
//! requires through a link in its `.wants` or `.requires` directory.

use super::{Fact, Guest};
use crate::model::{ByteString, GuestPath};
use crate::parse::unit::{self, Settings, UnitFile};

/// Where units lie, the operator's before the distribution's (systemd.unit(5)). /run is not in an
/// image.
const DIRECTORIES: [&str; 3] =
    ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];

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
    let directories = directories(guest)?;
    let mut units: Vec<BootUnit> = Vec::new();
    for (puller, required, name) in pulled(guest, &directories)? {
        if ![".mount", ".automount", ".swap"].iter().any(|s| name.ends_with(s)) {
            continue;
        }
        match units.iter_mut().find(|u| u.name == name) {
            Some(unit) => unit.pulled_by.push((puller, required)),
            None => units.extend(
                load(guest, &directories, &name)?
                    .map(|unit| BootUnit { pulled_by: vec![(puller, required)], ..unit }),
            ),
        }
    }
    // What an automount unit mounts on access is in the mount unit beside it, which nothing pulls.
    for unit in &mut units {
        if let Some(stem) = unit.name.strip_suffix(".automount")
            && let Some(mount) = load(guest, &directories, &format!("{stem}.mount"))?
        {
            unit.what = mount.what;
            unit.fstype = mount.fstype;
            unit.options = mount.options;
        }
    }
    units.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(UnitTable { units })
}

fn directories(guest: &Guest) -> Fact<Vec<&'static str>> {
    let mut directories = DIRECTORIES.to_vec();
    // DISTRO(debian 11, ubuntu 20.04): guests installed before the merge of /usr have a /lib of
    // their own.
    if guest.root().read_link(&GuestPath::from("/lib"))?.is_none() {
        directories.push("/lib/systemd/system");
    }
    Ok(directories)
}

/// Every link in a `.wants` or `.requires` directory: the unit that pulls, whether it requires,
/// and the unit that is pulled.
fn pulled(guest: &Guest, directories: &[&str]) -> Fact<Vec<(String, bool, String)>> {
    let mut found = Vec::new();
    for directory in directories {
        let directory = GuestPath::from(*directory);
        for sub in guest.root().list(&directory)?.unwrap_or_default() {
            let Some((puller, required)) = puller(&sub) else { continue };
            let Ok(Some(names)) = guest.root().list(&directory.join(&sub)) else { continue };
            let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
            found.extend(names.map(|name| (puller.clone(), required, name)));
        }
    }
    Ok(found)
}

/// The unit that a directory of links belongs to, and whether it requires them.
fn puller(directory: &[u8]) -> Option<(String, bool)> {
    let name = std::str::from_utf8(directory).ok()?;
    match name.strip_suffix(".requires") {
        Some(unit) => Some((unit.to_owned(), true)),
        None => name.strip_suffix(".wants").map(|unit| (unit.to_owned(), false)),
    }
}

/// The paths that services which boot would start require to be mounted (`RequiresMountsFor=`),
/// each with the service's name.
pub(super) fn required_mounts(guest: &Guest) -> Fact<Vec<(String, GuestPath)>> {
    let directories = directories(guest)?;
    let mut found = Vec::new();
    for (_, _, name) in pulled(guest, &directories)? {
        if !name.ends_with(".service") {
            continue;
        }
        let Some((_, settings)) = read_unit(guest, &directories, &name)? else { continue };
        for value in settings.get_all("Unit", "RequiresMountsFor") {
            let paths = unit::words(value).into_iter().filter(|word| word.starts_with(b"/"));
            found.extend(paths.map(|path| (name.clone(), GuestPath::new(&path))));
        }
    }
    Ok(found)
}

/// A unit with its drop-ins; `None` when it has no file, or is masked.
fn load(guest: &Guest, directories: &[&str], name: &str) -> Fact<Option<BootUnit>> {
    let read = read_unit(guest, directories, name)?;
    Ok(read.map(|(path, settings)| from_settings(name, path, &settings)))
}

/// A unit's file and its settings with those of its drop-ins.
fn read_unit(
    guest: &Guest,
    directories: &[&str],
    name: &str,
) -> Fact<Option<(GuestPath, Settings)>> {
    for directory in directories {
        let path = GuestPath::from(format!("{directory}/{name}").as_str());
        if guest.root().read_link(&path)?.as_deref() == Some(b"/dev/null") {
            return Ok(None);
        }
        let Some(text) = guest.file(&path)? else { continue };
        if text.is_empty() {
            return Ok(None); // An empty file masks too (systemd.unit(5)).
        }
        let base = UnitFile::parse(&text);
        let settings = unit::merge(&base, &drop_ins(guest, directories, name)?);
        return Ok(Some((path, settings)));
    }
    Ok(None)
}

fn drop_ins(guest: &Guest, directories: &[&str], name: &str) -> Fact<Vec<UnitFile>> {
    let mut files: Vec<(Vec<u8>, GuestPath)> = Vec::new();
    for directory in directories {
        let directory = GuestPath::from(format!("{directory}/{name}.d").as_str());
        for file in guest.root().list(&directory)?.unwrap_or_default() {
            // A name in an earlier directory hides the same name in a later one.
            if file.ends_with(b".conf") && !files.iter().any(|(known, _)| *known == file) {
                let path = directory.join(&file);
                files.push((file, path));
            }
        }
    }
    files.sort();
    let mut parsed = Vec::new();
    for (_, path) in files {
        if let Some(text) = guest.file(&path)? {
            parsed.push(UnitFile::parse(&text));
        }
    }
    Ok(parsed)
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
