//! What a clone takes over from the runs of its source, and what it does away with.
//!
//! The lines that a run parked stand in the clone's own files. What a clone needs beside them to
//! bring them back is noted when the run begins ([`Carried`]) and kept apart on the clone
//! ([`Legacy`]), so that the source's journal, with all that it saved, can go.

use serde::{Deserialize, Serialize};

use super::journal::Record;
use super::name::{Before, NameUndo, saved};
use super::step::Undo;
use super::store::{Run, Store};
use crate::guest::{BootItem, Fact, Guest, Origin};
use crate::model::{Action, ByteString, Plan};
use crate::parse::marker;
use crate::sys::write::MAX_FILE;
use crate::sys::{Error, ErrorKind, Result};

/// Where a clone keeps what it took over, in the state directory.
const LEGACY: &str = "clone.json";
/// Where it reports its first boot.
const REPORT: &str = "firstboot.json";
/// The file without which a directory is no run.
const HEADER: &str = "run.json";

/// What the device of a parked line, or of a masked unit, carried when it was put away. A clone
/// knows by it the filesystem that it is to mount again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The line as it was before it was parked, or the unit's name.
    pub of: ByteString,
    /// The device as the line or the unit names it.
    pub source: ByteString,
    /// The filesystem's type as blkid(8) prints it.
    pub fstype: Option<String>,
    /// Its UUID.
    pub uuid: Option<ByteString>,
}

/// A unit that a run masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedUnit {
    /// Its name.
    pub unit: String,
    /// What stood in the mask's place; `null` for nothing.
    pub before: Option<UnitFile>,
}

/// What stood where a unit's mask stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitFile {
    /// A file.
    File {
        /// Its content.
        content: ByteString,
        /// Its permission bits.
        mode: u32,
    },
    /// A link to a file elsewhere.
    Link(ByteString),
}

/// What a clone took over. That it is there says that this guest is a clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legacy {
    /// Always `guestprep.clone/1`.
    pub schema: String,
    /// What the parked lines and masked units were on.
    pub carried: Vec<Carried>,
    /// The units that are still masked.
    pub units: Vec<MaskedUnit>,
}

impl Default for Legacy {
    fn default() -> Self {
        Self { schema: "guestprep.clone/1".to_owned(), carried: Vec::new(), units: Vec::new() }
    }
}

impl Legacy {
    /// What a parked line or a masked unit was on, where that was noted.
    pub fn carried(&self, of: &ByteString) -> Option<&Carried> {
        self.carried.iter().find(|carried| carried.of == *of)
    }

    /// Add what a run of the source put away and did not bring back.
    ///
    /// # Errors
    /// When the content of a unit that it masked cannot be read.
    pub fn take_over(&mut self, run: &Run) -> Result<()> {
        for carried in &run.header.carried {
            if self.carried(&carried.of).is_none() {
                self.carried.push(carried.clone());
            }
        }
        for step in run.header.plan.steps.iter().filter(|step| is_taken(run, &step.id)) {
            let Action::Unit { unit, change, .. } = &step.action else { continue };
            if change != "mask" || self.units.iter().any(|known| known.unit == *unit) {
                continue;
            }
            let before = unit_before(run, &step.id)?;
            self.units.push(MaskedUnit { unit: unit.clone(), before });
        }
        Ok(())
    }
}

/// Whether a step was, or may have been, taken and is not undone.
fn is_taken(run: &Run, step: &str) -> bool {
    run.journal.open().iter().any(|open| open.step == step)
}

fn unit_before(run: &Run, step: &str) -> Result<Option<UnitFile>> {
    let undo = run.journal.records.iter().find_map(|record| match record {
        Record::Intent { step: of, how } if of == step => Some(how.as_ref()),
        _ => None,
    });
    let Some(Undo::Name(NameUndo { before, .. })) = undo else { return Ok(None) };
    Ok(match before {
        Before::Absent => None,
        Before::Link { target, .. } => Some(UnitFile::Link(target.clone())),
        Before::File { attributes, .. } => {
            let dir = run.dir()?;
            let saved = &saved(step);
            let gone = || Error::new("read", dir.shown(saved), ErrorKind::NotFound, "it is gone");
            let content = dir.read(saved.as_bytes(), MAX_FILE)?.ok_or_else(gone)?;
            Some(UnitFile::File { content: content.into(), mode: attributes.mode & 0o7777 })
        }
    })
}

