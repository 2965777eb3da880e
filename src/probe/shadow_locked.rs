//! `shadow-locked`: an account file cannot be written, is missing or is damaged.
//!
//! Mode bits are not judged: the tools that set a password run as root, who may write whatever the
//! mode; Enterprise Linux ships shadow with mode 0000.

use std::collections::BTreeSet;

use super::{Answer, Guest};
use crate::guest::Fact;
use crate::guest::InodeFlags;
use crate::model::{Edit, Finding, GuestPath, Subject, Verdict};
use crate::parse::options::Options;
use crate::parse::passwd::{Kind, Table};

/// The account files, and whether a guest can be without one: gshadow came late, and SUSE does
/// without it (gshadow(5)).
const FILES: [(&str, Kind, bool); 4] = [
    ("/etc/passwd", Kind::Passwd, false),
    ("/etc/shadow", Kind::Shadow, false),
    ("/etc/group", Kind::Group, false),
    ("/etc/gshadow", Kind::Gshadow, true),
];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for (path, kind, is_optional) in FILES {
        let path = GuestPath::from(path);
        match guest.flags(&path) {
            Ok(Some(flags)) => findings.extend(locked(&path, flags, true)),
            Ok(None) if is_optional => continue,
            Ok(None) => {
                findings.push(Finding::new("missing", Subject::file(&path)).with("path", &path));
                continue;
            }
            Err(why) => doubts.push(why.0),
        }
        if is_read_only(guest, &path)? {
            let finding = Finding::new("read-only-mount", Subject::file(&path));
            findings.push(finding.with("path", &path));
        }
        match guest.accounts(kind) {
            Ok(Some(table)) => findings.extend(damage(&path, table)),
            Ok(None) => {}
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// What the flags of a file forbid. An immutable file cannot grow either, so that one finding
/// says it all; the repair clears both flags.
pub(super) fn locked(path: &GuestPath, flags: InodeFlags, may_clear: bool) -> Option<Finding> {
    let key = match flags {
        InodeFlags { immutable: true, .. } => "immutable",
        InodeFlags { append_only: true, .. } => "append-only",
        _ => return None,
    };
    let fix = may_clear.then(|| Edit::ClearFlags { path: path.clone() });
    Some(Finding::new(key, Subject::file(path)).with("path", path).fix(fix))
}

/// Whether a running guest has mounted what holds the file read-only. How a tree is mounted on
/// this machine says nothing about the guest.
fn is_read_only(guest: &Guest, path: &GuestPath) -> Fact<bool> {
    if guest.kernel().is_none() {
        return Ok(false);
    }
    let Some(mount) = guest.mounts()?.holding(path.as_bytes()) else { return Ok(false) };
    let is_ro = |options: &[u8]| Options::libmount(options).has("ro");
    Ok(is_ro(&mount.options.value) || is_ro(&mount.super_options.value))
}

/// What pwck(8) and grpck(8) would complain of and the C library would misread. A line's text is
/// not shown, because it may hold a hash.
fn damage(path: &GuestPath, table: &Table) -> Vec<Finding> {
    let mut bad: Vec<(usize, String)> =
        table.errors().iter().map(|error| (error.line, error.reason.to_string())).collect();
    let mut names = BTreeSet::new();
    for entry in table.entries() {
        if !names.insert(entry.name.as_slice()) {
            let name = String::from_utf8_lossy(&entry.name);
            bad.push((entry.line, format!("the name {name} was there before")));
        }
    }
    bad.sort_unstable();
    let finding = |(line, reason): (usize, String)| {
        Finding::new("malformed", Subject::line(path, line))
            .with("path", path)
            .with("text", format!("line {line}: {reason}"))
    };
    bad.into_iter().map(finding).collect()
}
