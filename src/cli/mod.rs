//! The command line: what was typed, what it means, what it exits with.
//!
//! Results go to standard output, everything else to standard error.

mod args;
mod at_shutdown;
mod audit;
mod broken;
mod bundle;
mod capture;
mod change;
mod collect;
mod confine;
mod daemon;
mod deliver;
mod disks;
mod dns;
mod exit;
mod explain;
mod firstboot;
mod fleet;
mod generate;
mod image;
mod kdump;
mod list;
mod mitigations;
mod plan;
mod prepare;
mod progress;
mod rollback;
mod runs;
mod scan;
mod schema;
mod setup;
mod sign;
mod status;
mod swap;
mod target;
mod umount;
mod verify;
mod wishes;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use args::{Cli, Command};
pub use exit::{Exit, Outcome, Trouble};

/// Run the program with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log(&cli);
    broken::keep_quiet();
    match broken::told(|| run(&cli)) {
        Ok(exit) => exit.into(),
        Err(trouble) => {
            crate::sys::say(&trouble.to_string());
            trouble.exit.into()
        }
    }
}

fn run(cli: &Cli) -> Outcome {
    match &cli.command {
        Command::Audit(args) => audit::run(cli, args),
        Command::Plan(args) => plan::run(cli, args),
        Command::Prepare(args) => prepare::run(cli, args),
        Command::Rollback(args) => rollback::run(cli, args),
        Command::Runs(args) => runs::run(cli, args),
        Command::Capture(args) => capture::run(cli, args),
        Command::Disks(args) => disks::run(cli, args),
        Command::Dns(args) => dns::run(cli, args),
        Command::Umount(args) => umount::run(cli, args),
        Command::Mitigations(args) => mitigations::run(cli, args),
        Command::Swap(args) => swap::run(cli, args),
        Command::Kdump(args) => kdump::run(cli, args),
        Command::AtShutdown(args) => at_shutdown::run(cli, args),
        Command::Firstboot(args) => firstboot::run(cli, args),
        Command::Fleet(args) => fleet::run(cli, args),
        Command::Collect(args) => collect::run(cli, args),
        Command::Daemon(args) => daemon::run(cli, args),
        Command::Status(args) => status::run(cli, args),
        Command::Scan(args) => scan::run(cli, args),
        Command::Verify(args) => verify::run(cli, args),
        Command::Explain(args) => explain::run(cli, args),
        Command::List(args) => list::run(cli, args),
        Command::Generate(args) => generate::run(cli, args),
    }
}

fn log(cli: &Cli) {
    // What a daemon does by itself nobody saw; what a command does it says.
    let is_daemon = matches!(cli.command, Command::Daemon(_));
    let level = match cli.verbose + u8::from(is_daemon) {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let stream = std::env::var("JOURNAL_STREAM").ok().filter(|_| is_daemon);
    let journald = crate::daemon::journald(stream.as_deref());
    let stderr = journald.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false)
            .without_time()
            .with_ansi(false)
            // Its complaint about a log that cannot be written would be a panic.
            .log_internal_errors(false)
    });
    tracing_subscriber::registry().with(level).with(stderr).with(journald).init();
}
