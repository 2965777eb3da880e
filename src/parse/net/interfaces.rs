//! `/etc/network/interfaces` of ifupdown, and the files that it names (interfaces(5)).

use super::{
    Change, Configuration, Fixed, Kind, Lines, Mac, Profile, Repair, To, is_local, is_mac,
};
use crate::parse::fields::{self, is_blank};
use crate::parse::lines::{self, LineError};

/// What a file says beside its profiles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interfaces {
    /// An `iface` stanza each.
    pub configuration: Configuration,
    /// The interfaces that boot brings up (`auto`, `allow-auto`, `allow-hotplug`), aliases with their colon.
    pub autos: Vec<Vec<u8>>,
    /// `source` and `source-directory`: whether it is a directory, and the pattern or path.
    pub sources: Vec<(bool, Vec<u8>)>,
}

/// Options that say which address it is.
const ADDRESS: [&[u8]; 6] =
    [b"address", b"netmask", b"gateway", b"broadcast", b"network", b"pointopoint"];

/// A line with those that continue it, comments left out.
struct Logical {
    line: usize,
    is_one: bool,
    text: Vec<u8>,
}

/// An `iface` stanza.
struct Stanza {
    head: Logical,
    options: Vec<Logical>,
}

impl Logical {
    fn words(&self) -> Vec<&[u8]> {
        fields::spans(&self.text, is_blank).into_iter().map(|span| &self.text[span]).collect()
    }
}

impl Stanza {
    fn word(&self, index: usize) -> &[u8] {
        self.head.words().get(index).copied().unwrap_or_default()
    }

    fn name(&self) -> &[u8] {
        self.word(1)
    }

    /// The name without an alias's number.
    fn device(&self) -> &[u8] {
        self.name().split(|b| *b == b':').next().unwrap_or_default()
    }

    fn is_v6(&self) -> bool {
        self.word(2) == b"inet6"
    }

    fn option(&self, keys: &[&[u8]]) -> impl Iterator<Item = (&Logical, Vec<Vec<u8>>)> {
        self.options.iter().filter_map(move |option| {
            let words = option.words();
            let (first, rest) = words.split_first()?;
            keys.contains(first).then(|| (option, rest.iter().map(|w| w.to_vec()).collect()))
        })
    }

    /// The line of what may give the interface an address that is not read: a command that runs as it comes
    /// up, options of another stanza, a method that is not of these.
    fn unread(&self) -> Option<usize> {
        const TOLD: [&[u8]; 5] = [b"loopback", b"static", b"manual", b"dhcp", b"ipv4ll"];
        let method = self.word(3);
        let is_told = TOLD.contains(&method) || self.is_v6() && method == b"auto";
        if !is_told || method == b"static" && self.word(4) == b"inherits" {
            return Some(self.head.line);
        }
        let mut commands = self.option(&[b"pre-up", b"up", b"post-up"]);
        commands.next().map(|(option, _)| option.line)
    }

    fn values(&self, keys: &[&[u8]]) -> Vec<Vec<u8>> {
        self.option(keys).flat_map(|(_, values)| values).filter(|v| v != b"none").collect()
    }
}

/// Reads a file.
pub fn read(text: &[u8]) -> Interfaces {
    let table = Lines::of(text);
    let mut found = Interfaces::default();
    let mut stanzas: Vec<Stanza> = Vec::new();
    let mut autos: Vec<Logical> = Vec::new();
    // Whether options would belong to the last stanza, to nothing of ours, or to no stanza at all.
    let mut within = Within::Nothing;
    for logical in logical_lines(text) {
        let words = logical.words();
        let Some((first, rest)) = words.split_first() else { continue };
        match *first {
            b"iface" => {
                if rest.is_empty() {
                    let reason = "it names no interface";
                    found.configuration.errors.push(LineError { line: logical.line, reason });
                }
                stanzas.push(Stanza { head: logical, options: Vec::new() });
                within = Within::Interface;
            }
            b"mapping" | b"rename" => within = Within::Other,
            b"auto" | b"allow-auto" | b"allow-hotplug" => {
                found.autos.extend(rest.iter().map(|word| word.to_vec()));
                autos.push(logical);
                within = Within::Nothing;
            }
            b"source" | b"source-directory" | b"source-dir" => {
                let is_directory = *first != b"source";
                found.sources.extend(rest.iter().map(|word| (is_directory, word.to_vec())));
                within = Within::Nothing;
            }
            b"no-auto-down" | b"no-scripts" => within = Within::Nothing,
            word if word.starts_with(b"allow-") => within = Within::Nothing,
            _ => match (within, stanzas.last_mut()) {
                (Within::Interface, Some(stanza)) => stanza.options.push(logical),
                (Within::Other, _) => {}
                _ => {
                    let reason = "an option stands outside of a stanza";
                    found.configuration.errors.push(LineError { line: logical.line, reason });
                }
            },
        }
    }
    for index in 0..stanzas.len() {
        let profile = profile(&stanzas, index, &autos, &found.autos, &table);
        found.configuration.profiles.push(profile);
    }
    found
}

