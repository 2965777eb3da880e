//! What can be typed for what runs by itself: the daemon and who asks it, the first boot.

use std::path::PathBuf;

use clap::Args;

use super::Format;

const FIRSTBOOT_HELP: &str = "\
Meant for guestprep-firstboot.service and its like, at every boot. A clone is told from its source \
by the DMI product UUID, or the instance id, of the runs in /var/lib/guestprep.

A parked line of fstab or crypttab comes back, and is mounted, where its device carries the very \
filesystem that it carried on the source; a unit that was masked likewise. A machine id and ssh \
host keys that are missing, and that nothing else makes, are made. The source's runs, with all that \
they saved, are removed. /var/lib/guestprep/firstboot.json says what was done.

On the source, and where it cannot be told whether this is a clone, nothing is done (exit code 0 \
and 3).";

/// `firstboot`.
#[derive(Debug, Args)]
#[command(after_help = FIRSTBOOT_HELP)]
pub struct FirstBootArgs {
    /// How long it may take, in seconds; what is not back by then stays parked
    #[arg(long, value_name = "SECONDS", default_value_t = crate::firstboot::LIMIT.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub limit: u64,
    /// Where the journal lies [default: /var/lib/guestprep]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

const AT_SHUTDOWN_HELP: &str = "\
Meant for guestprep-at-shutdown.service and its like, which `guestprep prepare --at-shutdown` starts.

Where this boot ends with a power-off, phase 2 of every run that was armed in it is taken: histories, \
logs, keys, ids. Where it ends otherwise nothing is taken, and the run says so (`guestprep runs`); so \
does one whose machine lost its power. `guestprep rollback` calls it off before.";

/// `at-shutdown`.
#[derive(Debug, Args)]
#[command(after_help = AT_SHUTDOWN_HELP)]
pub struct AtShutdownArgs {}

/// `daemon`.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Look at the machine as process 1 sees it: for a unit that shuts the daemon off from it
    #[arg(long)]
    pub as_init_sees: bool,
    /// Read this configuration instead of /etc/guestprep/config.toml and conf.d
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Wait until the guest is READY, at most for so many seconds [default: without end]
    #[arg(long, value_name = "SECONDS")]
    #[allow(clippy::option_option)] // Said without a number it waits without end.
    pub wait: Option<Option<u64>>,
    /// Print what the daemon answers, as JSON
    #[arg(long)]
    pub json: bool,
    /// Read this configuration instead of /etc/guestprep/config.toml and conf.d
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
