//! What is kept of the hosts.
//!
//! A host costs 20 bytes ([`Row`]), its name and its instance id with 3 bytes beside them, and 5 to 10 bytes of a hash
//! table that holds row numbers alone: about 65 bytes where names are as long as ECS makes them. What many hosts
//! share is kept once: their distribution, kernel and version ([`Facts`]), and the set of checks that fail. Where every
//! host fails in a way of its own, the sets add 2 bytes a failing check and some 60 a host.

use std::cmp::Ordering;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use jiff::Timestamp;
use serde::Serialize;

use super::intern::Interned;
use super::sheet::Sheet;
use super::{COMPACT, UNREACHED};
use crate::model::{Decision, Report, Severity};

/// How many of what could not be read are named; all are counted.
const NAMED_FAULTS: usize = 100;
/// Names of many unnamed machines, which tell none from another.
const NOBODY: [&str; 4] = ["", "localhost", "localhost.localdomain", "(none)"];

/// What is known of a host at last. The order is that of badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Its audit says READY.
    Ready,
    /// It did not answer.
    Unreached,
    /// Its audit could not tell.
    Undetermined,
    /// Its audit says NOT READY.
    NotReady,
}

impl State {
    /// All, from good to bad.
    pub const ALL: [State; 4] =
        [State::Ready, State::Unreached, State::Undetermined, State::NotReady];

    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Unreached => "unreached",
            State::Undetermined => "undetermined",
            State::NotReady => "not-ready",
        }
    }

    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl From<Decision> for State {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Ready => State::Ready,
            Decision::NotReady => State::NotReady,
            Decision::Undetermined => State::Undetermined,
        }
    }
}

/// One check of one host that is not as it should be: the check's number, and how it weighs or that it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark(u16);

impl Mark {
    const UNKNOWN: u16 = 3;
    const CHECKS: u32 = 1 << 14;

    pub(super) fn new(check: u32, severity: Option<Severity>) -> Option<Self> {
        let weight = severity.map_or(Self::UNKNOWN, |severity| severity as u16);
        let check = u16::try_from(check).ok().filter(|_| check < Self::CHECKS)?;
        Some(Self(check << 2 | weight))
    }

    /// The check's number.
    pub(super) fn check(self) -> u32 {
        u32::from(self.0 >> 2)
    }

    /// How its failure weighs; none where it could not be judged.
    pub(super) fn severity(self) -> Option<Severity> {
        [Severity::Advice, Severity::Warning, Severity::Blocker]
            .get(usize::from(self.0 & 3))
            .copied()
    }
}

/// What many hosts have in common, each a number of [`Merged::words`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub family: u32,
    pub os: u32,
    pub version_id: u32,
    pub kernel: u32,
    pub profile: u32,
    pub mode: u32,
    pub version: u32,
    /// Why it did not answer.
    pub reason: u32,
}

impl From<&Facts> for Facts {
    fn from(facts: &Facts) -> Self {
        *facts
    }
}

/// One host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Where its name begins in [`Merged::names`].
    name: u32,
    /// Seconds since 1970: enough until 2106.
    pub started: u32,
    pub facts: u32,
    pub marks: u32,
    pub waived: u16,
    pub state: State,
}

