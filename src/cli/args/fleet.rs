//! What can be typed for many reports.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Color;

const FLEET_HELP: &str = "\
Exit codes: 0 every host is ready; 1 one is not; 2 wrong use; 3 none is known not to be, and one \
could not be told, did not answer or could not be read.

Read are reports as `audit --format json`, `ndjson` and `compact` write them, alone or many in a file, \
also compressed by gzip or zstd. Of a directory every file below it is read whose name ends in \
.json, .ndjson or .jsonl, with .gz or .zst behind it or not. The latest report of a host counts; a \
host is known by its instance id, else by its hostname, else by where its report stands. A host that \
did not answer is a line of its own making:

  {\"schema\":\"guestprep.unreached/1\",\"guest\":{\"hostname\":\"web3\"},
   \"started\":\"2027-01-01T00:00:00Z\",\"reason\":\"no route to host\"}";

/// `fleet`.
#[derive(Debug, Args)]
pub struct FleetArgs {
    #[command(subcommand)]
    pub command: FleetCommand,
}

/// What `fleet` does.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Merge the reports of many hosts: what fails where, who differs, what has changed
    Report(FleetReportArgs),
}

/// `fleet report`.
#[derive(Debug, Args)]
#[command(after_help = FLEET_HELP)]
pub struct FleetReportArgs {
    /// Files and directories of reports; `-` is standard input
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub inputs: Vec<PathBuf>,
    /// Say what has changed since this earlier merge, which `--format json` wrote
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// How many threads read [default: one a processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub format: FleetFormat,
    /// Write the answer to a file instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Print nothing; the exit code is the answer
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Colour
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN", help_heading = "Output")]
    pub color: Color,
}

/// The forms of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FleetFormat {
    /// For a person
    Text,
    /// One JSON document, which `--since` reads
    Json,
    /// One row a host
    Csv,
    /// One page for a browser, to search and filter
    Html,
    /// Counts for Prometheus
    Openmetrics,
    /// One row a host, for DuckDB, Spark, ClickHouse
    Parquet,
}
