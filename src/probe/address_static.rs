//! `address-static`: the configuration gives a network card an address that only this instance has.

use super::{Answer, Guest};
use crate::guest::{Connection, Network};
use crate::model::{ByteString, Finding, FixedAddress, Subject, Verdict};
use crate::parse::net::Fixed;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let network = guest.network()?;
    let wants_dhcp = guest.policy().fixed_address == FixedAddress::Dhcp;
    let mut findings = Vec::new();
    for connection in &network.connections {
        let profile = &connection.profile;
        if profile.fixed.is_empty()
            || !profile.at_boot
            // What it holds now does not outlive the first boot of a clone.
            || connection.is_rewritten
            || !network.is_about_a_card(profile)
        {
            continue;
        }
        let mut finding = finding(network, connection, &profile.fixed);
        if wants_dhcp {
            finding = finding.fix(connection.edits(&profile.to_dhcp));
        }
        findings.push(finding);
    }
    let is_silent = network.connections.is_empty() && network.doubts.is_empty();
    if is_silent {
        return Ok(Verdict::NotApplicable("no-configuration"));
    }
    Ok(Verdict::from_parts(findings, network.doubts.clone()))
}

fn finding(network: &Network, connection: &Connection, fixed: &[Fixed]) -> Finding {
    let profile = &connection.profile;
    let key = if network.is_absent(profile) {
        "absent-card"
    } else if fixed.iter().all(|address| address.is_v6) {
        "fixed-ipv6"
    } else if asks_by_dhcp(network, connection) {
        "beside-dhcp"
    } else {
        "fixed"
    };
    let line = fixed.first().map_or(profile.line, |address| address.line);
    let addresses: Vec<String> =
        fixed.iter().map(|a| ByteString::from(a.value.as_slice()).to_string()).collect();
    let name = profile.name.as_deref().unwrap_or(b"*");
    Finding::new(key, Subject::line(&connection.path, line))
        .with("interface", ByteString::from(name))
        .with("address", addresses.join(", "))
}

/// Whether this profile, or another part of the same one, asks for an IPv4 address.
fn asks_by_dhcp(network: &Network, connection: &Connection) -> bool {
    let own = &connection.profile;
    network.connections.iter().any(|other| {
        other.dialect == connection.dialect
            && other.profile.name == own.name
            && other.profile.dhcp == Some(true)
            && other.profile.at_boot
    })
}
