//! The merge as one HTML file that asks no network: the counts, and a table of all hosts to search and filter.
//!
//! The hosts stand in it as data. What is on the screen, and no more, is in the document: the table has rows of one
//! height, so that its script knows which are to be seen.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::drift::Drift;
use super::hosts::{Fault, Mark, Merged, State};
use super::summary::Summary;
use super::words::{Words, filled};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A host in the page's data: name, instance id, state, time, system, check and weight of each mark, reason.
#[derive(Serialize)]
struct Line<'a>(&'a str, Option<&'a str>, u8, u32, String, Vec<u32>, Option<&'a str>);

#[derive(Serialize)]
struct Data<'a> {
    words: Value,
    head: Vec<String>,
    states: Vec<&'static str>,
    counts: [u32; 4],
    verdict: u8,
    checks: &'a [Box<str>],
    titles: Vec<&'a str>,
    summary: &'a Summary<'a>,
    drift: Option<&'a Drift<'a>>,
    faults: &'a [Fault],
    fault_count: u64,
}

/// Write the merge as HTML.
///
/// # Errors
/// What the writer says.
pub fn html(
    merged: &Merged,
    summary: &Summary<'_>,
    drift: Option<&Drift<'_>>,
    words: &Words,
    out: &mut dyn Write,
) -> io::Result<()> {
    let page = PAGE
        .replace("{{lang}}", words.code)
        .replace("{{title}}", words.title)
        .replace("{{style}}", STYLE);
    let (before, after) = page.split_once("{{data}}").unwrap_or((&page, ""));
    out.write_all(before.as_bytes())?;
    let mut out = Escaped(out);
    out.write_all(b"{\"hosts\":[")?;
    for (at, number) in merged.sorted().into_iter().enumerate() {
        if at > 0 {
            out.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut out, &line(merged, number))?;
    }
    out.write_all(b"],\"page\":")?;
    serde_json::to_writer(&mut out, &data(merged, summary, drift, words))?;
    out.write_all(b"}")?;
    out.0.write_all(after.replace("{{script}}", SCRIPT).as_bytes())
}

fn line(merged: &Merged, number: u32) -> Line<'_> {
    let row = &merged.rows[number as usize];
    let facts = merged.facts(row);
    let pair = |mark: &Mark| {
        let weight = mark.severity().map_or(3, |severity| severity as u32);
        mark.check() << 2 | weight
    };
    Line(
        merged.name(row),
        merged.names(row).1,
        row.state as u8,
        row.started,
        super::text::system_name(merged.word(facts.os), merged.word(facts.version_id)),
        merged.marks(row).iter().map(pair).collect(),
        merged.word(facts.reason),
    )
}

fn data<'a>(
    merged: &'a Merged,
    summary: &'a Summary<'a>,
    drift: Option<&'a Drift<'a>>,
    words: &Words,
) -> Data<'a> {
    let number = |count: u64| count.to_string();
    let mut head = Vec::new();
    if let (Some(oldest), Some(newest)) = (&summary.oldest, &summary.newest) {
        let (reports, hosts) = (number(merged.reports), number(summary.hosts as u64));
        let values =
            [("reports", &*reports), ("hosts", &hosts), ("oldest", oldest), ("newest", newest)];
        head.push(filled(words.read, &values));
    }
    for (count, text) in
        [(merged.superseded, words.superseded), (merged.left_aside, words.left_aside)]
    {
        if count > 0 {
            head.push(filled(text, &[("count", &number(count))]));
        }
    }
    let mut titles = vec![""; merged.checks.values().len()];
    for check in &summary.checks {
        if let Some(at) = merged.checks.values().iter().position(|id| **id == *check.id) {
            titles[at] = check.title;
        }
    }
    Data {
        words: json!({
            "states": words.states, "weights": words.weights, "checks": words.checks, "systems": words.systems,
            "outliers": words.outliers, "changes": words.changes, "faults": words.faults, "host": words.host,
            "hosts": words.hosts, "verdict": words.verdict, "started": words.started, "system": words.system,
            "search": words.search, "shown": words.shown, "all": words.all, "drift": words.drift,
            "nobody": words.nobody, "whole": words.whole, "more": words.more,
        }),
        head,
        states: State::ALL.iter().map(|state| state.as_str()).collect(),
        counts: State::ALL.map(|state| summary.verdicts.of(state)),
        verdict: State::from(summary.verdict) as u8,
        checks: merged.checks.values(),
        titles,
        summary,
        drift,
        faults: &merged.faults,
        fault_count: merged.fault_count,
    }
}

/// JSON inside a script element: `<` could end it or open a comment (HTML 4.12.1.3), and stands nowhere in JSON but in
/// strings, where it has another spelling.
struct Escaped<'w>(&'w mut dyn Write);

impl Write for Escaped<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (at, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if at > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
