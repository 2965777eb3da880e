//! The time daemons of the guest, and where each takes the time from.
//!
//! For probes. Read from configuration alone: whether a server answers is not asked, and servers
//! that DHCP adds below /run are not known.

use super::{Fact, Guest, Service};
use crate::model::GuestPath;
use crate::parse::time_sources::{self, Directive};
use crate::parse::unit::{self, UnitFile};

/// Files that include one another are followed this far.
const MAX_FILES: usize = 64;

/// What kind of daemon it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chrony,
    Ntpd,
    OpenNtpd,
    Timesyncd,
}

/// The names of their services, on one distribution or another.
const SERVICES: [(&str, Kind); 7] = [
    ("chronyd", Kind::Chrony),
    ("chrony", Kind::Chrony),
    ("ntpsec", Kind::Ntpd),
    ("ntpd", Kind::Ntpd),
    ("ntp", Kind::Ntpd),
    ("openntpd", Kind::OpenNtpd),
    ("systemd-timesyncd", Kind::Timesyncd),
];

/// A time daemon that boot starts.
#[derive(Clone, Debug)]
pub struct TimeDaemon {
    /// Its service.
    pub service: Service,
    /// Its main configuration, where it is or would be.
    pub config: GuestPath,
    /// The servers that are configured, with file and line.
    pub servers: Vec<(GuestPath, usize, String)>,
    /// Whether it has a clock of the machine as a source, or is built with servers of its
    /// distribution that hold where none is configured.
    pub other: OtherSource,
}

/// A source of time that is no configured server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherSource {
    /// There is none.
    None,
    /// A reference clock.
    Clock,
    /// The servers that it was built with.
    BuiltIn,
}

impl Guest {
    /// Every time daemon that boot starts.
    ///
    /// # Errors
    /// When a service or a file of configuration cannot be read.
    pub fn time_daemons(&self) -> Fact<Vec<TimeDaemon>> {
        let mut found: Vec<TimeDaemon> = Vec::new();
        for (name, kind) in SERVICES {
            let Some(service) = self.service(name)? else { continue };
            let is_known = found.iter().any(|daemon| daemon.service.name == service.name);
            if service.starts.is_enabled() && !is_known {
                found.push(describe(self, service, kind)?);
            }
        }
        if found.len() > 1 && timesyncd_steps_aside(self)? {
            found.retain(|daemon| daemon.service.name != "systemd-timesyncd");
        }
        Ok(found)
    }
}

fn describe(guest: &Guest, service: Service, kind: Kind) -> Fact<TimeDaemon> {
    let candidates: &[&str] = match kind {
        Kind::Chrony => &["/etc/chrony/chrony.conf", "/etc/chrony.conf"],
        Kind::Ntpd => &["/etc/ntpsec/ntp.conf", "/etc/ntp.conf"],
        Kind::OpenNtpd => &["/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"],
        Kind::Timesyncd => &["/etc/systemd/timesyncd.conf"],
    };
    let mut config = GuestPath::from(candidates[candidates.len() - 1]);
    for path in candidates.iter().map(|path| GuestPath::from(*path)) {
        if guest.stat(&path)?.is_some() {
            config = path;
            break;
        }
    }
    let mut daemon = TimeDaemon { service, config, servers: Vec::new(), other: OtherSource::None };
    if kind == Kind::Timesyncd {
        read_timesyncd(guest, &mut daemon)?;
    } else {
        read_files(guest, &mut daemon)?;
    }
    Ok(daemon)
}

/// Follow a daemon's configuration through the files that it names.
fn read_files(guest: &Guest, daemon: &mut TimeDaemon) -> Fact<()> {
    let mut queue = vec![daemon.config.clone()];
    let mut seen: Vec<GuestPath> = Vec::new();
    while let Some(path) = queue.pop() {
        if seen.contains(&path) || seen.len() >= MAX_FILES {
            continue;
        }
        seen.push(path.clone());
        let Some(text) = guest.file(&path)? else { continue };
        for (line, directive) in time_sources::directives(&text) {
            match directive {
                Directive::Server(name) => daemon.servers.push((path.clone(), line, name)),
                Directive::Clock => daemon.other = OtherSource::Clock,
                Directive::Include(pattern) => queue.extend(matching(guest, &pattern)?),
                Directive::ConfigDirectory(directory) => {
                    queue.extend(matching(guest, &format!("{directory}/*.conf"))?);
                }
                Directive::SourceDirectory(directory) => {
                    queue.extend(matching(guest, &format!("{directory}/*.sources"))?);
                }
            }
        }
    }
    Ok(())
}

/// The files that a path with `*` in its last part names, below /etc and the like: what lies in
/// /run is not in an image.
fn matching(guest: &Guest, pattern: &str) -> Fact<Vec<GuestPath>> {
    let (directory, name) = pattern.rsplit_once('/').unwrap_or(("/", pattern));
    if directory == "/run" || directory.starts_with("/run/") || directory.starts_with("/var/run/") {
        return Ok(Vec::new());
    }
    let Some((before, after)) = name.split_once('*') else {
        return Ok(vec![GuestPath::from(pattern)]);
    };
    let directory = GuestPath::from(directory);
    let names = guest.root().list(&directory)?.unwrap_or_default();
    let is_match = |name: &&Vec<u8>| {
        name.len() >= before.len() + after.len()
            && name.starts_with(before.as_bytes())
            && name.ends_with(after.as_bytes())
            && !name.starts_with(b".")
    };
    Ok(names.iter().filter(is_match).map(|name| directory.join(name)).collect())
}

/// timesyncd.conf(5): `NTP=`, and where that is empty, `FallbackNTP=`, and where that is not set,
/// what the distribution built in.
fn read_timesyncd(guest: &Guest, daemon: &mut TimeDaemon) -> Fact<()> {
    let mut paths = vec![daemon.config.clone()];
    for directory in ["/usr/lib/systemd/timesyncd.conf.d", "/etc/systemd/timesyncd.conf.d"] {
        paths.extend(matching(guest, &format!("{directory}/*.conf"))?);
    }
    let (mut servers, mut fallback, mut has_fallback) = (Vec::new(), Vec::new(), false);
    for path in paths {
        let Some(text) = guest.file(&path)? else { continue };
        for assignment in UnitFile::parse(&text).settings().assignments() {
            let list = match assignment.key.as_slice() {
                b"NTP" => &mut servers,
                b"FallbackNTP" => {
                    has_fallback = true;
                    &mut fallback
                }
                _ => continue,
            };
            if assignment.value.is_empty() {
                list.clear();
            }
            for word in unit::words(&assignment.value) {
                let name = String::from_utf8_lossy(&word).into_owned();
                list.push((path.clone(), assignment.line, name));
            }
        }
    }
    if servers.is_empty() && !has_fallback {
        daemon.other = OtherSource::BuiltIn;
    }
    daemon.servers = if servers.is_empty() { fallback } else { servers };
    Ok(())
}

/// DISTRO(debian 8 to 10, ubuntu 16.04 to 19.10): their timesyncd has a drop-in with conditions
/// under which it leaves the clock to the daemon of another package.
fn timesyncd_steps_aside(guest: &Guest) -> Fact<bool> {
    for root in ["/usr/lib", "/lib"] {
        let path = format!(
            "{root}/systemd/system/systemd-timesyncd.service.d/disable-with-time-daemon.conf"
        );
        if guest.stat(&GuestPath::from(path.as_str()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
