//! The guestprep program.

use std::process::ExitCode;

fn main() -> ExitCode {
    guestprep::cli::main()
}
