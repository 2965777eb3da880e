//! `ifcfg-NAME`: of Red Hat's network scripts and NetworkManager's ifcfg-rh plugin, and of SUSE's ifup and wicked.
//!
//! Both are files of shell variables ([`super::super::key_value`]); what the variables mean differs (README of
//! initscripts' sysconfig.txt, nm-settings-ifcfg-rh(5), ifcfg(5) of wicked).

use super::{
    Change, Configuration, Fixed, Kind, Lines, Mac, Profile, Repair, To, is_local, is_mac,
};
use crate::parse::key_value::{Assignment, KeyValue};
use crate::parse::lines::LineError;

/// Who reads the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// /etc/sysconfig/network-scripts
    RedHat,
    /// /etc/sysconfig/network
    Suse,
}

/// What names the address of a file that has one without asking.
const ADDRESS: [&str; 7] =
    ["IPADDR", "NETMASK", "PREFIX", "PREFIXLEN", "GATEWAY", "BROADCAST", "NETWORK"];

/// The same of IPv6, and of ranges.
const MORE: [&str; 6] = [
    "IPV6ADDR",
    "IPV6ADDR_SECONDARIES",
    "IPV6_DEFAULTGW",
    "REMOTE_IPADDR",
    "IPADDR_START",
    "IPADDR_END",
];

/// Whether the network scripts, ifcfg-rh and wicked pass over a file of this name: a backup, or one of a package.
pub fn is_ignored(name: &[u8]) -> bool {
    const ENDINGS: &str =
        "~ .bak .old .orig .rpmnew .rpmorig .rpmsave .scpmbackup .augnew .augsave .augtmp";
    ENDINGS.split(' ').any(|ending| name.ends_with(ending.as_bytes()))
}

/// Reads a file; `suffix` is its name after `ifcfg-`. It holds one profile.
pub fn read(suffix: &[u8], text: &[u8], flavour: Flavour) -> Configuration {
    let file = File { text, values: KeyValue::parse(text), lines: Lines::of(text), flavour };
    let mut errors = file.values.errors().to_vec();
    for assignment in file.values.assignments() {
        if assignment.expands && file.matters(&assignment.key) {
            let reason = "a shell expands the value, which is not known";
            errors.push(LineError { line: assignment.line, reason });
        }
    }
    Configuration { profiles: vec![file.profile(suffix)], errors }
}

struct File<'a> {
    text: &'a [u8],
    values: KeyValue,
    lines: Lines<'a>,
    flavour: Flavour,
}

