//! Finds and reads the leases of DHCP clients.

use crate::guest::{Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::net::lease::{self, Lease};

/// Where clients keep them: dhclient of Enterprise Linux, of Debian, of SUSE; NetworkManager, for
/// both its clients; networkd.
const DIRECTORIES: [&str; 5] = [
    "/var/lib/dhclient",
    "/var/lib/dhcp",
    "/var/lib/dhcp3",
    "/var/lib/NetworkManager",
    "/run/systemd/netif/leases",
];

/// The last lease of each file. What cannot be read is a doubt. dhcpcd's and wicked's are not read:
/// how long their addresses are valid, the kernel says.
pub(super) fn read(guest: &Guest, doubts: &mut Vec<String>) -> Vec<Lease> {
    let mut leases = Vec::new();
    for directory in DIRECTORIES.map(GuestPath::from) {
        let names = match guest.root().list(&directory) {
            Ok(names) => names.unwrap_or_default(),
            // Another user's business: dhclient's directory is closed to all but root.
            Err(error) if error.kind() == crate::sys::ErrorKind::Permission => continue,
            Err(error) => {
                doubts.push(Unknown::from(error).0);
                continue;
            }
        };
        for name in names {
            let is_private = directory.as_bytes().ends_with(b"netif/leases");
            let is_lease = name.ends_with(b".lease") || name.ends_with(b".leases");
            if !is_lease && !is_private {
                continue;
            }
            match guest.file(directory.join(&name)) {
                Ok(Some(text)) if text.windows(7).any(|part| part == b"lease {") => {
                    leases.extend(lease::dhclient(&text));
                }
                Ok(Some(text)) => leases.push(lease::systemd(&text)),
                Ok(None) => {}
                Err(why) => doubts.push(why.0),
            }
        }
    }
    leases
}
