//! `dhcp-client-dead`: nobody renews the lease that the address of a running guest rests on.

use super::{Answer, Guest};
use crate::guest::{Card, Connection, Dialect, Network};
use crate::model::{ByteString, Edit, Finding, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let network = guest.network()?;
    let cards = network.cards.as_deref().unwrap_or_default();
    if cards.is_empty() {
        return Ok(Verdict::NotApplicable("no-card"));
    }
    let clients = guest.dhcp_clients()?;
    let now = i64::try_from(guest.now()).unwrap_or(i64::MAX);
    let mut findings = Vec::new();
    let mut doubts = network.doubts.clone();
    for card in cards.iter().filter(|card| card.is_up) {
        if guest.is_served(card, &clients) {
            continue;
        }
        match &card.addresses {
            Some(_) => findings.extend(dead(network, card, now)),
            None => doubts.push(format!("how long {} keeps its addresses is not known", card.name)),
        }
    }
    findings.extend(network.connections.iter().filter(|c| gives_up(network, c)).map(once));
    Ok(Verdict::from_parts(findings, doubts))
}

/// What is wrong with a card that no client sees to: an address that will go, or one whose lease is
/// over though the kernel keeps it (DISTRO(el6): dhclient-script sets no lifetime).
fn dead(network: &Network, card: &Card, now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in card.addresses.iter().flatten().filter(|a| a.address.is_ipv4()) {
        let finding = |key| {
            Finding::new(key, Subject::Setting { setting: card.name.to_string() })
                .with("interface", &card.name)
                .with("address", address.address)
        };
        if let Some(seconds) = address.valid {
            findings.push(finding("client-dead").with("seconds", seconds));
        } else if let Some(over) = network
            .leases
            .iter()
            .filter(|lease| lease.address == Some(address.address))
            .filter_map(|lease| lease.expires)
            .max()
            .map(|expires| now - expires)
            .filter(|over| *over > 0)
        {
            findings.push(finding("lease-expired").with("seconds", over));
        }
    }
    findings
}

/// Whether Red Hat's network scripts start the client of a card so that it asks once and gives up.
/// NetworkManager asks for ever, whatever the file says.
fn gives_up(network: &Network, connection: &Connection) -> bool {
    let profile = &connection.profile;
    connection.dialect == Dialect::Ifcfg
        && network.managers.network_scripts
        && !network.managers.network_manager
        && profile.dhcp == Some(true)
        && profile.at_boot
        && !profile.is_persistent
        && !connection.is_rewritten
        && network.is_about_a_card(profile)
        && !network.is_absent(profile)
}

fn once(connection: &Connection) -> Finding {
    let name = connection.profile.name.as_deref().unwrap_or(b"*");
    Finding::new("asks-once", Subject::file(&connection.path))
        .with("interface", ByteString::from(name))
        .fix([Edit::Append {
            path: connection.path.clone(),
            lines: vec![ByteString::from("PERSISTENT_DHCLIENT=yes")],
        }])
}
