//! `guestprep fleet report`

use std::io::Write;
use std::path::Path;

use super::args::{Cli, FleetArgs, FleetCommand, FleetFormat, FleetReportArgs};
use super::exit::{Outcome, Trouble};
use super::setup;
use crate::catalog::{self, Language};
use crate::fleet::{self, Input, Merged, Words};
use crate::sys::{self, Named};

pub fn run(cli: &Cli, args: &FleetArgs) -> Outcome {
    let FleetCommand::Report(args) = &args.command;
    report(cli, args)
}

fn report(cli: &Cli, args: &FleetReportArgs) -> Outcome {
    if args.format == FleetFormat::Parquet && args.output.is_none() && sys::is_terminal_out() {
        return Err(Trouble::usage("a Parquet file is nothing for a terminal")
            .hint("name a file with -o, or redirect standard output"));
    }
    let missing = args.inputs.iter().find(|path| !is_stdin(path) && !sys::exists(path));
    if let Some(path) = missing {
        return Err(Trouble::usage(format!(
            "cannot read {}: there is no such file",
            path.display()
        )));
    }
    let before = args.since.as_deref().map(earlier).transpose()?;
    let threads = args.threads.unwrap_or_else(processors);
    let mut named = Named::new(args.inputs.clone(), is_report);
    let inputs = std::iter::from_fn(|| {
        let (path, reader) = named.next()?;
        let name =
            if is_stdin(&path) { "standard input".to_owned() } else { path.display().to_string() };
        Some(Input { name, reader })
    });
    let mut merged = fleet::merge(inputs, threads);
    merged.left_aside = named.left_aside();
    let language = setup::language(cli);
    let summary = merged.summary().titled(|id| {
        let spec = catalog::check(id)?;
        Some(spec.texts(language).title)
    });
    let drift = before.as_ref().map(|before| merged.since(before));
    let (summary, drift, verdict) = (&summary, drift.as_ref(), summary.verdict);
    if args.quiet && args.output.is_none() {
        return Ok(verdict.into());
    }
    let words = match language {
        Language::En => &Words::EN,
        Language::Zh => &Words::ZH,
    };
    let style = setup::style(args.color, args.output.is_some());
    sys::write_streamed(args.output.as_deref(), |out: &mut dyn Write| match args.format {
        FleetFormat::Text => {
            out.write_all(fleet::text(&merged, summary, drift, words, style).as_bytes())
        }
        FleetFormat::Json => fleet::json(&merged, summary, drift, out),
        FleetFormat::Csv => fleet::csv(&merged, out),
        FleetFormat::Html => fleet::html(&merged, summary, drift, words, out),
        FleetFormat::Openmetrics => {
            out.write_all(fleet::openmetrics(&merged, summary, drift).as_bytes())
        }
        FleetFormat::Parquet => fleet::parquet(&merged, out),
    })?;
    Ok(verdict.into())
}

fn earlier(path: &Path) -> Result<Merged, Trouble> {
    let reader = sys::open_named(path)?;
    fleet::earlier(reader)
        .map_err(|e| Trouble::usage(format!("cannot read {}: {e}", path.display())))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether a file of a directory is to be read, by its name.
fn is_report(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    [".json", ".ndjson", ".jsonl"].iter().any(|end| name.ends_with(end))
}
