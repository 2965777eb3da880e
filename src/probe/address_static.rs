//! `address-static`: the configuration gives a network card an address that only this instance has.

use std::net::IpAddr;

use super::{Answer, Guest};
use crate::guest::{CommandLines, Connection, Network};
use crate::model::{ByteString, Edit, Finding, FixedAddress, Subject, Verdict};
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
    let mut doubts = network.doubts.clone();
    match guest.command_lines() {
        Ok(lines) => findings.extend(kernel_arguments(lines, wants_dhcp)),
        Err(why) => doubts.push(why.0),
    }
    if network.connections.is_empty() && doubts.is_empty() && findings.is_empty() {
        return Ok(Verdict::NotApplicable("no-configuration"));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// An `ip=` of the next boot or kernel that gives an address: dracut (dracut.cmdline(7)) and the
/// kernel itself (Documentation/admin-guide/nfs/nfsroot.rst) set it before any manager runs.
fn kernel_arguments(lines: &CommandLines, wants_dhcp: bool) -> Vec<Finding> {
    let mut seen: Vec<String> = Vec::new();
    for argument in lines.configured().flat_map(|line| line.all("ip")) {
        let Some(value) = argument.value.as_deref().map(String::from_utf8_lossy) else { continue };
        if gives_address(&value) && !seen.iter().any(|known| *known == value) {
            seen.push(value.into_owned());
        }
    }
    seen.into_iter()
        .map(|value| {
            let argument = format!("ip={value}");
            let finding =
                Finding::new("kernel-argument", Subject::Setting { setting: argument.clone() })
                    .with("argument", &argument);
            let edit = Edit::KernelArguments { add: Vec::new(), remove: vec![argument] };
            finding.fix(wants_dhcp.then_some(edit))
        })
        .collect()
}

/// Whether the first field of `ip=` is an address, which IPv6 has in brackets, and no word such as
/// `dhcp` or an interface.
fn gives_address(value: &str) -> bool {
    match value.strip_prefix('[') {
        Some(rest) => rest.split(']').next().is_some_and(|v6| v6.parse::<IpAddr>().is_ok()),
        None => value.split(':').next().is_some_and(|v4| v4.parse::<IpAddr>().is_ok()),
    }
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
