//! What can be typed to verify a report.

use std::path::PathBuf;

use clap::Args;

const VERIFY_HELP: &str = "\
Exit codes: 0 all that was asked for holds; 1 the report was changed, or its signature is missing or \
not one of those allowed; 2 wrong use, or no report; 3 it could not be told.

  ssh-keygen -t ed25519 -f key
  guestprep audit --format json -o report.json --sign key
  echo \"factory@example.com namespaces=\\\"guestprep-report\\\" $(cat key.pub)\" >allowed
  guestprep verify report.json --allowed-signers allowed --identity factory@example.com";

/// `verify`.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub struct VerifyArgs {
    /// The report, as JSON
    pub report: PathBuf,
    /// Its signature [default: REPORT.sig, where there is one]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Who may sign: ssh-keygen's file of allowed signers
    #[arg(long, value_name = "FILE", requires = "identity")]
    pub allowed_signers: Option<PathBuf>,
    /// Who is to have signed, as that file names them
    #[arg(long, value_name = "WHO", requires = "allowed_signers")]
    pub identity: Option<String>,
}