#[derive(Clone, Copy)]
enum Within {
    Nothing,
    Interface,
    Other,
}

/// ifupdown joins lines at a backslash, and passes over comments and empty lines.
fn logical_lines(text: &[u8]) -> Vec<Logical> {
    let mut all: Vec<Logical> = Vec::new();
    let mut open = false;
    for (index, (raw, _)) in lines::split(text).enumerate() {
        let continues = raw.ends_with(b"\\");
        let part = raw.strip_suffix(b"\\").unwrap_or(raw);
        if open && let Some(last) = all.last_mut() {
            last.text.extend_from_slice(part);
            last.is_one = false;
        } else if !raw.trim_ascii_start().starts_with(b"#") && !raw.trim_ascii().is_empty() {
            all.push(Logical { line: index + 1, is_one: !continues, text: part.to_vec() });
        } else {
            continue;
        }
        open = continues;
    }
    all
}

fn profile(
    stanzas: &[Stanza],
    index: usize,
    autos: &[Logical],
    names: &[Vec<u8>],
    table: &Lines<'_>,
) -> Profile {
    let stanza = &stanzas[index];
    let method = stanza.word(3);
    let ports = [
        &b"bridge_ports"[..],
        b"bridge-ports",
        b"bond-slaves",
        b"bond_slaves",
        b"slaves",
        b"vlan-raw-device",
        b"vlan_raw_device",
    ];
    let mut ports = stanza.values(&ports);
    // bridge-utils-interfaces(5): every card, or those whose names an expression fits.
    if ports.iter().any(|port| matches!(port.as_slice(), b"all" | b"regex")) {
        ports.push(b"*".to_vec());
    }
    let device = stanza.device();
    if let Some(dot) = device.iter().position(|b| *b == b'.') {
        ports.push(device[..dot].to_vec());
    }
    let is_made = stanza.options.iter().any(|option| {
        let first = option.words().first().copied().unwrap_or_default().to_vec();
        [&b"bridge"[..], b"bond-slaves", b"bond-mode", b"bond_mode", b"slaves", b"vlan"]
            .iter()
            .any(|start| first.starts_with(start))
    });
    let kind = match (device, method) {
        (b"lo", _) | (_, b"loopback") => Kind::Loopback,
        _ if is_made || device.contains(&b'.') => Kind::Virtual,
        _ => Kind::Any,
    };
    let fixed: Vec<Fixed> = if method == b"static" {
        stanza
            .option(&[b"address"])
            .filter_map(|(option, values)| Some((option.line, values.into_iter().next()?)))
            .filter(|(_, value)| !is_local(value))
            .map(|(line, value)| Fixed { is_v6: stanza.is_v6(), ..Fixed::new(line, &value) })
            .collect()
    } else {
        Vec::new()
    };
    Profile {
        line: stanza.head.line,
        name: Some(device.to_vec()),
        kind,
        masters: stanza.values(&[b"bond-master", b"bond_master"]),
        ports,
        at_boot: names.iter().any(|auto| auto == stanza.name()),
        dhcp: (!stanza.is_v6()).then_some(method == b"dhcp"),
        asks_v6: stanza.is_v6().then_some(matches!(method, b"auto" | b"dhcp")),
        unread: stanza.unread(),
        to_dhcp: if fixed.is_empty() {
            Repair::Manual
        } else {
            to_dhcp(stanzas, index, autos, table).into()
        },
        fixed,
        macs: macs(stanza, table),
        ..Profile::default()
    }
}

