//! What the probes of the boot loader's menu say where there is no menu to judge.

use crate::guest::{BootEntries, Loader};
use crate::model::Verdict;

/// Nothing on a guest without a loader's configuration, a doubt where it is a loader's whose menu is not read. `None` for a
/// menu of GRUB.
pub fn unread(menu: &BootEntries) -> Option<Verdict> {
    match menu.loader {
        Loader::Missing => Some(Verdict::NotApplicable("no-configuration")),
        Loader::Other(name) => {
            let doubt = format!("{}: the configuration of {name} cannot be judged", menu.config);
            Some(Verdict::from_parts(Vec::new(), vec![doubt]))
        }
        Loader::Grub2 | Loader::GrubLegacy => None,
    }
}
