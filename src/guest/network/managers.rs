//! Which programs configure the network at boot, by what boot starts.

use crate::guest::{Fact, Family, Guest};
use crate::model::GuestPath;

/// What boot starts that configures the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Managers {
    /// NetworkManager.
    pub network_manager: bool,
    /// Whether NetworkManager reads ifcfg files too.
    pub reads_ifcfg: bool,
    /// systemd-networkd.
    pub networkd: bool,
    /// The init script `network` of Red Hat.
    pub network_scripts: bool,
    /// ifupdown.
    pub ifupdown: bool,
    /// wicked, or SUSE's ifup before it.
    pub wicked: bool,
    /// netplan, which writes for one of the others.
    pub netplan: bool,
}

impl Managers {
    /// Whether none was found, so that every file has to be taken for one that is used.
    pub fn is_unknown(self) -> bool {
        !(self.network_manager
            || self.networkd
            || self.network_scripts
            || self.ifupdown
            || self.wicked
            || self.netplan)
    }
}

pub(super) fn read(guest: &Guest) -> Fact<Managers> {
    let os = guest.os()?;
    let starts = |name: &str| -> Fact<bool> {
        Ok(guest.service(name)?.is_some_and(|service| service.starts.is_enabled()))
    };
    let has = |path: &str| -> Fact<bool> { Ok(guest.stat(&GuestPath::from(path))?.is_some()) };
    let is_red_hat = matches!(os.family, Family::El | Family::Fedora);
    let is_suse = os.family == Family::Suse;
    let network_manager = starts("NetworkManager")?;
    let netplan = has("/usr/lib/systemd/system-generators/netplan")?
        || has("/lib/systemd/system-generators/netplan")?
        || has("/usr/sbin/netplan")?;
    Ok(Managers {
        network_manager,
        // DISTRO(el10): the plugin ifcfg-rh is gone.
        reads_ifcfg: network_manager
            && is_red_hat
            && !(os.family == Family::El && os.major().is_some_and(|major| major == 10)),
        // What netplan writes for networkd starts it too (netplan's generator).
        networkd: starts("systemd-networkd")?,
        network_scripts: is_red_hat && starts("network")?,
        // A card that udev finds is brought up by ifupdown though its service is off.
        ifupdown: starts("networking")?
            || os.family == Family::Deb && (has("/sbin/ifup")? || has("/usr/sbin/ifup")?),
        wicked: is_suse && (starts("wicked")? || starts("network")?) && !network_manager,
        netplan,
    })
}
