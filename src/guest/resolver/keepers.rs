//! Where each owner of resolv.conf takes the resolver's options from.

use crate::guest::{Fact, Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::fields::trim;
use crate::parse::ini::Ini;
use crate::parse::key_value::KeyValue;
use crate::parse::resolv_conf::{ResolvConf, words};

/// A place that holds resolver options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// The file.
    pub path: GuestPath,
    /// The line of the setting; `None` where the file does not say it yet.
    pub line: Option<usize>,
    /// The option words that it holds.
    pub options: Vec<Vec<u8>>,
    /// How it writes them.
    pub notation: Notation,
}

/// How a file writes resolver options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notation {
    /// A shell variable of that name, words separated by blanks.
    Variable(&'static str),
    /// `dns-options` of a keyfile's `[ipv4]`, whose heading stands on that line.
    Keyfile {
        /// The line of the heading; `None` where there is no such section.
        heading: Option<usize>,
    },
    /// `options` of NetworkManager's `[global-dns]`: read, never written.
    GlobalDns,
    /// `options` lines, as in resolv.conf itself.
    Lines,
}

const SCRIPTS: &str = "/etc/sysconfig/network-scripts";
const KEYFILES: &str = "/etc/NetworkManager/system-connections";

/// The places of dhclient-script of Enterprise Linux, which reads /etc/sysconfig/network and then the interface's file,
/// and writes what `RES_OPTIONS` is then. None where no interface that gets a lease lets it write.
pub(super) fn dhclient(guest: &Guest) -> Fact<Vec<Keeper>> {
    let common = variable(guest, "/etc/sysconfig/network", "RES_OPTIONS")?;
    let mut keepers: Vec<Keeper> = Vec::new();
    for (path, file) in interface_files(guest)? {
        let value = |key: &str| file.get(key).unwrap_or_default().to_ascii_lowercase();
        if !matches!(value("BOOTPROTO").as_slice(), b"dhcp" | b"bootp") || value("PEERDNS") == b"no"
        {
            continue;
        }
        let own = of_variable(&path, &file, "RES_OPTIONS")?;
        let keeper = if own.line.is_some() { own } else { common.clone() };
        if !keepers.contains(&keeper) {
            keepers.push(keeper);
        }
    }
    Ok(keepers)
}

/// The places of NetworkManager: each profile by itself. `None` where it is told to leave resolv.conf alone.
pub(super) fn network_manager(guest: &Guest) -> Fact<Option<Vec<Keeper>>> {
    let mut global = None;
    for path in configuration(guest)? {
        let Some(content) = guest.file(path.clone())? else { continue };
        let file = Ini::parse(&content);
        refuse_errors(&path, file.errors())?;
        let is = |key: &str, word: &[u8]| file.get(b"main", key) == Some(word);
        // NetworkManager.conf(5): none "implies rc-manager unmanaged".
        if is("dns", b"none") || is("rc-manager", b"unmanaged") {
            return Ok(None);
        }
        // Without a section for the domains of all, older versions ignore the global options.
        let is_in_use = file.sections().iter().any(|s| s.name == b"global-dns-domain-*");
        if let Some(setting) = file.last(b"global-dns", "options")
            && is_in_use
        {
            global = Some(Keeper {
                path: path.clone(),
                line: Some(setting.line),
                options: list(&setting.value),
                notation: Notation::GlobalDns,
            });
        }
    }
    if let Some(keeper) = global {
        return Ok(Some(vec![keeper]));
    }
    let mut keepers = Vec::new();
    for (path, file) in interface_files(guest)? {
        if file.get("NM_CONTROLLED").is_some_and(|value| value.eq_ignore_ascii_case(b"no")) {
            continue;
        }
        keepers.push(of_variable(&path, &file, "RES_OPTIONS")?);
    }
    let names = guest.root().list(&GuestPath::from(KEYFILES))?.unwrap_or_default();
    for name in names.into_iter().filter(|name| is_current(name)) {
        let path = GuestPath::from(KEYFILES).join(&name);
        let Some(content) = guest.file(path.clone())? else { continue };
        let file = Ini::parse(&content);
        refuse_errors(&path, file.errors())?;
        let is_wired = matches!(
            file.get(b"connection", "type"),
            Some(b"ethernet" | b"802-3-ethernet" | b"bond" | b"team" | b"vlan" | b"bridge")
        );
        let method = file.get(b"ipv4", "method").unwrap_or_default();
        if !is_wired || method == b"disabled" {
            continue;
        }
        let setting = file.last(b"ipv4", "dns-options");
        keepers.push(Keeper {
            line: setting.map(|setting| setting.line),
            options: setting.map(|setting| list(&setting.value)).unwrap_or_default(),
            notation: Notation::Keyfile {
                heading: file.sections().iter().find(|s| s.name == b"ipv4").map(|s| s.line),
            },
            path,
        });
    }
    Ok(Some(keepers))
}