impl File<'_> {
    fn profile(&self, suffix: &[u8]) -> Profile {
        let device = match self.flavour {
            Flavour::RedHat => self.get("DEVICE").filter(|d| !d.is_empty()).unwrap_or(suffix),
            Flavour::Suse => suffix,
        };
        let name = device.split(|b| *b == b':').next().unwrap_or_default();
        let is_part = device.contains(&b':') || suffix.windows(6).any(|part| part == b"-range");
        let dhcp = self.dhcp();
        Profile {
            line: 1,
            name: Some(name.to_vec()),
            uuid: self.get("UUID").map(<[u8]>::to_vec),
            kind: self.kind(name),
            masters: self.masters(),
            ports: self.ports(name),
            at_boot: self.at_boot(),
            is_unmanaged: self.flavour == Flavour::RedHat && self.is_false("NM_CONTROLLED"),
            dhcp: Some(dhcp),
            asks_v6: Some(self.asks_v6()),
            unread: self.unread(),
            fixed: self.fixed(),
            macs: self.macs(),
            is_persistent: self.is_true("PERSISTENT_DHCLIENT"),
            to_dhcp: if is_part { Repair::RemoveFile } else { self.to_dhcp(dhcp).into() },
        }
    }

    fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key)
    }

    fn is_any(&self, key: &str, words: &[&str]) -> bool {
        let is =
            |value: &[u8]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
        self.get(key).is_some_and(is)
    }

    fn is_yes(&self, key: &str) -> bool {
        self.is_any(key, &["yes"])
    }

    /// Red Hat's words for yes.
    fn is_true(&self, key: &str) -> bool {
        self.is_any(key, &["yes", "y", "true", "t", "1"])
    }

    /// NetworkManager's words for no.
    fn is_false(&self, key: &str) -> bool {
        self.is_any(key, &["no", "n", "false", "f", "0"])
    }

    fn at_boot(&self) -> bool {
        match self.flavour {
            // Red Hat's scripts pass over a file that says no, whatever its case, and nothing else.
            Flavour::RedHat => !self.is_any("ONBOOT", &["no"]),
            Flavour::Suse => {
                let mode = self.get("STARTMODE").unwrap_or_default();
                ![&b"off"[..], b"manual"].iter().any(|no| mode.eq_ignore_ascii_case(no))
            }
        }
    }

    fn protocol(&self) -> Vec<u8> {
        self.get("BOOTPROTO").unwrap_or_default().to_ascii_lowercase()
    }

    fn asks_v6(&self) -> bool {
        match self.flavour {
            // A router is asked unless the file says not to (sysconfig.txt).
            Flavour::RedHat => {
                let asks_router =
                    self.get("IPV6_AUTOCONF").is_none() || self.is_true("IPV6_AUTOCONF");
                self.is_true("IPV6INIT") && (self.is_true("DHCPV6C") || asks_router)
            }
            Flavour::Suse => matches!(
                self.protocol().as_slice(),
                b"dhcp" | b"dhcp+autoip" | b"dhcp6" | b"auto6" | b"autoip6"
            ),
        }
    }

    /// The line of a protocol of which it is not told whether it gives an address.
    fn unread(&self) -> Option<usize> {
        let protocol = self.protocol();
        let is_told = match self.flavour {
            Flavour::RedHat => {
                matches!(
                    protocol.as_slice(),
                    b"" | b"none" | b"static" | b"dhcp" | b"bootp" | b"autoip" | b"shared"
                )
            }
            Flavour::Suse => {
                matches!(protocol.as_slice(), b"" | b"none" | b"static" | b"autoip" | b"auto4")
                    || protocol.starts_with(b"dhcp")
                    || self.asks_v6()
            }
        };
        let line = || self.values.last("BOOTPROTO").map(|assignment| assignment.line);
        if is_told { None } else { line() }
    }

    fn dhcp(&self) -> bool {
        let protocol = self.protocol();
        match self.flavour {
            // A bridge of Open vSwitch says it by a variable of its own (ifup-ovs).
            Flavour::RedHat => {
                matches!(protocol.as_slice(), b"dhcp" | b"bootp")
                    || self.is_any("OVSBOOTPROTO", &["dhcp"])
            }
            Flavour::Suse => protocol.starts_with(b"dhcp") && !protocol.starts_with(b"dhcp6"),
        }
    }

    fn kind(&self, name: &[u8]) -> Kind {
        if name == b"lo" {
            return Kind::Loopback;
        }
        let kind = self.get("TYPE").unwrap_or_default().to_ascii_lowercase();
        let is_virtual = match self.flavour {
            Flavour::RedHat => {
                !matches!(kind.as_slice(), b"" | b"ethernet" | b"alias")
                    || self.is_yes("VLAN")
                    || self.get("BONDING_OPTS").is_some()
                    || self.get("DEVICETYPE").is_some()
            }
            Flavour::Suse => {
                ["BRIDGE", "BONDING_MASTER"].iter().any(|key| self.is_yes(key))
                    || ["ETHERDEVICE", "TUNNEL", "INTERFACETYPE"].iter().any(|key| {
                        self.get(key).is_some_and(|v| !v.eq_ignore_ascii_case(b"ethernet"))
                    })
            }
        };
        if is_virtual { Kind::Virtual } else { Kind::Any }
    }

    fn masters(&self) -> Vec<Vec<u8>> {
        let keys: &[&str] = match self.flavour {
            Flavour::RedHat => &[
                "BRIDGE",
                "MASTER",
                "TEAM_MASTER",
                "OVS_BRIDGE",
                "VRF",
                "BRIDGE_UUID",
                "MASTER_UUID",
                "TEAM_MASTER_UUID",
                "VRF_UUID",
            ],
            Flavour::Suse => &[],
        };
        keys.iter().filter_map(|key| self.get(key)).map(<[u8]>::to_vec).collect()
    }

    fn ports(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let is_port = |key: &[u8]| match self.flavour {
            Flavour::RedHat => key == b"PHYSDEV",
            Flavour::Suse => {
                matches!(key, b"BRIDGE_PORTS" | b"ETHERDEVICE")
                    || [&b"BONDING_SLAVE"[..], b"TEAM_PORT_DEVICE", b"OVS_BRIDGE_PORT_DEVICE"]
                        .iter()
                        .any(|start| key.starts_with(start))
            }
        };
        let named = self.values.assignments().iter().filter(|a| is_port(&a.key));
        let mut ports: Vec<Vec<u8>> = named
            .flat_map(|a| a.value.split(u8::is_ascii_whitespace).map(<[u8]>::to_vec))
            .filter(|port| !port.is_empty())
            .collect();
        // eth0.100 is a VLAN on eth0.
        if let Some(dot) = name.iter().position(|b| *b == b'.') {
            ports.push(name[..dot].to_vec());
        }
        ports
    }

    fn fixed(&self) -> Vec<Fixed> {
        let no_v6 = self.flavour == Flavour::RedHat && self.is_any("IPV6INIT", &["no"]);
        // SUSE: an interface that is only there for others to stand on.
        if self.flavour == Flavour::Suse && self.is_any("BOOTPROTO", &["none"]) {
            return Vec::new();
        }
        self.values
            .assignments()
            .iter()
            .filter(|a| !a.value.is_empty() && !a.expands && self.is_last(a))
            .filter(|a| {
                is_one_of(&a.key, "IPADDR", self.flavour)
                    || a.key == b"IPADDR_START"
                    || matches!(a.key.as_slice(), b"IPV6ADDR" | b"IPV6ADDR_SECONDARIES") && !no_v6
            })
            .filter(|a| !is_local(&a.value))
            .map(|a| Fixed::new(a.line, &a.value))
            .collect()
    }

    fn macs(&self) -> Vec<Mac> {
        let keys: &[(&str, bool)] = match self.flavour {
            Flavour::RedHat => &[("HWADDR", false), ("MACADDR", true)],
            Flavour::Suse => &[("LLADDR", true)],
        };
        keys.iter()
            .filter_map(|(key, is_set)| Some((self.values.last(key)?, *is_set)))
            .filter(|(assignment, _)| is_mac(&assignment.value))
            .map(|(assignment, is_set)| Mac {
                line: assignment.line,
                value: assignment.value.clone(),
                is_set,
                drop: self
                    .is_alone(assignment)
                    .then(|| vec![self.lines.park(assignment.line)])
                    .into(),
            })
            .collect()
    }

    /// Whether a later assignment does not undo it.
    fn is_last(&self, assignment: &Assignment) -> bool {
        let key = std::str::from_utf8(&assignment.key).unwrap_or_default();
        self.values.last(key).is_some_and(|last| last.line == assignment.line)
    }

    /// Whether it is all that its line says, and its line all that says it.
    fn is_alone(&self, assignment: &Assignment) -> bool {
        let on_line = |other: &&Assignment| other.line == assignment.line;
        let value = &self.text[assignment.span.clone()];
        !value.contains(&b'\n') && self.values.assignments().iter().filter(on_line).count() == 1
    }

    fn matters(&self, key: &[u8]) -> bool {
        matches!(key, b"BOOTPROTO" | b"ONBOOT" | b"STARTMODE" | b"DEVICE" | b"HWADDR")
            || self.is_address(key)
    }

    fn is_address(&self, key: &[u8]) -> bool {
        ADDRESS.iter().any(|base| is_one_of(key, base, self.flavour))
            || MORE.iter().any(|more| key == more.as_bytes())
    }

    fn to_dhcp(&self, dhcp: bool) -> Option<Vec<Change>> {
        let mut changes = Vec::new();
        for assignment in self.values.assignments().iter().filter(|a| self.is_address(&a.key)) {
            if !self.is_alone(assignment) {
                return None;
            }
            changes.push(self.lines.park(assignment.line));
        }
        if dhcp {
            return Some(changes);
        }
        match self.values.last("BOOTPROTO") {
            Some(protocol) if self.is_alone(protocol) => {
                let line = self.lines.get(protocol.line);
                // What stands before the file's byte of the value is, counted from the end, outside of the line.
                let value = &self.text[protocol.span.clone()];
                let at = line.windows(value.len().max(1)).rposition(|part| part == value);
                let at = at.or_else(|| value.is_empty().then_some(line.len()))?;
                let quote = value.first().filter(|b| matches!(b, b'"' | b'\'')).into_iter();
                let quote: Vec<u8> = quote.copied().collect();
                let new =
                    [&line[..at], &quote, b"dhcp", &quote, &line[at + value.len()..]].concat();
                changes.push(self.lines.change(protocol.line, To::Line(new)));
            }
            Some(_) => return None,
            // In place of the first line that it makes void.
            None => changes.first_mut()?.to = To::Line(b"BOOTPROTO=dhcp".to_vec()),
        }
        changes.sort_by_key(|change| change.line);
        Some(changes)
    }
}