fn macs(stanza: &Stanza, table: &Lines<'_>) -> Vec<Mac> {
    // "hwaddress ether 00:..." of old, "hwaddress 00:..." since ifupdown 0.8.
    stanza
        .option(&[b"hwaddress"])
        .filter_map(|(option, values)| {
            let value = values.into_iter().find(|value| is_mac(value))?;
            let drop = option.is_one.then(|| vec![table.park(option.line)]).into();
            Some(Mac { line: option.line, value, is_set: true, drop })
        })
        .collect()
}

fn to_dhcp(
    stanzas: &[Stanza],
    index: usize,
    autos: &[Logical],
    table: &Lines<'_>,
) -> Option<Vec<Change>> {
    let stanza = &stanzas[index];
    if !stanza.head.is_one || stanza.options.iter().any(|option| !option.is_one) {
        return None;
    }
    let is_alias = stanza.name().contains(&b':');
    // Another stanza of the same interface and family asks, or will once it is mended.
    let is_second = stanzas.iter().enumerate().any(|(other, s)| {
        let same = s.name() == stanza.name() && s.is_v6() == stanza.is_v6();
        same && (s.word(3) == b"dhcp" || other < index && s.word(3) == b"static")
    });
    let mut changes = Vec::new();
    if is_alias || is_second {
        changes.push(table.park(stanza.head.line));
        changes.extend(stanza.options.iter().map(|option| table.park(option.line)));
        if is_alias {
            for auto in autos.iter().filter(|auto| auto.words().contains(&stanza.name())) {
                changes.push(without(auto, stanza.name(), table)?);
            }
        }
    } else {
        let method = if stanza.is_v6() { &b"auto"[..] } else { b"dhcp" };
        let line = table.get(stanza.head.line);
        let at = fields::spans(line, is_blank).get(3)?.clone();
        let new = [&line[..at.start], method, &line[at.end..]].concat();
        changes.push(table.change(stanza.head.line, To::Line(new)));
        changes.extend(stanza.option(&ADDRESS).map(|(option, _)| table.park(option.line)));
    }
    changes.sort_by_key(|change| change.line);
    Some(changes)
}

