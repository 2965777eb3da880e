//! `network:` of cloud-init's configuration, which it writes for the guest's manager at the first boot of an
//! instance (cloud-init's documentation, "Networking config").
//!
//! Version 2 is netplan's language. Of version 1, which has a list, each item that is an interface is a profile; what
//! mends it is left to a person.

use super::{Configuration, Fixed, Kind, Mac, Profile, Repair, is_local, is_mac, netplan};
use crate::parse::lines::LineError;
use crate::parse::yaml::{self, Node};

/// Reads a file that has `network:` at its top.
pub fn read(text: &[u8]) -> Configuration {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => return Configuration { profiles: Vec::new(), errors: vec![error] },
    };
    let network = root.as_ref().and_then(|root| root.get("network"));
    let Some((key, config)) = network.and_then(|network| network.entry("config")) else {
        return netplan::read(text).configuration;
    };
    if config.items().is_empty() || config.has_reference() {
        let reason = "what it has cloud-init configure is not read";
        let errors = vec![LineError { line: key.line, reason }];
        return Configuration { profiles: Vec::new(), errors };
    }
    let profiles = config.items().iter().filter_map(profile).collect();
    Configuration { profiles, errors: Vec::new() }
}

fn bytes(node: &Node) -> Option<Vec<u8>> {
    node.as_str().map(|text| text.as_bytes().to_vec())
}

fn profile(item: &Node) -> Option<Profile> {
    let kind = match item.get("type").and_then(Node::as_str)? {
        "physical" | "infiniband" => Kind::Any,
        "loopback" => Kind::Loopback,
        "bond" | "bridge" | "vlan" => Kind::Virtual,
        // Name servers and routes.
        _ => return None,
    };
    let list = |key| item.get(key).into_iter().flat_map(Node::items);
    let below = list("bond_interfaces").chain(list("bridge_interfaces"));
    let subnets = || list("subnets");
    let methods = || subnets().filter_map(|subnet| subnet.get("type")?.as_str());
    let asks_router = item.get("accept-ra").and_then(Node::as_bool);
    let asks_v6 =
        methods().any(|m| matches!(m, "dhcp6" | "ipv6_slaac") || m.starts_with("ipv6_dhcp"));
    let fixed = subnets().filter_map(|subnet| {
        let address = subnet.get("address")?;
        Some(Fixed::new(address.line, address.as_str()?.as_bytes()))
    });
    Some(Profile {
        line: item.line,
        name: item.get("name").and_then(bytes),
        kind,
        ports: below.chain(item.get("vlan_link")).filter_map(bytes).collect(),
        at_boot: !subnets().any(|s| s.get("control").and_then(Node::as_str) == Some("manual")),
        dhcp: Some(methods().any(|method| matches!(method, "dhcp" | "dhcp4"))),
        asks_v6: Some(asks_v6 || asks_router == Some(true)),
        fixed: fixed.filter(|fixed| !is_local(&fixed.value)).collect(),
        macs: mac(item).into_iter().collect(),
        ..Profile::default()
    })
}

/// It looks for the card by this address, and gives it the name.
fn mac(item: &Node) -> Option<Mac> {
    let address = item.get("mac_address")?;
    let value = bytes(address).filter(|value| is_mac(value))?;
    Some(Mac { line: address.line, value, is_set: false, drop: Repair::Manual })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profiles(text: &str) -> Vec<Profile> {
        let configuration = read(text.as_bytes());
        assert_eq!(configuration.errors, []);
        configuration.profiles
    }

    #[test]
    fn version_1() {
        let found = profiles(
            "network:\n  version: 1\n  config:\n  - type: physical\n    name: eth0\n    mac_address: 00:16:3e:01:02:03\n    subnets:\n    - type: static\n      address: 172.16.0.5/20\n    - {type: ipv6_slaac}\n  - type: nameserver\n    address: 100.100.2.136\n  - {type: vlan, name: eth0.7, vlan_link: eth0, subnets: [{type: dhcp4}]}\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].dhcp, found[0].asks_v6), (Some(false), Some(true)));
        assert_eq!(found[0].fixed, [Fixed::new(9, b"172.16.0.5/20")]);
        assert_eq!((found[0].line, found[0].macs[0].line), (4, 6));
        assert_eq!((found[1].kind, found[1].dhcp), (Kind::Virtual, Some(true)));
        assert_eq!(found[1].ports, [b"eth0"]);
    }

    #[test]
    fn version_2_is_netplan() {
        let text =
            "users: []\nnetwork:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n";
        assert_eq!(profiles(text), netplan::read(text.as_bytes()).configuration.profiles);
        assert_eq!(profiles(text)[0].dhcp, Some(true));
    }

    #[test]
    fn what_is_not_read_has_a_line() {
        let errors = read(b"network:\n  config: {version: 1}\n").errors;
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2]);
    }

    proptest! {
        #[test]
        fn any_item(text in "[a-z0-9:\\[\\]{}, \n'\"*&-]{0,60}") {
            read(format!("network:\n config:\n - type: physical\n   {text}").as_bytes());
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            read(&text);
        }
    }
}
