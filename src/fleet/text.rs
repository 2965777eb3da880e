//! The merge for a person, within 80 columns: the answer, what fails from worst to mildest, the systems, the hosts.

use std::fmt::Write as _;

use super::drift::{Change, Drift};
use super::hosts::{Merged, Row, State};
use super::summary::Summary;
use super::words::{Words, filled};
use crate::model::Severity;
use crate::report::Style;

const WIDTH: usize = 80;
/// How many lines a list has before it is cut.
const LINES: usize = 20;

/// The merge as text.
pub fn text(
    merged: &Merged,
    summary: &Summary<'_>,
    drift: Option<&Drift<'_>>,
    words: &Words,
    style: Style,
) -> String {
    let mut page = Page { out: String::new(), words, style };
    page.head(merged, summary);
    page.checks(summary);
    page.systems(summary);
    let lists = [
        (State::NotReady, words.not_ready_hosts),
        (State::Undetermined, words.undetermined_hosts),
        (State::Unreached, words.unreached_hosts),
    ];
    for (state, title) in lists {
        page.hosts(merged, state, title, summary.verdicts.of(state));
    }
    page.outliers(summary);
    if let Some(drift) = drift {
        page.drift(drift);
    }
    page.faults(merged);
    page.out
}

struct Page<'w> {
    out: String,
    words: &'w Words,
    style: Style,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let text = self.style.bold(text);
        let _ = writeln!(self.out, "\n{text}");
    }

    fn more(&mut self, count: usize) {
        if count > 0 {
            let text = filled(self.words.more, &[("count", &grouped(count as u64))]);
            let _ = writeln!(self.out, "  {}", self.style.dim(&text));
        }
    }

    fn head(&mut self, merged: &Merged, summary: &Summary<'_>) {
        let Words { hosts, states, .. } = self.words;
        let counts: Vec<String> = State::ALL
            .into_iter()
            .rev()
            .filter(|state| summary.verdicts.of(*state) > 0)
            .map(|state| {
                let count = grouped(u64::from(summary.verdicts.of(state)));
                format!("{count} {}", states[state as usize])
            })
            .collect();
        let total = grouped(summary.hosts as u64);
        let answer = self.style.decision(summary.verdict, &summary.verdict.to_string());
        self.line(&format!("{answer}  {total} {hosts}: {}", counts.join(", ")));
        let (Some(oldest), Some(newest)) = (&summary.oldest, &summary.newest) else {
            return self.line(self.words.nobody);
        };
        let reports = grouped(merged.reports);
        let values =
            [("reports", &*reports), ("hosts", &total), ("oldest", oldest), ("newest", newest)];
        let mut notes = vec![filled(self.words.read, &values)];
        for (count, text) in
            [(merged.superseded, self.words.superseded), (merged.left_aside, self.words.left_aside)]
        {
            if count > 0 {
                notes.push(filled(text, &[("count", &grouped(count))]));
            }
        }
        let versions = summary.versions.iter().filter_map(|version| version.name);
        let versions: Vec<String> = versions.take(6).map(|name| shown(name, 20)).collect();
        let profiles = summary.profiles.iter().filter_map(|profile| profile.name);
        let profiles: Vec<String> = profiles.take(6).map(|name| shown(name, 20)).collect();
        notes.push(format!("guestprep {}; {}", versions.join(", "), profiles.join(", ")));
        for note in notes {
            let note = self.style.dim(&note);
            self.line(&note);
        }
    }

    fn checks(&mut self, summary: &Summary<'_>) {
        if summary.checks.is_empty() {
            return;
        }
        self.heading(self.words.checks);
        let failing = summary.checks.iter().filter_map(|c| Some((c.severity?, c)));
        let rows: Vec<_> = failing
            .map(|(severity, check)| (Some(severity), check.hosts, check))
            .chain(summary.checks.iter().map(|check| (None, check.unknown, check)))
            .filter(|(_, hosts, _)| *hosts > 0)
            .collect();
        let answered = summary.hosts as u64 - u64::from(summary.verdicts.unreached);
        for (severity, hosts, check) in rows.iter().take(LINES) {
            let label = padded(self.words.weights[severity.map_or(3, |s| s as usize)], 8);
            let label = match severity {
                Some(severity) => self.style.severity(*severity, &label),
                None => self.style.unknown(&label),
            };
            let id = shown(check.id, 40);
            let begin = format!("{:>9} {:>4}", grouped(u64::from(*hosts)), share(*hosts, answered));
            let left = WIDTH.saturating_sub(8 + begin.len() + 4 + width(&id));
            let title = self.style.dim(&shown(check.title, left));
            let id = self.style.bold(&id);
            self.line(format!("{label}{begin}  {id}  {title}").trim_end());
        }
        self.more(rows.len().saturating_sub(LINES));
    }

    fn systems(&mut self, summary: &Summary<'_>) {
        if summary.systems.is_empty() {
            return;
        }
        self.heading(self.words.systems);
        let columns = [State::NotReady, State::Undetermined, State::Ready];
        let mut head = padded("", 30) + &right(self.words.hosts, 11);
        for state in columns {
            head += &right(self.words.states[state as usize], 13);
        }
        let head = self.style.dim(&head);
        self.line(&head);
        for system in summary.systems.iter().take(LINES) {
            let mut line = padded(&shown(&system_name(system.os, system.version_id), 28), 30);
            line += &right(&grouped(u64::from(system.hosts)), 11);
            for state in columns {
                line += &right(&grouped(u64::from(system.verdicts.of(state))), 13);
            }
            self.line(&line);
        }
        self.more(summary.systems.len().saturating_sub(LINES));
    }

    fn hosts(&mut self, merged: &Merged, state: State, title: &str, count: u32) {
        if count == 0 {
            return;
        }
        self.heading(title);
        let mut rows: Vec<&Row> = Vec::new();
        let weight = |row: &Row| {
            let marks = merged.marks(row).iter();
            marks.filter(|mark| mark.severity() == Some(Severity::Blocker)).count()
        };
        // The worst of them, without a list of all.
        for row in merged.rows.iter().filter(|row| row.state == state) {
            rows.push(row);
            if rows.len() == 50 * LINES {
                worst_first(&mut rows, weight, merged);
            }
        }
        worst_first(&mut rows, weight, merged);
        for row in rows {
            let facts = merged.facts(row);
            let why = match state {
                State::Unreached => merged.word(facts.reason).unwrap_or("").to_owned(),
                _ => causes(merged, row, state),
            };
            let name = shown(merged.name(row), 28);
            self.named(&name, &why);
        }
        self.more((count as usize).saturating_sub(LINES));
    }

    /// A name, and what is said of it.
    fn named(&mut self, name: &str, what: &str) {
        let name = padded(name, 22);
        let left = WIDTH.saturating_sub(4 + width(&name));
        self.line(format!("  {name}  {}", shown(what, left)).trim_end());
    }

    fn outliers(&mut self, summary: &Summary<'_>) {
        if summary.outliers.is_empty() {
            return;
        }
        self.heading(self.words.outliers);
        for outlier in summary.outliers.iter().take(LINES / 2) {
            let system = system_name(outlier.os, outlier.version_id);
            let what = format!("{system}: {}", outlier.checks.join(", "));
            self.named(&shown(outlier.host, 28), &what);
        }
        self.more(summary.outlier_count.saturating_sub(LINES / 2));
    }

    fn drift(&mut self, drift: &Drift<'_>) {
        let count = |count: usize| grouped(count as u64);
        let heading = filled(
            self.words.drift,
            &[
                ("since", drift.since.as_deref().unwrap_or("-")),
                ("worse", &count(drift.worse.len())),
                ("better", &count(drift.better.len())),
                ("appeared", &count(drift.appeared.len())),
                ("gone", &count(drift.gone.len())),
                ("same", &count(drift.same)),
            ],
        );
        self.heading(&heading);
        let [worse, better, appeared, gone] = self.words.changes;
        for (label, changes) in [(worse, &drift.worse), (better, &drift.better)] {
            for change in changes.iter().take(LINES / 2) {
                let what = format!("{label}: {}", moved(change, self.words));
                self.named(&shown(change.host, 28), &what);
            }
            self.more(changes.len().saturating_sub(LINES / 2));
        }
        for (label, names) in [(appeared, &drift.appeared), (gone, &drift.gone)] {
            for name in names.iter().take(LINES / 4) {
                self.named(&shown(name, 28), label);
            }
            self.more(names.len().saturating_sub(LINES / 4));
        }
    }

    fn faults(&mut self, merged: &Merged) {
        if merged.fault_count == 0 {
            return;
        }
        let count = grouped(merged.fault_count);
        self.heading(&filled(self.words.faults, &[("count", &count)]));
        for fault in merged.faults.iter().take(LINES / 2) {
            let place = match fault.line {
                0 => shown(&fault.source, 200),
                line => format!("{}:{line}", shown(&fault.source, 200)),
            };
            // A place is for copying: it is never cut.
            self.line(&format!("  {place}: {}", shown(&fault.reason, 100)));
        }
        let named = merged.faults.len().min(LINES / 2) as u64;
        self.more(usize::try_from(merged.fault_count - named).unwrap_or(usize::MAX));
    }
}

