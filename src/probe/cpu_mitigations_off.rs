//! `cpu-mitigations-off`: mitigations of CPU defects are switched off, or will be otherwise after the next boot.

use super::boot_menu::unread;
use super::{Answer, Guest};
use crate::model::{Edit, Finding, MitigationsPolicy, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let menu = guest.boot_entries()?;
    if let Some(verdict) = unread(menu) {
        return Ok(verdict);
    }
    let state = guest.mitigations()?;
    let want = guest.policy().mitigations;
    let setting = Subject::Setting { setting: "mitigations".to_owned() };
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut findings = Vec::new();
    if !state.configured.is_empty() && want != MitigationsPolicy::Off {
        let fix = (want == MitigationsPolicy::On)
            .then(|| Edit::KernelArguments { add: Vec::new(), remove: owned(&state.configured) });
        findings.push(
            Finding::new("configured-off", setting.clone())
                .with("arguments", state.configured.join(" "))
                .fix(fix),
        );
    }
    if state.configured.is_empty() && want == MitigationsPolicy::Off {
        let off = guest.mitigations_off()?;
        findings.push(
            Finding::new("configured-on", setting.clone())
                .with("arguments", off.join(" "))
                .fix([Edit::KernelArguments { add: owned(off), remove: Vec::new() }]),
        );
    }
    if let Some(running) = state.running.as_ref().filter(|_| state.is_reboot_pending()) {
        let shown = |list: &[&str]| if list.is_empty() { "-".to_owned() } else { list.join(" ") };
        findings.push(
            Finding::new("reboot-pending", setting)
                .with("running", shown(running))
                .with("configured", shown(&state.configured)),
        );
    }
    Ok(Verdict::from_parts(findings, menu.doubts.clone()))
}
