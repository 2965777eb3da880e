//! What was found on a disk image, noted and taken from notes again.
//!
//! Noted are the bytes that the partition table and the superblocks were told from, so that the
//! bundle's reader tells them again, and as values what only a mount can tell. The bytes of a
//! bundle are not trusted: what does not fit together is refused.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::layout::{Layout, Runs, superblock_through, table_through};
use super::{Image, Reader, Seen};
use crate::guest::volume_groups::VolumeGroup;
use crate::guest::{Disks, SystemFilesystem, Unknown};
use crate::model::GuestPath;
use crate::parse::window::Window;
use crate::sys::{Devices, Notes, Recorder, Whose};

/// The name of what is noted of an image.
const FACT: &str = "image";

/// What stands for a device of an image among those of kernels.
const TABLE: &str = "table";

/// What of an image is noted as values.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Saved {
    disks: Disks,
    /// Where each device's bytes lie in the image.
    runs: Vec<Runs>,
    filesystems: Vec<SystemFilesystem>,
    subvolumes: BTreeMap<GuestPath, GuestPath>,
    left_out: Vec<String>,
    reader: Reader,
    container: String,
    has_boot_code: bool,
    #[serde(default)]
    groups: Vec<VolumeGroup>,
    /// Why a device could not be told, by its index.
    failed: BTreeMap<usize, String>,
}

impl Image {
    /// Note what was found.
    pub(in crate::guest) fn note(&self, recorder: &Recorder) {
        let Seen { layout, superblocks, .. } = &*self.seen;
        let mut failed = BTreeMap::new();
        for (at, about) in layout.disks.devices.iter().enumerate() {
            if let Err(why) = &superblocks[at] {
                failed.insert(at, why.0.clone());
                continue;
            }
            let name = at.to_string();
            let read = |ranges: &[Range<u64>]| {
                recorder.note_asked(Whose::Image, &name, ranges);
                layout.read(&self.file, at, ranges)
            };
            let _ = superblock_through(about, read, &note(recorder, &name));
        }
        let read = |ranges: &[Range<u64>]| {
            recorder.note_asked(Whose::Image, TABLE, ranges);
            self.file.read_ranges(ranges)
        };
        let _ = table_through(self.file.size(), read, TABLE, &note(recorder, TABLE));
        let saved = Saved {
            disks: layout.disks.clone(),
            runs: layout.runs.clone(),
            filesystems: self.seen.filesystems.clone(),
            subvolumes: self.seen.subvolumes.clone(),
            left_out: self.seen.left_out.clone(),
            reader: self.seen.reader,
            container: self.seen.container.clone(),
            has_boot_code: layout.has_boot_code,
            groups: layout.groups.clone(),
            failed,
        };
        let saved = serde_json::to_value(saved).unwrap_or_default();
        recorder.note(|notes| {
            notes.facts.insert(FACT.to_owned(), saved);
        });
    }
}

fn note<'a>(recorder: &'a Recorder, name: &'a str) -> impl Fn(&Window) + 'a {
    move |window| {
        for (offset, bytes) in window.used() {
            recorder.note_device(Whose::Image, name, offset, bytes);
        }
    }
}

impl Seen {
    /// What was found on the image that notes are of.
    ///
    /// # Errors
    /// What does not fit together.
    pub(in crate::guest) fn replayed(notes: &Rc<Notes>) -> Result<Self, String> {
        let saved = notes.facts.get(FACT).cloned().unwrap_or_default();
        let saved: Saved = serde_json::from_value(saved).map_err(|e| format!("image: {e}"))?;
        saved.check()?;
        let devices = Devices::replayed(notes, Whose::Image);
        let disks = saved.disks;
        let superblocks = disks.devices.iter().enumerate().map(|(at, about)| {
            if let Some(why) = saved.failed.get(&at) {
                return Err(Unknown(why.clone()));
            }
            let name = at.to_string();
            let read = |ranges: &[Range<u64>]| devices.read(&name, about.number, ranges);
            superblock_through(about, read, &|_| {})
        });
        let superblocks = superblocks.collect();
        let size = disks.devices.first().map_or(0, |disk| disk.size);
        let read = |ranges: &[Range<u64>]| devices.read(TABLE, (0, 0), ranges);
        let table = table_through(size, read, TABLE, &|_| {}).map_err(|why| why.0)?;
        Ok(Self {
            layout: Layout {
                disks,
                runs: saved.runs,
                table,
                has_boot_code: saved.has_boot_code,
                groups: saved.groups,
                ..Layout::default()
            },
            superblocks,
            filesystems: saved.filesystems,
            subvolumes: saved.subvolumes,
            left_out: saved.left_out,
            reader: saved.reader,
            container: saved.container,
            known_as: notes.path.as_os_str().into(),
        })
    }
}

impl Saved {
    /// Whether every index is one of a device, and no device lies on one that comes after it.
    fn check(&self) -> Result<(), String> {
        let count = self.disks.devices.len();
        let parents = self.disks.devices.iter().enumerate();
        let is_tree = parents.clone().all(|(at, device)| device.parents.iter().all(|p| *p < at));
        let on_devices = self.filesystems.iter().all(|filesystem| {
            !filesystem.devices.is_empty() && filesystem.devices.iter().all(|at| *at < count)
        });
        if count == 0 {
            return Err("image: it has no disk".to_owned());
        }
        let are_runs = self
            .runs
            .iter()
            .flat_map(|runs| &runs.0)
            .all(|run| run.start <= run.end && run.end <= self.disks.devices[0].size);
        match self.runs.len() == count && are_runs && is_tree && on_devices {
            true => Ok(()),
            false => Err("image: its devices do not fit together".to_owned()),
        }
    }
}
