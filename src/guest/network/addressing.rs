//! Whether boot gives a card an address, on itself or on what stands on it.

use super::{Connection, Dialect, Network, matches};
use crate::model::GuestPath;
use crate::parse::net::{Kind, Profile};

/// What boot gives a card.
#[derive(Debug, PartialEq, Eq)]
pub enum Addressing<'a> {
    /// An IPv4 address, fixed or by DHCP; or no profile is about the card, so that its manager's
    /// own ways hold.
    Given,
    /// It cannot be told, and why.
    Untold(String),
    /// None beyond the link's own. The profile is that of what stands highest on the card.
    Missing(&'a Connection),
}

impl Network {
    /// What boot gives the card of that name, or the cards that profiles are about where it is not
    /// known what the first is called.
    ///
    /// IPv6 alone is not told: a router or a server of the clone's network decides.
    pub fn addressing(&self, card: Option<&[u8]>) -> Addressing<'_> {
        let used = self.used();
        let seeds: Vec<&Connection> = match card {
            Some(card) => used.iter().copied().filter(|c| self.fits(&used, c, card)).collect(),
            None => {
                let is_seed = |profile| self.is_about_a_card(profile) && !self.is_absent(profile);
                used.iter().copied().filter(|c| is_seed(&c.profile)).collect()
            }
        };
        let mut all = seeds.clone();
        let mut names: Vec<&[u8]> = card.into_iter().collect();
        // What is at the card, then what stands on that, and so on upwards.
        let mut next = 0;
        loop {
            for connection in &all[next..] {
                let profile = &connection.profile;
                names.extend(profile.name.iter().chain(&profile.uuid).map(Vec::as_slice));
                names.extend(profile.masters.iter().map(Vec::as_slice));
            }
            next = all.len();
            let above = used.iter().copied().filter(|c| self.stands_at(&used, c, &names));
            let above: Vec<&Connection> = above.filter(|c| !contains(&all, c)).collect();
            if above.is_empty() {
                break;
            }
            all.extend(above);
        }
        let said: Vec<Said> = all.iter().map(|connection| self.said(connection)).collect();
        if said.iter().any(|said| said.gives_v4) {
            return Addressing::Given;
        }
        if let Some((path, line)) = said.iter().find_map(|said| said.unread.as_ref()) {
            let reason = "whether this gives the card an address is not read";
            return Addressing::Untold(format!("{path}:{line}: {reason}"));
        }
        if let Some(at) = said.iter().position(|said| said.asks_v6) {
            let connection = all[at];
            return Addressing::Untold(format!(
                "{}:{}: the card has IPv6 alone, which the network of a new instance may not give",
                connection.path, connection.profile.line
            ));
        }
        let is_bound = |c: &&&Connection| c.profile.macs.iter().any(|mac| !mac.is_set);
        let highest = all[seeds.len()..].last().or_else(|| seeds.iter().find(|c| !is_bound(c)));
        highest.map_or(Addressing::Given, |connection| Addressing::Missing(connection))
    }

    /// The profiles that boot puts to use. A drop-in or a later file of netplan is a part of the
    /// first, and what cloud-init writes anew is not what a clone has.
    fn used(&self) -> Vec<&Connection> {
        let is_used = |c: &&Connection| {
            c.profile.at_boot
                && !c.is_rewritten
                && !matches!(c.dialect, Dialect::Link | Dialect::UdevRule)
        };
        let mut used: Vec<&Connection> = Vec::new();
        for connection in self.connections.iter().filter(is_used) {
            if !used.iter().any(|first| is_part(first, connection)) {
                used.push(connection);
            }
        }
        used
    }

    /// Whether a profile is the one, or one of those, of the interface of that name. networkd takes
    /// the first file that matches.
    fn fits(&self, used: &[&Connection], connection: &Connection, name: &[u8]) -> bool {
        if connection.dialect != Dialect::Networkd {
            return is_named(&connection.profile, name);
        }
        let mut files = used.iter().filter(|c| c.dialect == Dialect::Networkd);
        let first = files.find(|c| is_named(&c.profile, name));
        first.is_some_and(|first| std::ptr::eq(*first, connection))
    }

    /// Whether a profile is that of a master, or of what is made on top of one of these names.
    fn stands_at(&self, used: &[&Connection], connection: &Connection, names: &[&[u8]]) -> bool {
        let profile = &connection.profile;
        let is_one = |id: &Vec<u8>| names.contains(&id.as_slice());
        names.iter().any(|name| {
            profile.ports.iter().any(|port| matches(port, name))
                || profile.uuid.as_deref() == Some(name)
                || profile.name.is_some() && self.fits(used, connection, name)
        }) || profile.kind == Kind::Virtual && profile.masters.iter().any(is_one)
    }

    /// What a profile says with its parts: the last word on each question counts.
    fn said(&self, first: &Connection) -> Said {
        let parts = self.connections.iter().filter(|c| !c.is_rewritten && is_part(first, c));
        let mut parts: Vec<&Connection> = parts.collect();
        parts.sort_by_key(|part| part.path.name());
        // A name that is there twice counts where it is found first.
        parts.dedup_by(|later, earlier| {
            later.path.name() == earlier.path.name() && later.path != earlier.path
        });
        if first.dialect != Dialect::Netplan {
            parts.insert(0, first);
        }
        let last = |of: fn(&Profile) -> Option<bool>| {
            parts.iter().rev().find_map(|part| of(&part.profile)) == Some(true)
        };
        let fixes = |is_v6| {
            parts.iter().flat_map(|part| &part.profile.fixed).any(|fixed| fixed.is_v6 == is_v6)
        };
        Said {
            gives_v4: last(|profile| profile.dhcp) || fixes(false),
            asks_v6: last(|profile| profile.asks_v6) || fixes(true),
            unread: parts
                .iter()
                .find_map(|part| part.profile.unread.map(|line| (part.path.clone(), line))),
        }
    }
}

/// What a profile says of addresses.
struct Said {
    gives_v4: bool,
    asks_v6: bool,
    unread: Option<(GuestPath, usize)>,
}

fn contains(all: &[&Connection], connection: &Connection) -> bool {
    all.iter().any(|known| std::ptr::eq(*known, connection))
}

fn is_named(profile: &Profile, name: &[u8]) -> bool {
    match &profile.name {
        None => profile.kind == Kind::Any,
        Some(patterns) => {
            patterns.split(u8::is_ascii_whitespace).any(|pattern| matches(pattern, name))
        }
    }
}

/// Whether a file adds to what another says: a drop-in of networkd's, a definition of netplan's by
/// the same id.
fn is_part(first: &Connection, other: &Connection) -> bool {
    match (first.dialect, other.dialect) {
        (Dialect::Networkd, Dialect::Networkd) => {
            let parent = other.path.parent();
            parent.name().strip_suffix(b".d") == Some(first.path.name())
        }
        (Dialect::Netplan, Dialect::Netplan) => first.profile.uuid == other.profile.uuid,
        _ => false,
    }
}
