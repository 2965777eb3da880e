//! `qemu-guest-agent`: QEMU's guest agent is installed and would be started.

use super::services::{installed, subject, switch};
use super::{Answer, Guest};
use crate::guest::{Fact, Service, StartedBy, Starts};
use crate::model::{Edit, Finding, GuestPath, Verdict};

/// Its names: everywhere; on SUSE and Enterprise Linux 6.
const NAMES: [&str; 3] = ["qemu-guest-agent", "qemu-ga", "qemu-ga@"];

/// Where udev looks for rules (udev(7)).
const RULES: [&str; 3] = ["/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    for service in installed(guest, &NAMES)? {
        let by_udev = started_by_udev(guest, &service)?;
        let is_started = service.starts.is_enabled() || by_udev || !service.links.is_empty();
        if service.starts == Starts::Masked || !is_started {
            continue;
        }
        // What udev starts, no removed link keeps from starting.
        let fix = if by_udev {
            Some(Edit::MaskUnit { unit: format!("{}.service", service.name) })
        } else {
            switch(guest, &service, false)
        };
        let finding = Finding::new("enabled", subject(&service));
        findings.push(finding.with("service", &service.name).fix(fix));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// Whether a rule of udev starts it when its port appears, as the packages of Debian and Enterprise
/// Linux have it, whatever is enabled.
fn started_by_udev(guest: &Guest, service: &Service) -> Fact<bool> {
    if service.by != StartedBy::Systemd {
        return Ok(false);
    }
    let wanted = format!("{}.service", service.name);
    for directory in RULES.map(GuestPath::from) {
        for name in guest.root().list(&directory)?.unwrap_or_default() {
            if !name.windows(6).any(|part| part == b"qemu-g") {
                continue;
            }
            let Some(text) = guest.file(directory.join(&name))? else { continue };
            if text.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
