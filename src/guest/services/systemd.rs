//! Services of systemd: what default.target pulls in, and what `[Install]` asks for.

use std::collections::{BTreeMap, BTreeSet};

use super::{LinkChange, Service, StartedBy, Starts};
use crate::guest::unit_files::{CONFIGURED, Found, UnitFiles, template};
use crate::guest::{Fact, Guest, Unknown};
use crate::model::{ByteString, GuestPath};
use crate::parse::unit::{self, Settings};

/// What every boot passes, whatever the default target's file says: these are built into systemd as
/// dependencies of what is started (systemd.service(5), "Implicit Dependencies"), or pulled in by
/// basic.target and sysinit.target (bootup(7)).
const PASSED: [&str; 8] = [
    "basic.target",
    "sysinit.target",
    "local-fs.target",
    "swap.target",
    "sockets.target",
    "timers.target",
    "paths.target",
    "slices.target",
];

/// The keys of `[Unit]` that start another unit (systemd.unit(5)).
const PULLING: [&str; 4] = ["Wants", "Requires", "BindsTo", "Upholds"];

/// Units that start another when something happens, and how they name it where it has not their
/// own name: suffix, section, key.
const TRIGGERS: [(&str, &str, &str); 3] =
    [(".socket", "Socket", "Service"), (".timer", "Timer", "Unit"), (".path", "Path", "Unit")];

/// The kinds of units; a name without one of these is a service's.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".path",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// Enabled units that name one another in `Also=` are followed this far.
const MAX_ALSO: usize = 32;

/// The units that boot starts, by their own names, and those that these may start.
#[derive(Debug, Default)]
pub struct Started {
    started: BTreeSet<String>,
    on_demand: BTreeSet<String>,
    /// Those that it would start, were they not masked.
    masked: BTreeSet<String>,
    /// The own name of every unit that a link, or the operator's directory, names.
    own: BTreeMap<String, String>,
}

impl Started {
    /// Whether boot starts a unit of this full name.
    pub fn has(&self, unit: &str) -> bool {
        self.started.contains(unit)
    }

    /// The full names of the units that are started.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.started.iter().map(String::as_str)
    }

    /// Whether boot asks for a unit of this full name: it starts it, or would, were it not masked.
    pub fn asks_for(&self, unit: &str) -> bool {
        self.started.contains(unit) || self.masked.contains(unit)
    }

    fn own<'a>(&'a self, name: &'a str) -> &'a str {
        self.own.get(name).map_or(name, String::as_str)
    }
}

/// Follow default.target through links and dependencies.
pub fn started(guest: &Guest) -> Fact<Started> {
    let mut queue: Vec<String> = PASSED.map(str::to_owned).to_vec();
    queue.push(match guest.unit_files()?.find(guest, "default.target")? {
        Found::File { name, .. } => name,
        // As a release without the link would be installed.
        Found::Nothing | Found::Masked { .. } => "multi-user.target".to_owned(),
    });
    if cloud_init_is_generated(guest)? {
        queue.push("cloud-init.target".to_owned());
    }
    started_by(guest, queue)
}

