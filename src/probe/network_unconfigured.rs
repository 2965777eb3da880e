//! `network-unconfigured`: boot gets no address for the card of a new instance.
//!
//! Scripts and networkd do what the files say and nothing more. NetworkManager and wicked have a DHCP
//! client of their own, and NetworkManager a profile for a card that no file names; one that a file
//! names and leaves down at boot stays down. A card that comes up with neither DHCP nor an address has
//! its link's own alone, whoever sees to it.

use super::{Answer, Guest};
use crate::guest::{Addressing, Connection, Dialect, Fact, Network};
use crate::model::{ByteString, Finding, GuestPath, Subject, Verdict};

/// Scripts that configure cards.
struct Scripts {
    dialect: Dialect,
    /// The file that has, or should have, the first card.
    file: &'static str,
    /// The program that is there where the scripts are installed.
    own: &'static [&'static str],
    /// The DHCP clients that they know.
    clients: &'static [&'static str],
}

/// ifupdown 0.8 tries its clients in this order (inet.defn).
const IFUPDOWN: Scripts = Scripts {
    dialect: Dialect::Interfaces,
    file: "/etc/network/interfaces",
    own: &["/sbin/ifup", "/usr/sbin/ifup"],
    clients: &["dhclient", "pump", "udhcpc", "dhcpcd"],
};

/// DISTRO(el7): ifup-eth calls dhclient and nothing else.
const NETWORK_SCRIPTS: Scripts = Scripts {
    dialect: Dialect::Ifcfg,
    file: "/etc/sysconfig/network-scripts/ifcfg-eth0",
    own: &["/etc/sysconfig/network-scripts/ifup-eth"],
    clients: &["dhclient"],
};

/// Services that ask for every card by DHCP, whatever the files of others say.
const CLIENTS_OF_EVERY_CARD: [&str; 2] = ["dhcpcd", "connman"];

/// Where root's scripts look for programs.
const DIRECTORIES: [&str; 4] = ["/sbin", "/usr/sbin", "/usr/bin", "/bin"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let network = guest.network()?;
    let scripts = scripts(guest, network)?;
    let mut findings = Vec::new();
    if let Some(scripts) = &scripts
        && !has_client(guest, scripts)?
    {
        findings.extend(without_client(network, scripts));
    }
    let file = scripts.as_ref().map(|scripts| scripts.file).or_else(|| networkd(network));
    let mut doubts = network.doubts.clone();
    if !network.is_rewritten {
        let card = first_card(guest, network)?;
        match card {
            Some(card) if network.configures(card.as_bytes()) => {}
            card => match (card, file) {
                (Some(card), Some(file)) => {
                    let subject = Subject::file(&GuestPath::from(file));
                    findings.push(Finding::new("no-profile", subject).with("interface", card));
                }
                _ => findings.extend(left_down(network, card)),
            },
        }
        if findings.is_empty() && doubts.is_empty() {
            match addressing(guest, network, card)? {
                Addressing::Given => {}
                Addressing::Missing(connection) => findings.push(no_address(connection, card)),
                Addressing::Untold(why) => doubts.push(why),
            }
        }
    }
    match (scripts, findings.is_empty() && doubts.is_empty()) {
        (None, true) => Ok(Verdict::NotApplicable("other-manager")),
        _ => Ok(Verdict::from_parts(findings, doubts)),
    }
}

/// What boot gives the first card, but for what sees to cards beside the files that are read.
fn addressing<'a>(guest: &Guest, network: &'a Network, card: Option<&str>) -> Fact<Addressing<'a>> {
    let addressing = network.addressing(card.map(str::as_bytes));
    if network.managers.is_unknown() {
        return Ok(Addressing::Given);
    }
    if matches!(addressing, Addressing::Given) {
        return Ok(addressing);
    }
    for client in CLIENTS_OF_EVERY_CARD {
        if guest.service(client)?.is_some_and(|service| service.starts.is_enabled()) {
            return Ok(Addressing::Given);
        }
    }
    // dracut.cmdline(7); an initramfs may leave the card as it set it up.
    if guest.command_lines()?.configured().any(|line| line.all("ip").next().is_some()) {
        let reason = "whether a card keeps the address of the kernel argument ip= is not told";
        return Ok(Addressing::Untold(reason.to_owned()));
    }
    Ok(addressing)
}

