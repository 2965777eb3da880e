//! NetworkManager's keyfiles: /etc/NetworkManager/system-connections (nm-settings-keyfile(5)).
//!
//! A keyfile is one connection: groups in brackets, `key=value`, `#` before a comment. No line goes over its end. GLib
//! refuses a file with any other line, and NetworkManager then has no such connection.

use super::{
    Change, Configuration, Fixed, Kind, Lines, Mac, Profile, Repair, To, is_local, is_mac,
};
use crate::parse::lines::{self, LineError};

/// Whether NetworkManager passes over a file of this name in /etc: hidden, a backup, one of a package.
pub fn is_ignored(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 7] =
        [b"~", b".bak", b".orig", b".rej", b".rpmnew", b".pem", b".rpmsave"];
    name.starts_with(b".") || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// One `key=value`.
struct Entry<'a> {
    line: usize,
    group: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
}

/// Reads a file. It holds one profile.
pub fn read(text: &[u8]) -> Configuration {
    let (entries, errors) = entries(text);
    let file = File { entries, lines: Lines::of(text) };
    Configuration { profiles: vec![file.profile()], errors }
}

fn entries(text: &[u8]) -> (Vec<Entry<'_>>, Vec<LineError>) {
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    let mut group: Option<&[u8]> = None;
    for (index, (raw, _)) in lines::split(text).enumerate() {
        let line = index + 1;
        let content = raw.trim_ascii_start();
        let mut error = |reason| errors.push(LineError { line, reason });
        match content.first() {
            None | Some(b'#') => {}
            Some(b'[') => match content.trim_ascii_end().strip_suffix(b"]") {
                Some(name) => group = Some(&name[1..]),
                None => error("the group's name is not closed"),
            },
            Some(_) => match (content.iter().position(|b| *b == b'='), group) {
                (Some(0) | None, _) => error("not \"key=value\""),
                (_, None) => error("it stands before the first group"),
                (Some(equals), Some(group)) => {
                    let key = content[..equals].trim_ascii_end();
                    let value = content[equals + 1..].trim_ascii();
                    entries.push(Entry { line, group, key, value });
                }
            },
        }
    }
    (entries, errors)
}

struct File<'a> {
    entries: Vec<Entry<'a>>,
    lines: Lines<'a>,
}

impl<'a> File<'a> {
    /// The last entry of a key, which is the one that counts.
    fn last(&self, groups: &[&str], key: &str) -> Option<&Entry<'a>> {
        self.entries
            .iter()
            .rev()
            .find(|e| groups.iter().any(|g| e.group == g.as_bytes()) && e.key == key.as_bytes())
    }

    fn get(&self, group: &str, key: &str) -> Option<&'a [u8]> {
        self.last(&[group], key).map(|entry| entry.value)
    }

    fn profile(&self) -> Profile {
        let connection = |key| self.get("connection", key);
        let patterns = || self.get("match", "interface-name").map(|v| v.replace_all(b';', b' '));
        let name = connection("interface-name").map(<[u8]>::to_vec).or_else(patterns);
        let kind = match connection("type") {
            None | Some(b"ethernet" | b"802-3-ethernet") => Kind::Any,
            Some(b"loopback") => Kind::Loopback,
            Some(_) => Kind::Virtual,
        };
        let masters = ["master", "controller"].iter().filter_map(|key| connection(key));
        let is_port = masters.clone().next().is_some();
        Profile {
            line: 1,
            name,
            uuid: connection("uuid").map(<[u8]>::to_vec),
            kind,
            masters: masters.map(<[u8]>::to_vec).collect(),
            ports: ["vlan", "macvlan"]
                .iter()
                .filter_map(|group| self.get(group, "parent"))
                .map(<[u8]>::to_vec)
                .collect(),
            at_boot: connection("autoconnect") != Some(b"false"),
            dhcp: Some(self.asks_v4(is_port)),
            asks_v6: self.get("ipv6", "method").map(|method| matches!(method, b"auto" | b"dhcp")),
            // NetworkManager refuses such a file and makes a profile of its own, or none.
            unread: match (self.first("ipv4"), self.get("ipv4", "method")) {
                (Some(entry), None) => Some(entry.line),
                _ => None,
            },
            fixed: self.fixed(),
            macs: self.macs(),
            to_dhcp: Repair::Lines(self.to_dhcp()),
            ..Profile::default()
        }
    }

    fn first(&self, group: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.group == group.as_bytes())
    }

    /// NetworkManager adds a group that is not there, with the method `auto`, and none to a port.
    fn asks_v4(&self, is_port: bool) -> bool {
        match self.get("ipv4", "method") {
            Some(method) => method == b"auto",
            None => !is_port && self.first("ipv4").is_none(),
        }
    }

    fn fixed(&self) -> Vec<Fixed> {
        let mut fixed = Vec::new();
        for entry in self.entries.iter().filter(|e| is_address(e.key)) {
            let group = match entry.group {
                b"ipv4" => "ipv4",
                b"ipv6" => "ipv6",
                _ => continue,
            };
            let is_used = matches!(self.get(group, "method"), Some(b"manual" | b"auto" | b"dhcp"));
            // "address/prefix,gateway"; the older "addresses" has several, with semicolons between.
            let address =
                entry.value.split(|b| matches!(b, b',' | b';')).next().unwrap_or_default();
            if is_used && !address.is_empty() && !is_local(address) {
                fixed.push(Fixed::new(entry.line, address));
            }
        }
        fixed
    }

    fn macs(&self) -> Vec<Mac> {
        [("mac-address", false), ("cloned-mac-address", true)]
            .iter()
            .filter_map(|(key, is_set)| {
                let entry = self.last(&["ethernet", "802-3-ethernet"], key)?;
                is_mac(entry.value).then(|| Mac {
                    line: entry.line,
                    value: entry.value.to_vec(),
                    is_set: *is_set,
                    drop: Repair::Lines(vec![self.lines.park(entry.line)]),
                })
            })
            .collect()
    }

    fn to_dhcp(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for entry in &self.entries {
            if !matches!(entry.group, b"ipv4" | b"ipv6") {
                continue;
            }
            if is_address(entry.key) || entry.key == b"gateway" {
                changes.push(self.lines.park(entry.line));
            } else if entry.key == b"method" && entry.value == b"manual" {
                let to = To::Line(b"method=auto".to_vec());
                changes.push(self.lines.change(entry.line, to));
            }
        }
        changes
    }
}

