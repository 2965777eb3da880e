//! What lies where on a disk image: the disk, its partitions, the logical volumes on them.
//!
//! From the image's own bytes alone: this machine's device mapper and its volume groups are never
//! asked, so that a group of the image may well have the name, and the UUID, of one of this machine.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::guest::identity::{Look, through_window};
use crate::guest::volume_groups::{VolumeGroup, group_through};
use crate::guest::{BlockDevice, DeviceKind, Disks, Fact, Unknown};
use crate::parse::lvm_metadata;
use crate::parse::partition_table::{self, PartitionTable, Role, TableError};
use crate::parse::superblock::{self, Detail, Superblock, Unidentified};
use crate::parse::window::Window;
use crate::sys::DiskImage;

/// The longest list of runs that a logical volume may be made of.
const MAX_RUNS: usize = 4096;

/// The devices that a disk image would have.
#[derive(Debug, Default)]
pub struct Layout {
    /// The disk, which is the first, its partitions, its logical volumes.
    pub disks: Disks,
    /// Where the bytes of each device lie.
    pub runs: Vec<Runs>,
    /// The partition table of the disk.
    pub table: Option<PartitionTable>,
    /// Whether the first sector has code that a BIOS would start.
    pub has_boot_code: bool,
    /// The volume groups of its physical volumes.
    pub groups: Vec<VolumeGroup>,
    /// What could not be told, and matters only when the root is not found.
    pub doubts: Vec<String>,
}

/// Where a device's bytes lie in the image, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs(pub Vec<Range<u64>>);

impl Runs {
    /// One run.
    fn of(run: Range<u64>) -> Self {
        Self(Vec::from([run]))
    }

    /// The one range of the image that the device is, where it is one.
    pub fn single(&self) -> Option<Range<u64>> {
        match self.0.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    /// The device's size in bytes.
    pub fn size(&self) -> u64 {
        self.0.iter().map(|run| run.end - run.start).sum()
    }

    /// The pieces of the image that are a range of the device, each with its place in the device.
    /// What lies beyond the device's end is left out.
    pub fn within(&self, wanted: &Range<u64>) -> Vec<(u64, Range<u64>)> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for run in &self.0 {
            let length = run.end - run.start;
            let begin = wanted.start.max(at);
            let end = wanted.end.min(at + length);
            if begin < end {
                pieces.push((begin, run.start + (begin - at)..run.start + (end - at)));
            }
            at += length;
        }
        pieces
    }

    /// Add a run behind the others; one that continues the last is joined to it.
    fn push(&mut self, run: Range<u64>) {
        match self.0.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => self.0.push(run),
        }
    }
}

impl Layout {
    /// Read ranges of a device, each as far as the device goes.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(
        &self,
        image: &DiskImage,
        device: usize,
        ranges: &[Range<u64>],
    ) -> crate::sys::Result<Vec<(u64, Vec<u8>)>> {
        let mut found = Vec::with_capacity(ranges.len());
        for range in ranges {
            let mut bytes = Vec::new();
            for (_, piece) in self.runs[device].within(range) {
                let wanted = piece.end - piece.start;
                let read = image.read_ranges(&[piece])?.pop().map(|(_, b)| b).unwrap_or_default();
                let whole = read.len() as u64 == wanted;
                bytes.extend(read);
                if !whole {
                    break;
                }
            }
            found.push((range.start, bytes));
        }
        Ok(found)
    }

    fn push(&mut self, name: String, kind: DeviceKind, parents: Vec<usize>, runs: Runs) {
        let number = (0, u32::try_from(self.disks.devices.len()).unwrap_or(u32::MAX));
        let size = runs.size();
        self.disks.devices.push(BlockDevice {
            name,
            number,
            size,
            kind,
            parents,
            is_in_image: true,
        });
        self.runs.push(runs);
    }
}

/// Look at an image.
///
/// # Errors
/// When it cannot be read, and when its partition table cannot be right: a guess at where its
/// filesystems lie would be worse than none.
pub fn read(image: &DiskImage, known_as: &Path) -> Fact<Layout> {
    let name = known_as.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut layout = Layout::default();
    let whole = Runs::of(0..image.size());
    layout.push(name.clone(), DeviceKind::Image, Vec::new(), whole);
    let table = read_table(image)?;
    if let Some(table) = &table {
        for partition in &table.partitions {
            if partition.role == Role::Extended {
                continue;
            }
            let runs = Runs::of(partition.bytes(table.sector_size));
            let name = format!("{name}, partition {}", partition.number);
            layout.push(name, DeviceKind::Partition(partition.number), vec![0], runs);
        }
    }
    layout.table = table;
    layout.has_boot_code = has_boot_code(image)?;
    add_logical_volumes(image, &mut layout)?;
    Ok(layout)
}