/// Whether a key is a base, or one of its numbered kin: `IPADDR2`, SUSE's `IPADDR_vip`.
fn is_one_of(key: &[u8], base: &str, flavour: Flavour) -> bool {
    let Some(rest) = key.strip_prefix(base.as_bytes()) else { return false };
    match flavour {
        Flavour::RedHat => rest.iter().all(u8::is_ascii_digit),
        Flavour::Suse => rest.is_empty() || rest.starts_with(b"_"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str, flavour: Flavour) -> Profile {
        read(b"eth0", text.as_bytes(), flavour).profiles.remove(0)
    }

    fn mended(text: &str, flavour: Flavour) -> String {
        let Repair::Lines(changes) = one(text, flavour).to_dhcp else { panic!("no repair") };
        String::from_utf8(apply(text.as_bytes(), &changes)).unwrap()
    }

    #[test]
    fn a_fixed_address_of_red_hat() {
        let text = "DEVICE=eth0\nBOOTPROTO='static' # by hand\nIPADDR=172.16.0.5\nNETMASK=255.255.240.0\nGATEWAY=172.16.15.253\nONBOOT=yes\nDNS1=100.100.2.136\n";
        let profile = one(text, Flavour::RedHat);
        assert_eq!(profile.fixed, [Fixed::new(3, b"172.16.0.5")]);
        assert_eq!((profile.dhcp, profile.at_boot), (Some(false), true));
        assert_eq!(
            mended(text, Flavour::RedHat),
            "DEVICE=eth0\nBOOTPROTO='dhcp' # by hand\n#guestprep[test] IPADDR=172.16.0.5\n#guestprep[test] NETMASK=255.255.240.0\n#guestprep[test] GATEWAY=172.16.15.253\nONBOOT=yes\nDNS1=100.100.2.136\n"
        );
    }

    #[test]
    fn where_no_protocol_is_said_the_first_address_makes_room_for_it() {
        assert_eq!(
            mended("DEVICE=eth0\nIPADDR0=10.0.0.2\nPREFIX0=24", Flavour::RedHat),
            "DEVICE=eth0\nBOOTPROTO=dhcp\n#guestprep[test] PREFIX0=24"
        );
        assert_eq!(
            mended("BOOTPROTO=\nIPADDR=10.0.0.2/24\nIPADDR_vip=10.0.0.9/24\n", Flavour::Suse),
            "BOOTPROTO=dhcp\n#guestprep[test] IPADDR=10.0.0.2/24\n#guestprep[test] IPADDR_vip=10.0.0.9/24\n"
        );
    }

    #[test]
    fn lines_that_say_more_than_one_thing_are_left_to_a_person() {
        for text in ["BOOTPROTO=none IPADDR=10.0.0.2\n", "IPADDR='10.0.0.2\n'\n"] {
            assert_eq!(one(text, Flavour::RedHat).to_dhcp, Repair::Manual, "{text}");
        }
    }

    #[test]
    fn names_kinds_and_what_stands_on_what() {
        let bridge = one("TYPE=Bridge\nDEVICE=br0\nIPADDR=10.0.0.2\n", Flavour::RedHat);
        assert_eq!((bridge.kind, bridge.name.as_deref()), (Kind::Virtual, Some(&b"br0"[..])));
        let port = one("DEVICE=eth0\nBRIDGE=br0\nHWADDR=00:16:3e:01:02:03\n", Flavour::RedHat);
        assert_eq!(port.masters, [b"br0"]);
        assert!(!port.macs[0].is_set);
        let bond = one(
            "BONDING_MASTER='yes'\nBONDING_SLAVE0='eth0'\nBONDING_SLAVE1='eth1'\n",
            Flavour::Suse,
        );
        assert_eq!((bond.kind, bond.ports.len()), (Kind::Virtual, 2));
        let alias = read(b"eth0:1", b"IPADDR=10.0.0.9\n", Flavour::RedHat).profiles.remove(0);
        assert_eq!(alias.name.as_deref(), Some(&b"eth0"[..]));
        assert_eq!(alias.to_dhcp, Repair::RemoveFile);
        assert!(one("LLADDR=00:16:3e:01:02:03\n", Flavour::Suse).macs[0].is_set);
    }

    #[test]
    fn what_a_shell_would_expand_is_not_known() {
        let configuration = read(b"eth0", b"IPADDR=$OLD\nX=$Y\n", Flavour::RedHat);
        assert_eq!(configuration.errors.len(), 1);
        assert_eq!(configuration.profiles[0].fixed, []);
    }

    #[test]
    fn ways_to_an_address() {
        use Flavour::{RedHat, Suse};
        for (flavour, text, v4, v6, unread) in [
            (RedHat, "", false, false, None),
            (RedHat, "IPV6INIT=yes\n", false, true, None),
            (RedHat, "IPV6INIT=yes\nIPV6_AUTOCONF=no\n", false, false, None),
            (RedHat, "IPV6INIT=yes\nIPV6_AUTOCONF=no\nDHCPV6C=yes\n", false, true, None),
            (RedHat, "A=b\nBOOTPROTO=ibft\n", false, false, Some(2)),
            (RedHat, "TYPE=OVSBridge\nOVSBOOTPROTO=dhcp\n", true, false, None),
            (Suse, "BOOTPROTO='dhcp'\n", true, true, None),
            (Suse, "BOOTPROTO='dhcp4'\n", true, false, None),
            (Suse, "BOOTPROTO='auto6'\n", false, true, None),
            (Suse, "BOOTPROTO='ppp'\n", false, false, Some(1)),
        ] {
            let profile = one(text, flavour);
            let told = (profile.dhcp, profile.asks_v6, profile.unread);
            assert_eq!(told, (Some(v4), Some(v6), unread), "{text}");
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "BOOTPROTO",
            "IPADDR",
            "IPADDR1",
            "NETMASK",
            "PREFIX",
            "HWADDR",
            "ONBOOT",
            "X",
            "# ",
        ]);
        let value = prop::sample::select(vec![
            "",
            "static",
            "'dhcp'",
            "\"none\"",
            "10.0.0.2",
            "'10.0.0.3'",
            "00:16:3e:01:02:03",
            "\"a b\"",
            "dhcp # why",
            "a; IPADDR=9.9.9.9",
            "$X",
            "a \\",
        ]);
        (key, value, prop::bool::ANY)
            .prop_map(|(k, v, export)| format!("{}{k}={v}", if export { "export " } else { "" }))
    }

    proptest! {
        #[test]
        fn a_mended_file_asks_by_dhcp_and_fixes_nothing(
            lines in prop::collection::vec(line(), 0..8),
            end in prop::sample::select(vec!["", "\n"]),
        ) {
            let text = lines.join("\n") + end;
            for flavour in [Flavour::RedHat, Flavour::Suse] {
                let before = one(&text, flavour);
                let Repair::Lines(changes) = &before.to_dhcp else { continue };
                let after = apply(text.as_bytes(), changes);
                let profile = read(b"eth0", &after, flavour).profiles.remove(0);
                prop_assert_eq!(&profile.fixed, &[], "{}", after.escape_ascii());
                prop_assert_eq!(profile.dhcp, Some(true), "{}", after.escape_ascii());
                // As many lines as before: what rollback and other checks count by.
                prop_assert_eq!(
                    after.iter().filter(|b| **b == b'\n').count(),
                    text.bytes().filter(|b| *b == b'\n').count()
                );
            }
        }

        #[test]
        fn any_bytes(suffix: Vec<u8>, text: Vec<u8>) {
            for flavour in [Flavour::RedHat, Flavour::Suse] {
                read(&suffix, &text, flavour);
            }
        }
    }
}
