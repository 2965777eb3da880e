//! From the edits of all checks to one plan.

use std::collections::{BTreeMap, BTreeSet};

use super::arguments;
use super::line;
use super::mount_order;
use super::replay::seal;
use super::wanted::{FileWishes, WholeFile, push_new, sort};
use super::{diff, erase};
use crate::guest::{FileKind, Guest, Unknown};
use crate::model::{
    Action, ByteString, CheckId, Edit, Expects, GuestPath, LineEdit, Plan, PlanGuest, Step,
    sha256_hex,
};
use crate::parse::lines::{self, LineEnding};

/// Why no plan could be made.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A fact that the plan rests on could not be had.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// A file is not what the checks saw.
    #[error("{path} changed while it was looked at; run the command again")]
    Moved {
        /// The file.
        path: GuestPath,
    },
    /// Two checks want different things of one line.
    #[error(
        "{path}:{line}: {first} and {second} want different things of this line; leave one out with --skip"
    )]
    Conflict {
        /// The file.
        path: GuestPath,
        /// The line.
        line: usize,
        /// One check.
        first: CheckId,
        /// The other.
        second: CheckId,
    },
    /// Two checks want different contents of one file.
    #[error(
        "{path}: {first} and {second} want different contents of it; leave one out with --skip"
    )]
    FileConflict {
        /// The file.
        path: GuestPath,
        /// One check.
        first: CheckId,
        /// The other.
        second: CheckId,
    },
    /// Two checks want different things of one kernel argument.
    #[error(
        "{argument}: {first} and {second} want different things of this kernel argument; leave one out with --skip"
    )]
    ArgumentConflict {
        /// The argument.
        argument: String,
        /// One check.
        first: CheckId,
        /// The other.
        second: CheckId,
    },
    /// One check wants a service to start at boot, and another does not.
    #[error(
        "{service}: {first} and {second} disagree on whether it starts; leave one out with --skip"
    )]
    ServiceConflict {
        /// The service.
        service: String,
        /// One check.
        first: CheckId,
        /// The other.
        second: CheckId,
    },
}

/// Make one plan of the edits that checks offer.
///
/// The steps most likely to be refused come first: flags, then swaps and mounts, then files and
/// units. What nothing brings back comes last. Nothing is changed and nothing is written.
///
/// # Errors
/// See [`ComposeError`].
pub fn compose(
    guest: &Guest,
    profile: &str,
    edits: &[(CheckId, Edit)],
) -> Result<Plan, ComposeError> {
    let wanted = sort(&arguments::expand(guest, edits)?)?;
    let mut steps = Vec::new();
    let mut made = BTreeSet::new();
    for (path, checks) in wanted.flags {
        let flags = guest.flags(&path)?.unwrap_or_default();
        steps.push(Draft {
            checks,
            path: Some(path.clone()),
            summary: format!("clear {} of {path}", flags.names().join(" and ")),
            expects: Expects::default(),
            diff: None,
            action: Action::SetFlags { clear: flags.names() },
        });
    }
    for (check, device, priority) in wanted.swaps {
        steps.push(Draft {
            checks: vec![check],
            path: None,
            summary: format!("stop swapping to {device}"),
            expects: Expects { swap: Some(device.clone()), ..Expects::default() },
            diff: None,
            action: Action::SwapOff { device, priority },
        });
    }
    let owner: BTreeMap<u32, CheckId> =
        wanted.mounts.iter().map(|(check, mount)| (mount.id, check.clone())).collect();
    for mount in mount_order::order(wanted.mounts.into_iter().map(|(_, mount)| mount).collect()) {
        let shown = format!("{} on {}", mount.source, mount.target);
        steps.push(Draft {
            checks: owner.get(&mount.id).cloned().into_iter().collect(),
            path: Some(mount.target.clone()),
            summary: format!("unmount {} ({})", mount.target, mount.source),
            expects: Expects { mounted: Some(shown), ..Expects::default() },
            diff: None,
            action: Action::Unmount { mount },
        });
    }
    // Before the line of fstab that names it, so that rollback has forgotten the line when it takes
    // the file away.
    for (path, (check, size)) in wanted.swap_files {
        steps.push(Draft {
            checks: vec![check],
            summary: format!("make {path}, {} MiB, and swap to it", size >> 20),
            expects: Expects { absent: Some(path.clone()), ..Expects::default() },
            path: Some(path),
            diff: None,
            action: Action::SwapFile { size },
        });
    }
    for (path, file) in &wanted.whole {
        steps.extend(write_file(guest, path, file, &mut made)?);
    }
    for (path, wishes) in &wanted.files {
        steps.push(edit_file(guest, path, wishes)?);
    }
    for (path, checks) in wanted.removed {
        steps.push(remove(guest, path, checks)?);
    }
    for (unit, checks) in wanted.units {
        let path = GuestPath::from(format!("/etc/systemd/system/{unit}").as_str());
        let target = Some(ByteString::from("/dev/null"));
        steps.push(Draft {
            checks,
            summary: format!("mask {unit}"),
            expects: expects(guest, &path)?,
            path: Some(path),
            diff: None,
            action: Action::Unit { unit, change: "mask".to_owned(), target },
        });
    }
    for (service, (enable, checks)) in wanted.services {
        steps.extend(switch(guest, &service, enable, &checks, &mut made)?);
    }
    for (device, checks) in wanted.swaps_on {
        steps.push(Draft {
            checks,
            path: None,
            summary: format!("swap to {device}"),
            expects: Expects::default(),
            diff: None,
            action: Action::SwapOn { device },
        });
    }
    for (target, checks) in wanted.mounted {
        steps.push(Draft {
            checks,
            summary: format!("mount {target}"),
            path: Some(target),
            expects: Expects::default(),
            diff: None,
            action: Action::Mount,
        });
    }
    for (unit, (wait, checks)) in wanted.started {
        steps.push(Draft {
            checks,
            path: None,
            summary: format!("start {unit}"),
            expects: Expects::default(),
            diff: None,
            action: Action::Start { unit, wait },
        });
    }
    for tool in wanted.tools {
        steps.push(Draft {
            checks: tool.checks,
            path: None,
            summary: format!("run {}", tool.argv.join(" ")),
            expects: Expects::default(),
            diff: None,
            action: Action::Run { argv: tool.argv, writes: tool.writes, undo: tool.undo },
        });
    }
    // Before the backups that this makes of the files of accounts may go.
    for (user, checks) in wanted.dropped {
        steps.push(Draft {
            checks,
            path: None,
            summary: format!("remove the account {user}"),
            expects: Expects::default(),
            diff: None,
            action: Action::DropAccount { user },
        });
    }
    for (check, erased) in wanted.erased {
        steps.extend(erase::steps(guest, &check, erased));
    }
    Ok(finish(guest, profile, steps))
}

