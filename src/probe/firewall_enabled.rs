//! `firewall-enabled`: boot starts a packet filter of the guest's own.

use super::services::{installed, subject};
use super::{Answer, Guest};
use crate::guest::{Fact, Service};
use crate::model::{Finding, Verdict};
use crate::parse::os_release::OsRelease;

/// The services that load packet filters: of EL, of Debian and Ubuntu, of SUSE.
const FIREWALLS: [&str; 10] = [
    "firewalld",
    "iptables",
    "ip6tables",
    "nftables",
    "ufw",
    "netfilter-persistent",
    "iptables-persistent",
    "shorewall",
    "SuSEfirewall2",
    "SuSEfirewall2_setup",
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    for service in installed(guest, &FIREWALLS)? {
        if service.starts.is_enabled() && is_on(guest, &service)? {
            let finding = Finding::new("enabled", subject(&service));
            findings.push(finding.with("service", &service.name));
        }
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// Ubuntu enables ufw.service in every installation; it does nothing before `ufw enable` has
/// written ENABLED=yes (ufw(8)).
fn is_on(guest: &Guest, service: &Service) -> Fact<bool> {
    if service.name != "ufw" {
        return Ok(true);
    }
    let Some(text) = guest.file("/etc/ufw/ufw.conf")? else { return Ok(false) };
    // KEY=value of a shell, as os-release has it.
    let settings = OsRelease::parse(&text);
    Ok(settings.get("ENABLED").is_some_and(|value| value.eq_ignore_ascii_case(b"yes")))
}
