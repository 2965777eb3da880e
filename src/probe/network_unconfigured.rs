//! `network-unconfigured`: boot gets no address for the card of a new instance.
//!
//! Judged where scripts do what the files say and nothing more. NetworkManager, networkd and wicked
//! have a DHCP client of their own, and NetworkManager a profile for a card that no file names.

use super::{Answer, Guest};
use crate::guest::{Dialect, Fact, Network};
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

/// Where root's scripts look for programs.
const DIRECTORIES: [&str; 4] = ["/sbin", "/usr/sbin", "/usr/bin", "/bin"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let network = guest.network()?;
    let Some(scripts) = scripts(guest, network)? else {
        return Ok(Verdict::NotApplicable("other-manager"));
    };
    let mut findings = Vec::new();
    if !has_client(guest, &scripts)? {
        findings.extend(without_client(network, &scripts));
    }
    if !network.is_rewritten
        && let Some(card) = first_card(guest, network)?
        && !network.configures(card.as_bytes())
    {
        let subject = Subject::file(&GuestPath::from(scripts.file));
        findings.push(Finding::new("no-profile", subject).with("interface", card));
    }
    Ok(Verdict::from_parts(findings, network.doubts.clone()))
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
    let finding = |connection: &crate::guest::Connection| {
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
