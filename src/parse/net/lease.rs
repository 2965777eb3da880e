//! The leases that DHCP clients keep in files: dhclient's (dhclient.leases(5)), and the private ones of systemd's client
//! in networkd and NetworkManager.
//!
//! A lease says which address it was, and dhclient's until when. The others say only how long, counted from a time that
//! is not in the file.

use std::net::IpAddr;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lease {
    /// The interface, where the file says it.
    pub interface: Option<Vec<u8>>,
    /// The address.
    pub address: Option<IpAddr>,
    /// When it expires, in seconds since 1970 in UTC; `None` where it never does or the file does not say.
    pub expires: Option<i64>,
}

/// The last lease of each interface in a file of dhclient's, which is the one that counts. Broken statements are passed
/// over, as dhclient does.
pub fn dhclient(text: &[u8]) -> Vec<Lease> {
    let mut last: Vec<Lease> = Vec::new();
    let mut open: Option<Lease> = None;
    for line in text.split(|b| *b == b'\n') {
        let text = String::from_utf8_lossy(line);
        // `expire epoch 1542248400; # Thu Nov 15 ...`
        let statement = text.split('#').next().unwrap_or_default().trim();
        if statement.starts_with("lease") && statement.ends_with('{') {
            open = Some(Lease::default());
        } else if statement == "}" {
            let Some(lease) = open.take() else { continue };
            last.retain(|known| known.interface != lease.interface);
            last.push(lease);
        } else if let Some(lease) = &mut open {
            let words: Vec<&str> = statement.trim_end_matches(';').split_whitespace().collect();
            match words[..] {
                ["interface", name] => {
                    lease.interface = Some(name.trim_matches('"').as_bytes().to_vec());
                }
                ["fixed-address", address] => lease.address = address.parse().ok(),
                ["expire", "epoch", seconds] => lease.expires = seconds.parse().ok(),
                // The weekday, the date and the time, in UTC.
                ["expire", _, date, time] => lease.expires = seconds(date, time),
                _ => {}
            }
        }
    }
    last
}

/// A lease of systemd's client: `ADDRESS=` among other assignments.
pub fn systemd(text: &[u8]) -> Lease {
    let value = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"ADDRESS="));
    let address = value.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
    Lease { address, ..Lease::default() }
}

/// Seconds since 1970 of `2018/11/15` and `03:00:00`.
fn seconds(date: &str, time: &str) -> Option<i64> {
    let numbers = |text: &str, separator| -> Option<Vec<i64>> {
        let parts: Option<Vec<i64>> = text.split(separator).map(|part| part.parse().ok()).collect();
        parts.filter(|parts| parts.len() == 3)
    };
    let (date, time) = (numbers(date, '/')?, numbers(time, ':')?);
    let (year, month, day) = (date[0], date[1], date[2]);
    let is_sane = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && time.iter().all(|part| (0..=60).contains(part));
    if !is_sane {
        return None;
    }
    // Days from civil: years begin in March, so that a leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some(days * 86_400 + time[0] * 3600 + time[1] * 60 + time[2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_lease_of_each_interface_counts() {
        let text = b"default-duid \"x\";\nlease {\n  interface \"eth0\";\n  fixed-address 172.16.0.4;\n  expire 3 2018/11/14 03:00:00;\n}\nlease {\n  interface \"eth0\";\n  fixed-address 172.16.0.5;\n  option routers 172.16.15.253;\n  renew 4 2018/11/15 01:00:00;\n  expire 4 2018/11/15 03:00:00;\n}\nlease {\n  interface \"eth1\";\n  expire epoch 1542250800; # Thu Nov 15 03:00:00 2018\n}\nlease {\n  interface \"eth2\";\n  expire never;\n}\nlease {\n";
        let leases = dhclient(text);
        assert_eq!(leases.len(), 3);
        assert_eq!(leases[0].address, Some(IpAddr::from([172, 16, 0, 5])));
        assert_eq!(leases[0].expires, Some(1_542_250_800));
        assert_eq!(leases[1].expires, Some(1_542_250_800));
        assert_eq!(leases[2].expires, None);
    }

    #[test]
    fn dates() {
        for (date, time, want) in [
            ("1970/01/01", "00:00:00", Some(0)),
            ("2000/02/29", "12:00:01", Some(951_825_601)),
            ("2024/03/01", "00:00:00", Some(1_709_251_200)),
            ("2018/13/01", "00:00:00", None),
            ("x", "00:00:00", None),
        ] {
            assert_eq!(seconds(date, time), want, "{date} {time}");
        }
    }

    #[test]
    fn a_private_lease() {
        let lease =
            systemd(b"# This is private data. Do not parse.\nADDRESS=172.16.0.5\nLIFETIME=86400\n");
        assert_eq!(lease.address, Some(IpAddr::from([172, 16, 0, 5])));
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            dhclient(&text);
            systemd(&text);
        }

        #[test]
        fn any_date(year: i64, month: i64, rest in "[0-9/: ]{0,20}") {
            seconds(&format!("{year}/{month}/{rest}"), &rest);
        }
    }
}
