//! In what form an answer is given, and where it goes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// In what form, and where to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// The form of the answer [default: text; json for `plan -o FILE`, which `prepare --plan` reads]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Write the answer to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print nothing; the exit code is the answer
    #[arg(short, long)]
    pub quiet: bool,
    /// Colour
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a person
    Text,
    /// One JSON document
    Json,
    /// One line of JSON, for a file of many guests
    Ndjson,
    /// Verdict, ids and digest on one line of less than 16 KiB, for Cloud Assistant and its like
    Compact,
    /// JUnit's XML, for Jenkins, GitLab and their like; `--fail-on` says what fails
    Junit,
    /// TAP, version 13
    Tap,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// One page for a browser, a phone and paper, which needs no network
    Html,
    /// OpenMetrics, for Prometheus; what the daemon serves as well
    Openmetrics,
}

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person
    Text,
    /// One JSON document
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
