//! Init scripts and their links in the directories of the runlevels (init(8), chkconfig(8)).

use super::{LinkChange, Service, StartedBy, Starts};
use crate::guest::{Fact, Family, Guest, Unknown};
use crate::model::{ByteString, GuestPath};
use crate::parse::init_script;
use crate::sys::FileKind;

/// The runlevels that `chkconfig NAME on` and `off` switch without `--level` (chkconfig(8)), and
/// `update-rc.d NAME disable` (update-rc.d(8)).
const SWITCHED: [char; 4] = ['2', '3', '4', '5'];

/// A link in the directory of a runlevel.
struct RcLink {
    path: GuestPath,
    level: char,
    is_start: bool,
    /// 00 to 99.
    priority: u32,
}

/// A service of a guest that System V init, or upstart with its scripts, boots.
pub fn service(guest: &Guest, name: &str) -> Fact<Option<Service>> {
    let level = default_level(guest)?;
    // S and B: what Debian and SUSE run at every boot, before the runlevel.
    described(guest, name, &|link| link.level == level || matches!(link.level, 'S' | 'B'))
}

/// A service of a systemd guest that has a script and no unit: systemd-sysv-generator(8) makes one,
/// wanted by multi-user.target for the levels 2 to 4 and by graphical.target for 5.
pub fn service_by_generator(guest: &Guest, name: &str) -> Fact<Option<Service>> {
    let Some(path) = script(guest, name)? else { return Ok(None) };
    let is_run = guest.stat(&path)?.is_some_and(|file| file.mode & 0o111 != 0);
    let is_graphical = guest.started()?.has("graphical.target");
    described(guest, name, &|link| {
        is_run && (matches!(link.level, '2' | '3' | '4') || (link.level == '5' && is_graphical))
    })
}

fn described(guest: &Guest, name: &str, starts: &dyn Fn(&RcLink) -> bool) -> Fact<Option<Service>> {
    let Some(path) = script(guest, name)? else { return Ok(None) };
    let mut links = links(guest, name)?;
    links.retain(|link| link.is_start);
    let starts = if links.iter().any(starts) { Starts::AtBoot } else { Starts::Never };
    Ok(Some(Service {
        name: name.to_owned(),
        starts,
        by: StartedBy::SysV,
        path: Some(path),
        links: links.into_iter().map(|link| link.path).collect(),
    }))
}

/// EL has the scripts below /etc/rc.d, and /etc/init.d is a link to them.
fn script(guest: &Guest, name: &str) -> Fact<Option<GuestPath>> {
    for directory in ["/etc/rc.d/init.d", "/etc/init.d"] {
        let path = GuestPath::from(directory).join(name.as_bytes());
        if guest.stat(&path)?.is_some_and(|file| file.kind == FileKind::Regular) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The runlevel that `initdefault` names in /etc/inittab (inittab(5)); 3 without one, as EL and
/// SUSE are installed, and 2 on Debian.
fn default_level(guest: &Guest) -> Fact<char> {
    let usual = if guest.os()?.family == Family::Deb { '2' } else { '3' };
    let Some(inittab) = guest.file("/etc/inittab")? else { return Ok(usual) };
    Ok(init_script::default_level(&inittab).unwrap_or(usual))
}

/// The directories of a runlevel where they are no links: EL's, SUSE's, Debian's.
fn directories(level: char) -> Vec<GuestPath> {
    let places: &[&str] = match level {
        'B' => &["/etc/init.d/boot.d", "/etc/rc.d/boot.d"],
        'S' => &["/etc/rcS.d"],
        _ => &["/etc/rc.d/rcN.d", "/etc/init.d/rcN.d", "/etc/rcN.d"],
    };
    places
        .iter()
        .map(|place| GuestPath::from(place.replace('N', &level.to_string()).as_str()))
        .collect()
}

/// The directory of a runlevel with its names.
fn listed(guest: &Guest, level: char) -> Fact<Option<(GuestPath, Vec<Vec<u8>>)>> {
    for directory in directories(level) {
        if let Some(names) = guest.root().list(&directory)? {
            return Ok(Some((directory, names)));
        }
    }
    Ok(None)
}

fn links(guest: &Guest, name: &str) -> Fact<Vec<RcLink>> {
    let mut found = Vec::new();
    for level in "BS0123456".chars() {
        let Some((directory, names)) = listed(guest, level)? else { continue };
        for file in names {
            let Some((is_start, priority, service)) = init_script::rc_link(&file) else { continue };
            if service == name.as_bytes() {
                found.push(RcLink { path: directory.join(&file), level, is_start, priority });
            }
        }
    }
    Ok(found)
}

/// What `chkconfig NAME on|off`, `update-rc.d NAME disable` or `insserv -r NAME` would change.
pub fn switch(guest: &Guest, service: &Service, enable: bool) -> Fact<Vec<LinkChange>> {
    let name = &service.name;
    let links = links(guest, name)?;
    let mut changes: Vec<LinkChange> = Vec::new();
    let family = guest.os()?.family;
    if family == Family::Deb {
        return toggled(guest, name, &links, enable);
    }
    if family == Family::Suse {
        if enable {
            return Err(Unknown(format!("insserv orders {name} anew; it has to be run")));
        }
        changes.extend(links.into_iter().map(|link| (link.path, None)));
        return Ok(changes);
    }
    let text = match &service.path {
        Some(path) => guest.file(path)?.unwrap_or_default(),
        None => Default::default(),
    };
    let declared = init_script::priorities(&text);
    let known = |is_start: bool| links.iter().find(|l| l.is_start == is_start).map(|l| l.priority);
    let start = declared.map(|(start, _)| start).or_else(|| known(true));
    let stop = declared.map(|(_, stop)| stop).or_else(|| known(false));
    // chkconfig makes either 100 less the other where only one is known.
    let priority =
        if enable { start.or(stop.map(|p| 100 - p)) } else { stop.or(start.map(|p| 100 - p)) };
    for level in SWITCHED {
        let Some((directory, _)) = listed(guest, level)? else { continue };
        let here = || links.iter().filter(|link| link.level == level);
        let wrong = here().filter(|link| link.is_start != enable);
        changes.extend(wrong.map(|link| (link.path.clone(), None)));
        if here().any(|link| link.is_start == enable) {
            continue;
        }
        let Some(priority) = priority else {
            return Err(Unknown(format!("{name} does not say when it is to be started")));
        };
        let letter = if enable { 'S' } else { 'K' };
        let link = directory.join(format!("{letter}{:02}{name}", priority.min(99)).as_bytes());
        let target = format!("../init.d/{name}");
        changes.push((link, Some(ByteString::from(target.as_str()))));
    }
    Ok(changes)
}

/// update-rc.d(8) renames the links of a script and keeps their numbers.
fn toggled(guest: &Guest, name: &str, links: &[RcLink], enable: bool) -> Fact<Vec<LinkChange>> {
    let is_switched = |link: &&RcLink| link.level == 'S' || SWITCHED.contains(&link.level);
    if links.iter().filter(is_switched).count() == 0 && enable {
        return Err(Unknown(format!("{name} has no links that update-rc.d could switch")));
    }
    let mut changes = Vec::new();
    for link in links.iter().filter(is_switched).filter(|link| link.is_start != enable) {
        let letter = if enable { 'S' } else { 'K' };
        let renamed = format!("{letter}{:02}{name}", link.priority);
        let target = guest.root().read_link(&link.path)?.map(ByteString::from);
        changes.push((link.path.clone(), None));
        changes.push((link.path.parent().join(renamed.as_bytes()), target));
    }
    Ok(changes)
}
