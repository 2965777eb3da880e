//! The LVM volume group that a logical volume belongs to, and where the group's physical volumes lie.
//!
//! A group is activated when it is whole: udev's rule and pvscan(8) wait for its last physical volume
//! (`--checkcomplete`), and so does the initramfs of Debian. A logical volume that lies on the system
//! disk alone is not there on a clone all the same, where its group has a volume on another disk.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::identity::{Look, through_window};
use super::{DeviceKind, Fact, Guest, SystemDisks, Unknown, is_system_target};
use crate::model::GuestPath;
use crate::parse::lvm_metadata::{self, MetadataError};
use crate::parse::superblock::Detail;
use crate::parse::superblock::lvm::PhysicalVolume as Header;
use crate::parse::window::Window;

/// Where LVM keeps a copy of what it last wrote of a group (vgcfgbackup(8)).
const BACKUP: &str = "/etc/lvm/backup";

/// A volume group, as its metadata has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeGroup {
    /// Its name, as in `/dev/NAME/...`.
    pub name: String,
    /// Its identifier without dashes, as in the device-mapper uuid of its volumes.
    pub id: String,
    /// Its physical volumes: the UUID, and the device that each was on when this was written.
    pub members: Vec<(String, Option<String>)>,
}

impl From<&lvm_metadata::VolumeGroup> for VolumeGroup {
    fn from(group: &lvm_metadata::VolumeGroup) -> Self {
        let volumes = group.physical_volumes.iter();
        Self {
            name: group.name.clone(),
            id: group.id.replace('-', ""),
            members: volumes.map(|volume| (volume.id.clone(), volume.device.clone())).collect(),
        }
    }
}

/// A group that is not whole on a clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornGroup {
    /// Its name.
    pub name: String,
    /// Its physical volumes that do not lie on the system's disks: the device, or what is known of it.
    pub elsewhere: Vec<String>,
}

impl Guest {
    /// The volume group of a device, where it is a logical volume whose group a clone has not whole.
    ///
    /// # Errors
    /// When the metadata of the group can be read neither from its physical volumes nor from LVM's
    /// copy in /etc/lvm/backup.
    pub fn torn_group(&self, device: usize) -> Fact<Option<TornGroup>> {
        let disks = self.disks()?;
        let DeviceKind::Mapped { name, uuid } = &disks.devices[device].kind else {
            return Ok(None);
        };
        let Some(ids) = uuid.strip_prefix("LVM-") else { return Ok(None) };
        let id = ids.get(..32).ok_or_else(|| {
            Unknown(format!("/dev/mapper/{name}: {uuid} is no uuid of a logical volume"))
        })?;
        let group = self.volume_group(device, name, id)?;
        let system = self.system_disks()?;
        let SystemDisks::Known(_) = system else { return Ok(None) };
        let mut elsewhere = Vec::new();
        for (uuid, hint) in &group.members {
            let at = (0..disks.devices.len()).find(|at| {
                let identity = self.identity(*at);
                identity.is_ok_and(|own| own.uuid.as_deref() == Some(uuid.as_bytes()))
            });
            match at {
                Some(at) if system.hold(disks, at) => {}
                Some(at) => elsewhere.push(disks.devices[at].known_as()),
                None => elsewhere.push(match hint {
                    Some(device) => format!("{device} ({uuid})"),
                    None => uuid.clone(),
                }),
            }
        }
        Ok((!elsewhere.is_empty()).then_some(TornGroup { name: group.name, elsewhere }))
    }

    /// As [`Guest::torn_group`], of a device that is not needed to boot: of a group that the system
    /// itself lies on `root-multi-disk` tells, and what is missing then is everything.
    ///
    /// # Errors
    /// As [`Guest::torn_group`].
    pub(super) fn torn_data_group(&self, device: usize) -> Fact<Option<TornGroup>> {
        let group_of = |at: usize| match &self.disks().ok()?.devices[at].kind {
            DeviceKind::Mapped { uuid, .. } => uuid.strip_prefix("LVM-")?.get(..32),
            _ => None,
        };
        let Some(own) = group_of(device) else { return Ok(None) };
        let filesystems = self.system_filesystems()?.unwrap_or_default().iter();
        let mut system =
            filesystems.filter(|own| is_system_target(&own.target)).flat_map(|own| &own.devices);
        if system.any(|at| group_of(*at) == Some(own)) {
            return Ok(None);
        }
        self.torn_group(device)
    }

