//! `hosts-own-address`: /etc/hosts maps an address of this instance, or its name to an address that
//! a new instance does not have.

use std::net::IpAddr;

use super::{Answer, Guest};
use crate::model::{ByteString, Edit, Finding, GuestPath, LineChange, OwnHosts, Subject, Verdict};
use crate::parse::hosts::{Entry, Hosts};

const HOSTS: &str = "/etc/hosts";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let path = GuestPath::from(HOSTS);
    let Some(text) = guest.file(&path)? else { return Ok(Verdict::NotApplicable("no-hosts")) };
    let network = guest.network()?;
    let own = network.own_addresses();
    let hostname = guest.hostname();
    let mut doubts = Vec::new();
    if guest.rewrites_hosts(&mut doubts)? {
        return Ok(Verdict::from_parts(Vec::new(), doubts));
    }
    let mut findings = Vec::new();
    for (line, entry) in Hosts::parse(&text).entries() {
        let key = if is_everywhere(entry.address) {
            continue;
        } else if own.contains(&entry.address) {
            "own-address"
        } else if hostname.as_deref().is_some_and(|name| names(entry, name)) {
            "own-name"
        } else {
            continue;
        };
        let shown = entry.names.join(&b' ');
        let mut finding = Finding::new(key, Subject::line(&path, line.number))
            .with("address", entry.address)
            .with("names", ByteString::from(shown));
        if guest.policy().own_hosts == OwnHosts::Drop {
            finding = finding.fix([Edit::Line {
                path: path.clone(),
                line: line.number,
                original: ByteString::from(line.raw.as_slice()),
                change: LineChange::Park,
            }]);
        }
        findings.push(finding);
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// Whether every machine may have the address: 127.0.1.1, with which Debian maps its own name, does
/// a clone no harm.
fn is_everywhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_unspecified() || v4.is_multicast(),
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
        }
    }
}

/// Whether an entry has the name, in whatever case, with or without its domain.
fn names(entry: &Entry, hostname: &str) -> bool {
    let short = |name: &[u8]| name.split(|b| *b == b'.').next().unwrap_or_default().to_vec();
    let own = short(hostname.as_bytes());
    !own.is_empty()
        && !own.eq_ignore_ascii_case(b"localhost")
        && entry.names.iter().any(|name| short(name).eq_ignore_ascii_case(&own))
}
