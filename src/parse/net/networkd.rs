//! systemd-networkd's `.network` files with their drop-ins, and udev's `.link` files.
//!
//! Their syntax is that of units ([`super::super::unit`]); what the keys mean is in systemd.network(5) and
//! systemd.link(5).

use super::{Change, Configuration, Fixed, Kind, Lines, Mac, Profile, To, is_local, is_mac};
use crate::parse::unit::{Assignment, Content, UnitFile};

/// Reads a `.network` file or a drop-in of one. It holds one profile.
pub fn network(text: &[u8]) -> Configuration {
    let file = File { unit: UnitFile::parse(text), lines: Lines::of(text) };
    let get = |section, key| file.unit.get_last(section, key);
    let list = |section, key| -> Vec<Vec<u8>> {
        file.unit.get_all(section, key).into_iter().map(<[u8]>::to_vec).collect()
    };
    let names = list("Match", "Name");
    let is_virtual = get("Match", "Kind").is_some()
        || get("Match", "Type").is_some_and(|types| !has_ether(types))
        || get("Match", "Driver").is_some_and(is_of_software);
    let is_unmanaged = get("Link", "Unmanaged").is_some_and(is_true)
        || matches!(get("Link", "ActivationPolicy"), Some(b"manual" | b"down" | b"always-down"));
    let dhcp = get("Network", "DHCP");
    let router = get("Network", "IPv6AcceptRA")
        .or_else(|| get("Network", "IPv6AcceptRouterAdvertisements"))
        .map(is_true);
    let profile = Profile {
        line: 1,
        name: (!names.is_empty()).then(|| names.join(&b' ')),
        kind: if is_virtual { Kind::Virtual } else { Kind::Any },
        masters: ["Bridge", "Bond", "VLAN", "VRF", "MACVLAN", "IPVLAN"]
            .iter()
            .flat_map(|key| list("Network", key))
            .collect(),
        at_boot: !is_unmanaged,
        dhcp: dhcp.map(asks_v4),
        asks_v6: match (dhcp.map(asks_v6), router) {
            (Some(dhcp), Some(router)) => Some(dhcp || router),
            (dhcp, router) => dhcp.or(router),
        },
        unread: file.condition(),
        fixed: file.fixed(),
        macs: file.macs("MACAddress"),
        to_dhcp: file.to_dhcp().into(),
        ..Profile::default()
    };
    Configuration { profiles: vec![profile], errors: file.unit.errors().to_vec() }
}

/// Reads a `.link` file. It holds one profile, whose name is the one that it gives.
pub fn link(text: &[u8]) -> Configuration {
    let file = File { unit: UnitFile::parse(text), lines: Lines::of(text) };
    let profile = Profile {
        line: 1,
        name: file.unit.get_last("Link", "Name").map(<[u8]>::to_vec),
        at_boot: true,
        macs: [file.macs("MACAddress"), file.macs("PermanentMACAddress")].concat(),
        ..Profile::default()
    };
    Configuration { profiles: vec![profile], errors: file.unit.errors().to_vec() }
}

/// systemd's words for yes.
fn is_true(value: &[u8]) -> bool {
    [&b"1"[..], b"yes", b"y", b"true", b"t", b"on"].iter().any(|w| value.eq_ignore_ascii_case(w))
}

/// Whether `DHCP=` asks for IPv4; `both` and `v4` are older words (systemd 219).
fn asks_v4(value: &[u8]) -> bool {
    is_true(value) || [&b"ipv4"[..], b"v4", b"both"].iter().any(|w| value.eq_ignore_ascii_case(w))
}

/// The same of IPv6.
fn asks_v6(value: &[u8]) -> bool {
    is_true(value) || [&b"ipv6"[..], b"v6", b"both"].iter().any(|w| value.eq_ignore_ascii_case(w))
}

/// Whether a list of types has cards in it; `!` before it is for every type but these.
fn has_ether(types: &[u8]) -> bool {
    let (is_all_but, types) = types.strip_prefix(b"!").map_or((false, types), |rest| (true, rest));
    types.split(u8::is_ascii_whitespace).any(|kind| kind == b"ether") != is_all_but
}

