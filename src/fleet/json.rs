//! The merge as one JSON document (schema `guestprep.fleet/1`): the counts indented for people, one host a line.

use std::io::{self, Write};

use serde::Serialize;

use super::SCHEMA;
use super::drift::Drift;
use super::hosts::{Fault, Merged};
use super::summary::Summary;

#[derive(Serialize)]
struct Head<'a> {
    schema: &'static str,
    tool: Tool,
    reports: u64,
    superseded: u64,
    left_aside: u64,
    fault_count: u64,
    faults: &'a [Fault],
    #[serde(flatten)]
    summary: &'a Summary<'a>,
    drift: Option<&'a Drift<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Write the merge as JSON.
///
/// # Errors
/// What the writer says.
pub fn json(
    merged: &Merged,
    summary: &Summary<'_>,
    drift: Option<&Drift<'_>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = Head {
        schema: SCHEMA,
        tool: Tool { name: "guestprep", version: env!("CARGO_PKG_VERSION") },
        reports: merged.reports,
        superseded: merged.superseded,
        left_aside: merged.left_aside,
        fault_count: merged.fault_count,
        faults: &merged.faults,
        summary,
        drift,
    };
    // The hosts, of which there may be a million, stand last and are written one by one.
    let head = serde_json::to_string_pretty(&head)?;
    let head = head.strip_suffix("\n}").unwrap_or(&head);
    write!(out, "{head},\n  \"host_rows\": [")?;
    let mut started = String::new();
    for (at, number) in merged.sorted().into_iter().enumerate() {
        out.write_all(if at == 0 { b"\n    " } else { b",\n    " })?;
        serde_json::to_writer(&mut *out, &merged.host(number, &mut started))?;
    }
    out.write_all(b"\n  ]\n}\n")
}
