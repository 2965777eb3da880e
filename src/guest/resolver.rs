//! Who writes /etc/resolv.conf, and where that one keeps the resolver's options.
//!
//! For probes and `guestprep dns`. Says what is so, never whether it is good.

mod keepers;

use super::{Fact, FileKind, Guest};
use crate::model::GuestPath;
use crate::parse::key_value::KeyValue;
use crate::parse::resolv_conf::{ResolvConf, words};

pub use keepers::{Keeper, Notation};

/// The file.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What writes /etc/resolv.conf at boot or with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// systemd-resolved: a link into its directory, or to its static file.
    SystemdResolved,
    /// resolvconf(8) of Debian.
    Resolvconf,
    /// openresolv.
    Openresolv,
    /// NetworkManager.
    NetworkManager,
    /// dhclient-script of Enterprise Linux's network scripts.
    Dhclient,
    /// netconfig(8) of SUSE.
    Netconfig,
    /// cloud-init's module resolv_conf.
    CloudInit,
    /// A link to something that is none of these.
    Stranger,
    /// Nothing: what stands in it stays.
    Nobody,
}

impl Owner {
    /// The name that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Owner::SystemdResolved => "systemd-resolved",
            Owner::Resolvconf => "resolvconf",
            Owner::Openresolv => "openresolv",
            Owner::NetworkManager => "NetworkManager",
            Owner::Dhclient => "dhclient",
            Owner::Netconfig => "netconfig",
            Owner::CloudInit => "cloud-init",
            Owner::Stranger => "unknown",
            Owner::Nobody => "nobody",
        }
    }
}

/// The resolver's file and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// What the file says; `None` where there is none.
    pub file: Option<ResolvConf>,
    /// Where it leads, when it is a link.
    pub link: Option<GuestPath>,
    /// Whether a running guest has something mounted on it, which no image carries.
    pub is_covered: bool,
    /// Whether it is immutable, so that its owner cannot write it either.
    pub is_immutable: bool,
    /// What writes it.
    pub owner: Owner,
    /// Every place from which the owner takes the resolver's options.
    pub keepers: Vec<Keeper>,
    /// The words of `RES_OPTIONS` in /etc/environment. pam_env(8) gives them to sessions, not to services.
    pub of_sessions: Vec<Vec<u8>>,
}

impl Guest {
    /// /etc/resolv.conf, who writes it, and from what.
    ///
    /// # Errors
    /// When one of the files that tell cannot be read.
    pub fn resolver(&self) -> Fact<&Resolver> {
        super::keep(&self.facts.resolver, || read(self))
    }
}

fn read(guest: &Guest) -> Fact<Resolver> {
    let path = GuestPath::from(RESOLV_CONF);
    let link = guest.root().read_link(&path)?.map(|target| target_of(&target));
    let file = guest.file(RESOLV_CONF)?.map(|content| ResolvConf::parse(&content));
    let is_regular =
        guest.root().lstat(&path)?.is_some_and(|about| about.kind == FileKind::Regular);
    let is_immutable = is_regular && guest.flags(&path)?.is_some_and(|flags| flags.immutable);
    let is_covered = guest.kernel().is_some() && guest.mounts()?.own.at(path.as_bytes()).is_some();
    let (owner, keepers) = owner(guest, link.as_ref(), file.as_ref())?;
    let environment = guest.file("/etc/environment")?.map(|content| KeyValue::parse(&content));
    let of_sessions =
        environment.and_then(|file| file.get("RES_OPTIONS").map(words)).unwrap_or_default();
    Ok(Resolver { file, link, is_covered, is_immutable, owner, keepers, of_sessions })
}

/// A link's target as a path of the guest.
fn target_of(target: &[u8]) -> GuestPath {
    if target.starts_with(b"/") {
        return GuestPath::new(target);
    }
    // Relative to /etc; `..` above the root stays at the root.
    let mut parts: Vec<&[u8]> = vec![b"etc"];
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    GuestPath::new(&[b"/".as_slice(), &parts.join(&b'/')].concat())
}