/// Whether drivers are those of interfaces that software makes.
fn is_of_software(drivers: &[u8]) -> bool {
    const DRIVERS: [&[u8]; 9] = [
        b"veth",
        b"tun",
        b"bridge",
        b"bonding",
        b"dummy",
        b"macvlan",
        b"ipvlan",
        b"vxlan",
        b"openvswitch",
    ];
    drivers.split(u8::is_ascii_whitespace).all(|driver| DRIVERS.contains(&driver))
}

struct File<'a> {
    unit: UnitFile,
    lines: Lines<'a>,
}

impl File<'_> {
    fn fixed(&self) -> Vec<Fixed> {
        let mut fixed: Vec<Fixed> = Vec::new();
        for assignment in self.assignments() {
            let is_address = assignment.key == b"Address"
                && matches!(assignment.section.as_slice(), b"Network" | b"Address");
            if !is_address {
                continue;
            }
            if assignment.value.is_empty() {
                fixed.clear();
            } else if !is_local(&assignment.value) {
                fixed.push(Fixed::new(assignment.line, &assignment.value));
            }
        }
        fixed
    }

    /// The line of a condition that a card may or may not meet, for all that is known here.
    fn condition(&self) -> Option<usize> {
        const KNOWN: [&[u8]; 5] =
            [b"Name", b"Type", b"Kind", b"MACAddress", b"PermanentMACAddress"];
        let mut matches = self.assignments().iter().filter(|a| a.section == b"Match");
        matches.find(|a| !KNOWN.contains(&a.key.as_slice())).map(|a| a.line)
    }

    fn assignments(&self) -> &[Assignment] {
        self.unit.settings().assignments()
    }

    fn macs(&self, match_key: &str) -> Vec<Mac> {
        let mut macs = Vec::new();
        for assignment in self.assignments() {
            let is_set = match assignment.section.as_slice() {
                b"Match" if assignment.key == match_key.as_bytes() => false,
                b"Link" if assignment.key == b"MACAddress" && match_key == "MACAddress" => true,
                _ => continue,
            };
            // A list of addresses to match is as bound as one.
            let first = assignment.value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            if is_mac(first) {
                let drop = self.drop_mac(assignment, is_set).into();
                macs.push(Mac { line: assignment.line, value: first.to_vec(), is_set, drop });
            }
        }
        macs
    }

    /// A `[Match]` that is left empty makes networkd pass over the file, so that the last thing that
    /// is matched is not dropped here.
    fn drop_mac(&self, assignment: &Assignment, is_set: bool) -> Option<Vec<Change>> {
        let others = self.assignments().iter().filter(|a| {
            a.section == b"Match"
                && !matches!(a.key.as_slice(), b"MACAddress" | b"PermanentMACAddress")
                && !a.value.is_empty()
        });
        let is_whole = is_set || others.count() > 0;
        (is_whole && self.is_one_line(assignment.line))
            .then(|| vec![self.lines.park(assignment.line)])
    }

    fn is_one_line(&self, line: usize) -> bool {
        let content = |line: usize| self.unit.lines().get(line).map(|line| line.content);
        // `lines` counts from 0, so that this is the line after it.
        content(line) != Some(Content::Continuation) && !self.lines.get(line).ends_with(b"\\")
    }

    fn to_dhcp(&self) -> Option<Vec<Change>> {
        if self.unit.is_refused() {
            return None;
        }
        let mut changes = Vec::new();
        let mut dhcp = None;
        for assignment in self.assignments() {
            match (assignment.section.as_slice(), assignment.key.as_slice()) {
                (b"Network", b"Address" | b"Gateway") => changes.push(assignment.line),
                (b"Network", b"DHCP") => dhcp = Some(assignment),
                _ => {}
            }
        }
        for (start, end, name) in self.sections() {
            let has_gateway = self.assignments().iter().any(|a| {
                (start..end).contains(&a.line) && a.key == b"Gateway" && !a.value.starts_with(b"_")
            });
            if name == b"Address" || name == b"Route" && has_gateway {
                // A heading that goes takes its lines along, or they would belong to the section above.
                let is_said = |line: &usize| {
                    let content = self.unit.lines().get(line - 1).map(|line| line.content);
                    !matches!(content, None | Some(Content::Blank | Content::Comment))
                };
                changes.extend((start..end).filter(is_said));
            }
        }
        if changes.iter().any(|line| !self.is_one_line(*line)) {
            return None;
        }
        let mut changes: Vec<Change> = changes.into_iter().map(|l| self.lines.park(l)).collect();
        match dhcp {
            Some(dhcp) if asks_v4(&dhcp.value) => {}
            Some(dhcp) if self.is_one_line(dhcp.line) => {
                changes.push(self.lines.change(dhcp.line, To::Line(b"DHCP=yes".to_vec())));
            }
            Some(_) => return None,
            None => match self.sections().iter().find(|(_, _, name)| name == b"Network") {
                Some((heading, ..)) => {
                    let to = To::Followed(b"DHCP=yes".to_vec());
                    changes.push(self.lines.change(*heading, to));
                }
                // Its addresses are in sections of their own: the first one's heading becomes ours.
                None => {
                    changes.sort_by_key(|change| change.line);
                    if changes.get(1)?.original.trim_ascii_start().starts_with(b"[") {
                        return None;
                    }
                    changes[0].to = To::Line(b"[Network]".to_vec());
                    changes[1].to = To::Line(b"DHCP=yes".to_vec());
                }
            },
        }
        changes.sort_by_key(|change| change.line);
        Some(changes)
    }

    /// Each section's first line, the line after its last, and its name.
    fn sections(&self) -> Vec<(usize, usize, Vec<u8>)> {
        let mut sections: Vec<(usize, usize, Vec<u8>)> = Vec::new();
        let end = self.unit.lines().len() + 1;
        for line in self.unit.lines().iter().filter(|line| line.content == Content::Section) {
            if let Some(last) = sections.last_mut() {
                last.1 = line.number;
            }
            let heading = line.raw.trim_ascii();
            let name = heading.strip_prefix(b"[").unwrap_or(heading);
            let name = name.strip_suffix(b"]").unwrap_or(name).to_vec();
            sections.push((line.number, end, name));
        }
        sections
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Repair, apply};
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Profile {
        network(text.as_bytes()).profiles.remove(0)
    }

    fn mended(text: &str) -> String {
        let Repair::Lines(changes) = one(text).to_dhcp else { panic!("no repair: {text}") };
        String::from_utf8(apply(text.as_bytes(), &changes)).unwrap()
    }

    #[test]
    fn a_fixed_address() {
        let text = "[Match]\nName=eth0\n\n[Network]\nAddress=172.16.0.5/20\nGateway=172.16.15.253\nDNS=100.100.2.136\n";
        let profile = one(text);
        assert_eq!(profile.name.as_deref(), Some(&b"eth0"[..]));
        assert_eq!((profile.dhcp, profile.fixed.len()), (None, 1));
        assert_eq!(
            mended(text),
            "[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n#guestprep[test] Address=172.16.0.5/20\n#guestprep[test] Gateway=172.16.15.253\nDNS=100.100.2.136\n"
        );
    }

    #[test]
    fn sections_of_their_own_go_whole() {
        let text = "[Network]\nDHCP=no\n[Address]\n# why\nAddress=10.0.0.2/24\nLabel=x\n\n[Route]\nGateway=10.0.0.1\n[Route]\nGateway=_dhcp4\n";
        assert_eq!(
            mended(text),
            "[Network]\nDHCP=yes\n#guestprep[test] [Address]\n# why\n#guestprep[test] Address=10.0.0.2/24\n#guestprep[test] Label=x\n\n#guestprep[test] [Route]\n#guestprep[test] Gateway=10.0.0.1\n[Route]\nGateway=_dhcp4\n"
        );
        assert_eq!(
            mended("[Match]\nName=eth0\n[Address]\nAddress=10.0.0.2/24\n"),
            "[Match]\nName=eth0\n[Network]\nDHCP=yes\n"
        );
    }

    #[test]
    fn a_match_is_not_left_empty() {
        let alone = one("[Match]\nMACAddress=00:16:3e:01:02:03\n[Network]\nDHCP=yes\n");
        assert_eq!(alone.macs[0].drop, Repair::Manual);
        let named = one("[Match]\nName=eth0\nMACAddress=00:16:3e:01:02:03 00:16:3e:01:02:04\n");
        assert!(matches!(named.macs[0].drop, Repair::Lines(_)));
        let set = one("[Match]\nName=eth0\n[Link]\nMACAddress=00:16:3e:01:02:03\n");
        assert!(set.macs[0].is_set);
        let link = link(b"[Match]\nPermanentMACAddress=00:16:3e:01:02:03\n[Link]\nName=lan0\n");
        assert_eq!(link.profiles[0].macs.len(), 1);
    }

    #[test]
    fn what_dhcp_may_say() {
        for (word, want) in
            [("yes", true), ("ipv4", true), ("both", true), ("ipv6", false), ("no", false)]
        {
            assert_eq!(one(&format!("[Network]\nDHCP={word}\n")).dhcp, Some(want), "{word}");
        }
    }

    #[test]
    fn ways_to_an_address() {
        for (text, v4, v6) in [
            ("", None, None),
            ("DHCP=yes\n", Some(true), Some(true)),
            ("DHCP=ipv6\n", Some(false), Some(true)),
            ("DHCP=no\nIPv6AcceptRA=yes\n", Some(false), Some(true)),
            ("IPv6AcceptRA=no\n", None, Some(false)),
        ] {
            let profile = one(&format!("[Network]\n{text}"));
            assert_eq!((profile.dhcp, profile.asks_v6), (v4, v6), "{text}");
        }
    }

    #[test]
    fn what_a_file_is_about() {
        for (text, kind) in [
            ("ether", Kind::Any),
            ("!wlan", Kind::Any),
            ("!ether", Kind::Virtual),
            ("wlan", Kind::Virtual),
        ] {
            assert_eq!(one(&format!("[Match]\nType={text}\n")).kind, kind, "{text}");
        }
        assert_eq!(one("[Match]\nDriver=veth\n").kind, Kind::Virtual);
        assert_eq!(one("[Match]\nDriver=virtio_net\n").kind, Kind::Any);
        assert_eq!(one("[Match]\nName=eth0\nType=ether\n").unread, None);
        assert_eq!(one("[Match]\nName=eth0\nHost=a\n").unread, Some(3));
        for (policy, at_boot) in [("up", true), ("manual", false), ("always-down", false)] {
            assert_eq!(one(&format!("[Link]\nActivationPolicy={policy}\n")).at_boot, at_boot);
        }
    }

    fn line() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "[Match]",
            "[Network]",
            "[Address]",
            "[Route]",
            "[Link]",
            "Name=eth0",
            "DHCP=no",
            "DHCP=ipv6",
            "DHCP=yes",
            "Address=10.0.0.2/24",
            "Address=fd00::2/64",
            "Gateway=10.0.0.1",
            "Address=\\",
            "MACAddress=00:16:3e:01:02:03",
            "# x",
            "",
            "junk",
            "Metric=1",
        ])
    }

    proptest! {
        #[test]
        fn a_mended_file_asks_by_dhcp_and_fixes_nothing(lines in prop::collection::vec(line(), 0..14)) {
            let text = lines.join("\n");
            let before = one(&text);
            if !before.fixed.is_empty() && let Repair::Lines(changes) = &before.to_dhcp {
                let after = apply(text.as_bytes(), changes);
                let profile = network(&after).profiles.remove(0);
                prop_assert_eq!(&profile.fixed, &[], "{}", after.escape_ascii());
                prop_assert_eq!(profile.dhcp, Some(true), "{}", after.escape_ascii());
            }
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            network(&text);
            link(&text);
        }
    }
}
