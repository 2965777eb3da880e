//! What a merge comes to: counts, the checks that fail, the systems, and the hosts that differ from their like.

use std::collections::HashMap;

use serde::Serialize;

use super::hosts::{Mark, Merged, Row, State, rfc3339};
use crate::model::{Decision, Severity};

/// Of fewer hosts of a kind nobody can say what is usual among them.
const ENOUGH: u32 = 20;
/// What at most one host in so many of its kind does, the others do not.
const ONE_IN: u32 = 20;
/// How many hosts that differ are named.
const NAMED: usize = 100;

/// The counts of a merge.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// The answer for all: not ready where one host is not, undetermined where one could not be told.
    pub verdict: Decision,
    /// Distinct hosts.
    pub hosts: usize,
    /// Hosts by verdict.
    pub verdicts: Verdicts,
    /// Hosts with a finding that their configuration waives.
    pub waiving: u32,
    /// When the first and the last of the counted audits began.
    pub oldest: Option<String>,
    /// See `oldest`.
    pub newest: Option<String>,
    /// Checks that fail or are unknown somewhere, the worst first.
    pub checks: Vec<CheckCount<'a>>,
    /// Distributions and their versions, the most hosts first.
    pub systems: Vec<SystemCount<'a>>,
    /// Versions of guestprep that made the reports.
    pub versions: Vec<Count<'a>>,
    /// Profiles that were judged under.
    pub profiles: Vec<Count<'a>>,
    /// How many hosts differ from their like; the first of them are named.
    pub outlier_count: usize,
    /// Hosts that fail where at most one in twenty of their system does.
    pub outliers: Vec<Outlier<'a>>,
}

impl<'a> Summary<'a> {
    /// With the titles of checks in the words that somebody knows for them.
    #[must_use]
    pub fn titled(mut self, title: impl Fn(&str) -> Option<&'a str>) -> Self {
        for check in &mut self.checks {
            check.title = title(check.id).unwrap_or(check.title);
        }
        self
    }
}

/// Hosts by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdicts {
    /// Ready.
    pub ready: u32,
    /// Not ready.
    pub not_ready: u32,
    /// Could not be told.
    pub undetermined: u32,
    /// Did not answer.
    pub unreached: u32,
}

impl Verdicts {
    fn add(&mut self, state: State) {
        *match state {
            State::Ready => &mut self.ready,
            State::NotReady => &mut self.not_ready,
            State::Undetermined => &mut self.undetermined,
            State::Unreached => &mut self.unreached,
        } += 1;
    }

    /// How many there are of one.
    pub fn of(&self, state: State) -> u32 {
        match state {
            State::Ready => self.ready,
            State::NotReady => self.not_ready,
            State::Undetermined => self.undetermined,
            State::Unreached => self.unreached,
        }
    }
}

/// A check, and the hosts where it is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckCount<'a> {
    /// The check.
    pub id: &'a str,
    /// What it is called, in the words of the first report that has it.
    pub title: &'a str,
    /// The worst that it is anywhere; none where it is nowhere but unknown.
    pub severity: Option<Severity>,
    /// Hosts where it fails.
    pub hosts: u32,
    /// Of these, where it is a blocker.
    pub blockers: u32,
    /// A warning.
    pub warnings: u32,
    /// Advice.
    pub advice: u32,
    /// Hosts where it could not be judged.
    pub unknown: u32,
}

/// A distribution in one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SystemCount<'a> {
    /// The family.
    pub family: Option<&'a str>,
    /// `ID` of os-release.
    pub os: Option<&'a str>,
    /// `VERSION_ID`.
    pub version_id: Option<&'a str>,
    /// Its hosts.
    pub hosts: u32,
    /// Its hosts by verdict.
    pub verdicts: Verdicts,
}

/// A name, and how many hosts have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count<'a> {
    /// The name; none where the report has none.
    pub name: Option<&'a str>,
    /// The hosts.
    pub hosts: u32,
}

/// A host that fails where its like do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outlier<'a> {
    /// Its name.
    pub host: &'a str,
    /// Its instance id.
    pub instance_id: Option<&'a str>,
    /// Its distribution.
    pub os: Option<&'a str>,
    /// And the version.
    pub version_id: Option<&'a str>,
    /// What fails or is unknown there and nearly nowhere else, the worst first.
    pub checks: Vec<&'a str>,
}

/// Family, distribution and version, as numbers of words.
type System = (u32, u32, u32);

/// A row, how much of it is bad by blockers, warnings and unknowns, and what that is.
type Differing<'r> = ((usize, usize, usize), &'r Row, Vec<Mark>);

impl Merged {
    fn system(&self, row: &Row) -> System {
        let facts = self.facts(row);
        (facts.family, facts.os, facts.version_id)
    }

