//! `guestprep plan`

use std::fmt::Write as _;

use super::args::{Cli, LookArgs, ReportFormat};
use super::bundle;
use super::confine::{self, Later};
use super::deliver;
use super::exit::{Exit, Outcome, Trouble};
use super::setup::{self, Choice};
use super::target::Target;
use crate::change::{ComposeError, compose, preflight};
use crate::engine::{self, Audit};
use crate::guest::Guest;
use crate::model::{Plan, RemedyKind, Report, Severity, VerdictName, visible};
use crate::report::Style;
use crate::sys;

/// What a reader of a plan can do with it.
const LATER: &str = "\
    To take exactly these later: `guestprep plan -o plan.json`, then `guestprep prepare --plan plan.json`.\n";

pub fn run(cli: &Cli, args: &LookArgs) -> Outcome {
    let system_disk = args.target.system_disk.as_deref();
    if let Some(path) = &args.bundle {
        let (choice, guest) = bundle::open(cli, &args.select, system_disk, path)?;
        return tell(args, &choice, &guest, false);
    }
    let choice = Choice::read(cli, &args.select)?;
    let target = Target::look(&args.target, &args.image)?;
    let guest = target.guest(choice.policy(system_disk))?;
    // An image is open for reading here, and everything in it would seem to be in the way.
    tell(args, &choice, &guest, sys::is_root() && !matches!(target, Target::Image(_)))
}

/// Make the plan and show it, and what stands in its way where that can be told.
fn tell(args: &LookArgs, choice: &Choice, guest: &Guest, with_obstacles: bool) -> Outcome {
    confine::to_look(guest, Later::writes(args.output.output.as_deref()));
    let (audit, plan) = make(guest, choice)?;
    for what in audit.report.guest.image.iter().flat_map(|image| &image.left_out) {
        sys::say(&format!("not seen: {what}"));
    }
    let to_file = args.output.output.is_some();
    let style = setup::style(args.output.color, to_file);
    let text = match args.output.format {
        Some(ReportFormat::Json) => json(&plan),
        // What is written to a file is to be replayed, and what is reviewed is shown beside it.
        None if to_file => {
            if !args.output.quiet {
                let style = setup::style(args.output.color, false);
                sys::print(render(&plan, &audit.report, style).as_bytes())?;
            }
            json(&plan)
        }
        Some(ReportFormat::Text) | None => {
            let mut text = render(&plan, &audit.report, style);
            // What a bundle says of a plan is to be looked at, not to be taken.
            if !plan.steps.is_empty() && args.bundle.is_none() {
                let undone = match plan.steps.iter().all(|step| step.reversible) {
                    true => "undoes them",
                    false => "undoes those that can be undone",
                };
                let _ = writeln!(
                    text,
                    "\nNext: `guestprep prepare` takes these steps, and `guestprep rollback` {undone}."
                );
                text.push_str(LATER);
            }
            text
        }
        Some(_) => {
            let wrong = "a plan is text or json; the other forms are a report's";
            return Err(Trouble::usage(wrong).hint("`guestprep audit` makes a report"));
        }
    };
    deliver::text_of(&args.output, &text)?;
    setup::say_what_root_would_see(args, guest, &audit.report);
    if with_obstacles {
        for obstacle in preflight(guest, &plan)? {
            sys::say(&format!("in the way: {}", obstacle.message));
        }
    }
    Ok(Exit::Done)
}

fn json(plan: &Plan) -> String {
    let mut json = serde_json::to_string_pretty(plan).unwrap_or_default();
    json.push('\n');
    json
}

/// Audit the guest and plan what would mend it.
pub fn make(guest: &Guest, choice: &Choice) -> Result<(Audit, Plan), Trouble> {
    let audit = engine::audit(guest, &choice.settings());
    let plan = compose(guest, choice.profile.name, &audit.edits).map_err(refused)?;
    Ok((audit, plan))
}

/// Why there is no plan, as trouble.
pub fn refused(error: ComposeError) -> Trouble {
    match error {
        ComposeError::Unknown(why) => Trouble::from(why),
        ComposeError::Moved { .. } => Trouble::new(Exit::Failed, &error),
        ComposeError::Conflict { .. }
        | ComposeError::FileConflict { .. }
        | ComposeError::ArgumentConflict { .. }
        | ComposeError::ServiceConflict { .. } => Trouble::usage(&error),
    }
}

/// A plan as a person reads it, with what it will not mend.
pub fn render(plan: &Plan, report: &Report, style: Style) -> String {
    let mut out = render_steps(plan, style);
    let manual: Vec<String> = report
        .checks
        .iter()
        .flat_map(|check| check.findings.iter().map(move |finding| (check, finding)))
        .filter(|(_, f)| f.remedy.kind == RemedyKind::Manual && f.severity >= Severity::Warning)
        .map(|(check, f)| {
            let severity = style.severity(f.severity, f.severity.as_str());
            let what = visible(&format!("{}: {}", f.subject, f.message));
            format!("  {severity}  {}  {what}", check.id)
        })
        .collect();
    if !manual.is_empty() {
        let _ = writeln!(out, "\nTo be mended by hand:\n{}", manual.join("\n"));
    }
    let unknown: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict == VerdictName::Unknown)
        .map(|check| (check, visible(check.reason.as_deref().unwrap_or_default())))
        .map(|(check, reason)| format!("  {}  {reason}", check.id))
        .collect();
    if !unknown.is_empty() {
        let _ = writeln!(out, "\nCould not be judged:\n{}", unknown.join("\n"));
    }
    out
}

/// The steps of a plan as a person reads them.
pub fn render_steps(plan: &Plan, style: Style) -> String {
    let mut out = String::new();
    if plan.steps.is_empty() {
        let _ = writeln!(out, "Nothing to do.");
    }
    for step in &plan.steps {
        let checks: Vec<&str> = step.checks.iter().map(|c| c.as_str()).collect();
        let asked = style.dim(&format!("({})", checks.join(", ")));
        let note = if step.reversible { "" } else { " cannot be undone" };
        let _ =
            writeln!(out, "{:>4}  {} {asked}{note}", step.id, style.bold(&visible(&step.summary)));
        if let Some(diff) = &step.diff {
            for line in style.diff(&visible(diff)).lines() {
                let _ = writeln!(out, "      {line}");
            }
        }
    }
    out
}