/// What is under the lines that a plan parks and the units that it masks, on the guest as it is
/// before the plan's steps. What cannot be told is not noted, and stays away on a clone.
pub(super) fn carried(guest: &Guest, plan: &Plan) -> Vec<Carried> {
    let Ok(boot) = guest.boot() else { return Vec::new() };
    let mut found = Vec::new();
    for step in &plan.steps {
        match &step.action {
            Action::EditFile { edits, .. } => {
                for edit in edits {
                    let is_parked = marker::unpark(edit.replacement.as_bytes()).is_some();
                    let item = boot.items.iter().find(|item| match item.origin {
                        Origin::Fstab(line) => line == edit.line && is(step, "/etc/fstab"),
                        Origin::Crypttab(line) => line == edit.line && is(step, "/etc/crypttab"),
                        Origin::Unit { .. } => false,
                    });
                    if let Some(item) = item.filter(|_| is_parked) {
                        found.extend(under(guest, item, edit.original.clone()));
                    }
                }
            }
            Action::Unit { unit, change, .. } if change == "mask" => {
                let item = boot
                    .items
                    .iter()
                    .find(|item| matches!(&item.origin, Origin::Unit { name, .. } if name == unit));
                if let Some(item) = item {
                    found.extend(under(guest, item, unit.as_str().into()));
                }
            }
            _ => {}
        }
    }
    found
}

fn is(step: &crate::model::Step, path: &str) -> bool {
    step.path.as_ref().is_some_and(|of| of.as_bytes() == path.as_bytes())
}

fn under(guest: &Guest, item: &BootItem, of: ByteString) -> Option<Carried> {
    let identity: Fact<_> = guest.identity(item.place.device()?);
    let identity = identity.ok()?;
    identity.fstype.as_ref()?;
    Some(Carried {
        of,
        source: item.source_text.clone(),
        fstype: identity.fstype,
        uuid: identity.uuid.map(ByteString::from),
    })
}

impl Store {
    /// What this guest took over from its source; `None` where it is no clone, as far as is known.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn legacy(&self) -> Result<Option<Legacy>> {
        let Some(text) = self.dir.read(LEGACY.as_bytes(), MAX_FILE)? else { return Ok(None) };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| Error::new("read", self.dir.shown(LEGACY), ErrorKind::Other, e))
    }

    /// Keep what this guest took over.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self, legacy: &Legacy) -> Result<()> {
        self.write_json(LEGACY, legacy)
    }

    /// Leave the report of a first boot, where the last one stands.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave_report(&self, report: &impl Serialize) -> Result<()> {
        self.write_json(REPORT, report)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|e| Error::new("write", self.dir.shown(name), ErrorKind::Other, e))?;
        text.push(b'\n');
        self.dir.replace(name, &text)
    }

    /// Remove a run with all that it saved. Cut short, it is still a run, and can be removed again:
    /// its header goes last.
    ///
    /// # Errors
    /// What the system says.
    pub fn discard(&self, run: &Run) -> Result<()> {
        let dir = run.dir()?;
        for name in dir.names()?.iter().filter(|name| *name != HEADER) {
            dir.remove(name.as_bytes())?;
        }
        dir.sync()?;
        dir.remove(HEADER.as_bytes())?;
        self.runs.remove_dir(&run.name)?;
        self.runs.sync()
    }

    /// Remove what is left of runs that were cut short as they began, or as they were removed: a
    /// directory that is empty, or has a header that is not whole and nothing else.
    ///
    /// # Errors
    /// What the system says.
    pub fn sweep(&self) -> Result<()> {
        let runs = self.runs()?;
        for name in self.runs.names()? {
            let dir = self.runs.open_dir(&name)?;
            let names = dir.names()?;
            let is_run = runs.iter().any(|run| run.name == name);
            if is_run || names.iter().any(|name| name != HEADER) {
                continue;
            }
            for name in names {
                dir.remove(name.as_bytes())?;
            }
            self.runs.remove_dir(&name)?;
        }
        Ok(())
    }
}
