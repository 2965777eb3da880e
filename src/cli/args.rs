//! What can be typed.

mod fleet;
mod output;
mod scan;
mod standing;
mod switches;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::model::Severity;

pub use fleet::{FleetArgs, FleetCommand, FleetFormat, FleetReportArgs};
pub use output::{Color, Format, OutputArgs, ReportFormat};
pub use scan::{ScanArgs, ScanFormat};
pub use standing::{AtShutdownArgs, DaemonArgs, FirstBootArgs, StatusArgs};
pub use switches::{
    DnsAction, DnsArgs, DnsFixArgs, DnsStatusArgs, KdumpArgs, KdumpCommand, KdumpStatusArgs,
    KdumpSwitchArgs, MitigationsArgs, MitigationsCommand, MitigationsStatusArgs, SwapArgs,
    SwapCommand, SwapOffArgs, SwapOnArgs, SwapSizeArgs, SwapStatusArgs, SwitchArgs,
};
pub use verify::VerifyArgs;

const AFTER_HELP: &str = "\
Exit codes:
  0   ready, or done
  1   not ready: a blocker fails
  2   wrong use or configuration
  3   undetermined: no blocker fails, but one could not be judged
  4   a change failed, and the guest is as it was
  5   a change failed, and the rollback is incomplete
  75  another run holds the lock

A first session:
  guestprep audit      what stands between this guest and a good image
  guestprep plan       what prepare would change, as a diff
  guestprep prepare    change it; everything can be rolled back
  guestprep rollback   put everything back, byte for byte";

const COLLECT_HELP: &str = "\
A bundle is a tar compressed by zstd. It holds every question that the checks asked of the guest, \
the answers, and the contents of the files that they read. Taken out are hashes of passwords, \
private keys, the material of public ones, and values that are named as a password, a key or a \
token. Names of hosts and users, addresses and command lines stay: look at it before it is sent, \
with `tar --zstd -tf FILE` and `tar --zstd -xOf FILE bundle.json`.

`guestprep audit --bundle FILE` gives the same answer elsewhere. Whether it does is tried at once; \
exit code 3 says that it does not, and the bundle is written all the same.";

/// Make a Linux guest fit to become a custom image, prove that it is, and put it back.
#[derive(Debug, Parser)]
#[command(name = "guestprep", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// Say more on standard error; twice for every command that is run
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Language of titles and messages [default: of LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Lang>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look, change nothing, and give a verdict: READY, NOT READY or UNDETERMINED
    Audit(AuditArgs),
    /// Show what `prepare` would do, as a diff to read or a file to replay
    Plan(LookArgs),
    /// Do it: journalled, verified, undone on failure
    Prepare(PrepareArgs),
    /// Put everything back as it was before a run
    Rollback(RollbackArgs),
    /// List the runs and how far they are
    Runs(RunsArgs),
    /// Prepare, run a command (the call that makes the image), and roll back whatever it did
    Capture(CaptureArgs),
    /// Show system and data disks, partitions, filesystems, mounts and use
    Disks(DisksArgs),
    /// Unmount, children first; says who holds what is busy; never lazy, never by force
    Umount(UmountArgs),
    /// Show swap and where it comes from; turn it off or on, or make a swap file
    Swap(SwapArgs),
    /// Show kdump: package, service, memory, place for dumps; switch all of it on or off
    Kdump(KdumpArgs),
    /// Show the mitigations of CPU defects (Meltdown, Spectre); switch them on or off
    Mitigations(MitigationsArgs),
    /// Show who writes resolv.conf and its options; add single-request-reopen for good
    Dns(DnsArgs),
    /// On a clone, bring back what was parked for the disks that it has; on its source, do nothing
    Firstboot(FirstBootArgs),
    /// At a power-off, take away what `prepare --at-shutdown` left for then
    AtShutdown(AtShutdownArgs),
    /// Write down what the checks read of a guest, without its secrets, to be audited elsewhere
    Collect(CollectArgs),
    /// Keep the readiness of this machine current, and serve it over a unix socket
    Daemon(DaemonArgs),
    /// Ask the daemon: its exit code is that of an audit now
    Status(StatusArgs),
    /// Look for secrets in the files of a guest: keys, tokens, passwords; shows where, never what
    Scan(ScanArgs),
    /// Merge the reports of many hosts
    Fleet(FleetArgs),
    /// Check that a report is as it was written, and who signed it
    Verify(VerifyArgs),
    /// Say why a check matters and what to do about it
    Explain(ExplainArgs),
    /// List the checks
    List(ListArgs),
    /// Print man pages, completions, the page of all checks, or the JSON Schema
    Generate(GenerateArgs),
}

/// Which guest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// The guest is the tree below this directory [default: this machine]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Where the journal lies [default: /var/lib/guestprep of the guest; IMAGE.guestprep of an image]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The system disk, where it cannot be told: a device or a filesystem's UUID
    #[arg(long, value_name = "DEV|UUID")]
    pub system_disk: Option<String>,
}