fn no_address(connection: &Connection, card: Option<&str>) -> Finding {
    let name = connection.profile.name.as_deref().or(card.map(str::as_bytes)).unwrap_or(b"*");
    let subject = Subject::line(&connection.path, connection.profile.line);
    Finding::new("no-address", subject).with("interface", ByteString::from(name))
}

/// Where networkd alone sees to the cards, the file that has, or should have, the first card.
fn networkd(network: &Network) -> Option<&'static str> {
    let managers = network.managers;
    let alone = managers.networkd && !managers.network_manager && !managers.wicked;
    alone.then_some(if managers.netplan { "/etc/netplan" } else { "/etc/systemd/network" })
}

/// The profile of a card that is not put to use at boot, where none is: of that card, or of any
/// where it is not known what the first is called.
fn left_down(network: &Network, card: Option<&str>) -> Option<Finding> {
    let managers = network.managers;
    if managers.wicked || managers.is_unknown() || !network.doubts.is_empty() {
        return None;
    }
    let mut profiles = network.connections.iter().filter(|connection| {
        !matches!(connection.dialect, Dialect::Link | Dialect::UdevRule)
            && !connection.is_rewritten
            && network.is_about_a_card(&connection.profile)
    });
    if profiles.clone().any(|connection| connection.profile.at_boot) {
        return None;
    }
    let connection = profiles.find(|connection| {
        let name = connection.profile.name.as_deref();
        name.is_none() || card.is_none_or(|card| name == Some(card.as_bytes()))
    })?;
    let name = connection.profile.name.as_deref().or(card.map(str::as_bytes)).unwrap_or(b"*");
    let subject = Subject::line(&connection.path, connection.profile.line);
    Some(Finding::new("left-down", subject).with("interface", ByteString::from(name)))
}

fn scripts(guest: &Guest, network: &Network) -> Fact<Option<Scripts>> {
    let managers = network.managers;
    if managers.network_manager || managers.networkd || managers.wicked || managers.netplan {
        return Ok(None);
    }
    for (is_used, scripts) in
        [(managers.ifupdown, IFUPDOWN), (managers.network_scripts, NETWORK_SCRIPTS)]
    {
        for path in scripts.own.iter().filter(|_| is_used) {
            if guest.stat(&GuestPath::from(*path))?.is_some() {
                return Ok(Some(scripts));
            }
        }
    }
    Ok(None)
}

fn has_client(guest: &Guest, scripts: &Scripts) -> Fact<bool> {
    for client in scripts.clients {
        for directory in DIRECTORIES {
            let path = GuestPath::from(format!("{directory}/{client}").as_str());
            if guest.stat(&path)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The profiles that would be put to use at boot by a client that is not there.
fn without_client(network: &Network, scripts: &Scripts) -> Vec<Finding> {
    let asks = network.connections.iter().filter(|connection| {
        let profile = &connection.profile;
        connection.dialect == scripts.dialect
            && profile.at_boot
            && profile.dhcp == Some(true)
            && network.is_about_a_card(profile)
    });
    let finding = |connection: &Connection| {
        let name = connection.profile.name.as_deref().unwrap_or(b"*");
        Finding::new("no-client", Subject::line(&connection.path, connection.profile.line))
            .with("interface", ByteString::from(name))
            .with("clients", scripts.clients.join(", "))
    };
    asks.map(finding).collect()
}

/// What the kernel calls the first card of a new instance, where that is certain: udev leaves its
/// name alone (`net.ifnames=0`), and no rule or link file of the guest gives another.
fn first_card(guest: &Guest, network: &Network) -> Fact<Option<&'static str>> {
    let is_named = network.connections.iter().any(|connection| {
        matches!(connection.dialect, Dialect::UdevRule | Dialect::Link)
            && connection.profile.name.is_some()
    });
    if is_named || !network.doubts.is_empty() {
        return Ok(None);
    }
    let menu = guest.boot_entries()?;
    let keeps_names = menu.default_entry().is_some_and(|e| e.arguments.has("net.ifnames=0"));
    Ok(keeps_names.then_some("eth0"))
}