/// `addresses`, `address1`, and the older `addresses1`.
fn is_address(key: &[u8]) -> bool {
    let rest = key.strip_prefix(b"addresses").or_else(|| key.strip_prefix(b"address"));
    rest.is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
}

trait ReplaceAll {
    fn replace_all(&self, from: u8, to: u8) -> Vec<u8>;
}

impl ReplaceAll for [u8] {
    fn replace_all(&self, from: u8, to: u8) -> Vec<u8> {
        self.iter().map(|b| if *b == from { to } else { *b }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::apply;
    use super::*;
    use proptest::prelude::*;

    const MANUAL: &str = "[connection]\nid=eth0\nuuid=1\ntype=ethernet\ninterface-name=eth0\n\n[ethernet]\nmac-address=00:16:3E:01:02:03\ncloned-mac-address=preserve\n\n[ipv4]\naddress1=172.16.0.5/20,172.16.15.253\ndns=100.100.2.136;\nmethod=manual\n\n[ipv6]\nmethod=ignore\n";

    #[test]
    fn a_manual_connection() {
        let configuration = read(MANUAL.as_bytes());
        assert_eq!(configuration.errors, []);
        let profile = &configuration.profiles[0];
        assert_eq!(profile.fixed, [Fixed::new(12, b"172.16.0.5/20")]);
        assert_eq!(profile.macs.len(), 1);
        assert_eq!(profile.dhcp, Some(false));
        let Repair::Lines(changes) = &profile.to_dhcp else { panic!() };
        let after = String::from_utf8(apply(MANUAL.as_bytes(), changes)).unwrap();
        assert!(after.contains("#guestprep[test] address1=172"), "{after}");
        assert!(after.contains("dns=100.100.2.136;\nmethod=auto\n"), "{after}");
        assert!(after.contains("[ipv6]\nmethod=ignore\n"), "{after}");
    }

    #[test]
    fn what_is_no_address_of_the_guest() {
        let profile = |text: &str| read(text.as_bytes()).profiles.remove(0);
        assert_eq!(profile("[ipv4]\nmethod=disabled\naddress1=10.0.0.2/24\n").fixed, []);
        assert_eq!(profile("[ipv6]\nmethod=manual\naddress1=fe80::1/64\n").fixed, []);
        let bridge = profile("[connection]\ntype=bridge\ninterface-name=br0\n");
        assert_eq!(bridge.kind, Kind::Virtual);
        let port = profile("[connection]\ntype=802-3-ethernet\nmaster=br0\nautoconnect=false\n");
        assert_eq!((port.masters.len(), port.at_boot), (1, false));
    }

    #[test]
    fn lines_that_glib_refuses() {
        for (text, line) in [("[ipv4\n", 1), ("a=b\n", 1), ("[a]\njunk\n", 2), ("[a]\n=b\n", 2)] {
            let errors = read(text.as_bytes()).errors;
            assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [line], "{text}");
        }
    }

    #[test]
    fn what_network_manager_adds() {
        let profile = |text: &str| read(text.as_bytes()).profiles.remove(0);
        let asks = |text: &str| (profile(text).dhcp, profile(text).asks_v6, profile(text).unread);
        assert_eq!(asks("[connection]\nid=a\n"), (Some(true), None, None));
        assert_eq!(asks("[connection]\nid=a\nmaster=b\n"), (Some(false), None, None));
        assert_eq!(asks("[ipv4]\nmay-fail=false\n"), (Some(false), None, Some(2)));
        assert_eq!(asks("[ipv6]\nmethod=ignore\n"), (Some(true), Some(false), None));
        assert_eq!(asks("[ipv4]\nmethod=shared\n[ipv6]\nmethod=dhcp\n").1, Some(true));
    }

    fn line() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "[connection]",
            "[ipv4]",
            "[ipv6]",
            "[ethernet]",
            "method=manual",
            "method=auto",
            " method = manual",
            "address1=10.0.0.2/24,10.0.0.1",
            "addresses=10.0.0.3/24;",
            "address2 = fd00::2/64",
            "gateway=10.0.0.1",
            "mac-address=00:16:3e:01:02:03",
            "# x",
            "",
        ])
    }

    proptest! {
        #[test]
        fn a_mended_file_fixes_nothing(lines in prop::collection::vec(line(), 0..14)) {
            let text = lines.join("\n");
            let before = read(text.as_bytes()).profiles.remove(0);
            let Repair::Lines(changes) = &before.to_dhcp else { panic!() };
            let after = apply(text.as_bytes(), changes);
            let profile = read(&after).profiles.remove(0);
            prop_assert_eq!(&profile.fixed, &[]);
            if before.fixed.iter().any(|fixed| !fixed.is_v6) && before.dhcp == Some(false)
                && text.contains("[ipv4]") && !text.contains("[ipv6]")
            {
                prop_assert_eq!(profile.dhcp, Some(true), "{}", after.escape_ascii());
            }
        }

        #[test]
        fn any_bytes(text: Vec<u8>) {
            read(&text);
        }
    }
}