/// By what a host is known from one report to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity<'a> {
    Instance(&'a str),
    Hostname(&'a str),
    /// Nothing in the report tells: the place that it stands at does.
    Place(&'a str),
}

/// Something that is no report of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The input's name.
    pub source: String,
    /// The line, from 1; 0 for the input as a whole.
    pub line: u64,
    /// What is the matter.
    pub reason: String,
}

/// The hosts of all reports, each as its latest report has it.
#[derive(Debug, Default)]
pub struct Merged {
    pub(super) rows: Vec<Row>,
    /// Length of the hostname, of the instance id, which of them is the identity, and both.
    names: Vec<u8>,
    table: HashTable<u32>,
    hasher: RandomState,
    pub(super) words: Interned<Box<str>>,
    pub(super) facts: Interned<Facts>,
    pub(super) marks: Interned<Box<[Mark]>>,
    /// Checks by number: their ids.
    pub(super) checks: Interned<Box<str>>,
    /// Their titles, as the first report had them.
    pub(super) titles: Vec<Box<str>>,
    /// How many reports there were.
    pub reports: u64,
    /// How many were older than another of the same host.
    pub superseded: u64,
    /// What was no report, the first of them.
    pub faults: Vec<Fault>,
    /// How many there were.
    pub fault_count: u64,
    /// Files of a folder that were left aside for their names.
    pub left_aside: u64,
}

/// All of a host but its identity.
pub(super) struct Entry<'a> {
    pub hostname: Option<&'a str>,
    pub instance_id: Option<&'a str>,
    /// Where its report stands, asked for where it has no other name.
    pub place: &'a dyn Fn() -> String,
    pub started: u32,
    pub state: State,
    /// Family, distribution, its version, kernel, profile, mode, version of guestprep, reason.
    pub facts: [Option<&'a str>; 8],
    pub waived: u16,
}

impl Merged {
    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.rows.len()
    }

    /// Take a document that is not read further than [`Sheet`].
    pub(super) fn take(
        &mut self,
        sheet: &Sheet<'_>,
        place: &dyn Fn() -> String,
    ) -> Result<(), String> {
        let state = match (&*sheet.schema, sheet.verdict) {
            (Report::SCHEMA, Some(verdict)) if sheet.checks.is_some() => verdict.into(),
            (Report::SCHEMA, _) => return Err("the report has no verdict or no checks".to_owned()),
            (COMPACT, Some(verdict)) => verdict.into(),
            (UNREACHED, _) => State::Unreached,
            ("", _) => return Err("it has no schema".to_owned()),
            (other, _) => return Err(format!("the schema {other:.40} is not one of a report")),
        };
        let guest = &sheet.guest;
        let version = sheet.tool.as_ref().map(|tool| &*tool.version);
        let entry = Entry {
            hostname: guest.hostname.as_deref().or(sheet.hostname.as_deref()),
            instance_id: guest.instance_id.as_deref().or(sheet.instance_id.as_deref()),
            place,
            started: seconds(&sheet.started)?,
            state,
            facts: [
                guest.os.family.as_deref(),
                guest.os.id.as_deref(),
                guest.os.version_id.as_deref(),
                guest.kernel.as_deref(),
                sheet.profile.as_deref(),
                guest.mode.as_deref(),
                version.or(sheet.version.as_deref()),
                sheet.reason.as_deref(),
            ],
            waived: u16::try_from(sheet.waived.len()).unwrap_or(u16::MAX),
        };
        self.enter(&entry, |merged| {
            sheet.marked().map(|(id, title, weight)| merged.mark(id, title, weight)).collect()
        })
    }

    /// Enter a host, unless what is known of it is younger.
    pub(super) fn enter(
        &mut self,
        entry: &Entry<'_>,
        marks: impl FnOnce(&mut Self) -> Result<Vec<Mark>, String>,
    ) -> Result<(), String> {
        let hostname = entry.hostname.filter(|name| !NOBODY.contains(name));
        let instance_id = entry.instance_id.filter(|id| !id.is_empty());
        let place;
        let identity = match (instance_id, hostname) {
            (Some(id), _) => Identity::Instance(id),
            (None, Some(name)) => Identity::Hostname(name),
            (None, None) => {
                place = (entry.place)();
                Identity::Place(&place)
            }
        };
        let known = self.find(identity);
        // Of one second the worse counts, whichever is read first.
        let before = known.map(|number| self.rows[number as usize]);
        let age = before.map(|row| (row.started, row.state).cmp(&(entry.started, entry.state)));
        if age == Some(Ordering::Greater) {
            self.reports += 1;
            self.superseded += 1;
            return Ok(());
        }
        let mut marks = marks(self)?;
        marks.sort_unstable();
        marks.dedup();
        if let (Some(row), Some(Ordering::Equal)) = (before, age)
            && self.by_weight(self.marks(&row)) >= self.by_weight(&marks)
        {
            self.reports += 1;
            self.superseded += 1;
            return Ok(());
        }
        let name = match known {
            Some(number) => self.rows[number as usize].name,
            None => self.write_name(identity, entry)?,
        };
        let [family, os, version_id, kernel, profile, mode, version, reason] =
            entry.facts.map(|word| self.words.number(shortened(word.unwrap_or(""))));
        let facts = Facts { family, os, version_id, kernel, profile, mode, version, reason };
        let row = Row {
            name,
            started: entry.started,
            facts: self.facts.number(&facts),
            marks: self.marks.number(marks.as_slice()),
            waived: entry.waived,
            state: entry.state,
        };
        self.reports += 1;
        match known {
            Some(number) => {
                self.superseded += 1;
                self.rows[number as usize] = row;
            }
            None => {
                let number = u32::try_from(self.rows.len()).map_err(|e| e.to_string())?;
                self.rows.push(row);
                let Self { rows, names, table, hasher, .. } = self;
                table.insert_unique(hasher.hash_one(identity), number, |number| {
                    hasher.hash_one(identity_at(names, rows[*number as usize].name))
                });
            }
        }
        Ok(())
    }

    /// Marks in an order that does not depend on which check was met first, as their numbers do.
    fn by_weight(&self, marks: &[Mark]) -> Vec<(usize, &str)> {
        let pair = |mark: &Mark| (usize::from(mark.0 & 3), &**self.checks.get(mark.check()));
        let mut pairs: Vec<(usize, &str)> = marks.iter().map(pair).collect();
        pairs.sort_unstable();
        pairs
    }

    /// The mark of a check, which is entered where it is new.
    pub(super) fn mark(
        &mut self,
        id: &str,
        title: &str,
        severity: Option<Severity>,
    ) -> Result<Mark, String> {
        let number = self.checks.number(shortened(id));
        let mark = Mark::new(number, severity).ok_or("there are too many different checks")?;
        match self.titles.get_mut(number as usize) {
            None => self.titles.push(shortened(title).into()),
            // Known so far from a report that has no titles.
            Some(known) if known.is_empty() => *known = shortened(title).into(),
            Some(_) => {}
        }
        Ok(mark)
    }

    /// The row of a host.
    pub(super) fn find(&self, identity: Identity<'_>) -> Option<u32> {
        let is_it =
            |number: &u32| identity_at(&self.names, self.rows[*number as usize].name) == identity;
        self.table.find(self.hasher.hash_one(identity), is_it).copied()
    }

    pub(super) fn identity(&self, row: &Row) -> Identity<'_> {
        identity_at(&self.names, row.name)
    }

    /// Hostname and instance id of a host, where they are known.
    pub(super) fn names(&self, row: &Row) -> (Option<&str>, Option<&str>) {
        let (kind, hostname, instance_id) = names_at(&self.names, row.name);
        (
            Some(hostname).filter(|name| !name.is_empty() && kind != PLACE),
            Some(instance_id).filter(|id| !id.is_empty()),
        )
    }

    /// What a person calls a host.
    pub(super) fn name(&self, row: &Row) -> &str {
        let (_, hostname, instance_id) = names_at(&self.names, row.name);
        if hostname.is_empty() { instance_id } else { hostname }
    }

    pub(super) fn marks(&self, row: &Row) -> &[Mark] {
        self.marks.get(row.marks)
    }

    pub(super) fn facts(&self, row: &Row) -> &Facts {
        self.facts.get(row.facts)
    }

    /// A word of the facts; none where the report had none.
    pub(super) fn word(&self, number: u32) -> Option<&str> {
        Some(&**self.words.get(number)).filter(|word| !word.is_empty())
    }

    /// The rows, sorted by name and instance id.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..).take(self.rows.len()).collect();
        order.sort_unstable_by_key(|number| {
            let row = &self.rows[*number as usize];
            (self.name(row), self.names(row).1)
        });
        order
    }

    /// Note what is no report.
    pub(super) fn fault(&mut self, source: &str, line: u64, reason: impl Into<String>) {
        self.fault_count += 1;
        if self.faults.len() < NAMED_FAULTS {
            self.faults.push(Fault { source: source.to_owned(), line, reason: reason.into() });
        }
    }

    fn write_name(&mut self, identity: Identity<'_>, entry: &Entry<'_>) -> Result<u32, String> {
        let at =
            u32::try_from(self.names.len()).map_err(|_| "the names of all hosts take 4 GiB")?;
        let (kind, hostname) = match identity {
            Identity::Instance(_) => (INSTANCE, entry.hostname.unwrap_or("")),
            Identity::Hostname(name) => (HOSTNAME, name),
            Identity::Place(place) => (PLACE, place),
        };
        let instance_id = entry.instance_id.unwrap_or("");
        let length = |name: &str| {
            u8::try_from(name.len()).map_err(|_| "a name is longer than 255 bytes".to_owned())
        };
        let (host, id) = (length(hostname)?, length(instance_id)?);
        self.names.extend([kind, host, id]);
        self.names.extend_from_slice(hostname.as_bytes());
        self.names.extend_from_slice(instance_id.as_bytes());
        Ok(at)
    }
}

