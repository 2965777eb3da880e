//! `boot-entry-broken`: the entry that is booted names a kernel, an initial ramdisk or a root filesystem that is not there, or
//! waits for a person.

use super::boot_menu::unread;
use super::{Answer, Guest};
use crate::guest::{BootEntry, RootArgument};
use crate::model::{ByteString, Finding, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let menu = guest.boot_entries()?;
    if let Some(verdict) = unread(menu) {
        return Ok(verdict);
    }
    let mut doubts = menu.doubts.clone();
    let Some(entry) = menu.default_entry() else {
        if doubts.is_empty() {
            return Ok(Verdict::NotApplicable("no-entries"));
        }
        return Ok(Verdict::from_parts(Vec::new(), doubts));
    };
    let mut findings = Vec::new();
    let at = |line: usize| Subject::line(&entry.source, line);
    let finding = |key, line| Finding::new(key, at(line)).with("entry", &entry.title);
    match &entry.kernel {
        None => findings.push(finding("no-kernel", entry.line)),
        Some(kernel) if !kernel.exists => {
            findings.push(finding("kernel-missing", kernel.line).with("path", &kernel.path));
        }
        Some(_) => {}
    }
    for initrd in entry.initrds.iter().filter(|initrd| !initrd.exists) {
        findings.push(finding("initrd-missing", initrd.line).with("path", &initrd.path));
    }
    if entry.asks_for_password {
        findings.push(finding("asks-for-password", entry.line));
    }
    if let Some(timeout) = menu.timeout.as_ref().filter(|timeout| is_endless(timeout.as_bytes())) {
        let finding = Finding::new("waits-for-a-key", Subject::file(&menu.config));
        findings.push(finding.with("entry", &entry.title).with("timeout", timeout));
    }
    if entry.kernel.is_some() {
        match entry.arguments.value("root") {
            None => doubts
                .push(format!("{}: no root= says which filesystem is /", at(entry.arguments_line))),
            Some(value) => {
                let root = ByteString::from(value);
                if entry.initrds.is_empty() && needs_initrd(value) {
                    findings
                        .push(finding("initrd-unnamed", entry.arguments_line).with("root", &root));
                }
                match guest.root_argument(value)? {
                    RootArgument::Root => {}
                    RootArgument::Other(own) => findings.push(
                        finding("root-differs", entry.arguments_line)
                            .with("root", &root)
                            .with("own", own),
                    ),
                    RootArgument::Untold(why) => {
                        doubts.push(format!("{}: {why}", at(entry.arguments_line)))
                    }
                }
            }
        }
    }
    Ok(Verdict::from_parts(evident(findings, entry), doubts))
}

/// GRUB counts down from a number, and without one shows the menu until somebody chooses: `-1` is none
/// (grub-core/normal/menu.c, grub_menu_get_timeout()).
fn is_endless(timeout: &[u8]) -> bool {
    !timeout.trim_ascii_start().first().is_some_and(u8::is_ascii_digit)
}

/// The kernel alone knows partitions by name and PARTUUID; a filesystem's UUID or label takes user space
/// (init/do_mounts.c, name_to_dev_t()).
fn needs_initrd(root: &[u8]) -> bool {
    root.starts_with(b"UUID=") || root.starts_with(b"LABEL=") || root.starts_with(b"/dev/mapper/")
}

fn evident(findings: Vec<Finding>, entry: &BootEntry) -> Vec<Finding> {
    let arguments = ByteString::from(entry.arguments.text());
    findings
        .into_iter()
        .map(|finding| match finding.key {
            "root-differs" | "initrd-unnamed" => finding.evidence(&arguments),
            _ => finding,
        })
        .collect()
}
