//! `kernel-known-defect`: a kernel that boots here, or runs, is in the table of known defects,
//! which stands in the check's TOML file.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Answer, Guest};
use crate::guest::Fact;
use crate::model::{Finding, Subject, Verdict};
use crate::parse::version::compare_rpm;

/// A row of the table.
#[derive(Debug)]
pub struct Defect {
    key: &'static str,
    os: &'static [&'static str],
    kernels: &'static [&'static str],
    range: Option<(&'static str, &'static str)>,
    with_nfs: bool,
    without: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/defects.rs"));

impl Defect {
    fn has_kernel(&self, release: &str) -> bool {
        let is_build = |kernel: &str| {
            // Not a longer number: 4.15.0-72 is no 4.15.0-720.
            let rest = release.strip_prefix(kernel);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let is_between = |(from, before): (&str, &str)| {
            compare_rpm(release, from) != Ordering::Less
                && compare_rpm(release, before) == Ordering::Less
        };
        self.kernels.iter().any(|kernel| is_build(kernel)) || self.range.is_some_and(is_between)
    }
}

pub fn judge(guest: &Guest) -> Answer {
    let os = guest.os()?;
    let id = os.id.as_deref().unwrap_or_default();
    let rows: Vec<&Defect> = DEFECTS.iter().filter(|row| row.os.contains(&id)).collect();
    if rows.is_empty() {
        return Ok(Verdict::NotApplicable("no-row"));
    }
    let mut findings = Vec::new();
    for (release, subject) in kernels(guest)? {
        for row in rows.iter().filter(|row| row.has_kernel(&release)) {
            if row.with_nfs && !uses_nfs(guest)? {
                continue;
            }
            if row.without.is_some_and(|argument| every_entry_has(guest, &release, argument)) {
                continue;
            }
            let finding = Finding::new(row.key, subject.clone()).with("kernel", &release);
            findings.push(finding);
        }
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// The releases that boot here, and the one that runs.
fn kernels(guest: &Guest) -> Fact<BTreeMap<String, Subject>> {
    let booted = guest.kernels()?;
    let mut kernels: BTreeMap<String, Subject> = booted
        .iter()
        .map(|kernel| (kernel.release.clone(), Subject::file(&kernel.image)))
        .collect();
    if let Some(running) = guest.kernel_release() {
        let subject = Subject::Setting { setting: "kernel.osrelease".to_owned() };
        kernels.entry(running).or_insert(subject);
    }
    if kernels.is_empty() {
        return Err(crate::guest::Unknown("/boot holds no kernel that is known".to_owned()));
    }
    Ok(kernels)
}

/// Whether the guest mounts NFS at boot, or has it mounted.
fn uses_nfs(guest: &Guest) -> Fact<bool> {
    let is_nfs = |fstype: &[u8]| fstype == b"nfs" || fstype == b"nfs4";
    if guest.boot()?.items.iter().any(|item| is_nfs(item.fstype.as_bytes())) {
        return Ok(true);
    }
    if guest.kernel().is_none() {
        return Ok(false);
    }
    Ok(guest.mounts()?.own.mounts.iter().any(|mount| is_nfs(&mount.fstype.value)))
}

/// Whether every entry of the menu that boots this kernel gives it the argument.
fn every_entry_has(guest: &Guest, release: &str, argument: &str) -> bool {
    let Ok(menu) = guest.boot_entries() else { return false };
    let mut entries =
        menu.kernels().filter(|entry| entry.version().as_deref() == Some(release)).peekable();
    entries.peek().is_some() && entries.all(|entry| entry.arguments.has(argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(id: &str, release: &str) -> Vec<&'static str> {
        let rows = DEFECTS.iter().filter(|row| row.os.contains(&id) && row.has_kernel(release));
        rows.map(|row| row.key).collect()
    }

    #[test]
    fn a_row_takes_in_its_builds_and_no_other_release() {
        for (id, release, key) in [
            ("ubuntu", "4.15.0-72-generic", Some("load-average")),
            ("ubuntu", "4.15.0-74", Some("load-average")),
            ("ubuntu", "4.15.0-73-generic", None),
            ("ubuntu", "4.15.0-720-generic", None),
            ("debian", "4.15.0-72-generic", None),
            ("centos", "2.6.32-642.el6.x86_64", None),
            ("centos", "2.6.32-696.el6.x86_64", Some("nfs-hang")),
            ("centos", "2.6.32-696.10.3.el6.x86_64", Some("nfs-hang")),
            ("centos", "2.6.32-696.11.1.el6.x86_64", None),
            ("centos", "2.6.32-754.el6.x86_64", None),
            ("centos", "3.10.0-514.26.2.el7.x86_64", Some("neighbour-table")),
            ("centos", "3.10.0-693.el7.x86_64", None),
            ("opensuse-leap", "4.12.14-lp151.28.52-default", Some("idle-hang")),
            ("opensuse-leap", "4.12.14-lp151.28.59-default", None),
            ("centos", "4.18.0-193.el8.x86_64", None),
            ("centos", "4.18.0-240.1.1.el8_3.x86_64", Some("hfg6-panic")),
            ("centos", "4.18.0-348.7.1.el8_5.x86_64", Some("hfg6-panic")),
            ("centos", "5.14.0-427.el9.x86_64", None),
        ] {
            assert_eq!(keys(id, release), Vec::from_iter(key), "{id} {release}");
        }
    }
}
