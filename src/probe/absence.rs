//! What the probes of absent devices share: the message key that fits what the absence does to
//! boot, and how long boot waits.

use crate::guest::BootItem;
use crate::model::{Finding, Impact};

/// The message keys of one kind of absence.
pub struct Keys {
    stops: &'static str,
    delays: &'static str,
    harmless: &'static str,
}

/// The device is on a data disk, or nowhere, and the check is about nothing else.
pub const ABSENT: Keys = Keys { stops: "stops-boot", delays: "delays-boot", harmless: "harmless" };

/// The device is nowhere, in a check that is about data disks too.
pub const MISSING: Keys = Keys {
    stops: "missing-stops-boot",
    delays: "missing-delays-boot",
    harmless: "missing-harmless",
};

/// The device lies in an encrypted volume that boot does not open.
pub const CLOSED: Keys =
    Keys { stops: "closed-stops-boot", delays: "closed-delays-boot", harmless: "closed-harmless" };

/// Something else that the entry needs is absent.
pub const DEPENDS: Keys = Keys {
    stops: "depends-stops-boot",
    delays: "depends-delays-boot",
    harmless: "depends-harmless",
};

impl Keys {
    /// The key for an item that is absent.
    pub fn of(&self, item: &BootItem) -> &'static str {
        match item.impact() {
            Impact::StopsBoot => self.stops,
            Impact::DelaysBoot => self.delays,
            Impact::Harmless => self.harmless,
        }
    }
}

/// A finding with what the item's absence does to boot, and for how long.
pub fn weighed(finding: Finding, item: &BootItem) -> Finding {
    let finding = finding.impact(item.impact());
    match item.impact() {
        Impact::DelaysBoot => finding.with("seconds", item.seconds()),
        _ => finding,
    }
}
