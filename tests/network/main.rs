//! The network's files and leases against the programs that read and make them.
//!
//! What a repair leaves is read again by netplan, ifupdown, NetworkManager, systemd-networkd and a
//! shell; a real dhclient takes a real lease of a real server. Everything that touches the network
//! runs in namespaces of its own. What this machine cannot run is said and left out.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod lease;
mod readers;

use std::process::{Command, Output, Stdio};

/// Runs a program in the C locale.
pub(crate) fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_owned();
    command
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", name.display()))
}

/// Both streams of what ran, for searching and for failures.
pub(crate) fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether programs are there; says what is left out where one is not.
pub(crate) fn has(what: &str, programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| {
            let mut which = Command::new("sh");
            which.args(["-c", &format!("command -v {program}")]).stdout(Stdio::null());
            !which.status().is_ok_and(|status| status.success())
        })
        .collect();
    if !missing.is_empty() {
        println!("left out: {what}: there is no {missing:?}");
    }
    missing.is_empty()
}

/// Whether this user may make namespaces with a network of their own.
pub(crate) fn has_namespaces(what: &str) -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["-n", "-m", "-p", "-f", "true"]).stderr(Stdio::null());
    let can = unshare.status().is_ok_and(|status| status.success());
    if !can {
        println!("left out: {what}: this user may not make namespaces");
    }
    can
}
