//! The guest's network cards and what configures them.
//!
//! For probes: which cards there are now, every profile of every manager that boot would use, and
//! whether cloud-init writes a file anew on a clone. Says what is so, never whether it is good.

mod addressing;
mod cards;
mod clients;
mod cloud;
mod files;
mod leases;
mod managers;

use std::net::IpAddr;

use super::{Fact, Guest, keep};
use crate::model::{ByteString, Edit, GuestPath, LineChange};
use crate::parse::net::lease::Lease;
use crate::parse::net::{Change, Fixed, Kind, Profile, Repair, To};

pub use addressing::Addressing;
pub use cards::Card;
pub use clients::Client;
pub use managers::Managers;

/// Which manager's language a file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `ifcfg-*` of Red Hat.
    Ifcfg,
    /// `ifcfg-*` of SUSE.
    SuseIfcfg,
    /// NetworkManager's keyfile.
    Keyfile,
    /// systemd-networkd's `.network`.
    Networkd,
    /// netplan's YAML.
    Netplan,
    /// cloud-init's `network:`.
    CloudInit,
    /// ifupdown's interfaces.
    Interfaces,
    /// udev's `.link`.
    Link,
    /// A udev rule that names a card.
    UdevRule,
}

/// A profile and the file that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The file.
    pub path: GuestPath,
    /// Its language.
    pub dialect: Dialect,
    /// What it says.
    pub profile: Profile,
    /// Whether cloud-init writes the file anew for every new instance.
    pub is_rewritten: bool,
}

impl Connection {
    /// The edits that carry out a repair of this file; none where only a person can.
    pub fn edits(&self, repair: &Repair) -> Vec<Edit> {
        match repair {
            Repair::Manual => Vec::new(),
            Repair::RemoveFile => vec![Edit::Remove { path: self.path.clone() }],
            Repair::Lines(changes) => changes.iter().map(|change| self.edit(change)).collect(),
        }
    }

    fn edit(&self, change: &Change) -> Edit {
        Edit::Line {
            path: self.path.clone(),
            line: change.line,
            original: ByteString::from(change.original.as_slice()),
            change: match &change.to {
                To::Parked => LineChange::Park,
                To::Line(line) => LineChange::Replace(ByteString::from(line.as_slice())),
                To::Followed(line) => LineChange::InsertAfter(ByteString::from(line.as_slice())),
            },
        }
    }
}

/// Everything that configures the network at boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The cards that a running guest has; `None` where it does not run.
    pub cards: Option<Vec<Card>>,
    /// The virtual interfaces that a running guest has on no card.
    pub others: Vec<ByteString>,
    /// What boot starts to configure them.
    pub managers: Managers,
    /// Every profile that one of them reads, in the order of the files.
    pub connections: Vec<Connection>,
    /// The leases that DHCP clients have noted, each the last of its file.
    pub leases: Vec<Lease>,
    /// Whether cloud-init writes the configuration anew on a clone, by what the clone's metadata says.
    pub is_rewritten: bool,
    /// What could not be read, with path and line.
    pub doubts: Vec<String>,
}

impl Network {
    /// The card of that name.
    pub fn card(&self, name: &[u8]) -> Option<&Card> {
        self.cards.iter().flatten().find(|card| card.name.as_bytes() == name)
    }

    /// The addresses that this instance has and a new one does not: those of its cards, and those that
    /// its configuration and its leases name.
    pub fn own_addresses(&self) -> Vec<IpAddr> {
        let held = self.cards.iter().flatten().flat_map(|card| card.addresses.iter().flatten());
        let mut own: Vec<IpAddr> = held.map(|address| address.address).collect();
        for connection in &self.connections {
            if self.is_about_a_card(&connection.profile) {
                own.extend(connection.profile.fixed.iter().filter_map(Fixed::address));
            }
        }
        own.extend(self.leases.iter().filter_map(|lease| lease.address));
        own
    }

    /// Whether a profile is about a card of the guest, or about something that stands on one. What
    /// containers and hypervisors make for themselves is not.
    pub fn is_about_a_card(&self, profile: &Profile) -> bool {
        match profile.kind {
            Kind::Loopback => false,
            Kind::Any => match &profile.name {
                None => true,
                Some(patterns) => {
                    let mut patterns = patterns.split(u8::is_ascii_whitespace);
                    patterns.any(|pattern| self.is_a_card(pattern))
                }
            },
            Kind::Virtual => {
                let has_port = profile.ports.iter().any(|port| self.is_a_card(port));
                has_port || self.connections.iter().any(|other| self.stands_on(profile, other))
            }
        }
    }

