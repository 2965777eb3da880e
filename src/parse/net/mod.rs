//! What the configuration files of the network managers say about one interface, in words that all of them share.
//!
//! Each dialect has a module that reads a file into [`Profile`]s. The file's text is kept as bytes and never written:
//! what would make a profile ask for its address is a list of changes of whole lines, so that every other byte of the
//! file stays. Where a change of whole lines cannot say it (several settings on one line, a setting that goes over
//! several lines), there is no such list, and a person has to edit the file.

pub mod cloud_init;
pub mod ifcfg;
pub mod interfaces;
pub mod keyfile;
pub mod lease;
pub mod netplan;
pub mod networkd;
pub mod persistent_net;

use super::lines::{self, LineError};

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Its profiles, in the order of the file.
    pub profiles: Vec<Profile>,
    /// Lines that could not be read.
    pub errors: Vec<LineError>,
}

/// How one interface gets its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The line that it starts on, from 1.
    pub line: usize,
    /// The interface's name, or patterns of names with blanks between; `None` where it selects by other means.
    pub name: Option<Vec<u8>>,
    /// The identifier that other profiles may know it by.
    pub uuid: Option<Vec<u8>>,
    /// What kind of interface it says it is.
    pub kind: Kind,
    /// The virtual interfaces that this one is a port or a lower device of.
    pub masters: Vec<Vec<u8>>,
    /// The interfaces below this virtual one.
    pub ports: Vec<Vec<u8>>,
    /// Whether it is put to use at boot.
    pub at_boot: bool,
    /// Whether it tells NetworkManager to leave the interface alone (`NM_CONTROLLED=no`).
    pub is_unmanaged: bool,
    /// Whether it asks for an IPv4 address by DHCP; `None` where it says nothing about it.
    pub dhcp: Option<bool>,
    /// Whether it asks for an IPv6 address, by DHCP or of a router; `None` where it says nothing about it.
    pub asks_v6: Option<bool>,
    /// The line of what may give it an address beside these, and is not read: a command, a method that is not known.
    pub unread: Option<usize>,
    /// The addresses that it fixes, beside DHCP or in place of it.
    pub fixed: Vec<Fixed>,
    /// Hardware addresses that it is bound to.
    pub macs: Vec<Mac>,
    /// What leaves DHCP alone to give the addresses.
    pub to_dhcp: Repair,
    /// Whether its DHCP client is told to ask for ever (`PERSISTENT_DHCLIENT` of Red Hat's scripts).
    pub is_persistent: bool,
}

/// The kind of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A card, or not said: the name has to tell.
    #[default]
    Any,
    /// The loopback.
    Loopback,
    /// A bridge, a bond, a VLAN, a tunnel: made by software.
    Virtual,
}

/// An address that a file fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its line, from 1.
    pub line: usize,
    /// The address as the file writes it.
    pub value: Vec<u8>,
    /// Whether it is one of IPv6.
    pub is_v6: bool,
}

impl Fixed {
    /// An address as written, with or without its prefix.
    pub fn new(line: usize, value: &[u8]) -> Fixed {
        Fixed { line, value: value.to_vec(), is_v6: value.contains(&b':') }
    }

    /// The address without its prefix; `None` where it is none.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        let text = std::str::from_utf8(&self.value).ok()?;
        text.split('/').next()?.trim().parse().ok()
    }
}

/// A hardware address that a profile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac {
    /// Its line, from 1.
    pub line: usize,
    /// The address as the file writes it.
    pub value: Vec<u8>,
    /// Whether the profile gives the interface this address, in place of looking for it.
    pub is_set: bool,
    /// What drops it.
    pub drop: Repair,
}

/// What mends a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Repair {
    /// No change of whole lines: a person has to.
    #[default]
    Manual,
    /// These changes of whole lines.
    Lines(Vec<Change>),
    /// The file has to go: it says nothing else.
    RemoveFile,
}

impl From<Option<Vec<Change>>> for Repair {
    fn from(changes: Option<Vec<Change>>) -> Repair {
        changes.map_or(Repair::Manual, Repair::Lines)
    }
}

/// A change of one whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The line, from 1.
    pub line: usize,
    /// The line as it is, without its end.
    pub original: Vec<u8>,
    /// What becomes of it.
    pub to: To,
}

/// What becomes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// It is commented out.
    Parked,
    /// This line stands in its place.
    Line(Vec<u8>),
    /// This line follows it.
    Followed(Vec<u8>),
}

