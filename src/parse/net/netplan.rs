//! netplan's YAML: /etc/netplan/*.yaml (netplan(5)).
//!
//! Read through [`crate::parse::yaml`]; changed by whole lines only. A definition that is written on one line
//! (`eth0: {dhcp4: no, ...}`), or that has anchors in it, is left to a person.

use super::{Change, Configuration, Fixed, Kind, Lines, Mac, Profile, To, is_local, is_mac};
use crate::parse::lines::LineError;
use crate::parse::yaml::{self, Node, Value};

/// The sections that define interfaces, and whether these are cards.
const SECTIONS: [(&str, bool); 9] = [
    ("ethernets", true),
    ("bridges", false),
    ("bonds", false),
    ("vlans", false),
    ("vrfs", false),
    ("tunnels", false),
    ("dummy-devices", false),
    ("wifis", false),
    ("modems", false),
];

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Netplan {
    /// A profile for each definition.
    pub configuration: Configuration,
    /// `renderer:`, where it is said for all.
    pub renderer: Option<String>,
}

/// Reads a file.
pub fn read(text: &[u8]) -> Netplan {
    let mut found = Netplan::default();
    let root = match yaml::parse(text) {
        Ok(Some(root)) => root,
        Ok(None) => return found,
        Err(error) => {
            found.configuration.errors.push(error);
            return found;
        }
    };
    let Some(network) = root.get("network") else { return found };
    found.renderer = network.get("renderer").and_then(Node::as_str).map(str::to_owned);
    let file = File { text, lines: Lines::of(text) };
    for (section, is_card) in SECTIONS {
        let Some(section) = network.get(section) else { continue };
        for (id, definition) in section.entries() {
            if id.has_reference() || matches!(definition.value, Value::Alias) {
                let reason = "what stands behind an anchor is not read";
                found.configuration.errors.push(LineError { line: id.line, reason });
                continue;
            }
            found.configuration.profiles.push(file.profile(id, definition, is_card));
        }
    }
    found
}

struct File<'a> {
    text: &'a [u8],
    lines: Lines<'a>,
}

/// A scalar's text as bytes.
fn bytes(node: &Node) -> Option<Vec<u8>> {
    node.as_str().map(|text| text.as_bytes().to_vec())
}

