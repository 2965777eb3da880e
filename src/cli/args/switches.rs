//! What can be typed for what is one thing of a guest: its resolver, mitigations, swap, kdump.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, TargetArgs};

/// `dns`.
#[derive(Debug, Args)]
pub struct DnsArgs {
    #[command(subcommand)]
    pub action: DnsAction,
}

/// What `dns` does.
#[derive(Debug, Subcommand)]
pub enum DnsAction {
    /// Show who writes /etc/resolv.conf, its options, and where each is kept; changes nothing
    Status(DnsStatusArgs),
    /// Add single-request-reopen where it is missing: to the file and to what writes it
    Fix(DnsFixArgs),
}

/// `dns status`.
#[derive(Debug, Args)]
pub struct DnsStatusArgs {
    /// The guest is the tree below this directory [default: this machine]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `dns fix`.
#[derive(Debug, Args)]
pub struct DnsFixArgs {
    /// The guest is the tree below this directory [default: this machine]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Where the journal lies [default: /var/lib/guestprep of the guest]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Read this configuration instead of /etc/guestprep/config.toml and conf.d
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `mitigations`.
#[derive(Debug, Args)]
pub struct MitigationsArgs {
    /// What is to be done
    #[command(subcommand)]
    pub command: MitigationsCommand,
}

/// The commands of `mitigations`.
#[derive(Debug, Subcommand)]
pub enum MitigationsCommand {
    /// Show what the kernel says of each defect, and what is switched off now and at the next boot
    Status(MitigationsStatusArgs),
    /// Take out every kernel argument that switches one off; the next reboot makes it so
    On(SwitchArgs),
    /// Put in the kernel arguments that switch them off; the next reboot makes it so
    Off(SwitchArgs),
}

/// `mitigations status`.
#[derive(Debug, Args)]
pub struct MitigationsStatusArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// A switch that is thrown by name.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// Do it without a question
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `swap`.
#[derive(Debug, Args)]
pub struct SwapArgs {
    #[command(subcommand)]
    pub command: SwapCommand,
}

/// What `swap` does.
#[derive(Debug, Subcommand)]
pub enum SwapCommand {
    /// Show every swap, what turns it on, and what a new instance from the image does with it
    Status(SwapStatusArgs),
    /// Stop swapping, now and at every boot; refuses when memory would not hold what is swapped
    Off(SwapOffArgs),
    /// Swap to what is configured, and to what `swap off` commented out
    On(SwapOnArgs),
    /// Make a swap file of this size, and swap to it now and at every boot
    Size(SwapSizeArgs),
}

/// `swap status`.
#[derive(Debug, Args)]
pub struct SwapStatusArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `swap off`.
#[derive(Debug, Args)]
pub struct SwapOffArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `swap on`.
#[derive(Debug, Args)]
pub struct SwapOnArgs {
    /// Where the journal lies [default: /var/lib/guestprep]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `swap size`.
#[derive(Debug, Args)]
pub struct SwapSizeArgs {
    /// The size: `2GiB`, `512MiB`
    pub size: String,
    /// The file to make [default: /swapfile]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where the journal lies [default: /var/lib/guestprep]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `kdump`.
#[derive(Debug, Args)]
pub struct KdumpArgs {
    #[command(subcommand)]
    pub command: KdumpCommand,
}

/// What `kdump` does.
#[derive(Debug, Subcommand)]
pub enum KdumpCommand {
    /// Show package, service, memory and the place for dumps
    Status(KdumpStatusArgs),
    /// Enable the service, ask for memory, and have dumps go to the system disk
    On(KdumpSwitchArgs),
    /// Disable the service and ask for no memory
    Off(KdumpSwitchArgs),
}

/// `kdump status`.
#[derive(Debug, Args)]
pub struct KdumpStatusArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `kdump on` and `kdump off`.
#[derive(Debug, Args)]
pub struct KdumpSwitchArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}