/// A text by its lines, for the changes to name them.
#[derive(Debug)]
pub(super) struct Lines<'a>(Vec<&'a [u8]>);

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Lines<'a> {
        Lines(lines::split(text).map(|(raw, _)| raw).collect())
    }

    /// A line by its number, from 1; empty where there is none.
    pub(super) fn get(&self, line: usize) -> &'a [u8] {
        line.checked_sub(1).and_then(|index| self.0.get(index)).copied().unwrap_or_default()
    }

    pub(super) fn change(&self, line: usize, to: To) -> Change {
        Change { line, original: self.get(line).to_vec(), to }
    }

    pub(super) fn park(&self, line: usize) -> Change {
        self.change(line, To::Parked)
    }
}

/// Whether a value is a hardware address, and not a word such as `preserve` or `random`.
pub fn is_mac(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.split(|b| matches!(b, b':' | b'-')).collect();
    parts.len() == 6
        && parts
            .iter()
            .all(|part| (1..=2).contains(&part.len()) && part.iter().all(u8::is_ascii_hexdigit))
}

/// Whether an address is of the loopback or the link, which every machine may have alike.
pub fn is_local(value: &[u8]) -> bool {
    let address = value.split(|b| *b == b'/').next().unwrap_or_default();
    let parsed = std::str::from_utf8(address).ok().and_then(|text| text.trim().parse().ok());
    match parsed {
        Some(std::net::IpAddr::V4(v4)) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
        }
        Some(std::net::IpAddr::V6(v6)) => {
            v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
        None => false,
    }
}

/// The interfaces that the command line of a DHCP client (dhclient(8), dhcpcd(8), udhcpc) names; none where it serves all.
pub fn interfaces_of_client(arguments: &[Vec<u8>]) -> Vec<&[u8]> {
    /// Options whose value is a word of its own.
    const VALUED: [&[u8]; 14] = [
        b"-lf", b"-pf", b"-cf", b"-sf", b"-p", b"-s", b"-g", b"-e", b"-D", b"-H", b"-C", b"-F",
        b"-V", b"-df",
    ];
    let mut named: Vec<&[u8]> = Vec::new();
    let mut words = arguments.iter().skip(1).map(Vec::as_slice);
    let is_udhcpc = arguments.first().is_some_and(|name| name.ends_with(b"udhcpc"));
    while let Some(word) = words.next() {
        match word {
            // dhclient's -i wants no value.
            b"-i" if is_udhcpc => named.extend(words.next()),
            _ if is_udhcpc => {}
            _ if VALUED.contains(&word) => {
                words.next();
            }
            _ if word.starts_with(b"-") => {}
            _ => named.push(word),
        }
    }
    named
}

/// The text after changes, as the product makes them; for tests.
#[cfg(test)]
pub(super) fn apply(text: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (raw, ending)) in lines::split(text).enumerate() {
        let here: Vec<&Change> = changes.iter().filter(|c| c.line == index + 1).collect();
        assert!(here.iter().all(|change| change.original == raw), "{here:?}");
        let end = if ending.as_bytes().is_empty() { &b"\n"[..] } else { ending.as_bytes() };
        match here.iter().find(|change| !matches!(change.to, To::Followed(_))).map(|c| &c.to) {
            Some(To::Parked) => out.extend(super::marker::park("test", raw)),
            Some(To::Line(line)) => out.extend_from_slice(line),
            _ => out.extend_from_slice(raw),
        }
        out.extend_from_slice(ending.as_bytes());
        for change in here {
            if let To::Followed(line) = &change.to {
                if ending.as_bytes().is_empty() {
                    out.extend_from_slice(end);
                }
                out.extend_from_slice(line);
                out.extend_from_slice(end);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        for text in ["00:16:3e:01:02:03", "00-16-3E-01-02-03", "0:16:3e:1:2:3"] {
            assert!(is_mac(text.as_bytes()), "{text}");
        }
        for text in ["preserve", "", "00:16:3e:01:02", "00:16:3e:01:02:0g", "stable"] {
            assert!(!is_mac(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_a_client_serves() {
        let named = |line: &str| {
            let words: Vec<Vec<u8>> = line.split(' ').map(|w| w.as_bytes().to_vec()).collect();
            let found = interfaces_of_client(&words);
            found.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named("/sbin/dhclient -1 -q -lf /l/eth1.lease -pf /run/p eth0"), ["eth0"]);
        assert_eq!(named("/sbin/dhclient -4 -v -i -pf /run/p -lf /l -I -df /l6 eth0"), ["eth0"]);
        assert_eq!(named("udhcpc -b -p /run/p -i eth1"), ["eth1"]);
        assert!(named("/usr/sbin/dhcpcd -q").is_empty());
    }

    #[test]
    fn addresses_that_every_machine_may_have() {
        for text in ["127.0.0.2/8", "169.254.1.1", "fe80::1/64", "::1"] {
            assert!(is_local(text.as_bytes()), "{text}");
        }
        for text in ["172.16.0.5/20", "fd00::1", "$IP", ""] {
            assert!(!is_local(text.as_bytes()), "{text}");
        }
    }
}