impl File<'_> {
    fn profile(&self, id: &Node, definition: &Node, is_card: bool) -> Profile {
        let matching = definition.get("match");
        let name = match matching {
            None => bytes(id),
            Some(matching) => match matching.get("name") {
                Some(name) if !name.items().is_empty() => {
                    let names: Vec<Vec<u8>> = name.items().iter().filter_map(bytes).collect();
                    Some(names.join(&b' '))
                }
                Some(name) => bytes(name),
                None => definition.get("set-name").and_then(bytes),
            },
        };
        let below = definition.get("interfaces").into_iter().flat_map(|list| list.items());
        let below = below.chain(definition.get("link"));
        Profile {
            line: id.line,
            name,
            uuid: bytes(id),
            kind: if is_card { Kind::Any } else { Kind::Virtual },
            ports: below.filter_map(bytes).collect(),
            at_boot: !matches!(
                definition.get("activation-mode").and_then(Node::as_str),
                Some("manual" | "off")
            ),
            asks_v6: asks_v6(definition),
            // Settings of NetworkManager's own, of which any may be an address or a method.
            unread: definition
                .get("networkmanager")
                .and_then(|own| own.entry("passthrough"))
                .map(|(key, _)| key.line),
            dhcp: definition.get("dhcp4").and_then(Node::as_bool),
            fixed: fixed(definition),
            macs: self.macs(id, definition),
            to_dhcp: self.to_dhcp(id, definition).into(),
            ..Profile::default()
        }
    }

    fn macs(&self, id: &Node, definition: &Node) -> Vec<Mac> {
        let mut macs = Vec::new();
        let set = definition.entry("macaddress").map(|entry| (entry, true));
        let matching = definition.get("match");
        let bound = matching.and_then(|m| m.entry("macaddress")).map(|entry| (entry, false));
        for ((key, value), is_set) in set.into_iter().chain(bound) {
            let Some(text) = value.as_str().filter(|text| is_mac(text.as_bytes())) else {
                continue;
            };
            let drop = self.whole(key, value).and_then(|lines| {
                let [line] = lines[..] else { return None };
                let is_alone = matching.is_none_or(|matching| matching.entries().len() == 1);
                if is_set || !is_alone {
                    return Some(vec![self.lines.park(line)]);
                }
                // A match of nothing is refused, so that the name is matched in place of the address.
                let name = definition.get("set-name").and_then(Node::as_str);
                let name = name.or(id.as_str()).filter(|name| is_card_name(name)).unwrap_or("e*");
                let indent = self.indent(key)?;
                let new = [&b" ".repeat(indent)[..], b"name: \"", name.as_bytes(), b"\""].concat();
                Some(vec![self.lines.change(line, To::Line(new))])
            });
            macs.push(Mac {
                line: key.line,
                value: text.as_bytes().to_vec(),
                is_set,
                drop: drop.into(),
            });
        }
        macs
    }

    fn to_dhcp(&self, id: &Node, definition: &Node) -> Option<Vec<Change>> {
        if definition.has_reference() {
            return None;
        }
        let mut changes = Vec::new();
        for (key, value) in definition.entries() {
            if !matches!(key.as_str(), Some("addresses" | "gateway4" | "gateway6" | "routes")) {
                continue;
            }
            changes.extend(self.whole(key, value)?.into_iter().map(|line| self.lines.park(line)));
        }
        match definition.entry("dhcp4") {
            Some((_, value)) if value.as_bool() == Some(true) => {}
            Some((key, value)) => {
                let [line] = self.whole(key, value)?[..] else { return None };
                let start = self.start(line);
                let raw = self.lines.get(line);
                let span =
                    value.span.start.checked_sub(start)?..value.span.end.checked_sub(start)?;
                let new = [raw.get(..span.start)?, b"true", raw.get(span.end..)?].concat();
                changes.push(self.lines.change(line, To::Line(new)));
            }
            None => {
                let (first, _) = definition.entries().first()?;
                let indent = self.indent(first)?;
                let new = [&b" ".repeat(indent)[..], b"dhcp4: true"].concat();
                // Behind the definition's own line, which stays.
                changes.push(self.lines.change(id.line, To::Followed(new)));
            }
        }
        changes.sort_by_key(|change| change.line);
        Some(changes)
    }

    /// The lines that a key and its value fill and nothing else does, comments and empty ones left
    /// out; `None` where they share a line with something.
    fn whole(&self, key: &Node, value: &Node) -> Option<Vec<usize>> {
        self.indent(key)?;
        // A value of nothing has its place where the next thing begins.
        let last = if value.span.is_empty() { key.line } else { value.last_line.max(key.line) };
        let after = value.span.end.checked_sub(self.start(last))?;
        let rest = self.lines.get(last).get(after..).unwrap_or_default().trim_ascii();
        if !value.span.is_empty() && !rest.is_empty() && !rest.starts_with(b"#") {
            return None;
        }
        let is_said = |line: &usize| {
            let text = self.lines.get(*line).trim_ascii();
            !text.is_empty() && !text.starts_with(b"#")
        };
        Some((key.line..=last).filter(is_said).collect())
    }

    /// The blanks before a key, where there is nothing else before it on its line.
    fn indent(&self, key: &Node) -> Option<usize> {
        let before = key.span.start.checked_sub(self.start(key.line))?;
        self.lines.get(key.line).get(..before)?.iter().all(|b| *b == b' ').then_some(before)
    }

    /// Where a line starts in the text.
    fn start(&self, line: usize) -> usize {
        let ends = self.text.iter().enumerate().filter(|(_, b)| **b == b'\n');
        line.checked_sub(2).map_or(0, |nth| ends.map(|(at, _)| at + 1).nth(nth).unwrap_or(0))
    }
}

