//! `address-bound-to-mac`: the configuration knows a network card by a hardware address, or gives it
//! one, that a card of a new instance does not have.

use super::{Answer, Guest};
use crate::guest::{Connection, Dialect};
use crate::model::{ByteString, Edit, Finding, Subject, Verdict};
use crate::parse::net::Mac;

/// What old udev's generator writes, and nothing else does.
const GENERATED: &[u8] = b"70-persistent-net.rules";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let network = guest.network()?;
    let mut findings = Vec::new();
    for connection in &network.connections {
        if connection.is_rewritten || !network.is_about_a_card(&connection.profile) {
            continue;
        }
        for mac in &connection.profile.macs {
            findings.push(finding(connection, mac));
        }
    }
    if network.connections.is_empty() && network.doubts.is_empty() {
        return Ok(Verdict::NotApplicable("no-configuration"));
    }
    Ok(Verdict::from_parts(findings, network.doubts.clone()))
}

fn finding(connection: &Connection, mac: &Mac) -> Finding {
    let is_generated =
        connection.dialect == Dialect::UdevRule && connection.path.name() == GENERATED;
    let key = match connection.dialect {
        Dialect::UdevRule => "udev-rule",
        Dialect::Link if !mac.is_set => "link-file",
        _ if mac.is_set => "sets-mac",
        _ => "bound",
    };
    let edits = if is_generated {
        vec![Edit::Remove { path: connection.path.clone() }]
    } else {
        connection.edits(&mac.drop)
    };
    let name = connection.profile.name.as_deref().unwrap_or(b"*");
    Finding::new(key, Subject::line(&connection.path, mac.line))
        .with("interface", ByteString::from(name))
        .with("mac", ByteString::from(mac.value.as_slice()))
        .fix(edits)
}
