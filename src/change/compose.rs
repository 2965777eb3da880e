//! From the edits of all checks to one plan.

use std::collections::BTreeMap;

use similar::TextDiff;

use super::line::{self, Wishes};
use super::mount_order;
use crate::guest::{Guest, Unknown};
use crate::model::{
    Action, ByteString, CheckId, Edit, Expects, GuestPath, LineEdit, MountRecord, Plan, PlanGuest,
    Step, digest_of, sha256_hex,
};
use crate::parse::lines;

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
}

/// What is wanted, sorted by what it is wanted of.
#[derive(Default)]
struct Wanted {
    lines: BTreeMap<GuestPath, BTreeMap<usize, (ByteString, Wishes)>>,
    flags: BTreeMap<GuestPath, Vec<CheckId>>,
    mounts: Vec<(CheckId, MountRecord)>,
    swaps: Vec<(CheckId, GuestPath, i32)>,
    units: BTreeMap<String, Vec<CheckId>>,
}

/// Make one plan of the edits that checks offer.
///
/// The steps most likely to be refused come first: flags, then swaps and mounts, then files and
/// units. Nothing is changed and nothing is written.
///
/// # Errors
/// See [`ComposeError`].
pub fn compose(
    guest: &Guest,
    profile: &str,
    edits: &[(CheckId, Edit)],
) -> Result<Plan, ComposeError> {
    let wanted = sort(edits);
    let mut steps = Vec::new();
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
    for (path, lines) in wanted.lines {
        steps.push(edit_file(guest, &path, &lines)?);
    }
    for (unit, checks) in wanted.units {
        let path = GuestPath::from(format!("/etc/systemd/system/{unit}").as_str());
        let absent = guest.root().lstat(&path).map_err(Unknown::from)?.is_none();
        let sha256 = guest.file(&path)?.map(|content| sha256_hex(&content));
        steps.push(Draft {
            checks,
            path: Some(path.clone()),
            summary: format!("mask {unit}"),
            expects: Expects { sha256, absent: absent.then_some(path), ..Expects::default() },
            diff: None,
            action: Action::Unit { unit, change: "mask".to_owned() },
        });
    }
    Ok(finish(guest, profile, steps))
}

/// A step without its number.
struct Draft {
    checks: Vec<CheckId>,
    path: Option<GuestPath>,
    summary: String,
    expects: Expects,
    diff: Option<String>,
    action: Action,
}

fn sort(edits: &[(CheckId, Edit)]) -> Wanted {
    let mut wanted = Wanted::default();
    for (check, edit) in edits {
        match edit.clone() {
            Edit::Line { path, line, original, change } => {
                let (_, wishes) = wanted
                    .lines
                    .entry(path)
                    .or_default()
                    .entry(line)
                    .or_insert_with(|| (original, Vec::new()));
                wishes.push((check.clone(), change));
            }
            Edit::ClearFlags { path } => push_new(wanted.flags.entry(path).or_default(), check),
            Edit::MaskUnit { unit } => push_new(wanted.units.entry(unit).or_default(), check),
            Edit::Unmount(mount) => {
                if !wanted.mounts.iter().any(|(_, known)| known.id == mount.id) {
                    wanted.mounts.push((check.clone(), mount));
                }
            }
            Edit::SwapOff { device, priority } => {
                if !wanted.swaps.iter().any(|(_, known, _)| *known == device) {
                    wanted.swaps.push((check.clone(), device, priority));
                }
            }
            // No check offers these yet.
            Edit::Append { .. }
            | Edit::WriteFile { .. }
            | Edit::Remove { .. }
            | Edit::Service { .. }
            | Edit::KernelArguments { .. }
            | Edit::Run { .. } => {}
        }
    }
    wanted
}

fn push_new(checks: &mut Vec<CheckId>, check: &CheckId) {
    if !checks.contains(check) {
        checks.push(check.clone());
    }
}

/// One patch of one file for all checks.
fn edit_file(
    guest: &Guest,
    path: &GuestPath,
    wanted: &BTreeMap<usize, (ByteString, Wishes)>,
) -> Result<Draft, ComposeError> {
    let moved = || ComposeError::Moved { path: path.clone() };
    let base = guest.file(path)?.ok_or_else(moved)?;
    let mut edits = Vec::new();
    let mut checks = Vec::new();
    for (number, (original, wishes)) in wanted {
        let (raw, _) = lines::split(&base).nth(number - 1).ok_or_else(moved)?;
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
            replacement: ByteString::from(replacement),
        });
    }
    let result = super::step::edited(&base, &edits).ok_or_else(moved)?;
    let count = edits.len();
    Ok(Draft {
        checks,
        path: Some(path.clone()),
        summary: format!("edit {path}: {count} {}", if count == 1 { "line" } else { "lines" }),
        expects: Expects { sha256: Some(sha256_hex(&base)), ..Expects::default() },
        diff: Some(unified_diff(path, &base, &result)),
        action: Action::EditFile { edits, result_sha256: sha256_hex(&result) },
    })
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
    let (before, after) = (shown(before), shown(after));
    TextDiff::from_lines(before.as_str(), after.as_str())
        .unified_diff()
        .context_radius(3)
        .header(&format!("a{path}"), &format!("b{path}"))
        .to_string()
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
            reversible: true,
            phase: 1,
            action: draft.action,
        })
        .collect();
    let mut plan = Plan {
        schema: Plan::SCHEMA.to_owned(),
        profile: profile.to_owned(),
        guest: PlanGuest {
            mode: guest.mode().as_str().to_owned(),
            hostname: guest.hostname(),
            instance_id: guest.instance_id(),
        },
        digest: String::new(),
        steps,
    };
    plan.digest = seal(&plan);
    plan
}

/// The digest of everything in a plan but the digest itself.
pub(super) fn seal(plan: &Plan) -> String {
    digest_of(&(&plan.schema, &plan.profile, &plan.guest, &plan.steps))
}

/// Why a reviewed plan is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is of another version's form.
    #[error("the plan's schema is {0}; this version reads {expected}", expected = Plan::SCHEMA)]
    Schema(String),
    /// It was edited after it was made.
    #[error(
        "the plan's digest is not that of its contents: it was changed after it was made; make it again"
    )]
    Digest,
    /// It was made for another guest.
    #[error("the plan was made for another guest: {0}")]
    Guest(String),
}

/// Whether a reviewed plan is whole and meant for this guest. That its files have not moved,
/// preflight sees.
///
/// # Errors
/// See [`ReplayError`].
pub fn check_replay(guest: &Guest, plan: &Plan) -> Result<(), ReplayError> {
    if plan.schema != Plan::SCHEMA {
        return Err(ReplayError::Schema(plan.schema.clone()));
    }
    if plan.digest != seal(plan) {
        return Err(ReplayError::Digest);
    }
    if plan.guest.mode != guest.mode().as_str() {
        return Err(ReplayError::Guest(format!("mode {}", plan.guest.mode)));
    }
    if let Some(theirs) = &plan.guest.instance_id
        && guest.instance_id().as_ref() != Some(theirs)
    {
        return Err(ReplayError::Guest(format!("instance {theirs}")));
    }
    Ok(())
}
