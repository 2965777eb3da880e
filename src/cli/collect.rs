//! `guestprep collect`

use std::collections::BTreeMap;

use super::args::{Cli, CollectArgs, FailOn, SelectArgs, TargetArgs};
use super::confine::{self, Later};
use super::exit::{Exit, Outcome, Trouble};
use super::setup::{self, Choice};
use super::target::Target;
use crate::catalog::{PROFILES, Profile};
use crate::change::compose;
use crate::engine::{self, Settings};
use crate::guest::{Bundle, Guest, SavedSettings};
use crate::model::{CheckResult, GuestPath, Report, Tool};
use crate::sys;

/// So many files that secrets were taken out of are named.
const MAX_NAMED: usize = 20;

pub fn run(cli: &Cli, args: &CollectArgs) -> Outcome {
    let to_stdout = args.output.as_os_str() == "-";
    if to_stdout && sys::is_terminal_out() {
        return Err(Trouble::usage("a bundle is no text for a terminal")
            .hint("name a file: `guestprep collect -o guest.bundle`"));
    }
    let select = SelectArgs {
        profile: args.profile.clone(),
        checks: Vec::new(),
        skip: Vec::new(),
        category: None,
        config: args.config.clone(),
        fail_on: FailOn::Blocker,
    };
    let choice = Choice::read(cli, &select)?;
    let system_disk = args.target.system_disk.as_deref();
    let target = target(args)?;
    let guest = target.guest(choice.policy(system_disk))?;
    let config = setup::config_files(args.config.as_deref())?;
    confine::to_look(&guest, Later::writes((!to_stdout).then_some(args.output.as_path())));
    let recorder = Guest::recorder();
    let mode = guest.mode();
    let guest = guest.recorded_by(&recorder);
    let report = ask_everything(&guest, &choice);

    let saved = SavedSettings {
        profile: choice.profile.name.to_owned(),
        system_disk: args.target.system_disk.clone(),
        config: config
            .into_iter()
            .map(|(path, text)| (path.display().to_string(), without_secrets(&text)))
            .collect(),
    };
    let tool = Tool { name: report.tool.name.clone(), version: report.tool.version.clone() };
    let bundle = Bundle::new(&recorder, mode, saved, sys::now_rfc3339(), tool);
    let broken = |why: &dyn std::fmt::Display| {
        Trouble::new(Exit::Undetermined, format!("the bundle cannot be made: {why}"))
    };
    let bytes = bundle.write().map_err(|e| broken(&e))?;
    if to_stdout {
        sys::print(&bytes)?;
    } else {
        sys::write_private(&args.output, &bytes)?;
    }
    tell(&bundle, bytes.len(), args);

    let again = Bundle::read(&bytes).map_err(|e| broken(&e))?;
    let again = Guest::bundle(again, choice.policy(system_disk)).map_err(|e| broken(&e))?;
    let again = engine::audit(&again, &choice.settings()).report;
    let differing = differing(&report, &again);
    if differing.is_empty() {
        return Ok(Exit::Done);
    }
    sys::say(&format!(
        "an audit of the bundle differs from that of the guest: {}; the bundle is written all the same",
        differing.join(", ")
    ));
    Ok(Exit::Undetermined)
}

/// The guest that is meant. What a killed run left of it is not undone: what is collected is the
/// guest as it is.
fn target(args: &CollectArgs) -> Result<Target, Trouble> {
    let target = TargetArgs {
        root: args.target.root.clone(),
        state_dir: None,
        system_disk: args.target.system_disk.clone(),
    };
    match (&args.image.image, target.root) {
        (None, None) => Ok(Target::Machine),
        (None, Some(root)) => Ok(Target::Tree(root)),
        (Some(_), root) => Target::look(&TargetArgs { root, ..target }, &args.image),
    }
}

/// Ask all that any audit and any plan would, under every profile; the report is of the chosen one.
fn ask_everything(guest: &Guest, choice: &Choice) -> Report {
    let chosen = engine::audit(guest, &choice.settings());
    // A plan that cannot be made is one that cannot be made of the bundle either.
    let _ = compose(guest, choice.profile.name, &chosen.edits);
    let others = PROFILES.iter().filter(|profile| profile.name != choice.profile.name);
    for profile in others {
        let audit = engine::audit(guest, &with(choice, profile));
        let _ = compose(guest, profile.name, &audit.edits);
    }
    chosen.report
}

fn with<'a>(choice: &'a Choice, profile: &'static Profile) -> Settings<'a> {
    Settings { profile, ..choice.settings() }
}

/// Say what the bundle holds and what was taken out.
fn tell(bundle: &Bundle, size: usize, args: &CollectArgs) {
    let contents = &bundle.notes.contents;
    let bytes: usize = contents.values().map(Vec::len).sum();
    sys::say(&format!(
        "{}: {} files, {} KiB, packed to {} KiB",
        args.output.display(),
        contents.len(),
        bytes.div_ceil(1024),
        size.div_ceil(1024)
    ));
    let mut reduced: BTreeMap<&GuestPath, usize> = BTreeMap::new();
    for (_, path, count) in bundle.notes.reduced() {
        *reduced.entry(path).or_default() += count;
    }
    let total: usize = reduced.values().sum();
    let mut named: Vec<String> =
        reduced.iter().take(MAX_NAMED).map(|(path, count)| format!("{path} ({count})")).collect();
    if reduced.len() > MAX_NAMED {
        named.push(format!("and {} files more", reduced.len() - MAX_NAMED));
    }
    let where_from =
        if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
    sys::say(&format!("secrets taken out: {total}{where_from}"));
    sys::say(
        "names of hosts and users, addresses and command lines are in it: look at it before it is sent",
    );
}

fn without_secrets(text: &str) -> String {
    String::from_utf8_lossy(&Guest::without_secrets(text.as_bytes())).into_owned()
}

/// The checks that two reports do not agree on, secrets apart: what an answer shows of a line is
/// without its password in the bundle.
fn differing(one: &Report, other: &Report) -> Vec<String> {
    let text =
        |check: &CheckResult| without_secrets(&serde_json::to_string(check).unwrap_or_default());
    let mut differing: Vec<String> = one
        .checks
        .iter()
        .filter(|check| {
            let same = other.checks.iter().find(|found| found.id == check.id);
            same.is_none_or(|found| found != *check && text(found) != text(check))
        })
        .map(|check| check.id.to_string())
        .collect();
    let guest =
        |report: &Report| crate::model::GuestInfo { mode: String::new(), ..report.guest.clone() };
    if guest(one) != guest(other) {
        differing.push("what the guest is".to_owned());
    }
    differing
}