    /// Whether every card that a profile names is missing from the running guest.
    pub fn is_absent(&self, profile: &Profile) -> bool {
        let Some(cards) = &self.cards else { return false };
        let Some(patterns) = &profile.name else { return false };
        profile.kind == Kind::Any
            && !patterns
                .split(u8::is_ascii_whitespace)
                .any(|pattern| cards.iter().any(|card| matches(pattern, card.name.as_bytes())))
    }

    /// Whether boot puts a profile to use for a card of that name, by itself or below another interface.
    pub fn configures(&self, card: &[u8]) -> bool {
        let gives_addresses = |connection: &&Connection| {
            !connection.is_rewritten
                && !matches!(connection.dialect, Dialect::Link | Dialect::UdevRule)
        };
        let connections = self.connections.iter().filter(gives_addresses);
        connections.map(|connection| &connection.profile).any(|profile| {
            let mut names =
                profile.name.iter().flat_map(|name| name.split(u8::is_ascii_whitespace));
            profile.at_boot
                && (profile.name.is_none() && profile.kind == Kind::Any
                    || names.any(|pattern| matches(pattern, card))
                    || profile.ports.iter().any(|port| matches(port, card)))
        })
    }

    fn stands_on(&self, upper: &Profile, other: &Connection) -> bool {
        let is_upper =
            |id: &Vec<u8>| upper.name.as_ref() == Some(id) || upper.uuid.as_ref() == Some(id);
        other.profile.kind == Kind::Any
            && other.profile.masters.iter().any(is_upper)
            && self.is_about_a_card(&other.profile)
    }

    fn is_a_card(&self, pattern: &[u8]) -> bool {
        if let Some(cards) = &self.cards
            && cards.iter().any(|card| matches(pattern, card.name.as_bytes()))
        {
            return true;
        }
        let is_other = |name: &ByteString| name.as_bytes() == pattern;
        !self.others.iter().any(is_other) && !is_made_by_software(pattern)
    }
}

/// Whether a name is one that software gives to what it makes: containers, hypervisors, tunnels.
fn is_made_by_software(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 31] = [
        b"lo",
        b"docker",
        b"veth",
        b"virbr",
        b"vnet",
        b"br",
        b"cni",
        b"cali",
        b"flannel",
        b"tun",
        b"tap",
        b"dummy",
        b"kube",
        b"wg",
        b"vxlan",
        b"vlan",
        b"bond",
        b"team",
        b"ovs",
        b"tailscale",
        b"ve-",
        b"vb-",
        b"vz-",
        b"vt-",
        b"host0",
        b"ppp",
        b"wl",
        b"ww",
        b"lxc",
        b"lxd",
        b"nodelocaldns",
    ];
    STARTS.iter().any(|start| name.starts_with(start))
}

/// Whether a name fits a pattern of `*` and `?`, as fnmatch(3) has it; `!` before it is networkd's
/// for every name but these.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if let Some(others) = pattern.strip_prefix(b"!") {
        return !matches(others, name);
    }
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name) || name.split_first().is_some_and(|(_, n)| matches(pattern, n))
        }
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((a, rest)), Some((b, name))) => a == b && matches(rest, name),
        _ => false,
    }
}

impl Guest {
    /// The network cards and what configures them.
    ///
    /// # Errors
    /// When the system says no to what it rests on. A file that cannot be read is a doubt in the
    /// fact, because what the other files say is known all the same.
    pub fn network(&self) -> Fact<&Network> {
        keep(&self.facts.network, || read(self))
    }

    /// Whether cloud-init writes /etc/hosts anew at every boot (`manage_etc_hosts`).
    ///
    /// # Errors
    /// As [`Guest::network`].
    pub fn rewrites_hosts(&self, doubts: &mut Vec<String>) -> Fact<bool> {
        cloud::rewrites_hosts(self, doubts)
    }
}

fn read(guest: &Guest) -> Fact<Network> {
    let managers = managers::read(guest)?;
    let mut network = Network { managers, ..Network::default() };
    if let Some(kernel) = guest.kernel() {
        let (cards, others) = cards::read(kernel)?;
        network.cards = Some(cards);
        network.others = others;
    }
    files::read(guest, &mut network)?;
    network.leases = leases::read(guest, &mut network.doubts);
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, want) in [
            ("eth0", "eth0", true),
            ("eth*", "eth0", true),
            ("e*0", "ens10", true),
            ("en?", "ens3", false),
            ("*", "", true),
            ("!eth1", "eth0", true),
            ("", "eth0", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }

    #[test]
    fn names_of_what_software_makes() {
        for name in ["docker0", "veth12ab", "br-0a1b", "virbr0", "lo"] {
            assert!(is_made_by_software(name.as_bytes()), "{name}");
        }
        for name in ["eth0", "ens3", "enp0s3", "em1", "e*", "net0"] {
            assert!(!is_made_by_software(name.as_bytes()), "{name}");
        }
    }
}
