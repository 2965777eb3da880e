//! Many reports to one: what fails in a fleet, where, and what has changed.
//!
//! The room is handed readers and answers with a [`Merged`]; it opens no file and knows no guest. What comes in are
//! JSON documents, one a line or indented, of `guestprep.report/1`, of `guestprep.compact/1`, which has ids alone, and of
//! `guestprep.unreached/1`, the row of a host that did not answer. They are cut at line ends ([`blocks`]), read by several threads no further than the merge
//! needs ([`sheet`]), and taken in the order of the input ([`turn`]), so that the same input gives the same output.
//!
//! Memory does not grow with the input but with the distinct hosts: [`hosts`] says how much each costs.

mod blocks;
mod csv;
mod drift;
mod hosts;
mod html;
mod intern;
mod json;
mod merge;
mod metrics;
mod parquet;
mod row;
mod sheet;
mod summary;
mod text;
mod turn;
mod words;

pub use blocks::Input;
pub use csv::csv;
pub use drift::{Drift, earlier};
pub use hosts::{Fault, Merged, State};
pub use html::html;
pub use json::json;
pub use merge::merge;
pub use metrics::openmetrics;
pub use parquet::parquet;
pub use summary::Summary;
pub use text::text;
pub use words::Words;

/// The schema of a merge.
pub const SCHEMA: &str = "guestprep.fleet/1";
/// The schema of a report that has ids alone.
pub const COMPACT: &str = "guestprep.compact/1";
/// The schema of the row of a host that did not answer.
pub const UNREACHED: &str = "guestprep.unreached/1";