/// Whether NetworkManager is there to be started at boot.
pub(super) fn network_manager_starts(guest: &Guest) -> Fact<bool> {
    let unit = "/etc/systemd/system/multi-user.target.wants/NetworkManager.service";
    Ok(guest.root().lstat(&GuestPath::from(unit))?.is_some())
}

/// The place of SUSE's netconfig(8).
pub(super) fn netconfig(guest: &Guest) -> Fact<Keeper> {
    variable(guest, "/etc/sysconfig/network/config", "NETCONFIG_DNS_RESOLVER_OPTIONS")
}

/// The place of openresolv; `None` where it is Debian's resolvconf or none.
pub(super) fn openresolv(guest: &Guest) -> Fact<Option<Keeper>> {
    let path = "/etc/resolvconf.conf";
    match guest.file(path)? {
        Some(_) => variable(guest, path, "resolv_conf_options").map(Some),
        None => Ok(None),
    }
}

/// The places of Debian's resolvconf(8): it puts these three together with what the interfaces bring.
pub(super) fn resolvconf(guest: &Guest) -> Fact<Vec<Keeper>> {
    let mut keepers = Vec::new();
    for name in ["head", "base", "tail"] {
        let path = GuestPath::from(format!("/etc/resolvconf/resolv.conf.d/{name}").as_str());
        let file = guest.file(path.clone())?.map(|c| ResolvConf::parse(&c)).unwrap_or_default();
        let line = file.option_lines().next().map(|(line, _)| line.number);
        let options: Vec<Vec<u8>> = file.options().map(<[u8]>::to_vec).collect();
        // What none of them says belongs at the end.
        if line.is_some() || (name == "tail" && keepers.is_empty()) {
            keepers.push(Keeper { path, line, options, notation: Notation::Lines });
        }
    }
    Ok(keepers)
}

/// NetworkManager.conf and its drop-ins, in the order in which they are read.
fn configuration(guest: &Guest) -> Fact<Vec<GuestPath>> {
    let mut paths = vec![GuestPath::from("/etc/NetworkManager/NetworkManager.conf")];
    for directory in ["/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"] {
        let names = guest.root().list(&GuestPath::from(directory))?.unwrap_or_default();
        let is_conf = |name: &&Vec<u8>| name.ends_with(b".conf");
        let names = names.iter().filter(is_conf);
        paths.extend(names.map(|name| GuestPath::from(directory).join(name)));
    }
    Ok(paths)
}

/// The interfaces of the network scripts, without the loopback and without what editors and rpm leave behind.
fn interface_files(guest: &Guest) -> Fact<Vec<(GuestPath, KeyValue)>> {
    let mut files = Vec::new();
    let names = guest.root().list(&GuestPath::from(SCRIPTS))?.unwrap_or_default();
    for name in names {
        let is_interface = name.starts_with(b"ifcfg-") && name != b"ifcfg-lo";
        if !is_interface || !is_current(&name) {
            continue;
        }
        let path = GuestPath::from(SCRIPTS).join(&name);
        if let Some(content) = guest.file(path.clone())? {
            files.push((path, KeyValue::parse(&content)));
        }
    }
    Ok(files)
}

/// Whether a file's name is none of a copy. NetworkManager and the network scripts skip these endings.
fn is_current(name: &[u8]) -> bool {
    const LEFT_BEHIND: [&[u8]; 7] =
        [b"~", b".bak", b".orig", b".rej", b".rpmnew", b".rpmorig", b".rpmsave"];
    !name.starts_with(b".") && !LEFT_BEHIND.iter().any(|ending| name.ends_with(ending))
}

fn variable(guest: &Guest, path: &str, name: &'static str) -> Fact<Keeper> {
    let file = guest.file(path)?.map(|content| KeyValue::parse(&content)).unwrap_or_default();
    of_variable(&GuestPath::from(path), &file, name)
}

fn of_variable(path: &GuestPath, file: &KeyValue, name: &'static str) -> Fact<Keeper> {
    let assignment = file.last(name);
    if let Some(assignment) = assignment
        && (assignment.expands || file.errors().iter().any(|error| error.line == assignment.line))
    {
        let line = assignment.line;
        return Err(Unknown(format!("{path}:{line}: what {name} is cannot be told from the text")));
    }
    Ok(Keeper {
        path: path.clone(),
        line: assignment.map(|assignment| assignment.line),
        options: assignment.map(|assignment| words(&assignment.value)).unwrap_or_default(),
        notation: Notation::Variable(name),
    })
}

/// A list of a keyfile: words separated by semicolons, the last one ended by one or not.
fn list(value: &[u8]) -> Vec<Vec<u8>> {
    value
        .split(|b| matches!(b, b';' | b','))
        .map(|word| trim(word, |b| matches!(b, b' ' | b'\t')).to_vec())
        .filter(|word| !word.is_empty())
        .collect()
}

fn refuse_errors(path: &GuestPath, errors: &[crate::parse::lines::LineError]) -> Fact<()> {
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(Unknown(format!("{path}:{}: {}", error.line, error.reason))),
    }
}
