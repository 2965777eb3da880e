//! Signatures of reports, in the form of `ssh-keygen -Y sign` (SSHSIG, PROTOCOL.sshsig of OpenSSH).
//!
//! ssh-keygen makes and judges them: it knows agents, security keys and certificates, and its own file
//! of allowed signers (ssh-keygen(1), ALLOWED SIGNERS).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::{Exit, Trouble};
use crate::sys::{self, Output, Runner};

/// What a signature is for: one that was made for another purpose is none of a report.
pub const NAMESPACE: &str = "guestprep-report";
/// ssh-keygen reads two small files; a smart card is slow.
const LIMIT: Duration = Duration::from_secs(60);

/// Where the signature of a report lies unless somebody says otherwise: `REPORT.sig`.
pub fn beside(report: &Path) -> PathBuf {
    let mut name = report.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// Sign a report that was written, with a private key or the public one of a key in an agent.
pub fn sign(report: &Path, key: &Path) -> Result<(), Trouble> {
    let signature = beside(report);
    // ssh-keygen would ask whether the old one may be replaced.
    sys::remove_named(&signature);
    let mut argv: Vec<OsString> =
        ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f"].map(OsString::from).to_vec();
    argv.extend([key.as_os_str().to_owned(), sys::absolute(report)?.into_os_string()]);
    // In the foreground: it may ask for a passphrase, or wait for a key to be touched.
    let code = sys::run_in_foreground(&argv, &|| 0).map_err(missing)?;
    if code != 0 || !sys::exists(&signature) {
        let what = format!("cannot sign {}: ssh-keygen gave up", report.display());
        return Err(Trouble::usage(what)
            .hint("--sign takes a private key, or the public key of one that ssh-agent has (OpenSSH 8.0 or later)"));
    }
    Ok(())
}

/// What a signature comes to.
#[derive(Debug)]
pub enum Signed {
    /// It is that of somebody who may sign, or of a key whose owner nobody was asked for: in
    /// ssh-keygen's words.
    Good(String),
    /// It is not.
    Bad(String),
}

/// Whose signature is to be believed.
#[derive(Debug)]
pub struct Signers<'a> {
    /// ssh-keygen's file of allowed signers.
    pub file: &'a Path,
    /// Who is to have signed, as that file names them.
    pub identity: &'a str,
}

/// Judge a signature of some bytes; without signers only whether it is one of these bytes.
pub fn judge(
    content: &[u8],
    signature: &Path,
    signers: Option<&Signers>,
) -> Result<Signed, Trouble> {
    let what = if signers.is_some() { "verify" } else { "check-novalidate" };
    let mut argv: Vec<OsString> =
        ["ssh-keygen", "-Y", what, "-n", NAMESPACE, "-s"].map(OsString::from).to_vec();
    argv.push(sys::absolute(signature)?.into_os_string());
    if let Some(signers) = signers {
        let file = sys::absolute(signers.file)?.into_os_string();
        argv.extend(["-f".into(), file, "-I".into(), signers.identity.into()]);
    }
    let output = Runner::live().run_with_input(&argv, content, LIMIT).map_err(missing)?;
    let words = said(&output);
    // 255 is what ssh-keygen ends with for a bad signature, and for one that it cannot read.
    Ok(if output.success() { Signed::Good(words) } else { Signed::Bad(words) })
}

fn said(output: &Output) -> String {
    let stream = if output.success() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(stream);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.complaint() } else { lines.join("; ") }
}

fn missing(error: sys::Error) -> Trouble {
    Trouble::new(Exit::Undetermined, error)
        .hint("signatures need ssh-keygen of OpenSSH 8.0 or later")
}