/// The code of a master boot record stands before its disk identifier (UEFI 2.10, 5.2.1); who makes
/// a disk without a loader for BIOS leaves zeros there.
fn has_boot_code(image: &DiskImage) -> Fact<bool> {
    const CODE: Range<u64> = 0..440;
    let read = image.read_ranges(&Vec::from([CODE]))?;
    Ok(read.iter().any(|(_, bytes)| bytes.iter().any(|byte| *byte != 0)))
}

fn read_table(image: &DiskImage) -> Fact<Option<PartitionTable>> {
    let read = |ranges: &[Range<u64>]| image.read_ranges(ranges);
    table_through(image.size(), read, &image.path().display().to_string(), &|_| {})
}

/// A partition table by whatever reads the disk; `note` is given what was looked at.
pub fn table_through(
    size: u64,
    read: impl Fn(&[Range<u64>]) -> crate::sys::Result<Vec<(u64, Vec<u8>)>>,
    shown: &str,
    note: &dyn Fn(&Window),
) -> Fact<Option<PartitionTable>> {
    let look = |window: &Window| {
        let answer = match partition_table::parse(window, None) {
            Ok(found) => Ok(found),
            Err(TableError::Unread(unread)) => return Err(unread.0),
            Err(other) => Err(other.to_string()),
        };
        note(window);
        Ok(answer)
    };
    match through_window(size, partition_table::wanted(size), read, look) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(reason)) => Err(Unknown(format!("{shown}: {reason}"))),
        Err(Look::Sys(error)) => Err(error.into()),
        Err(Look::Endless) => Err(Unknown(format!("{shown}: its partition table leads nowhere"))),
    }
}

/// What a device of an image carries; `None` for nothing that is known.
///
/// # Errors
/// When it cannot be read, and when several filesystems claim it.
pub fn superblock_of(
    image: &DiskImage,
    layout: &Layout,
    device: usize,
) -> Fact<Option<Superblock>> {
    let read = |ranges: &[Range<u64>]| layout.read(image, device, ranges);
    superblock_through(&layout.disks.devices[device], read, &|_| {})
}

/// As [`superblock_of`], by whatever reads the device; `note` is given what was looked at.
pub fn superblock_through(
    about: &BlockDevice,
    read: impl Fn(&[Range<u64>]) -> crate::sys::Result<Vec<(u64, Vec<u8>)>>,
    note: &dyn Fn(&Window),
) -> Fact<Option<Superblock>> {
    let look = |window: &Window| {
        let answer = match superblock::identify(window) {
            Ok(found) => Ok(found),
            Err(Unidentified::Unread(unread)) => return Err(unread.0),
            Err(other) => Err(other.to_string()),
        };
        note(window);
        Ok(answer)
    };
    match through_window(about.size, superblock::wanted(about.size), read, look) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(reason)) => Err(Unknown(format!("{}: {reason}", about.path()))),
        Err(Look::Sys(error)) => Err(error.into()),
        Err(Look::Endless) => {
            Err(Unknown(format!("{}: its superblock leads nowhere", about.path())))
        }
    }
}

/// The physical volumes of the image and the volumes of their groups.
fn add_logical_volumes(image: &DiskImage, layout: &mut Layout) -> Fact<()> {
    let mut physical: Vec<(usize, String)> = Vec::new();
    let mut groups: Vec<lvm_metadata::VolumeGroup> = Vec::new();
    for at in 0..layout.disks.devices.len() {
        let superblock = match superblock_of(image, layout, at) {
            Ok(Some(superblock)) => superblock,
            Ok(None) => continue,
            Err(why) => {
                layout.doubts.push(why.0);
                continue;
            }
        };
        let Detail::Lvm(header) = &superblock.detail else { continue };
        physical.push((at, superblock.uuid.clone().unwrap_or_default()));
        let (path, size) = (layout.disks.devices[at].path(), layout.disks.devices[at].size);
        let read = |ranges: &[Range<u64>]| layout.read(image, at, ranges);
        match group_through(&path, size, header, read, &|_| {}) {
            Ok(Some(group)) => match groups.iter_mut().find(|g| g.id == group.id) {
                Some(known) if known.sequence < group.sequence => *known = group,
                Some(_) => {}
                None => groups.push(group),
            },
            Ok(None) => {}
            Err(why) => layout.doubts.push(why.0),
        }
    }
    layout.groups = groups.iter().map(VolumeGroup::from).collect();
    for group in &groups {
        add_group(layout, group, &physical);
    }
    Ok(())
}