/// An `auto` line without one of its names; gone where it was the only one.
fn without(auto: &Logical, name: &[u8], table: &Lines<'_>) -> Option<Change> {
    let words = auto.words();
    // Two aliases on one line would want two different lines of it.
    if !auto.is_one || words.iter().filter(|word| word.contains(&b':')).count() > 1 {
        return None;
    }
    let left: Vec<&[u8]> = words.iter().copied().filter(|word| *word != name).collect();
    let to = if left.len() < 2 { To::Parked } else { To::Line(left.join(&b' ')) };
    Some(table.change(auto.line, to))
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use proptest::prelude::*;

    fn profiles(text: &str) -> Vec<Profile> {
        read(text.as_bytes()).configuration.profiles
    }

    fn mended(text: &str, index: usize) -> String {
        let Repair::Lines(changes) = &profiles(text)[index].to_dhcp else { panic!("no repair") };
        String::from_utf8(apply(text.as_bytes(), changes)).unwrap()
    }

    #[test]
    fn a_fixed_address() {
        let text = "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0  inet static\n\taddress 172.16.0.5/20\n\tgateway 172.16.15.253\n\tdns-nameservers 100.100.2.136\n";
        let eth0 = &profiles(text)[1];
        assert_eq!((eth0.at_boot, eth0.dhcp), (true, Some(false)));
        assert_eq!(eth0.fixed, [Fixed::new(6, b"172.16.0.5/20")]);
        assert_eq!(profiles(text)[0].kind, Kind::Loopback);
        assert_eq!(
            mended(text, 1),
            "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0  inet dhcp\n#guestprep[test] \taddress 172.16.0.5/20\n#guestprep[test] \tgateway 172.16.15.253\n\tdns-nameservers 100.100.2.136\n"
        );
    }

    #[test]
    fn a_second_address_goes_as_a_whole() {
        let text = "auto eth0 eth0:1\niface eth0 inet dhcp\niface eth0:1 inet static\n  address 10.0.0.9/24\n";
        assert_eq!(
            mended(text, 1),
            "auto eth0\niface eth0 inet dhcp\n#guestprep[test] iface eth0:1 inet static\n#guestprep[test]   address 10.0.0.9/24\n"
        );
        let text =
            "auto eth0\niface eth0 inet dhcp\niface eth0 inet static\n  address 10.0.0.9/24\n";
        assert!(mended(text, 1).contains("#guestprep[test] iface eth0 inet static"));
    }

    #[test]
    fn what_else_a_file_says() {
        let found = read(
            b"source /etc/network/interfaces.d/*\nsource-directory more\nallow-hotplug eth1\niface br0 inet static\n address 10.0.0.2\\\n/24\n bridge_ports eth0 eth1\n hwaddress ether 00:16:3e:01:02:03\n",
        );
        assert_eq!(found.sources.len(), 2);
        let br0 = &found.configuration.profiles[0];
        assert_eq!((br0.kind, br0.ports.len(), br0.at_boot), (Kind::Virtual, 2, false));
        assert_eq!(br0.fixed, [Fixed::new(5, b"10.0.0.2/24")]);
        assert_eq!(br0.to_dhcp, Repair::Manual, "a line goes over its end");
        assert!(br0.macs[0].is_set);
    }

    #[test]
    fn errors_name_their_line() {
        let found = read(b"address 10.0.0.2\nmapping eth0\n script x\niface\n");
        let lines: Vec<usize> = found.configuration.errors.iter().map(|e| e.line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn what_may_give_an_address_and_is_not_read() {
        for (text, want) in [
            ("iface eth0 inet manual\n", None),
            ("iface eth0 inet6 auto\n", None),
            ("iface eth0 inet auto\n", Some(1)),
            ("iface eth0 inet bootp\n", Some(1)),
            ("iface eth0 inet static inherits a\n", Some(1)),
            ("iface eth0 inet manual\n down x\n post-up y\n", Some(3)),
        ] {
            assert_eq!(profiles(text)[0].unread, want, "{text}");
        }
        let asks = |text| profiles(text)[0].asks_v6;
        assert_eq!(asks("iface eth0 inet6 manual\n"), Some(false));
        assert_eq!(asks("iface eth0 inet6 dhcp\n"), Some(true));
        let bridge = &profiles("iface b inet dhcp\n bridge_ports regex eth.* noregex\n")[0];
        assert!(bridge.ports.contains(&b"*".to_vec()));
    }

    fn line() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "auto eth0",
            "auto eth0 eth0:1",
            "iface eth0 inet static",
            "iface eth0 inet dhcp",
            "iface eth0:1 inet static",
            "iface eth0 inet6 static",
            " address 10.0.0.2/24",
            " address fd00::2/64",
            " gateway 10.0.0.1",
            " up ip route add x",
            " hwaddress \\",
            "# x",
            "",
            "source x",
        ])
    }

    proptest! {
        #[test]
        fn a_mended_file_fixes_nothing(lines in prop::collection::vec(line(), 0..14)) {
            let text = lines.join("\n");
            let before = profiles(&text);
            let mut changes: Vec<Change> = Vec::new();
            for profile in &before {
                let Repair::Lines(own) = &profile.to_dhcp else { continue };
                for change in own {
                    if !changes.contains(change) {
                        changes.push(change.clone());
                    }
                }
            }
            let conflict = changes.iter().enumerate().any(|(at, change)| {
                changes[..at].iter().any(|other| other.line == change.line)
            });
            prop_assert!(!conflict, "{changes:?}");
            let after = read(&apply(text.as_bytes(), &changes)).configuration.profiles;
            let manual = before.iter().filter(|p| p.to_dhcp == Repair::Manual && !p.fixed.is_empty());
            let left = after.iter().filter(|p| !p.fixed.is_empty());
            prop_assert_eq!(left.count(), manual.count());
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            read(&text);
        }
    }
}
