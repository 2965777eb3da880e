//! `guestprep fleet report` against an oracle that reads everything into memory and counts, and its outputs against the
//! programs that they are for: DuckDB, promtool, a browser. What goes with it in packaging/ is judged by its own tools.
//!
//! `GUESTPREP_FLEET_TOOLS` names the `bin` of a virtual environment with duckdb, ansible-lint, python-hcl2, jsonschema and
//! PyYAML (tests/run makes it), `GUESTPREP_MONITORING` where Prometheus was unpacked.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

#[path = "../common"]
#[allow(dead_code)]
mod common {
    pub mod command;
    pub mod fixture;
    pub mod initramfs;
}

mod merge;
mod packaged;
mod readers;
mod reports;
