//! The network cards that a running guest has, from /sys/class/net and rtnetlink(7).

use crate::guest::Fact;
use crate::model::ByteString;
use crate::sys::{Address, Kernel};

/// A network card, or what stands on one (a bond, a bridge).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its name.
    pub name: ByteString,
    /// Its index.
    pub index: u32,
    /// Its hardware address, in lower case.
    pub mac: Option<String>,
    /// Whether it is up. A card whose driver does not say counts as up.
    pub is_up: bool,
    /// Its addresses; `None` where they are not known.
    pub addresses: Option<Vec<Address>>,
}

/// The cards and what stands on them, and the names of every other interface but the loopback.
///
/// A card is an interface with a device behind it; one above it has a link `lower_NAME` to it
/// (KERNEL(3.14)) or, before, is the target of the card's link `master`.
pub(super) fn read(kernel: &Kernel) -> Fact<(Vec<Card>, Vec<ByteString>)> {
    let names = kernel.sys_list("/class/net")?.unwrap_or_default();
    let addresses = kernel.addresses()?;
    let (mut cards, mut others) = (Vec::new(), Vec::new());
    let mut masters: Vec<Vec<u8>> = Vec::new();
    // Cards come before what stands on them.
    let mut rest: Vec<(&Vec<u8>, String)> = Vec::new();
    for name in &names {
        // The kernel takes neither slash nor blank into a name; one that is no UTF-8 has no such file.
        let base = format!("/class/net/{}", String::from_utf8_lossy(name));
        if kernel.sys_link(&format!("{base}/device"))?.is_none() {
            rest.push((name, base));
            continue;
        }
        if let Some(master) = kernel.sys_link(&format!("{base}/master"))? {
            masters.push(master.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec());
        }
        cards.push(card(kernel, name, &base, addresses.as_deref())?);
    }
    for (name, base) in rest {
        if name == b"lo" {
            continue;
        }
        let is_above = masters.contains(name)
            || kernel.sys_list(&base)?.unwrap_or_default().iter().any(|entry| {
                let lower = entry.strip_prefix(b"lower_");
                lower.is_some_and(|lower| cards.iter().any(|c| c.name.as_bytes() == lower))
            });
        if is_above {
            cards.push(card(kernel, name, &base, addresses.as_deref())?);
        } else {
            others.push(ByteString::from(name.as_slice()));
        }
    }
    Ok((cards, others))
}

fn card(kernel: &Kernel, name: &[u8], base: &str, addresses: Option<&[Address]>) -> Fact<Card> {
    let text = |file: &str| -> Fact<Option<String>> {
        let bytes = kernel.sys(&format!("{base}/{file}"))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_lowercase()))
    };
    let index = text("ifindex")?.and_then(|index| index.parse().ok()).unwrap_or(0);
    let own = |all: &[Address]| all.iter().filter(|a| a.index == index).copied().collect();
    Ok(Card {
        name: ByteString::from(name),
        index,
        mac: text("address")?,
        is_up: !matches!(text("operstate")?.as_deref(), Some("down" | "notpresent")),
        addresses: addresses.map(own),
    })
}