fn add_group(layout: &mut Layout, group: &lvm_metadata::VolumeGroup, physical: &[(usize, String)]) {
    let doubled = |name: &str| name.replace('-', "--");
    for volume in group.logical_volumes.iter().filter(|volume| volume.visible) {
        // dmsetup(8): /dev/VG/LV is VG-LV, with the dashes inside the names doubled.
        let mapped = format!("{}-{}", doubled(&group.name), doubled(&volume.name));
        match runs_of(layout, group, &volume.name, physical) {
            Ok((runs, parents)) => {
                let kind = DeviceKind::Mapped {
                    name: mapped.clone(),
                    uuid: format!(
                        "LVM-{}{}",
                        group.id.replace('-', ""),
                        volume.id.replace('-', "")
                    ),
                };
                layout.push(mapped, kind, parents, runs);
            }
            Err(why) => layout.doubts.push(format!("/dev/mapper/{mapped}: {why}")),
        }
    }
}

/// Where a logical volume's bytes lie, and on which devices.
fn runs_of(
    layout: &Layout,
    group: &lvm_metadata::VolumeGroup,
    name: &str,
    physical: &[(usize, String)],
) -> Result<(Runs, Vec<usize>), String> {
    let volume = group.logical_volumes.iter().find(|v| v.name == name).ok_or("it is gone")?;
    let mut runs = Runs::default();
    let mut parents = Vec::new();
    let mut next = 0;
    let mut segments: Vec<_> = volume.segments.iter().collect();
    segments.sort_by_key(|segment| segment.start);
    for segment in segments {
        let [(called, first)] = segment.stripes.as_slice() else {
            return Err(format!("a {} volume cannot be read without its machine", segment.kind));
        };
        if segment.kind != "striped" && segment.kind != "linear" {
            return Err(format!("a {} volume cannot be read without its machine", segment.kind));
        }
        if segment.start != next {
            return Err("its segments leave a gap".to_owned());
        }
        next = segment.start.saturating_add(segment.extents);
        let member = group.physical_volumes.iter().find(|pv| pv.name == *called);
        let member = member.ok_or_else(|| format!("there is no {called} in its group"))?;
        let at = physical.iter().find(|(_, id)| *id == member.id).map(|(at, _)| *at);
        let at = at.ok_or_else(|| format!("its physical volume {} is not here", member.id))?;
        let begin = first
            .checked_mul(group.extent_size)
            .and_then(|bytes| bytes.checked_add(member.data_offset));
        let length = segment.extents.checked_mul(group.extent_size);
        let end = begin.and_then(|begin| begin.checked_add(length?));
        let (Some(begin), Some(end)) = (begin, end) else {
            return Err("it ends nowhere".to_owned());
        };
        if end > layout.runs[at].size() {
            let path = layout.disks.devices[at].path();
            return Err(format!("it ends behind the end of {path}"));
        }
        for (_, piece) in layout.runs[at].within(&(begin..end)) {
            runs.push(piece);
        }
        if runs.0.len() > MAX_RUNS {
            return Err(format!("it lies in more than {MAX_RUNS} pieces"));
        }
        if !parents.contains(&at) {
            parents.push(at);
        }
    }
    if runs.0.is_empty() { Err("it is empty".to_owned()) } else { Ok((runs, parents)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_device_is_found_in_its_runs() {
        let mut runs = Runs::default();
        runs.push(1000..1100);
        runs.push(1100..1200);
        runs.push(500..600);
        assert_eq!(runs.0, [1000..1200, 500..600]);
        assert_eq!(runs.size(), 300);
        assert_eq!(runs.single(), None);
        assert_eq!(runs.within(&(150..250)), [(150, 1150..1200), (200, 500..550)]);
        assert_eq!(runs.within(&(300..400)), []);
        assert_eq!(runs.within(&(290..u64::MAX)), [(290, 590..600)]);
    }
}
