//! `neighbour-table-small`: the table of neighbours collects its garbage in a subnet with more
//! machines than it keeps, on a kernel that can hang while it does, or it has been full already.

use super::{Answer, Guest};
use crate::guest::Fact;
use crate::model::{Edit, Finding, GuestPath, Subject, Verdict};
use crate::parse::neighbours;

const PARAMETER: &str = "net.ipv4.neigh.default.gc_thresh";

/// What the kernel has where nothing is set (arp(7)).
const DEFAULTS: [u64; 3] = [128, 512, 1024];

/// The least that the drop-in sets for the first threshold; the others are twice and four times it.
const WANTED: u64 = 4096;

/// No threshold is set larger than this: so large a subnet needs a person who knows it.
const MOST: u64 = 65_536;

/// The kernel whose collector races with other users of the table.
const DEFECT: &str = "3.10.0-514";

/// Sorts behind 99-sysctl.conf, so that /etc/sysctl.conf does not undo it.
const DROP_IN: &str = "/etc/sysctl.d/99-z-guestprep-neighbours.conf";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(kernel) = guest.kernel() else { return Ok(Verdict::NotApplicable("not-running")) };
    let arp = kernel.proc("/net/arp")?.unwrap_or_default();
    let stat = kernel.proc("/net/stat/arp_cache")?.unwrap_or_default();
    let mut findings = Vec::new();
    let release = guest.kernel_release().unwrap_or_default();
    let first = threshold(guest, 1)?;
    let others = machines(guest)?.max(neighbours::count(&arp) as u64);
    if is_defect(&release) && others > DEFAULTS[0] && first <= others {
        let mut finding = Finding::new("collector-races", subject(1))
            .with("kernel", &release)
            .with("threshold", first)
            .with("machines", others);
        if others < MOST {
            finding = finding.fix([drop_in(others)]);
        }
        findings.push(finding);
    }
    // Full under the limit of now; a clone boots with the one that is configured.
    let now = guest.running_parameter(&format!("{PARAMETER}3"))?.unwrap_or(DEFAULTS[2]);
    let next = guest.configured_parameter(&format!("{PARAMETER}3"))?.unwrap_or(now);
    let times = neighbours::overflows(&stat).unwrap_or(0);
    if times > 0 && next <= now {
        let finding = Finding::new("table-overflow", subject(3))
            .with("times", times)
            .with("threshold", now)
            .fix((now < MOST).then(|| drop_in(now.saturating_mul(2).max(others))));
        findings.push(finding);
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

fn subject(number: u8) -> Subject {
    Subject::Setting { setting: format!("{PARAMETER}{number}") }
}

/// The threshold that a clone boots with.
fn threshold(guest: &Guest, number: u8) -> Fact<u64> {
    let name = format!("{PARAMETER}{number}");
    if let Some(configured) = guest.configured_parameter(&name)? {
        return Ok(configured);
    }
    // Set by something that a clone has as well: tuned, a container engine.
    let running = guest.running_parameter(&name)?;
    Ok(running.unwrap_or(DEFAULTS[usize::from(number) - 1]))
}

/// How many other machines the largest subnet of a card has room for: all of its addresses but the
/// three that ECS keeps and the card's own.
fn machines(guest: &Guest) -> Fact<u64> {
    let cards = guest.network()?.cards.iter().flatten();
    let addresses = cards.flat_map(|card| card.addresses.iter().flatten());
    let rooms = addresses
        .filter(|address| address.address.is_ipv4())
        .map(|address| 1u64 << (32 - u32::from(address.prefix.min(32))));
    Ok(rooms.max().unwrap_or(0).saturating_sub(4))
}

fn is_defect(release: &str) -> bool {
    let rest = release.strip_prefix(DEFECT);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn drop_in(above: u64) -> Edit {
    let first = (above + 1).next_power_of_two().clamp(WANTED, MOST);
    let mut content = String::new();
    for (number, value) in [first, first * 2, first * 4].iter().enumerate() {
        content += &format!("{PARAMETER}{} = {value}\n", number + 1);
    }
    Edit::WriteFile {
        path: GuestPath::from(DROP_IN),
        content: content.as_str().into(),
        mode: 0o644,
    }
}
