//! What the init scripts of older releases do with fstab: rc.sysinit of EL5 and EL6, sysvinit of
//! Debian 7 and before, mountall of Ubuntu 14.04 and before.

use super::{Fields, Pull};
use crate::guest::{Family, Guest};
use crate::parse::options::Options;

/// System V. `fsck -A` checks every line with a pass number first; a device that is missing makes
/// it fail, and the script drops to a shell for maintenance. `mount -a` then mounts what it can,
/// and what it cannot is only said.
pub fn sysv_pull(guest: &Guest, fields: &Fields) -> Pull {
    if fields.noauto() {
        return Pull::Never;
    }
    if fields.is_at("/") || fields.is_at("/usr") {
        return Pull::Required;
    }
    // DISTRO(el5): its fsck, from e2fsprogs 1.39, does not know nofail; the one of util-linux 2.17
    // and later skips such a device.
    let knows_nofail = guest
        .os()
        .is_ok_and(|os| !(os.family == Family::El && os.major().is_some_and(|major| major < 6)));
    let skipped = fields.nofail() && knows_nofail;
    if fields.is_swap || fields.is_network() || fields.passno == 0 || skipped {
        Pull::Background
    } else {
        Pull::Required
    }
}

/// mountall waits for every device and asks at the console; `nobootwait` is its word for not
/// waiting, and `nofail` is not known to be (cloud-init writes one or the other by init system).
pub fn upstart_pull(fields: &Fields) -> Pull {
    if fields.noauto() {
        Pull::Never
    } else if fields.options.has("nobootwait") {
        Pull::Background
    } else {
        Pull::Required
    }
}

pub fn crypttab_pull(options: &Options) -> Pull {
    if options.switch("noauto", "auto") == Some(true) { Pull::Never } else { Pull::Background }
}