const INSTANCE: u8 = 0;
const HOSTNAME: u8 = 1;
const PLACE: u8 = 2;

/// Which of the names is the identity, the hostname or place, and the instance id.
fn names_at(names: &[u8], at: u32) -> (u8, &str, &str) {
    let part = &names[at as usize..];
    let (host, id) = (usize::from(part[1]), usize::from(part[2]));
    // They were written as text, and at these bounds.
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    (part[0], text(&part[3..3 + host]), text(&part[3 + host..3 + host + id]))
}

fn identity_at(names: &[u8], at: u32) -> Identity<'_> {
    match names_at(names, at) {
        (INSTANCE, _, id) => Identity::Instance(id),
        (HOSTNAME, name, _) => Identity::Hostname(name),
        (_, place, _) => Identity::Place(place),
    }
}

pub(super) fn seconds(started: &str) -> Result<u32, String> {
    let time: Timestamp =
        started.parse().map_err(|_| format!("started {started:?} is no time of RFC 3339"))?;
    u32::try_from(time.as_second())
        .map_err(|_| format!("started {started} is before 1970 or after 2106"))
}

/// A time as reports write it.
pub(super) fn rfc3339(seconds: u32) -> String {
    Timestamp::from_second(i64::from(seconds))
        .map_or_else(|_| String::new(), |time| time.to_string())
}

/// Words of a report that somebody else wrote may be long; nobody reads more of them in a table.
fn shortened(word: &str) -> &str {
    const LONGEST: usize = 200;
    &word[..word.floor_char_boundary(LONGEST)]
}
