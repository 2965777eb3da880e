//! What can be typed for the secret scan.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Color, ImageArgs};

const SCAN_HELP: &str = "\
Exit codes: 0 nothing was found; 1 something was; 2 wrong use; 3 nothing was found, and not all \
could be read.

A secret itself is never shown: a finding has its place, its rule, a mask (of a long one its first \
and its last character) and a fingerprint. What is to stay is named by that, in /etc/guestprep/secrets.d/NAME.toml:

  [[waive]]
  fingerprint = \"0123456789abcdef\"
  why = \"the key of the test bench, until 2027-01-01\"

Rules of the site ([[rule]]) and what is no secret there ([[allow]]) stand in the same files, written \
as those of the program in checks/secrets.";

/// `scan`.
#[derive(Debug, Args)]
#[command(after_help = SCAN_HELP)]
pub struct ScanArgs {
    /// Only what lies below these paths of the guest, and on their filesystems [default: the
    /// filesystems that an image of its system disk has]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub target: ScanTargetArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    /// Leave out what a package installed and nobody changed
    #[arg(long, conflicts_with = "all", help_heading = "Selection")]
    pub trust_packages: bool,
    /// Read everything, what packages installed too [default]
    #[arg(long, help_heading = "Selection")]
    pub all: bool,
    /// Only this rule; may be given again
    #[arg(long = "rule", value_name = "ID", help_heading = "Selection")]
    pub rules: Vec<String>,
    /// Read every filesystem that is mounted below the paths, but the kernel's own and the network's
    #[arg(long, help_heading = "Selection")]
    pub all_filesystems: bool,
    /// Take compressed files and archives as they are, without reading inside
    #[arg(long, help_heading = "Limits")]
    pub no_unpack: bool,
    /// A file that is larger, or unpacks to more, is named as unread
    #[arg(long, value_name = "SIZE", default_value = "1GiB", help_heading = "Limits")]
    pub max_file_size: String,
    /// How many threads read [default: one a processor]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub threads: Option<usize>,
    /// Have other processes go first, by so many steps of nice(1)
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub nice: Option<i32>,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub format: ScanFormat,
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

/// Which guest is scanned.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct ScanTargetArgs {
    /// The guest is the tree below this directory [default: this machine]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// The forms of what a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    /// For a person
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}
