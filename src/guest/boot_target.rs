//! Where a unit that boot is told to reach leads: to multi-user.target, elsewhere or nowhere.
//!
//! For the probe of the boot target. Nothing here knows which unit boot is told to reach.

use super::services::started_by;
use super::unit_files::Found;
use super::{Fact, Guest};
use crate::model::GuestPath;

/// The target that lets users in (systemd.special(7)).
pub const MULTI_USER: &str = "multi-user.target";

/// Units that systemd itself has for something else than to let users in (systemd.special(7)).
const ELSEWHERE: [&str; 25] = [
    "basic.target",
    "emergency.service",
    "emergency.target",
    "exit.target",
    "factory-reset.target",
    "final.target",
    "halt.target",
    "hibernate.target",
    "hybrid-sleep.target",
    "initrd-root-fs.target",
    "initrd-switch-root.target",
    "initrd.target",
    "kexec.target",
    "local-fs.target",
    "poweroff.target",
    "reboot.target",
    "rescue.service",
    "rescue.target",
    "shutdown.target",
    "sleep.target",
    "soft-reboot.target",
    "suspend-then-hibernate.target",
    "suspend.target",
    "sysinit.target",
    "umount.target",
];

/// Where a unit leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeadsTo {
    /// To multi-user.target, itself or by what it pulls in.
    MultiUser,
    /// To this unit of systemd's own, which lets nobody in.
    Elsewhere(String),
    /// To this unit, which has no file.
    Nothing(String),
    /// To this unit, which this masks.
    Masked(String, GuestPath),
    /// To this unit, of which it cannot be told whether it lets users in.
    Untold(String),
}

impl Guest {
    /// Where a unit leads; `None` of a guest that has no units of systemd.
    ///
    /// # Errors
    /// When the unit directories or a unit cannot be read.
    pub fn leads_to(&self, unit: &str) -> Fact<Option<LeadsTo>> {
        let files = self.unit_files()?;
        let multi_user = files.find(self, MULTI_USER)?;
        let name = match files.find(self, unit)? {
            Found::Nothing if multi_user == Found::Nothing && !self.has_systemd()? => {
                return Ok(None);
            }
            Found::Nothing if ELSEWHERE.contains(&unit) => {
                return Ok(Some(LeadsTo::Elsewhere(unit.to_owned())));
            }
            Found::Nothing => return Ok(Some(LeadsTo::Nothing(unit.to_owned()))),
            Found::Masked { path } => return Ok(Some(LeadsTo::Masked(unit.to_owned(), path))),
            Found::File { name, .. } => name,
        };
        if name != MULTI_USER && !started_by(self, vec![name.clone()])?.asks_for(MULTI_USER) {
            let is_known = ELSEWHERE.contains(&name.as_str());
            let leads_to = if is_known { LeadsTo::Elsewhere } else { LeadsTo::Untold };
            return Ok(Some(leads_to(name)));
        }
        Ok(Some(match multi_user {
            Found::File { .. } => LeadsTo::MultiUser,
            Found::Masked { path } => LeadsTo::Masked(MULTI_USER.to_owned(), path),
            Found::Nothing => LeadsTo::Nothing(MULTI_USER.to_owned()),
        }))
    }

    fn has_systemd(&self) -> Fact<bool> {
        for path in ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"] {
            if self.stat(&GuestPath::from(path))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