/// Sorted by how many blockers a row has, then by name, and no longer than is shown.
fn worst_first(rows: &mut Vec<&Row>, weight: impl Fn(&Row) -> usize, merged: &Merged) {
    rows.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| merged.name(a).cmp(merged.name(b))));
    rows.truncate(LINES);
}

/// The checks that make a host what it is.
fn causes(merged: &Merged, row: &Row, state: State) -> String {
    let wanted = if state == State::NotReady { Some(Severity::Blocker) } else { None };
    let marks = || merged.marks(row).iter();
    let ids = |severity: Option<Severity>| -> Vec<&str> {
        marks()
            .filter(|mark| mark.severity() == severity)
            .map(|mark| &**merged.checks.get(mark.check()))
            .collect()
    };
    let mut all = ids(wanted);
    if all.is_empty() {
        // With `--fail-on warning` nothing of it has to be a blocker.
        all = ids(Some(Severity::Warning));
    }
    all.join(", ")
}

fn moved(change: &Change<'_>, words: &Words) -> String {
    let word = |name: &str| State::of(name).map_or("", |state| words.states[state as usize]);
    let mut parts = Vec::new();
    if change.from != change.to {
        parts.push(format!("{} -> {}", word(change.from), word(change.to)));
    }
    parts.extend(change.failing.iter().map(|id| format!("+{id}")));
    parts.extend(change.mended.iter().map(|id| format!("-{id}")));
    parts.join(" ")
}

/// A distribution and its version, as far as they are known.
pub(super) fn system_name(os: Option<&str>, version_id: Option<&str>) -> String {
    match (os, version_id) {
        (Some(os), Some(version)) => format!("{os} {version}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "?".to_owned(),
    }
}

/// Text of a report that somebody else wrote: no control character reaches the terminal, and what is longer than its
/// columns is cut.
fn shown(text: &str, columns: usize) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter.is_control() || ('\u{200b}'..='\u{206f}').contains(&letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    if width(&out) <= columns {
        return out;
    }
    while width(&out) + 1 > columns && out.pop().is_some() {}
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Columns of a text: those of East Asia are two wide. Combining letters are counted as one, which only shortens.
fn width(text: &str) -> usize {
    text.chars()
        .map(|letter| {
            if ('\u{1100}'..'\u{1f000}').contains(&letter)
                && !('\u{2000}'..'\u{2e80}').contains(&letter)
            {
                2
            } else {
                1
            }
        })
        .sum()
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// A share in percent; below one it is said as such.
fn share(part: u32, whole: u64) -> String {
    match (u64::from(part) * 100).checked_div(whole) {
        None => String::new(),
        Some(0) => "<1%".to_owned(),
        Some(percent) => format!("{percent}%"),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
