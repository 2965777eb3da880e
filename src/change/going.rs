//! Whether mounts can be taken down together: what stands on them, and who keeps them busy.

use std::collections::{BTreeMap, HashMap};

use super::preflight::{Obstacle, ObstacleKind};
use crate::guest::{DeviceKind, Guest, Holder, Mounts, Unknown};
use crate::model::{GuestPath, MountRecord};
use crate::parse::mountinfo::Mount;

/// The mounts that a plan takes down, and what was asked once for all of them: a guest has as many
/// processes as mounts, and neither is walked again for each of the others.
pub struct Going<'a> {
    guest: &'a Guest,
    mounts: &'a Mounts,
    records: &'a [&'a MountRecord],
    stopping: &'a [&'a GuestPath],
    /// How many of them are mounted at a target.
    targets: BTreeMap<&'a GuestPath, usize>,
    /// What stands on a mount, by its id.
    above: HashMap<u32, Vec<&'a Mount>>,
    /// Who keeps a mount busy, by its id.
    holders: HashMap<u32, Vec<Holder>>,
}

impl<'a> Going<'a> {
    /// Ask about these mounts, which go when these swaps are off.
    ///
    /// # Errors
    /// A fact that could not be had.
    pub fn new(
        guest: &'a Guest,
        records: &'a [&'a MountRecord],
        stopping: &'a [&'a GuestPath],
    ) -> Result<Self, Unknown> {
        let mounts = guest.mounts()?;
        let mut targets = BTreeMap::new();
        for record in records {
            *targets.entry(&record.target).or_default() += 1;
        }
        let mut above: HashMap<u32, Vec<&Mount>> = HashMap::new();
        for mount in mounts.own.mounts.iter().filter(|mount| mount.parent != mount.id) {
            above.entry(mount.parent).or_default().push(mount);
        }
        let holders = HashMap::new();
        let mut going = Self { guest, mounts, records, stopping, targets, above, holders };
        let now: Vec<&Mount> = records.iter().filter_map(|record| going.now(record)).collect();
        let holders = guest.holders(&now);
        going.holders = now.iter().map(|mount| mount.id).zip(holders).collect();
        Ok(going)
    }

    /// What stands in the way of one of them.
    ///
    /// # Errors
    /// A fact that could not be had.
    pub fn obstacles(&self, record: &MountRecord) -> Result<Vec<Obstacle>, Unknown> {
        let target = &record.target;
        let Some(now) = self.now(record) else {
            return Ok(vec![Obstacle {
                kind: ObstacleKind::Moved,
                message: format!("{} is not mounted on {target} any more", record.source),
            }]);
        };
        let mut obstacles = Vec::new();
        let mut busy = |why: String| {
            let message = format!("{target} is busy: {why}");
            obstacles.push(Obstacle { kind: ObstacleKind::Busy, message });
        };
        for child in self.above.get(&now.id).into_iter().flatten() {
            let point = GuestPath::new(&child.mount_point.value);
            if !self.targets.contains_key(&point) {
                let source = String::from_utf8_lossy(&child.source.value);
                busy(format!("{source} is mounted on {point} inside it; unmount that first"));
            }
        }
        for holder in self.holders.get(&now.id).into_iter().flatten() {
            busy(holder.to_string());
        }
        for swap in &self.mounts.swaps {
            let path = GuestPath::new(&swap.path);
            let inside = self.mounts.holding(&swap.path).is_some_and(|m| m.id == now.id);
            if inside && !self.stopping.contains(&&path) {
                busy(format!("{path} in it is swapped to; `swapoff` it first"));
            }
        }
        for (device, file) in self.loops_inside(target)? {
            busy(format!("the loop device {device} has open {file}"));
        }
        Ok(obstacles)
    }

    /// The mount that a record is of; a stacked mount of the plan may still lie over it.
    fn now(&self, record: &MountRecord) -> Option<&'a Mount> {
        let same = |mount: &&Mount| {
            format!("{}:{}", mount.device.0, mount.device.1) == record.device
                && mount.source.value == record.source.as_bytes()
                && mount.root.value == record.root.as_bytes()
        };
        let mut stack = self.mounts.own.all_at(record.target.as_bytes());
        let top = stack.next()?;
        let is_stacked = self.targets.get(&record.target).is_some_and(|count| *count > 1);
        (same(&top) || is_stacked && stack.any(|below| same(&below))).then_some(top)
    }

    /// Loop devices over files inside a mount, which keep it busy as a process would, unless they
    /// are loop mounts that the plan takes down.
    fn loops_inside(&self, target: &GuestPath) -> Result<Vec<(String, GuestPath)>, Unknown> {
        let inside = self.guest.disks()?.devices.iter().filter_map(|device| match &device.kind {
            DeviceKind::Loop { file, autoclear, .. } if file.is_below(target) => {
                let holding = self.mounts.holding(file.as_bytes());
                let held_here =
                    holding.is_some_and(|mount| mount.mount_point.value == target.as_bytes());
                let number = format!("{}:{}", device.number.0, device.number.1);
                let goes = *autoclear && self.records.iter().any(|mount| mount.device == number);
                (held_here && !goes).then(|| (device.path(), file.clone()))
            }
            _ => None,
        });
        Ok(inside.collect())
    }
}
