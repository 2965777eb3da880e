//! Renders a report. It sees neither the machine nor the guest, so that a report renders the same
//! tomorrow and elsewhere.

mod compact;
mod html;
mod junit;
mod openmetrics;
mod outcome;
pub mod sarif;
mod style;
mod tap;
mod text;
mod words;
mod wrap;

pub use compact::compact;
pub use html::html;
pub use junit::junit;
pub use openmetrics::{Metrics, metrics, openmetrics};
pub use style::Style;
pub use tap::tap;
pub use text::{Shown, text};
pub use words::{Words, fill};
pub use wrap::wrapped;

use crate::model::Report;

/// The report as one JSON document (schema `guestprep.report/1`), ending in a newline.
pub fn json(report: &Report) -> String {
    let mut out = serde_json::to_string_pretty(report).unwrap_or_default();
    out.push('\n');
    out
}

/// The report as one line of JSON, for a file of many.
pub fn ndjson(report: &Report) -> String {
    let mut out = serde_json::to_string(report).unwrap_or_default();
    out.push('\n');
    out
}