/// The owner, by where the link leads, by what it writes at the file's head, or, of a file without a mark, by what is
/// there to write it at the next boot.
fn owner(
    guest: &Guest,
    link: Option<&GuestPath>,
    file: Option<&ResolvConf>,
) -> Fact<(Owner, Vec<Keeper>)> {
    if let Some(target) = link {
        let target = target.as_bytes();
        let target =
            target.strip_prefix(b"/var").filter(|t| t.starts_with(b"/run/")).unwrap_or(target);
        return match target {
            b"/run/systemd/resolve/stub-resolv.conf"
            | b"/run/systemd/resolve/resolv.conf"
            | b"/usr/lib/systemd/resolv.conf"
            | b"/lib/systemd/resolv.conf" => Ok((Owner::SystemdResolved, Vec::new())),
            b"/run/resolvconf/resolv.conf" | b"/etc/resolvconf/run/resolv.conf" => {
                resolvconf(guest)
            }
            b"/run/NetworkManager/resolv.conf" => network_manager(guest),
            b"/run/netconfig/resolv.conf" => netconfig(guest),
            _ => Ok((Owner::Stranger, Vec::new())),
        };
    }
    let says = |mark: &[u8]| {
        file.is_some_and(|file| file.comments().any(|comment| contains(comment, mark)))
    };
    if says(b"Generated by NetworkManager") {
        return network_manager(guest);
    }
    if says(b"generated by /sbin/dhclient-script")
        || says(b"generated by /usr/sbin/dhclient-script")
    {
        return dhclient(guest);
    }
    if says(b"autogenerated by netconfig") {
        return netconfig(guest);
    }
    if says(b"Generated by resolvconf") || says(b"generated by resolvconf(8)") {
        return resolvconf(guest);
    }
    if says(b"'manage-resolv-conf' set to true") || says(b"manage_resolv_conf") {
        return Ok((Owner::CloudInit, Vec::new()));
    }
    unmarked(guest)
}

/// Who writes a file that carries no mark yet.
fn unmarked(guest: &Guest) -> Fact<(Owner, Vec<Keeper>)> {
    if keepers::network_manager_starts(guest)? {
        return network_manager(guest);
    }
    match dhclient(guest)? {
        (Owner::Dhclient, keepers) => Ok((Owner::Dhclient, keepers)),
        _ => Ok((Owner::Nobody, Vec::new())),
    }
}

fn network_manager(guest: &Guest) -> Fact<(Owner, Vec<Keeper>)> {
    Ok(match keepers::network_manager(guest)? {
        Some(keepers) => (Owner::NetworkManager, keepers),
        None => (Owner::Nobody, Vec::new()),
    })
}

fn dhclient(guest: &Guest) -> Fact<(Owner, Vec<Keeper>)> {
    let keepers = keepers::dhclient(guest)?;
    let owner = if keepers.is_empty() { Owner::Nobody } else { Owner::Dhclient };
    Ok((owner, keepers))
}

fn netconfig(guest: &Guest) -> Fact<(Owner, Vec<Keeper>)> {
    Ok((Owner::Netconfig, vec![keepers::netconfig(guest)?]))
}

fn resolvconf(guest: &Guest) -> Fact<(Owner, Vec<Keeper>)> {
    Ok(match keepers::openresolv(guest)? {
        Some(keeper) => (Owner::Openresolv, vec![keeper]),
        None => (Owner::Resolvconf, keepers::resolvconf(guest)?),
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_starts_in_etc() {
        for (target, path) in [
            (
                &b"../run/systemd/resolve/stub-resolv.conf"[..],
                "/run/systemd/resolve/stub-resolv.conf",
            ),
            (b"/run/netconfig/resolv.conf", "/run/netconfig/resolv.conf"),
            (b"resolvconf/run/./resolv.conf", "/etc/resolvconf/run/resolv.conf"),
            (b"../../../x", "/x"),
        ] {
            assert_eq!(target_of(target), GuestPath::from(path));
        }
    }
}
