//! The repair that findings offer, tried for real on a fixture: planned, taken, judged again,
//! rolled back.
//!
//! Mounts and swaps of a recorded guest are only text, so what would unmount them is left out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use guestprep::change::{
    Interrupt, Phase2, RunKind, RunState, Store, compose, execute, preflight, roll_back,
};
use guestprep::guest::Guest;
use guestprep::model::{Action, CheckId, Edit, Finding, Plan, Verdict};

use rustix::fs::{XattrFlags, setxattr};

use super::digest;

/// Mend what the findings offer to mend and see that it is mended; undo it and see the tree as it
/// was, content and metadata. Of what is taken away for good, rollback has to say that it is.
///
/// `guest` opens the guest anew, `judge` asks the check. Answers the plan that was taken, `None`
/// when no finding offers a repair.
///
/// # Errors
/// What went otherwise than promised.
pub fn repair(
    check: &str,
    root: &Path,
    guest: &dyn Fn() -> Guest,
    judge: &dyn Fn(&Guest) -> Verdict,
) -> Result<Option<Plan>, String> {
    adorn(root);
    let before = digest::of_tree(root);
    let first = guest();
    let (mendable, rest): (Vec<Finding>, Vec<Finding>) =
        findings(judge(&first)).into_iter().partition(|f| f.fix.iter().any(is_of_files));
    if mendable.is_empty() {
        return Ok(None);
    }
    let edits: Vec<(CheckId, Edit)> = mendable
        .into_iter()
        .flat_map(|finding| finding.fix)
        .filter(is_of_files)
        .map(|edit| (CheckId::from(check), edit))
        .collect();
    let plan = compose(&first, "clone", &edits).map_err(|e| format!("no plan: {e}"))?;
    let same = compose(&guest(), "clone", &edits).map_err(|e| format!("no second plan: {e}"))?;
    if plan != same {
        return Err("the same guest and edits make two plans".to_owned());
    }
    let obstacles = preflight(&first, &plan).map_err(|e| format!("preflight: {e}"))?;
    if !obstacles.is_empty() {
        return Err(format!("obstacles: {obstacles:?}"));
    }

    let state = root.with_file_name("state");
    let store = Store::create(&first, Some(&state)).map_err(|e| e.to_string())?;
    let quiet = &mut |_: &_| {};
    execute(&first, &store, &plan, RunKind::Prepare, Phase2::Now, &Interrupt::default(), quiet)
        .map_err(|failure| format!("the plan failed: {failure:?}"))?;
    let lasting = plan.steps.iter().filter(|step| !step.reversible).count();
    if lasting == 0 {
        unchanged_beside(root, &plan, &digest::differences(&before, &digest::of_tree(root)))?;
    }
    let left = findings(judge(&guest()));
    if keys(&left) != keys(&rest) {
        return Err(format!("after the repair there is {left:#?}, expected {rest:#?}"));
    }

    let last = guest();
    let mut run = store.runs().map_err(|e| e.to_string())?.pop().ok_or("the run is gone")?;
    let result = roll_back(&last, &mut run).map_err(|e| e.to_string())?;
    if !result.left.is_empty() || result.undone + lasting != plan.steps.len() {
        return Err(format!("not all is rolled back: {result:?}"));
    }
    if run.state() != RunState::RolledBack {
        return Err(format!("the run is {:?} after its rollback", run.state()));
    }
    if result.lost.len() != lasting {
        return Err(format!("the rollback does not say what it cannot bring back: {result:?}"));
    }
    if lasting > 0 {
        return Ok(Some(plan));
    }
    match digest::differences(&before, &digest::of_tree(root)).as_slice() {
        [] => Ok(Some(plan)),
        lines => Err(format!("rollback left the tree otherwise:\n{}", lines.join("\n"))),
    }
}

/// Give the files that repairs edit what a careless replacement would lose. Where the filesystem
/// or this user cannot, there is less to lose.
fn adorn(root: &Path) {
    for file in ["etc/fstab", "etc/crypttab"].map(|name| root.join(name)) {
        if !file.symlink_metadata().is_ok_and(|about| about.is_file()) {
            continue;
        }
        if fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).is_err() {
            continue; // A case about flags has locked it.
        }
        let _ = chown(&file, None, Some(42));
        for name in [&b"user.note"[..], b"user.\xff"] {
            let _ = setxattr(&file, name, b"kept", XattrFlags::empty());
        }
        let old = SystemTime::UNIX_EPOCH + Duration::new(981_173_106, 123_456_789);
        let times = fs::FileTimes::new().set_modified(old);
        fs::File::open(&file).and_then(|file| file.set_times(times)).expect("a time");
    }
}

fn findings(verdict: Verdict) -> Vec<Finding> {
    match verdict {
        Verdict::Fail(findings) | Verdict::Unknown { findings, .. } => findings,
        Verdict::Pass | Verdict::NotApplicable(_) => Vec::new(),
    }
}

/// Whether an edit is one of files: mounts and swaps of a recorded guest are only text.
pub fn is_of_files(edit: &Edit) -> bool {
    !matches!(
        edit,
        Edit::Unmount(_) | Edit::SwapOff { .. } | Edit::SwapOn { .. } | Edit::SwapFile { .. }
    )
}

fn keys(findings: &[Finding]) -> Vec<(&'static str, String)> {
    findings.iter().map(|finding| (finding.key, finding.subject.to_string())).collect()
}

/// A plan changes what its steps name and the directories above that, and does change something.
fn unchanged_beside(root: &Path, plan: &Plan, differences: &[String]) -> Result<(), String> {
    let named: Vec<PathBuf> = plan
        .steps
        .iter()
        .filter_map(|step| step.path.as_ref().map(|path| (step, Path::new(path.as_os_str()))))
        .map(|(step, path)| match step.action {
            // These change the name itself, the others the file that it leads to.
            Action::Remove { .. } | Action::MakeDir | Action::Unit { .. } => below(path),
            _ => behind_links(root, path),
        })
        .collect();
    let is_named = |line: &String| {
        named.iter().any(|path| {
            [Some(path.as_path()), path.parent()]
                .into_iter()
                .flatten()
                .any(|path| line.starts_with(&format!("{} ", path.display())))
        })
    };
    if differences.is_empty() {
        return Err("the plan was taken and nothing changed".to_owned());
    }
    match differences.iter().find(|line| !is_named(line)) {
        None => Ok(()),
        Some(line) => Err(format!("no step names this, and it changed: {line}")),
    }
}

/// A path of the guest, relative to its root.
fn below(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// The file that a step edits, relative to the root.
fn behind_links(root: &Path, path: &Path) -> PathBuf {
    let mut path = below(path);
    while let Ok(target) = fs::read_link(root.join(&path)) {
        path = match target.strip_prefix("/") {
            Ok(absolute) => absolute.to_owned(),
            Err(_) => path.with_file_name(target),
        };
    }
    path
}
