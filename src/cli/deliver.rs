//! A report in the form that was asked for, put where it is wanted.

use std::ffi::OsStr;

use super::args::{Cli, FailOn, ImageArgs, OutputArgs, ReportFormat, TargetArgs};
use super::exit::Trouble;
use super::setup;
use crate::catalog::{self, Language};
use crate::model::Report;
use crate::report::sarif::{self, SarifRule};
use crate::report::{self, Shown, Words};
use crate::sys;

/// Put a report where it is wanted. `target` is what a command takes to be about the same guest.
pub fn report(
    cli: &Cli,
    output: &OutputArgs,
    fail_on: FailOn,
    target: &str,
    report: &Report,
) -> Result<(), Trouble> {
    let language = setup::language(cli);
    let text = match output.format.unwrap_or(ReportFormat::Text) {
        ReportFormat::Json => report::json(report),
        ReportFormat::Ndjson => report::ndjson(report),
        ReportFormat::Compact => report::compact(report),
        ReportFormat::Junit => report::junit(report, fail_on.into()),
        ReportFormat::Tap => report::tap(report, fail_on.into()),
        ReportFormat::Sarif => sarif::sarif(report, rules(report, language)),
        ReportFormat::Html => report::html(report, words(language), target),
        ReportFormat::Openmetrics => report::openmetrics(report),
        ReportFormat::Text => {
            let style = setup::style(output.color, output.output.is_some());
            let shown = Shown { words: words(language), style, verbose: cli.verbose > 0, target };
            report::text(report, &shown)
        }
    };
    text_of(output, &text)
}

/// Put an answer where it is wanted.
pub fn text_of(output: &OutputArgs, text: &str) -> Result<(), Trouble> {
    match &output.output {
        Some(path) => sys::write_named(path, text.as_bytes())?,
        None if output.quiet => {}
        None => sys::print(text.as_bytes())?,
    }
    Ok(())
}

/// The report's own words.
pub fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &Words::EN,
        Language::Zh => &Words::ZH,
    }
}

/// What a command takes to be about the guest that was named here: ` --root '/mnt/my disk'`.
pub fn target(target: &TargetArgs, image: &ImageArgs) -> String {
    let root = target.root.as_deref().map(|path| ("--root", path.as_os_str()));
    let image = image.image.as_deref().map(|path| ("--image", path.as_os_str()));
    let state = target.state_dir.as_deref().map(|path| ("--state-dir", path.as_os_str()));
    let disk = target.system_disk.as_deref().map(|disk| ("--system-disk", OsStr::new(disk)));
    let named = [root, image, state, disk].into_iter().flatten();
    named.map(|(option, value)| format!(" {option} {}", quoted(value))).collect()
}

/// A word as a shell takes it (POSIX, 2.2.2).
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The checks of a report with what the catalogue says of them.
fn rules(report: &Report, language: Language) -> Vec<SarifRule> {
    let told = |check: &crate::model::CheckResult| {
        let spec = catalog::check(check.id.as_str());
        let texts = spec.map(|spec| spec.texts(language));
        SarifRule {
            id: check.id.to_string(),
            title: check.title.clone(),
            level: sarif::level(spec.map_or(check.severity, |spec| spec.severity)),
            why: texts.map_or("", |texts| texts.why).to_owned(),
            remedy: texts.map_or("", |texts| texts.remedy).to_owned(),
            references: spec
                .iter()
                .flat_map(|spec| spec.references)
                .map(|source| (*source).to_owned())
                .collect(),
            tags: vec![check.category.to_string()],
        }
    };
    report.checks.iter().map(told).collect()
}