    fn volume_group(&self, device: usize, mapped: &str, id: &str) -> Fact<VolumeGroup> {
        if let Some(image) = &self.seen {
            let group = image.layout.groups.iter().find(|group| group.id == id);
            let unread = || Unknown(format!("/dev/mapper/{mapped}: its volume group is not told"));
            return group.cloned().ok_or_else(unread);
        }
        let mut doubt = None;
        for at in self.physical_volumes(device)? {
            match self.read_group(at) {
                Ok(Some(group)) if group.id == id => return Ok(group),
                Ok(_) => {}
                Err(why) => doubt = doubt.or(Some(why.0)),
            }
        }
        let path = GuestPath::from(BACKUP).join(group_name(mapped).as_bytes());
        if let Some(text) = self.file(&path)?
            && let Ok(group) = lvm_metadata::parse(&text)
            && group.id.replace('-', "") == id
        {
            return Ok(VolumeGroup::from(&group));
        }
        let why = doubt.unwrap_or_else(|| format!("there is no {path} of it"));
        Err(Unknown(format!("/dev/mapper/{mapped}: which disks its volume group has: {why}")))
    }

    /// The physical volumes below a logical volume.
    fn physical_volumes(&self, device: usize) -> Fact<Vec<usize>> {
        let disks = self.disks()?;
        let below = (0..disks.devices.len()).filter(|at| disks.lies_on(device, *at));
        let is_volume = |at: &usize| {
            self.identity(*at).is_ok_and(|own| own.fstype.as_deref() == Some("LVM2_member"))
        };
        Ok(below.filter(is_volume).collect())
    }

    /// The group that a physical volume tells of; none where it has no metadata.
    fn read_group(&self, at: usize) -> Fact<Option<VolumeGroup>> {
        let device = &self.disks()?.devices[at];
        let unreadable = || Unknown(format!("{} cannot be read", device.path()));
        let superblock = self.identity(at)?.superblock.ok_or_else(unreadable)?;
        let Detail::Lvm(header) = &superblock.detail else { return Ok(None) };
        let kernel = self.kernel.as_ref().or(self.host.as_ref());
        let devices = kernel.and_then(|kernel| kernel.devices()).ok_or_else(unreadable)?;
        let read = |ranges: &[Range<u64>]| devices.read(&device.name, device.number, ranges);
        let note = |window: &Window| devices.note(&device.name, window.used());
        group_through(&device.path(), device.size, header, read, &note)
            .map(|group| group.as_ref().map(VolumeGroup::from))
    }
}

/// The group that a physical volume tells of, by whatever reads the device; `note` is given what was
/// looked at.
///
/// # Errors
/// When its metadata cannot be read or is damaged.
pub(super) fn group_through(
    shown: &str,
    size: u64,
    header: &Header,
    read: impl Fn(&[Range<u64>]) -> crate::sys::Result<Vec<(u64, Vec<u8>)>>,
    note: &dyn Fn(&Window),
) -> Fact<Option<lvm_metadata::VolumeGroup>> {
    let wanted = header.metadata_areas.iter().map(|a| a.start..a.start.saturating_add(512));
    let look = |window: &Window| {
        let answer = match lvm_metadata::read(window, header) {
            Ok(found) => Ok(found),
            Err(MetadataError::Unread(unread)) => return Err(unread.0),
            Err(other) => Err(other.to_string()),
        };
        note(window);
        Ok(answer)
    };
    match through_window(size, wanted.collect(), read, look) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(reason)) => Err(Unknown(format!("{shown}: {reason}"))),
        Err(Look::Sys(error)) => Err(error.into()),
        Err(Look::Endless) => Err(Unknown(format!("{shown}: its LVM metadata leads nowhere"))),
    }
}

/// The group in a name below /dev/mapper: dashes within the names are doubled (dmsetup(8)).
fn group_name(mapped: &str) -> String {
    let mut name = String::new();
    let mut rest = mapped.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '-' && rest.next_if_eq(&'-').is_none() {
            break;
        }
        name.push(c);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_mapped_name() {
        for (mapped, group) in
            [("vg-root", "vg"), ("vg--one-root", "vg-one"), ("a--b-c--d", "a-b"), ("solo", "solo")]
        {
            assert_eq!(group_name(mapped), group, "{mapped}");
        }
    }
}