/// Which checks, and how they weigh.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectArgs {
    /// What the image is for: clone (one's own use), share (leaves the account), import
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Only these checks; may be given again
    #[arg(long = "check", value_name = "ID", num_args = 1..)]
    pub checks: Vec<String>,
    /// Not these checks; may be given again
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub skip: Vec<String>,
    /// Only the checks of this category
    #[arg(long, value_name = "NAME")]
    pub category: Option<String>,
    /// Read this configuration instead of /etc/guestprep/config.toml and conf.d
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Findings of this weight and above make the guest not ready
    #[arg(long, value_enum, default_value = "blocker", value_name = "SEVERITY")]
    pub fail_on: FailOn,
}

/// A guest that is a disk image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct ImageArgs {
    /// The guest is on this disk image: raw, .raw.tar.gz, VHD, qcow2; a whole disk or one filesystem
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub image: Option<PathBuf>,
}

/// `audit` and `plan`, which look and change nothing.
#[derive(Debug, Args)]
pub struct LookArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    /// The guest is what `guestprep collect` noted of it; nothing of this machine is looked at
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["root", "image", "state_dir"],
        help_heading = "Target"
    )]
    pub bundle: Option<PathBuf>,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub look: LookArgs,
    /// Sign the report that is written with -o, with an SSH key: the signature goes into FILE.sig
    #[arg(long, value_name = "KEY", requires = "output", help_heading = "Output")]
    pub sign: Option<PathBuf>,
}

/// `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    /// Change the disk image itself, not a copy of it
    #[arg(long, requires = "image", help_heading = "Target")]
    pub in_place: bool,
    /// Where the prepared copy of the disk image goes [default: beside it, as NAME.prepared.raw]
    #[arg(
        long,
        value_name = "FILE",
        requires = "image",
        conflicts_with = "in_place",
        help_heading = "Target"
    )]
    pub copy: Option<PathBuf>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Do exactly what this reviewed plan says (made by `plan -o FILE`)
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Take away for good only when the machine powers off: whoever is logged in stays so until then
    #[arg(long, conflicts_with_all = ["root", "image", "state_dir"])]
    pub at_shutdown: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The run [default: the last one that is not rolled back]
    pub run: Option<String>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    /// Where the journal lies [default: /var/lib/guestprep]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The system disk, where it cannot be told: a device or a filesystem's UUID
    #[arg(long, value_name = "DEV|UUID")]
    pub system_disk: Option<String>,
    /// The command, after `--`
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `disks`.
#[derive(Debug, Args)]
pub struct DisksArgs {
    /// The system disk, where it cannot be told: a device or a filesystem's UUID
    #[arg(long, value_name = "DEV|UUID")]
    pub system_disk: Option<String>,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `umount`.
#[derive(Debug, Args)]
pub struct UmountArgs {
    /// Mount points, or devices whose mounts are meant
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<PathBuf>,
}

/// `collect`.
#[derive(Debug, Args)]
#[command(after_help = COLLECT_HELP)]
pub struct CollectArgs {
    /// The bundle to write, for its owner's eyes alone; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub target: CollectTargetArgs,
    #[command(flatten)]
    pub image: ImageArgs,
    /// What the image is for: clone (one's own use), share (leaves the account), import
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    pub profile: Option<String>,
    /// Read this configuration instead of /etc/guestprep/config.toml and conf.d
    #[arg(long, value_name = "FILE", help_heading = "Selection")]
    pub config: Option<PathBuf>,
}

/// Which guest a bundle is made of.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct CollectTargetArgs {
    /// The guest is the tree below this directory [default: this machine]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The system disk, where it cannot be told: a device or a filesystem's UUID
    #[arg(long, value_name = "DEV|UUID")]
    pub system_disk: Option<String>,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A check, as `guestprep list` names it
    pub id: String,
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// The languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// Chinese
    Zh,
}

/// What makes a guest not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Blockers alone
    Blocker,
    /// Warnings too
    Warning,
    /// Advice too
    Advice,
}

impl From<FailOn> for Severity {
    fn from(line: FailOn) -> Self {
        match line {
            FailOn::Blocker => Severity::Blocker,
            FailOn::Warning => Severity::Warning,
            FailOn::Advice => Severity::Advice,
        }
    }
}

/// `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What to print
    #[command(subcommand)]
    pub what: Generated,
}

/// What can be generated.
#[derive(Clone, Debug, Subcommand)]
pub enum Generated {
    /// Print checks/README.md: every check, and the questions that they answer
    Catalogue,
    /// Print checks/schema.json: reports, plans, readiness and configuration as JSON Schema
    Schema,
    /// Print guestprep(1), or write the man pages, one a command
    Man {
        /// Write every page, to this directory
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Print what completes the command line in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}