    /// Count everything.
    pub fn summary(&self) -> Summary<'_> {
        let mut verdicts = Verdicts::default();
        let mut checks = vec![[0_u32; 4]; self.checks.values().len()];
        let mut systems: HashMap<System, Verdicts> = HashMap::new();
        let (mut versions, mut profiles) = (HashMap::new(), HashMap::new());
        for row in &self.rows {
            verdicts.add(row.state);
            for mark in self.marks(row) {
                checks[mark.check() as usize][weight(*mark)] += 1;
            }
            if row.state != State::Unreached {
                let facts = self.facts(row);
                systems.entry(self.system(row)).or_default().add(row.state);
                *versions.entry(facts.version).or_default() += 1;
                *profiles.entry(facts.profile).or_default() += 1;
            }
        }
        let (outlier_count, outliers) = self.outliers();
        let times = || self.rows.iter().map(|row| row.started);
        Summary {
            verdict: match verdicts {
                Verdicts { not_ready: 1.., .. } => Decision::NotReady,
                Verdicts { undetermined: 0, unreached: 0, .. } if self.fault_count == 0 => {
                    Decision::Ready
                }
                _ => Decision::Undetermined,
            },
            hosts: self.hosts(),
            verdicts,
            waiving: self.rows.iter().map(|row| u32::from(row.waived > 0)).sum(),
            oldest: times().min().map(rfc3339),
            newest: times().max().map(rfc3339),
            checks: self.check_counts(&checks),
            systems: self.system_counts(&systems),
            versions: self.counts(&versions),
            profiles: self.counts(&profiles),
            outlier_count,
            outliers,
        }
    }

    fn check_counts(&self, counts: &[[u32; 4]]) -> Vec<CheckCount<'_>> {
        let named = self.checks.values().iter().zip(&self.titles).zip(counts);
        let mut all: Vec<CheckCount<'_>> = named
            .map(|((id, title), [advice, warnings, blockers, unknown])| CheckCount {
                id,
                title,
                severity: match (blockers, warnings, advice) {
                    (1.., ..) => Some(Severity::Blocker),
                    (_, 1.., _) => Some(Severity::Warning),
                    (.., 1..) => Some(Severity::Advice),
                    _ => None,
                },
                hosts: advice + warnings + blockers,
                blockers: *blockers,
                warnings: *warnings,
                advice: *advice,
                unknown: *unknown,
            })
            .filter(|check| check.hosts + check.unknown > 0)
            .collect();
        all.sort_unstable_by(|a, b| {
            let rank = |c: &CheckCount<'_>| (c.severity, c.hosts, c.unknown);
            rank(b).cmp(&rank(a)).then_with(|| a.id.cmp(b.id))
        });
        all
    }

    fn system_counts(&self, systems: &HashMap<System, Verdicts>) -> Vec<SystemCount<'_>> {
        let mut all: Vec<SystemCount<'_>> = systems
            .iter()
            .map(|((family, os, version_id), verdicts)| SystemCount {
                family: self.word(*family),
                os: self.word(*os),
                version_id: self.word(*version_id),
                hosts: State::ALL.into_iter().map(|state| verdicts.of(state)).sum(),
                verdicts: *verdicts,
            })
            .collect();
        all.sort_unstable_by(|a, b| {
            b.hosts.cmp(&a.hosts).then_with(|| (a.os, a.version_id).cmp(&(b.os, b.version_id)))
        });
        all
    }

    fn counts(&self, counts: &HashMap<u32, u32>) -> Vec<Count<'_>> {
        let mut all: Vec<Count<'_>> = counts
            .iter()
            .map(|(word, hosts)| Count { name: self.word(*word), hosts: *hosts })
            .collect();
        all.sort_unstable_by(|a, b| b.hosts.cmp(&a.hosts).then_with(|| a.name.cmp(&b.name)));
        all
    }

    /// Hosts that fail where at most one in [`ONE_IN`] of their system does: all counted, the worst named. What is only
    /// advice makes nobody differ.
    fn outliers(&self) -> (usize, Vec<Outlier<'_>>) {
        let mut sizes: HashMap<System, u32> = HashMap::new();
        let mut marked: HashMap<(System, Mark), u32> = HashMap::new();
        let answered = || self.rows.iter().filter(|row| row.state != State::Unreached);
        for row in answered() {
            let system = self.system(row);
            *sizes.entry(system).or_default() += 1;
            for mark in self.marks(row) {
                *marked.entry((system, *mark)).or_default() += 1;
            }
        }
        let rare = |row: &Row| -> Vec<Mark> {
            let system = self.system(row);
            let size = sizes.get(&system).copied().unwrap_or(0);
            let is_rare = |mark: &Mark| {
                let like = marked.get(&(system, *mark)).copied().unwrap_or(0);
                mark.severity() != Some(Severity::Advice) && like <= size / ONE_IN
            };
            match size {
                ENOUGH.. => self.marks(row).iter().copied().filter(is_rare).collect(),
                _ => Vec::new(),
            }
        };
        let rank = |marks: &[Mark]| {
            let of = |severity| marks.iter().filter(|mark| mark.severity() == severity).count();
            (of(Some(Severity::Blocker)), of(Some(Severity::Warning)), of(None))
        };
        let mut count = 0;
        let mut worst: Vec<Differing<'_>> = Vec::new();
        for row in answered() {
            let marks = rare(row);
            if marks.is_empty() {
                continue;
            }
            count += 1;
            worst.push((rank(&marks), row, marks));
            // Sorted now and then, so that no more is held than is named.
            if worst.len() >= 4 * NAMED {
                self.keep_worst(&mut worst);
            }
        }
        self.keep_worst(&mut worst);
        let outliers = worst.into_iter().map(|(_, row, mut marks)| {
            marks.sort_unstable_by_key(|mark| std::cmp::Reverse(mark.severity()));
            let facts = self.facts(row);
            Outlier {
                host: self.name(row),
                instance_id: self.names(row).1,
                os: self.word(facts.os),
                version_id: self.word(facts.version_id),
                checks: marks.iter().map(|mark| &**self.checks.get(mark.check())).collect(),
            }
        });
        (count, outliers.collect())
    }

    fn keep_worst(&self, worst: &mut Vec<Differing<'_>>) {
        worst.sort_unstable_by(|(a, left, _), (b, right, _)| {
            b.cmp(a).then_with(|| self.name(left).cmp(self.name(right)))
        });
        worst.truncate(NAMED);
    }
}

fn weight(mark: Mark) -> usize {
    mark.severity().map_or(3, |severity| severity as usize)
}