/// A step without its number.
pub(super) struct Draft {
    pub checks: Vec<CheckId>,
    pub path: Option<GuestPath>,
    pub summary: String,
    pub expects: Expects,
    pub diff: Option<String>,
    pub action: Action,
}

/// One patch of one file for all checks.
fn edit_file(guest: &Guest, path: &GuestPath, wanted: &FileWishes) -> Result<Draft, ComposeError> {
    let moved = || ComposeError::Moved { path: path.clone() };
    let base = guest.file(path)?.ok_or_else(moved)?;
    let mut edits = Vec::new();
    let mut checks = Vec::new();
    for (number, (original, wishes)) in &wanted.lines {
        let (raw, ending) = lines::split(&base).nth(number - 1).ok_or_else(moved)?;
        if raw != original.as_bytes() {
            return Err(moved());
        }
        let replacement = line::fulfil(raw, wishes).map_err(|conflict| ComposeError::Conflict {
            path: path.clone(),
            line: *number,
            first: conflict.checks.0,
            second: conflict.checks.1,
        })?;
        for (check, _) in wishes {
            push_new(&mut checks, check);
        }
        edits.push(LineEdit {
            line: *number,
            original: original.clone(),
            replacement: ByteString::from(with_endings(replacement, ending)),
        });
    }
    for check in &wanted.appended_by {
        push_new(&mut checks, check);
    }
    let append = wanted.append.clone();
    let result = super::step::edited(&base, &edits, &append).ok_or_else(moved)?;
    let count = edits.len() + append.len();
    Ok(Draft {
        checks,
        path: Some(path.clone()),
        summary: format!("edit {path}: {count} {}", if count == 1 { "line" } else { "lines" }),
        expects: Expects { sha256: Some(sha256_hex(&base)), ..Expects::default() },
        diff: Some(unified_diff(path, &base, &result)),
        action: Action::EditFile { edits, append, result_sha256: sha256_hex(&result) },
    })
}

