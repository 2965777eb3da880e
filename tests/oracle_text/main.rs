//! The text parsers against the programs whose reading they claim to model.
//!
//! findmnt(8), getmntent(3), systemd-fstab-generator(8), systemd-escape(1), systemd-analyze(1) and sh(1) read the same
//! random files as we do, and must see the same. A program that is not installed fails its test: a test that passes
//! without its oracle asserts nothing.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod crypttab;
mod environment;
mod fstab;
mod fstab_generator;
mod mountinfo;
mod names;
mod unit;

use guestprep::parse::source::udev_decode;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

pub(crate) fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_owned();
    command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", name.display()))
}

/// Runs a property on random inputs, each of which costs a process or two.
///
/// The inputs are the same in every run, so that the suite cannot fail by chance. `ORACLE_CASES=5000 cargo test --test
/// oracle_text` hunts with that many new ones.
pub(crate) fn check<S: Strategy>(
    inputs: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let hunt =
        std::env::var("ORACLE_CASES").ok().map(|cases| cases.parse().expect("a number of cases"));
    let cases = hunt.unwrap_or(80);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = match hunt {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    runner.run(&inputs, property).unwrap_or_else(|error| panic!("{error}"));
}

pub(crate) fn lines_of(output: &Output) -> Vec<Vec<u8>> {
    output
        .stdout
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// A row of a table, one printable text a column.
pub(crate) type Row = Vec<String>;

pub(crate) fn row<'a>(columns: impl IntoIterator<Item = &'a [u8]>) -> Row {
    columns.into_iter().map(|column| column.escape_ascii().to_string()).collect()
}

/// What findmnt prints: it writes `\xHH` for every byte that would not print, a backslash included.
pub(crate) fn findmnt(columns: &str, table: &[&OsStr]) -> Vec<Row> {
    let output = run(Command::new("findmnt")
        .args(["--raw", "--noheadings", "--nofsroot", "-o", columns])
        .args(table));
    lines_of(&output)
        .iter()
        .map(|line| {
            row(line
                .split(|&b| b == b' ')
                .map(udev_decode)
                .collect::<Vec<_>>()
                .iter()
                .map(Vec::as_slice))
        })
        .collect()
}
