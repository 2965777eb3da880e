//! `guestprep verify`

use std::fmt::Write as _;

use super::args::{Cli, VerifyArgs};
use super::deliver;
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use super::sign::{self, Signed, Signers};
use crate::model::{Report, visible};
use crate::report::fill;
use crate::sys;

/// No report is larger than this.
const MAX_REPORT: u64 = 64 << 20;

pub fn run(cli: &Cli, args: &VerifyArgs) -> Outcome {
    let words = deliver::words(setup::language(cli));
    let path = args.report.display();
    let content = sys::read_named(&args.report, MAX_REPORT)?
        .ok_or_else(|| Trouble::usage(format!("cannot read {path}: there is no such file")))?;
    let report: Report = serde_json::from_slice(&content)
        .map_err(|error| no_report(&args.report.display().to_string(), &error))?;
    if report.schema != Report::SCHEMA {
        return Err(no_report(&path.to_string(), &format!("its schema is {}", report.schema)));
    }
    if !report.is_whole() {
        return refused(&fill(words.digest_differs, &[("file", &path.to_string())]));
    }
    let named = args.signature.clone();
    let signature = named.clone().unwrap_or_else(|| sign::beside(&args.report));
    let signers = match (&args.allowed_signers, &args.identity) {
        (Some(file), Some(identity)) => Some(Signers { file, identity }),
        _ => None,
    };
    let is_signed = sys::exists(&signature);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}  {}",
        words.decision(report.verdict),
        words.facts(&report).join(words.comma)
    );
    let _ = writeln!(out, "{}", fill(words.digest_holds, &[("digest", &report.digest)]));
    if !is_signed && (signers.is_some() || named.is_some()) {
        return refused(&fill(words.no_signature, &[("file", &signature.display().to_string())]));
    }
    let said =
        match is_signed.then(|| sign::judge(&content, &signature, signers.as_ref())).transpose()? {
            None => words.not_signed.to_owned(),
            Some(Signed::Bad(why)) => return refused(&fill(words.signature_bad, &[("why", &why)])),
            Some(Signed::Good(who)) => match &signers {
                Some(_) => fill(words.signature_good, &[("who", &who)]),
                None => fill(words.signature_of_anyone, &[("who", &who)]),
            },
        };
    let _ = writeln!(out, "{said}");
    sys::print(visible(&out).as_bytes())?;
    Ok(Exit::Done)
}

/// What was to be proven is not so.
fn refused(why: &str) -> Outcome {
    Err(Trouble::new(Exit::NotReady, why))
}

fn no_report(path: &str, why: &dyn std::fmt::Display) -> Trouble {
    Trouble::usage(format!("{path} is no report of guestprep: {why}"))
        .hint("verify takes what `guestprep audit --format json -o FILE` wrote")
}