/// Follow units through links and dependencies.
pub fn started_by(guest: &Guest, mut queue: Vec<String>) -> Fact<Started> {
    let files = guest.unit_files()?;
    let mut found = Started::default();
    let linked = files.links().iter().flat_map(|link| [link.name.as_str(), &link.puller]);
    let configured = files.configured().filter(|name| is_unit(name));
    for name in linked.chain(configured) {
        if !found.own.contains_key(name) {
            found.own.insert(name.to_owned(), files.own_name(guest, name)?);
        }
    }
    let mut pulled: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for link in files.links() {
        pulled.entry(found.own(&link.puller).to_owned()).or_default().push(&link.name);
    }
    while let Some(asked) = queue.pop() {
        let name = match files.find(guest, &asked)? {
            Found::Masked { .. } => {
                found.masked.insert(asked);
                continue;
            }
            Found::File { name, .. } => name,
            Found::Nothing => asked,
        };
        if !found.started.insert(name.clone()) {
            continue;
        }
        for puller in [Some(&name), template(&name).as_ref()].into_iter().flatten() {
            queue.extend(pulled.get(puller).into_iter().flatten().map(|name| (*name).to_owned()));
        }
        let Some(unit) = files.load(guest, &name)? else { continue };
        let settings = &unit.settings;
        for key in PULLING {
            queue.extend(names(settings, "Unit", key, &name));
        }
        for (suffix, section, key) in TRIGGERS {
            let Some(stem) = name.strip_suffix(suffix) else { continue };
            let named = names(settings, section, key, &name).pop();
            let each = settings.get_last("Socket", "Accept").is_some_and(is_true);
            let own = if each { format!("{stem}@.service") } else { format!("{stem}.service") };
            let triggered = named.unwrap_or(own);
            found.on_demand.insert(files.own_name(guest, &triggered)?);
        }
    }
    Ok(found)
}

/// Whether cloud-init's generator would add cloud-init.target to what boot starts, as far as files
/// tell: a running guest's command line and the data sources that it looks for are not asked.
fn cloud_init_is_generated(guest: &Guest) -> Fact<bool> {
    let has = |path: &str| -> Fact<bool> { Ok(guest.stat(&GuestPath::from(path))?.is_some()) };
    let is_there = has("/usr/lib/systemd/system-generators/cloud-init-generator")?
        || has("/lib/systemd/system-generators/cloud-init-generator")?
        || has("/etc/systemd/system-generators/cloud-init-generator")?;
    Ok(is_there && !has("/etc/cloud/cloud-init.disabled")?)
}

/// The unit names of a list, with the instance filled in; one with any other specifier is left out.
fn names(settings: &Settings, section: &str, key: &str, unit: &str) -> Vec<String> {
    let instance = unit.split_once('@').and_then(|(_, rest)| rest.rsplit_once('.'));
    let instance = instance.map_or("", |(instance, _)| instance);
    let values = settings.get_all(section, key);
    let words = values.into_iter().flat_map(unit::words);
    words
        .filter_map(|word| String::from_utf8(word).ok())
        .map(|word| word.replace("%i", instance))
        .filter(|word| !word.contains('%'))
        .collect()
}

fn is_true(value: &[u8]) -> bool {
    matches!(value.to_ascii_lowercase().as_slice(), b"1" | b"yes" | b"y" | b"true" | b"t" | b"on")
}

/// A unit's full name.
fn full(name: &str) -> String {
    if is_unit(name) { name.to_owned() } else { format!("{name}.service") }
}

fn is_unit(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

pub fn service(guest: &Guest, asked: &str) -> Fact<Option<Service>> {
    let files = guest.unit_files()?;
    let asked = full(asked);
    let (unit, path, is_masked) = match files.find(guest, &asked)? {
        Found::Nothing => return Ok(None),
        Found::Masked { path } => (asked, path, true),
        Found::File { name, path } => (name, path, false),
    };
    let boot = guest.started()?;
    let is_of = |name: &str| name == unit || template(name).as_ref() == Some(&unit);
    let of_it = files.links().iter().filter(|l| is_of(&l.name) || is_of(boot.own(&l.name)));
    let mut links: Vec<_> = of_it.map(|link| link.path.clone()).collect();
    let aliases = aliases(files, boot, &unit);
    let on_bus = aliases.iter().any(|alias| alias.starts_with("dbus-"));
    links.extend(aliases.iter().map(|alias| configured(alias)));
    let starts = if is_masked {
        Starts::Masked
    } else if boot.started.iter().any(|name| is_of(name)) {
        Starts::AtBoot
    } else if boot.on_demand.iter().any(|name| is_of(name)) || on_bus {
        Starts::OnDemand
    } else {
        Starts::Never
    };
    let name = unit.strip_suffix(".service").unwrap_or(&unit).to_owned();
    Ok(Some(Service { name, starts, by: StartedBy::Systemd, path: Some(path), links }))
}

/// The other names that the operator's directory has for a unit.
fn aliases<'a>(files: &'a UnitFiles, boot: &Started, unit: &str) -> Vec<&'a str> {
    let is_alias = |name: &&str| is_unit(name) && *name != unit && boot.own(name) == unit;
    files.configured().filter(is_alias).collect()
}

