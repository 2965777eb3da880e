//! The DHCP clients that run now.

use super::Card;
use crate::guest::{Fact, Guest};
use crate::parse::net::interfaces_of_client;
use crate::sys::Kernel;

/// Clients by the kernel's name for their process, which has 15 bytes at most, and whether one
/// process serves every card.
const CLIENTS: [(&[u8], bool); 7] = [
    (b"dhclient", false),
    (b"dhcpcd", false),
    (b"udhcpc", false),
    (b"NetworkManager", true),
    (b"systemd-network", true),
    (b"wickedd-dhcp4", true),
    (b"connmand", true),
];

/// A DHCP client that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the kernel knows it.
    pub name: String,
    /// The words of its command line.
    pub arguments: Vec<Vec<u8>>,
    is_for_all: bool,
}

impl Guest {
    /// The DHCP clients that run now; none on a guest that does not run.
    ///
    /// # Errors
    /// When /proc cannot be listed.
    pub fn dhcp_clients(&self) -> Fact<Vec<Client>> {
        let Some(kernel) = self.kernel() else { return Ok(Vec::new()) };
        let names = kernel.proc_list("")?.unwrap_or_default();
        let pids = names.iter().filter_map(|n| std::str::from_utf8(n).ok()?.parse::<u32>().ok());
        Ok(pids.filter_map(|pid| client(kernel, pid)).collect())
    }

    /// Whether a client sees to a card. networkd notes of each card whether it does.
    pub fn is_served(&self, card: &Card, clients: &[Client]) -> bool {
        clients.iter().any(|client| match client.name.as_str() {
            "systemd-network" => {
                let state = self.file(format!("/run/systemd/netif/links/{}", card.index).as_str());
                let text = state.ok().flatten();
                !text.is_some_and(|text| text.windows(21).any(|w| w == b"ADMIN_STATE=unmanaged"))
            }
            _ if client.is_for_all => true,
            _ => {
                let named = interfaces_of_client(&client.arguments);
                named.is_empty() || named.contains(&card.name.as_bytes())
            }
        })
    }
}

/// A process that ends meanwhile is none.
fn client(kernel: &Kernel, pid: u32) -> Option<Client> {
    let comm = kernel.proc(&format!("/{pid}/comm")).ok()??;
    let comm = comm.trim_ascii();
    let (name, is_for_all) = CLIENTS.iter().find(|(name, _)| *name == comm)?;
    let line = kernel.proc(&format!("/{pid}/cmdline")).ok()?.unwrap_or_default();
    // A zombie has a name and no command line.
    if line.is_empty() {
        return None;
    }
    let arguments = line.split(|b| *b == 0).filter(|word| !word.is_empty());
    Some(Client {
        pid,
        name: String::from_utf8_lossy(name).into_owned(),
        arguments: arguments.map(<[u8]>::to_vec).collect(),
        is_for_all: *is_for_all,
    })
}