fn asks_v6(definition: &Node) -> Option<bool> {
    let said = |key| definition.get(key).and_then(Node::as_bool);
    match (said("dhcp6"), said("accept-ra")) {
        (Some(dhcp), Some(router)) => Some(dhcp || router),
        (dhcp, router) => dhcp.or(router),
    }
}

fn fixed(definition: &Node) -> Vec<Fixed> {
    // A key that is there twice is read twice.
    let lists = definition.entries().iter().filter(|(key, _)| key.as_str() == Some("addresses"));
    let address = |item: &Node| {
        // "10.0.0.2/24", or "10.0.0.2/24: {label: ...}".
        let node = item.entries().first().map_or(item, |(key, _)| key).clone();
        Some(Fixed::new(node.line, node.as_str()?.as_bytes()))
    };
    let all = lists.flat_map(|(_, list)| list.items()).filter_map(address);
    all.filter(|fixed| !is_local(&fixed.value)).collect()
}

/// Whether an id can be the name of a card, and not a word that the writer chose.
fn is_card_name(name: &str) -> bool {
    ["eth", "en"].iter().any(|start| {
        name.strip_prefix(start).is_some_and(|rest| rest.bytes().any(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Repair, apply};
    use super::*;
    use proptest::prelude::*;

    fn profiles(text: &str) -> Vec<Profile> {
        read(text.as_bytes()).configuration.profiles
    }

    fn mended(text: &str) -> String {
        let Repair::Lines(changes) = &profiles(text)[0].to_dhcp else { panic!("no repair") };
        String::from_utf8(apply(text.as_bytes(), changes)).unwrap()
    }

    #[test]
    fn a_fixed_address() {
        let text = "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    eth0:\n      dhcp4: no   # by hand\n      addresses:\n      - 172.16.0.5/20\n      # why\n      - \"fd00::5/64\"\n      routes:\n        - to: default\n          via: 172.16.15.253\n      nameservers:\n        addresses: [100.100.2.136]\n";
        let profile = &profiles(text)[0];
        assert_eq!(profile.fixed, [Fixed::new(8, b"172.16.0.5/20"), Fixed::new(10, b"fd00::5/64")]);
        assert_eq!(
            mended(text),
            "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    eth0:\n      dhcp4: true   # by hand\n#guestprep[test]       addresses:\n#guestprep[test]       - 172.16.0.5/20\n      # why\n#guestprep[test]       - \"fd00::5/64\"\n#guestprep[test]       routes:\n#guestprep[test]         - to: default\n#guestprep[test]           via: 172.16.15.253\n      nameservers:\n        addresses: [100.100.2.136]\n"
        );
        assert_eq!(read(text.as_bytes()).renderer.as_deref(), Some("networkd"));
    }

    #[test]
    fn dhcp_is_said_where_it_was_not() {
        assert_eq!(
            mended(
                "network:\n ethernets:\n  eth0:\n   addresses: [10.0.0.2/24,\n     10.0.0.3/24]\n   gateway4: 10.0.0.1"
            ),
            "network:\n ethernets:\n  eth0:\n   dhcp4: true\n#guestprep[test]    addresses: [10.0.0.2/24,\n#guestprep[test]      10.0.0.3/24]\n#guestprep[test]    gateway4: 10.0.0.1"
        );
    }

    #[test]
    fn what_whole_lines_cannot_say_is_left_to_a_person() {
        for text in [
            "network: {ethernets: {eth0: {addresses: [10.0.0.2/24]}}}\n",
            "network:\n ethernets:\n  eth0: {addresses: [10.0.0.2/24]}\n",
            "network:\n ethernets:\n  eth0:\n   addresses: &a [10.0.0.2/24]\n",
        ] {
            assert_eq!(profiles(text)[0].to_dhcp, Repair::Manual, "{text}");
            assert_eq!(profiles(text)[0].fixed.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_match_by_address_becomes_one_by_name() {
        let text = "network:\n  ethernets:\n    primary:\n      match:\n        macaddress: 00:16:3e:01:02:03\n      set-name: eth0\n      dhcp4: true\n";
        let mac = &profiles(text)[0].macs[0];
        let Repair::Lines(changes) = &mac.drop else { panic!() };
        let after = String::from_utf8(apply(text.as_bytes(), changes)).unwrap();
        assert!(after.contains("      match:\n        name: \"eth0\"\n      set-name"), "{after}");
    }

    #[test]
    fn bridges_and_what_is_below_them() {
        let found = profiles(
            "network:\n  bridges:\n    br0:\n      interfaces: [eth0, eth1]\n      addresses: [10.0.0.2/24]\n  vlans:\n    v1: {id: 1, link: eth0}\n",
        );
        assert_eq!(found[0].ports, [b"eth0", b"eth1"]);
        assert_eq!(found[1].ports, [b"eth0"]);
        assert_eq!(found[0].kind, Kind::Virtual);
    }

    #[test]
    fn ways_to_an_address() {
        let one = |definition: &str| {
            profiles(&format!("network:\n  ethernets:\n    eth0: {{{definition}}}\n")).remove(0)
        };
        for (definition, v4, v6) in [
            ("", None, None),
            ("dhcp4: no", Some(false), None),
            ("dhcp6: no, accept-ra: yes", None, Some(true)),
            ("dhcp4: true, dhcp6: no", Some(true), Some(false)),
        ] {
            let profile = one(definition);
            assert_eq!((profile.dhcp, profile.asks_v6), (v4, v6), "{definition}");
            assert_eq!((profile.at_boot, profile.unread), (true, None), "{definition}");
        }
        assert!(!one("activation-mode: manual, dhcp4: true").at_boot);
        let own = one("networkmanager: {passthrough: {ipv4.method: auto}}");
        assert_eq!(own.unread, Some(3));
    }

    fn line() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "      dhcp4: no",
            "      dhcp4: yes # x",
            "      dhcp4: 'off'",
            "      addresses: [10.0.0.2/24]",
            "      addresses:\n      - 10.0.0.2/24\n      - 10.0.0.3/24: {label: x}",
            "      addresses:\n        # why\n        - fd00::2/64\n",
            "      gateway4: 10.0.0.1",
            "      routes:\n      - {to: default, via: 10.0.0.1}",
            "      optional: true",
            "      # a comment",
            "",
        ])
    }

    proptest! {
        #[test]
        fn a_mended_file_asks_by_dhcp_and_fixes_nothing(lines in prop::collection::hash_set(line(), 0..7)) {
            let head = "network:\n  version: 2\n  ethernets:\n    eth0:\n";
            let text = format!("{head}{}\n", lines.into_iter().collect::<Vec<_>>().join("\n"));
            let configuration = read(text.as_bytes()).configuration;
            for profile in configuration.profiles.iter().filter(|profile| !profile.fixed.is_empty()) {
                let Repair::Lines(changes) = &profile.to_dhcp else {
                    return Err(TestCaseError::fail(format!("no repair of\n{text}")));
                };
                let after = apply(text.as_bytes(), changes);
                let after = read(&after).configuration;
                prop_assert_eq!(&after.errors, &[]);
                prop_assert_eq!(&after.profiles[0].fixed, &[]);
                prop_assert_eq!(after.profiles[0].dhcp, Some(true), "{}", text);
            }
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            read(&text);
        }

        #[test]
        fn any_definition(text in "[a-z0-9:\\[\\]{}, \n'\"*&-]{0,60}") {
            read(format!("network:\n ethernets:\n  eth0:\n   {text}").as_bytes());
        }
    }
}
