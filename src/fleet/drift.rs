//! What has changed since an earlier merge.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};

use super::SCHEMA;
use super::hosts::{Entry, Mark, Merged, Row, State, rfc3339, seconds};
use super::row::Host;
use super::sheet::Text;

/// The hosts that differ from the earlier merge.
#[derive(Debug, Serialize)]
pub struct Drift<'a> {
    /// When the last audit of the earlier merge began.
    pub since: Option<String>,
    /// Hosts that are as they were, or changed without becoming better or worse.
    pub same: usize,
    /// Hosts whose verdict is worse, or whose verdict is the same and a check fails that did not.
    pub worse: Vec<Change<'a>>,
    /// Hosts whose verdict is better, or where checks pass that did not, and none the other way.
    pub better: Vec<Change<'a>>,
    /// Hosts that are new.
    pub appeared: Vec<&'a str>,
    /// Hosts that are in no report any more.
    pub gone: Vec<&'a str>,
}

/// A host that is not what it was.
#[derive(Debug, Serialize)]
pub struct Change<'a> {
    /// Its name.
    pub host: &'a str,
    /// What it was.
    pub from: &'static str,
    /// What it is.
    pub to: &'static str,
    /// Checks that fail or are unknown now and were not.
    pub failing: Vec<&'a str>,
    /// Checks that were and are not now.
    pub mended: Vec<&'a str>,
}

impl Merged {
    /// Compare with an earlier merge.
    pub fn since<'a>(&'a self, earlier: &'a Merged) -> Drift<'a> {
        let mut was_seen = vec![false; earlier.rows.len()];
        let mut drift = Drift {
            since: earlier.rows.iter().map(|row| row.started).max().map(rfc3339),
            same: 0,
            worse: Vec::new(),
            better: Vec::new(),
            appeared: Vec::new(),
            gone: Vec::new(),
        };
        let by_hostname = earlier.by_hostname();
        for number in self.sorted() {
            let row = &self.rows[number as usize];
            let hostname = self.names(row).0;
            // A host that did not answer tells no instance id: its hostname has to do.
            let before = earlier
                .find(self.identity(row))
                .or_else(|| by_hostname.get(hostname?).copied().flatten());
            let Some(before) = before else {
                drift.appeared.push(self.name(row));
                continue;
            };
            was_seen[before as usize] = true;
            let before = &earlier.rows[before as usize];
            self.compare(row, earlier, before, &mut drift);
        }
        drift.gone = earlier
            .sorted()
            .into_iter()
            .filter(|number| !was_seen[*number as usize])
            .map(|number| earlier.name(&earlier.rows[number as usize]))
            .collect();
        drift
    }

    /// Rows by hostname; none for a name that several have.
    fn by_hostname(&self) -> HashMap<&str, Option<u32>> {
        let mut rows = HashMap::new();
        for (number, row) in (0..).zip(&self.rows) {
            if let Some(name) = self.names(row).0 {
                rows.entry(name).and_modify(|one| *one = None).or_insert(Some(number));
            }
        }
        rows
    }

    fn compare<'a>(&'a self, row: &Row, earlier: &'a Merged, before: &Row, drift: &mut Drift<'a>) {
        let (from, to) = (before.state, row.state);
        // Of a host that did not answer no check is known: nothing is mended.
        let (failing, mended) = match (from, to) {
            (State::Unreached, _) | (_, State::Unreached) => (Vec::new(), Vec::new()),
            _ => (self.beyond(row, earlier, before), earlier.beyond(before, self, row)),
        };
        let change =
            Change { host: self.name(row), from: from.as_str(), to: to.as_str(), failing, mended };
        if to > from || to == from && !change.failing.is_empty() {
            drift.worse.push(change);
        } else if to < from || !change.mended.is_empty() {
            drift.better.push(change);
        } else {
            drift.same += 1;
        }
    }

    /// The checks that a host has marked and another does not, which may be of another merge.
    fn beyond(&self, row: &Row, other: &Merged, there: &Row) -> Vec<&str> {
        let id = |merged: &'_ Merged, mark: &Mark| merged.checks.get(mark.check()).clone();
        let known: Vec<Box<str>> = other.marks(there).iter().map(|mark| id(other, mark)).collect();
        let mut ids: Vec<&str> = self
            .marks(row)
            .iter()
            .map(|mark| &**self.checks.get(mark.check()))
            .filter(|id| !known.iter().any(|known| **known == **id))
            .collect();
        ids.sort_unstable();
        ids
    }
}

/// Read a merge that [`super::json`] wrote, one host at a time.
///
/// # Errors
/// What makes it none.
pub fn earlier(json: impl Read) -> Result<Merged, String> {
    let mut merged = Merged::default();
    let mut deserializer = serde_json::Deserializer::from_reader(BufReader::new(json));
    deserializer
        .deserialize_map(Document(&mut merged))
        .and_then(|()| deserializer.end())
        .map_err(|e| format!("it is no merge that `--format json` wrote: {e}"))?;
    Ok(merged)
}

struct Document<'m>(&'m mut Merged);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a document of the schema {SCHEMA}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut is_ours, mut has_hosts) = (false, false);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key {
                "schema" => is_ours = &*map.next_value::<Text<'de>>()? == SCHEMA,
                "host_rows" if is_ours => {
                    has_hosts = true;
                    map.next_value_seed(Hosts(self.0))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (is_ours, has_hosts) {
            (true, true) => Ok(()),
            (true, false) => Err(serde::de::Error::missing_field("host_rows")),
            (false, _) => Err(serde::de::Error::custom(format!("its schema is not {SCHEMA}"))),
        }
    }
}

struct Hosts<'m>(&'m mut Merged);

impl<'de> serde::de::DeserializeSeed<'de> for Hosts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Hosts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of hosts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(host) = list.next_element::<Host<'de>>()? {
            self.0.again(&host).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

impl Merged {
    /// Enter a host as a merge wrote it.
    fn again(&mut self, host: &Host<'_>) -> Result<(), String> {
        let entry = Entry {
            hostname: host.hostname.as_deref(),
            instance_id: host.instance_id.as_deref(),
            place: &|| host.host.to_string(),
            started: seconds(&host.started)?,
            state: State::of(&host.verdict)
                .ok_or_else(|| format!("{:?} is no verdict", &*host.verdict))?,
            facts: [
                host.family.as_deref(),
                host.os.as_deref(),
                host.version_id.as_deref(),
                host.kernel.as_deref(),
                host.profile.as_deref(),
                host.mode.as_deref(),
                host.version.as_deref(),
                host.reason.as_deref(),
            ],
            waived: host.waived,
        };
        let of_list = |(severity, ids): (_, &[Text<'_>])| {
            ids.iter().map(|id| (id.to_string(), severity)).collect::<Vec<_>>()
        };
        self.enter(&entry, |merged| {
            let all = host.lists().map(of_list).concat();
            all.iter().map(|(id, severity)| merged.mark(id, "", *severity)).collect()
        })
    }
}
