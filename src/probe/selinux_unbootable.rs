//! `selinux-unbootable`: SELinux would be on at boot and cannot be, or is on although an image is
//! better without it.
//!
//! With enforcing and no policy systemd stops ("Failed to load SELinux policy"); with enforcing and
//! no labels nothing that it starts may read anything, or nobody may log in. Permissive only complains.

use super::{Answer, Guest};
use crate::guest::{SELINUX_CONFIG, Selinux};
use crate::model::{
    Edit, Finding, GuestPath, Impact, LineChange, SelinuxPolicy, Severity, Subject, Verdict,
};
use crate::parse::selinux_config::Mode;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(selinux) = guest.selinux()? else {
        return Ok(Verdict::NotApplicable("not-installed"));
    };
    if selinux.mode == Mode::Disabled {
        return Ok(Verdict::Pass);
    }
    let path = GuestPath::from(SELINUX_CONFIG);
    let line = selinux.config.mode().map(|(line, _)| line);
    let on = || Subject::File { path: path.clone(), line };
    let mut findings = vec![Finding::new("enabled", on()).with("mode", word(selinux.mode))];
    if !selinux.has_policy {
        let finding = Finding::new("policy-missing", on()).with("path", &selinux.policy);
        findings.push(weigh(finding, selinux));
    }
    if let Some(first) = &selinux.unlabelled
        && !selinux.relabels
    {
        let finding = Finding::new("unlabelled", Subject::file(first)).with("path", first);
        findings.push(weigh(finding, selinux));
    }
    if let Some(first) = &selinux.locked
        && !selinux.relabels
    {
        let finding = Finding::new("unlabelled-login", Subject::file(first)).with("path", first);
        findings.push(match selinux.mode {
            Mode::Enforcing => finding,
            Mode::Permissive | Mode::Disabled => finding.severity(Severity::Warning),
        });
    }
    let doubt = selinux.shadow_type.as_ref().map(|found| {
        format!("/etc/shadow has the SELinux type {found}; whether logins may read it is not known")
    });
    let decides = selinux.mode == Mode::Enforcing && !selinux.relabels;
    for finding in &mut findings {
        finding.fix.extend(repair(guest, selinux, finding.key));
    }
    Ok(Verdict::from_parts(findings, Vec::from_iter(doubt.filter(|_| decides))))
}

fn weigh(finding: Finding, selinux: &Selinux) -> Finding {
    match selinux.mode {
        Mode::Enforcing => finding.impact(Impact::StopsBoot),
        Mode::Permissive | Mode::Disabled => finding.severity(Severity::Warning),
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforcing => "enforcing",
        Mode::Permissive => "permissive",
        Mode::Disabled => "disabled",
    }
}

/// What the operator has asked for: neither is ours to choose.
fn repair(guest: &Guest, selinux: &Selinux, key: &str) -> Option<Edit> {
    match guest.policy().selinux {
        SelinuxPolicy::Keep => None,
        SelinuxPolicy::Disabled => {
            let (line, _) = selinux.config.mode()?;
            Some(Edit::Line {
                path: GuestPath::from(SELINUX_CONFIG),
                line,
                original: selinux.config.raw(line)?.into(),
                change: LineChange::Replace("SELINUX=disabled".into()),
            })
        }
        SelinuxPolicy::Relabel => {
            let path = GuestPath::from("/.autorelabel");
            let edit = Edit::WriteFile { path, content: "".into(), mode: 0o644 };
            ["unlabelled", "unlabelled-login"].contains(&key).then_some(edit)
        }
    }
}