/// Lines that follow a line of a file end as it does.
fn with_endings(replacement: Vec<u8>, ending: LineEnding) -> Vec<u8> {
    if ending != LineEnding::CrLf {
        return replacement;
    }
    replacement.split(|b| *b == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// A whole file, and before it every directory that it lacks; nothing where it is there already.
fn write_file(
    guest: &Guest,
    path: &GuestPath,
    file: &WholeFile,
    made: &mut BTreeSet<GuestPath>,
) -> Result<Vec<Draft>, ComposeError> {
    let base = guest.file(path)?;
    let content = file.content.as_bytes();
    if base.as_ref().is_some_and(|base| base.as_slice() == content) {
        return Ok(Vec::new());
    }
    let mut drafts = missing_directories(guest, path, &file.checks, made)?;
    let what = if base.is_some() { "rewrite" } else { "write" };
    let before = base.as_ref().map_or(&[][..], |base| base.as_slice());
    drafts.push(Draft {
        checks: file.checks.clone(),
        path: Some(path.clone()),
        summary: format!("{what} {path}"),
        expects: Expects {
            sha256: base.as_ref().map(|base| sha256_hex(base)),
            absent: base.is_none().then(|| path.clone()),
            ..Expects::default()
        },
        diff: Some(unified_diff(path, before, content)),
        action: Action::WriteFile { content: file.content.clone(), mode: file.mode },
    });
    Ok(drafts)
}

/// The directories above a path that are not there, the outermost first.
fn missing_directories(
    guest: &Guest,
    path: &GuestPath,
    checks: &[CheckId],
    made: &mut BTreeSet<GuestPath>,
) -> Result<Vec<Draft>, ComposeError> {
    let mut drafts = Vec::new();
    let mut directory = path.parent();
    while guest.stat(&directory)?.is_none() && made.insert(directory.clone()) {
        drafts.push(Draft {
            checks: checks.to_vec(),
            path: Some(directory.clone()),
            summary: format!("make the directory {directory}"),
            expects: Expects { absent: Some(directory.clone()), ..Expects::default() },
            diff: None,
            action: Action::MakeDir,
        });
        directory = directory.parent();
    }
    drafts.reverse();
    Ok(drafts)
}

fn remove(guest: &Guest, path: GuestPath, checks: Vec<CheckId>) -> Result<Draft, ComposeError> {
    let expects = expects(guest, &path)?;
    let content = match expects.sha256 {
        Some(_) => guest.file(&path)?,
        None => None,
    };
    Ok(Draft {
        checks,
        summary: format!("remove {path}"),
        expects,
        diff: content.map(|content| unified_diff(&path, &content, b"")),
        path: Some(path),
        action: Action::Remove { targets: Vec::new() },
    })
}

/// The links by which a service is enabled or disabled.
fn switch(
    guest: &Guest,
    service: &str,
    enable: bool,
    checks: &[CheckId],
    made: &mut BTreeSet<GuestPath>,
) -> Result<Vec<Draft>, ComposeError> {
    let change = if enable { "enable" } else { "disable" };
    let mut drafts = Vec::new();
    for (path, target) in guest.service_links(service, enable)? {
        if target.is_some() {
            drafts.extend(missing_directories(guest, &path, checks, made)?);
        }
        let what = match &target {
            Some(target) => format!("link {path} to {target}"),
            None => format!("remove {path}"),
        };
        drafts.push(Draft {
            checks: checks.to_vec(),
            summary: format!("{change} {service}: {what}"),
            expects: expects(guest, &path)?,
            path: Some(path),
            diff: None,
            action: Action::Unit { unit: service.to_owned(), change: change.to_owned(), target },
        });
    }
    Ok(drafts)
}

/// What stands at a name now, a link at its end not followed.
fn expects(guest: &Guest, path: &GuestPath) -> Result<Expects, ComposeError> {
    let root = guest.root();
    let Some(attributes) = root.lstat(path).map_err(Unknown::from)? else {
        return Ok(Expects { absent: Some(path.clone()), ..Expects::default() });
    };
    if attributes.kind == FileKind::Symlink {
        let target = root.read_link(path).map_err(Unknown::from)?;
        return Ok(Expects { link: target.map(ByteString::from), ..Expects::default() });
    }
    let sha256 = guest.file(path)?.map(|content| sha256_hex(&content));
    Ok(Expects { sha256, ..Expects::default() })
}

/// A unified diff in which every byte can be read: what is no UTF-8 is escaped.
fn unified_diff(path: &GuestPath, before: &[u8], after: &[u8]) -> String {
    let shown = |bytes: &[u8]| -> String {
        let mut text = String::new();
        for (raw, ending) in lines::split(bytes) {
            // Tabs stay as they are: a diff that shows `\t` is no diff of the file.
            let parts: Vec<String> =
                raw.split(|b| *b == b'\t').map(|part| ByteString::from(part).to_string()).collect();
            text.push_str(&parts.join("\t"));
            match ending {
                lines::LineEnding::None => {}
                lines::LineEnding::Lf => text.push('\n'),
                lines::LineEnding::CrLf => text.push_str("\\r\n"),
            }
        }
        text
    };
    let names = [format!("a{path}"), format!("b{path}")];
    diff::unified([&names[0], &names[1]], &shown(before), &shown(after))
}

fn finish(guest: &Guest, profile: &str, drafts: Vec<Draft>) -> Plan {
    let steps: Vec<Step> = drafts
        .into_iter()
        .enumerate()
        .map(|(index, draft)| Step {
            id: format!("s{}", index + 1),
            check: draft.checks.first().cloned().unwrap_or_else(|| CheckId::from("")),
            checks: draft.checks,
            path: draft.path,
            summary: draft.summary,
            expects: draft.expects,
            diff: draft.diff,
            reversible: !draft.action.is_for_good(),
            phase: if draft.action.is_for_good() { 2 } else { 1 },
            action: draft.action,
        })
        .collect();
    let mut plan = Plan {
        schema: Plan::SCHEMA.to_owned(),
        profile: profile.to_owned(),
        guest: PlanGuest {
            mode: guest.comes_from().to_owned(),
            hostname: guest.hostname(),
            instance_id: guest.instance_id(),
        },
        digest: String::new(),
        steps,
    };
    plan.digest = seal(&plan);
    plan
}
