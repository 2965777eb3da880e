//! systemd's unit directories: which units have a file, which are masked or another's alias, and
//! which links in `.wants` and `.requires` directories pull which.
//!
//! For the rest of guest/. The directories are listed once; a unit's file is read when it is asked
//! for. What generators write below /run is not in an image and not known here.

use std::rc::Rc;

use super::kept::KeptBy;
use super::{Fact, Guest};
use crate::model::GuestPath;
use crate::parse::unit::{self, Settings, UnitFile};

/// Where units lie, the operator's before the distribution's (systemd.unit(5)). /run is not in an
/// image.
const DIRECTORIES: [&str; 3] =
    [CONFIGURED, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];

/// Where `systemctl enable` and the operator put theirs.
pub const CONFIGURED: &str = "/etc/systemd/system";

/// Aliases of aliases are followed this far.
const MAX_ALIASES: usize = 8;

/// A link in a `.wants` or `.requires` directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitLink {
    /// The link.
    pub path: GuestPath,
    /// The unit whose directory it lies in.
    pub puller: String,
    /// Whether that unit requires it, and does not only want it.
    pub required: bool,
    /// The unit that is pulled: the link's own name, whatever it leads to.
    pub name: String,
}

/// Where a unit's name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No directory has it.
    Nothing,
    /// To /dev/null or an empty file: it cannot be started (systemd.unit(5)).
    Masked {
        /// The mask.
        path: GuestPath,
    },
    /// To a file.
    File {
        /// The unit's own name, which is not the one that was asked for where that is an alias.
        name: String,
        /// The file; a template's for an instance.
        path: GuestPath,
    },
}

/// The unit directories.
#[derive(Debug, Default)]
pub struct UnitFiles {
    directories: Vec<Directory>,
    links: Vec<UnitLink>,
    /// Where names that were asked for lead, and what was read of units: several facts ask.
    found: KeptBy<String, Fact<Found>>,
    loaded: KeptBy<String, Fact<Loaded>>,
}

/// A unit as it was read; `None` when it has no file, or is masked.
type Loaded = Option<Rc<Unit>>;

/// A unit that has a file.
#[derive(Debug)]
pub struct Unit {
    /// The file.
    pub path: GuestPath,
    /// Its settings with those of its drop-ins.
    pub settings: Settings,
}

#[derive(Debug)]
struct Directory {
    path: GuestPath,
    /// Sorted.
    names: Vec<Vec<u8>>,
}

impl Directory {
    fn has(&self, name: &str) -> bool {
        self.names.binary_search_by(|known| known.as_slice().cmp(name.as_bytes())).is_ok()
    }
}

pub(super) fn read(guest: &Guest) -> Fact<UnitFiles> {
    let mut paths = DIRECTORIES.to_vec();
    // DISTRO(debian 11, ubuntu 20.04): guests installed before the merge of /usr have a /lib of
    // their own.
    if guest.root().read_link(&GuestPath::from("/lib"))?.is_none() {
        paths.push("/lib/systemd/system");
    }
    let mut files = UnitFiles::default();
    for path in paths.into_iter().map(GuestPath::from) {
        let names = guest.root().list(&path)?.unwrap_or_default();
        for sub in &names {
            let Some((puller, required)) = puller(sub) else { continue };
            let directory = path.join(sub);
            let Ok(Some(names)) = guest.root().list(&directory) else { continue };
            let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
            files.links.extend(names.map(|name| UnitLink {
                path: directory.join(name.as_bytes()),
                puller: puller.clone(),
                required,
                name,
            }));
        }
        files.directories.push(Directory { path, names });
    }
    Ok(files)
}

/// The unit that a directory of links belongs to, and whether it requires them.
fn puller(directory: &[u8]) -> Option<(String, bool)> {
    let name = std::str::from_utf8(directory).ok()?;
    match name.strip_suffix(".requires") {
        Some(unit) => Some((unit.to_owned(), true)),
        None => name.strip_suffix(".wants").map(|unit| (unit.to_owned(), false)),
    }
}

impl UnitFiles {
    /// Every link in a `.wants` or `.requires` directory.
    pub fn links(&self) -> &[UnitLink] {
        &self.links
    }

    /// The names in the operator's directory.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        let names = self.directories.first().map(|d| d.names.as_slice()).unwrap_or_default();
        names.iter().filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// Where a unit's full name leads: to its file, through aliases, or to the template of an
    /// instance.
    ///
    /// # Errors
    /// When what is there cannot be looked at.
    pub fn find(&self, guest: &Guest, name: &str) -> Fact<Found> {
        self.found.get_or_init(name.to_owned(), |name| self.follow(guest, name))
    }

