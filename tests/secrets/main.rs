//! The content scan: its rules, what it finds and what it does not, what it reads, and that nothing
//! of a secret leaves it.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common/command.rs"]
#[allow(dead_code)]
mod command;

mod allowed;
mod canaries;
mod corpus;
mod examples;
mod forms;
mod hostile;
mod images;
mod packages;
mod packed;
mod sarif;

use std::path::Path;
use std::process::Command;

use command::Done;
use guestprep::guest::Guest;
use guestprep::model::Policy;
use guestprep::secrets::{Options, Rules, Scanned, scan};

/// Scan a tree with the rules of the program.
fn scan_tree(root: &Path) -> Scanned {
    scan_with(root, &Options { trusts_packages: false, ..Options::default() })
}

fn scan_with(root: &Path, options: &Options) -> Scanned {
    let guest = Guest::tree(root, Policy::default()).unwrap();
    scan(&guest, &Rules::built_in().unwrap(), options, &|_| {}).unwrap()
}

/// Run the program.
fn guestprep(arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestprep"));
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Done::of(command.output().unwrap())
}

/// A token that a rule finds, made of a number: GitHub's, whose checksum has to be right.
fn token(number: usize) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = format!("cAnArY{number:08}qWeRtYuIoPaSdFgH");
    let mut sum = guestprep::parse::crc::ieee(body.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(sum % 62) as usize];
        sum /= 62;
    }
    format!("ghp_{body}{}", std::str::from_utf8(&digits).unwrap())
}

/// The paths and lines where something was found.
fn places(scanned: &Scanned) -> Vec<String> {
    scanned.found.iter().map(|found| found.at.to_string()).collect()
}