fn configured(name: &str) -> GuestPath {
    GuestPath::from(CONFIGURED).join(name.as_bytes())
}

/// What `systemctl enable` would link (systemctl(1), systemd.unit(5) on `[Install]`).
pub fn enable(guest: &Guest, service: &Service) -> Fact<Vec<LinkChange>> {
    let files = guest.unit_files()?;
    let mut changes = Vec::new();
    let unit = full(&service.name);
    let mut has_install = false;
    for unit in with_also(guest, files, &unit)? {
        let (name, path) = match files.find(guest, &unit)? {
            Found::File { name, path } => (name, path),
            Found::Masked { path } => return Err(Unknown(format!("{path} masks {unit}"))),
            Found::Nothing => continue,
        };
        let Some(unit) = files.load(guest, &name)? else { continue };
        let settings = &unit.settings;
        let mut links: Vec<GuestPath> = Vec::new();
        for (key, kind) in [("WantedBy", "wants"), ("RequiredBy", "requires")] {
            for puller in names(settings, "Install", key, &name) {
                links.push(configured(&format!("{puller}.{kind}/{name}")));
            }
        }
        let aliases = names(settings, "Install", "Alias", &name);
        links.extend(aliases.iter().filter(|alias| **alias != name).map(|a| configured(a)));
        has_install |= !links.is_empty() || settings.get_last("Install", "Also").is_some();
        let is_instance_wanted = name.contains("@.") && !links.is_empty();
        if is_instance_wanted {
            return Err(Unknown(format!("{name} is a template: which instance is not known")));
        }
        for link in links {
            if guest.root().lstat(&link)?.is_none() {
                changes.push((link, Some(ByteString::from(path.as_bytes()))));
            }
        }
    }
    if !has_install && !service.starts.is_enabled() {
        return Err(Unknown(format!("{unit} has no [Install] section that says how to enable it")));
    }
    Ok(changes)
}

/// What `systemctl disable` would remove: every link of the operator's directory that is named as
/// the unit or leads to it.
pub fn disable(guest: &Guest, service: &Service) -> Fact<Vec<LinkChange>> {
    let (files, boot) = (guest.unit_files()?, guest.started()?);
    let unit = full(&service.name);
    let units = with_also(guest, files, &unit)?;
    let prefix = format!("{CONFIGURED}/");
    let mut changes: Vec<LinkChange> = Vec::new();
    let is_one =
        |name: &str| units.iter().any(|unit| name == unit || template(name).as_ref() == Some(unit));
    for link in files.links() {
        let is_own = is_one(&link.name) || is_one(boot.own(&link.name));
        if is_own && link.path.as_bytes().starts_with(prefix.as_bytes()) {
            changes.push((link.path.clone(), None));
        }
    }
    for unit in &units {
        changes.extend(aliases(files, boot, unit).iter().map(|name| (configured(name), None)));
    }
    changes.sort();
    changes.dedup();
    if changes.is_empty() && service.starts.is_enabled() {
        return Err(Unknown(format!(
            "{unit} is started by what its package links; only a mask keeps it from starting"
        )));
    }
    Ok(changes)
}

/// A unit and those that its `Also=` names, and theirs.
fn with_also(guest: &Guest, files: &UnitFiles, unit: &str) -> Fact<Vec<String>> {
    let mut all = vec![unit.to_owned()];
    let mut at = 0;
    while at < all.len() && all.len() < MAX_ALSO {
        if let Some(unit) = files.load(guest, &all[at])? {
            let settings = &unit.settings;
            for also in names(settings, "Install", "Also", &all[at]) {
                if !all.contains(&also) {
                    all.push(also);
                }
            }
        }
        at += 1;
    }
    Ok(all)
}