    fn follow(&self, guest: &Guest, name: &str) -> Fact<Found> {
        let mut name = name.to_owned();
        for _ in 0..MAX_ALIASES {
            let Some(path) = self.path(&name) else {
                return Ok(match template(&name).and_then(|template| self.path(&template)) {
                    Some(path) if is_mask(guest, &path)? => Found::Masked { path },
                    Some(path) => Found::File { name, path },
                    None => Found::Nothing,
                });
            };
            let Some(target) = guest.root().read_link(&path)? else {
                return Ok(if is_mask(guest, &path)? {
                    Found::Masked { path }
                } else {
                    Found::File { name, path }
                });
            };
            let target = String::from_utf8_lossy(&target).into_owned();
            if target == "/dev/null" {
                return Ok(Found::Masked { path });
            }
            let (directory, base) = target.rsplit_once('/').unwrap_or((".", &target));
            // A link to a file elsewhere, or to one of the same name, makes that file the unit's;
            // to another unit it makes this name an alias.
            let is_alias = matches!(directory, "." | "") || directory.ends_with("/systemd/system");
            if !is_alias || base == name || template(&name).as_deref() == Some(base) {
                return Ok(match guest.stat(&path)? {
                    Some(file) if file.size == 0 => Found::Masked { path },
                    Some(_) => Found::File { name, path },
                    None => Found::Nothing,
                });
            }
            name = base.to_owned();
        }
        Ok(Found::Nothing)
    }

    /// A unit's own name.
    ///
    /// # Errors
    /// As [`UnitFiles::find`].
    pub fn own_name(&self, guest: &Guest, name: &str) -> Fact<String> {
        Ok(match self.find(guest, name)? {
            Found::File { name, .. } => name,
            Found::Nothing | Found::Masked { .. } => name.to_owned(),
        })
    }

    /// A unit's file and its settings with those of its drop-ins; `None` when it has no file, or
    /// is masked.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(&self, guest: &Guest, name: &str) -> Fact<Loaded> {
        let read = |name: &String| Ok(self.read(guest, name)?.map(Rc::new));
        self.loaded.get_or_init(name.to_owned(), read)
    }

    fn read(&self, guest: &Guest, name: &str) -> Fact<Option<Unit>> {
        let Found::File { name, path } = self.find(guest, name)? else { return Ok(None) };
        let Some(text) = guest.file(&path)? else { return Ok(None) };
        let base = UnitFile::parse(&text);
        let mut drop_ins = self.drop_ins(guest, &name)?;
        if let Some(template) = template(&name) {
            drop_ins.extend(self.drop_ins(guest, &template)?);
        }
        Ok(Some(Unit { path, settings: unit::merge(&base, &drop_ins) }))
    }

    /// The file of a name in the first directory that has it.
    fn path(&self, name: &str) -> Option<GuestPath> {
        let directory = self.directories.iter().find(|directory| directory.has(name))?;
        Some(directory.path.join(name.as_bytes()))
    }

    fn drop_ins(&self, guest: &Guest, name: &str) -> Fact<Vec<UnitFile>> {
        let mut files: Vec<(Vec<u8>, GuestPath)> = Vec::new();
        let own = format!("{name}.d");
        for directory in self.directories.iter().filter(|directory| directory.has(&own)) {
            let directory = directory.path.join(own.as_bytes());
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
            if guest.root().read_link(&path)?.as_deref() == Some(b"/dev/null") {
                continue; // Masked, as a unit is.
            }
            if let Some(text) = guest.file(&path)? {
                parsed.push(UnitFile::parse(&text));
            }
        }
        Ok(parsed)
    }
}

/// `getty@.service` of `getty@tty1.service`; `None` of what is no instance.
pub fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{suffix}"))
}

/// An empty file masks too (systemd.unit(5)).
fn is_mask(guest: &Guest, path: &GuestPath) -> Fact<bool> {
    Ok(guest.stat(path)?.is_some_and(|file| file.size == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        assert_eq!(template("getty@tty1.service").as_deref(), Some("getty@.service"));
        assert_eq!(template("a@b.c.mount").as_deref(), Some("a@.mount"));
        for none in ["getty@.service", "getty.service", "a@b", ""] {
            assert_eq!(template(none), None, "{none}");
        }
    }
}
