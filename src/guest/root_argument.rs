//! `root=` of the kernel's arguments: whether it names what is mounted on `/`.

use super::{Fact, Guest, Identity, Mode};
use crate::model::{ByteString, GuestPath};
use crate::parse::source::{LinkKind, Source};

/// What `root=` leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootArgument {
    /// The filesystem of `/`.
    Root,
    /// Something else, or nothing: what is known of `/` instead.
    Other(ByteString),
    /// Could not be told, and why.
    Untold(String),
}

impl Guest {
    /// The UUID of the filesystem of `/`: as it is mounted, offline as fstab names it.
    ///
    /// # Errors
    /// When mounts, disks or fstab cannot be read.
    pub fn root_uuid(&self) -> Fact<Option<ByteString>> {
        if self.mode() != Mode::Tree {
            let devices = self.devices_of_root()?;
            let Some(device) = devices.first() else { return Ok(None) };
            return Ok(self.identity(*device)?.uuid.map(ByteString::from));
        }
        Ok(self.fstab_root()?.and_then(|source| source.uuid().map(ByteString::from)))
    }

    /// What the device of `/` carries and which partition it is; `None` of a tree, and where `/` lies on no one device.
    ///
    /// # Errors
    /// When mounts, disks or the device cannot be read.
    pub fn root_identity(&self) -> Fact<Option<Identity>> {
        match self.devices_of_root()?.as_slice() {
            [device] => Ok(Some(self.identity(*device)?)),
            _ => Ok(None),
        }
    }

    /// Whether a value of `root=` names the filesystem of `/`.
    ///
    /// # Errors
    /// When mounts, disks or fstab cannot be read.
    pub fn root_argument(&self, value: &[u8]) -> Fact<RootArgument> {
        let source = Source::parse(value);
        let shown = ByteString::from(value);
        let known = match source {
            Source::Uuid(_) | Source::Label(_) | Source::PartUuid(_) | Source::PartLabel(_) => true,
            Source::Path(ref path) => path.starts_with(b"/dev/") && path != b"/dev/nfs",
            Source::DiskLink { .. } => true,
            _ => false,
        };
        if !known {
            return Ok(RootArgument::Untold(format!("root={shown} is no block device")));
        }
        match self.mode() {
            Mode::Live | Mode::Image => self.root_argument_on_disk(&source),
            Mode::Tree => self.root_argument_in_tree(&source),
        }
    }

    /// The devices of `/`, as it is mounted; none of a tree.
    fn devices_of_root(&self) -> Fact<Vec<usize>> {
        if let Some(image) = self.disk_image() {
            let root = image.at(&GuestPath::from("/"));
            return Ok(root.map(|root| root.devices.clone()).unwrap_or_default());
        }
        if self.mode() == Mode::Tree {
            return Ok(Vec::new());
        }
        let Some(mount) = self.mounts()?.own.at(b"/") else { return Ok(Vec::new()) };
        Ok(self.devices_of_mount(mount)?.unwrap_or_default())
    }

    fn root_argument_on_disk(&self, source: &Source) -> Fact<RootArgument> {
        let devices = self.devices_of_root()?;
        if devices.is_empty() {
            return Ok(RootArgument::Untold("/ lies on no block device".to_owned()));
        };
        let disks = self.disks()?;
        let mut shown = disks.names(&devices);
        for device in &devices {
            let is_it = match source {
                Source::Path(path) if self.mode() == Mode::Live => {
                    self.find_device(path)? == Some(*device)
                }
                Source::Path(_) | Source::DiskLink { kind: LinkKind::Id | LinkKind::Path, .. } => {
                    match self.place(source, None)?.device() {
                        Some(found) => found == *device,
                        None => false,
                    }
                }
                _ => {
                    let identity = match self.identity(*device) {
                        Ok(identity) => identity,
                        Err(why) => return Ok(RootArgument::Untold(why.0)),
                    };
                    if let Some(uuid) = &identity.uuid {
                        shown = format!("UUID={}", ByteString::from(uuid.as_slice()));
                    }
                    let (own, wanted) = match source {
                        Source::Uuid(wanted) => (identity.uuid, wanted),
                        Source::Label(wanted) => (identity.label, wanted),
                        Source::PartUuid(wanted) => (identity.part_uuid, wanted),
                        Source::PartLabel(wanted) => (identity.part_label, wanted),
                        Source::DiskLink { kind, value } => match kind {
                            LinkKind::Uuid => (identity.uuid, value),
                            LinkKind::Label => (identity.label, value),
                            LinkKind::PartUuid => (identity.part_uuid, value),
                            _ => (identity.part_label, value),
                        },
                        _ => return Ok(RootArgument::Untold("it is no block device".to_owned())),
                    };
                    own.is_some_and(|own| own.eq_ignore_ascii_case(wanted))
                }
            };
            if is_it {
                return Ok(RootArgument::Root);
            }
        }
        Ok(RootArgument::Other(ByteString::from(shown.as_str())))
    }

    /// Without disks only fstab can speak against it, and only where both name the same kind of thing.
    fn root_argument_in_tree(&self, source: &Source) -> Fact<RootArgument> {
        let Some(own) = self.fstab_root()? else { return Ok(RootArgument::Root) };
        let (tag, known, wanted) = match (&own, source) {
            (Source::Label(known), Source::Label(wanted)) => {
                ("LABEL", known.as_slice(), wanted.as_slice())
            }
            (Source::PartUuid(known), Source::PartUuid(wanted)) => {
                ("PARTUUID", known.as_slice(), wanted.as_slice())
            }
            _ => match (own.uuid(), source.uuid()) {
                (Some(known), Some(wanted)) => ("UUID", known, wanted),
                _ => return Ok(RootArgument::Root),
            },
        };
        if known.eq_ignore_ascii_case(wanted) {
            return Ok(RootArgument::Root);
        }
        Ok(RootArgument::Other(ByteString::from(
            format!("{tag}={}", ByteString::from(known)).as_str(),
        )))
    }

    fn fstab_root(&self) -> Fact<Option<Source>> {
        let Some(fstab) = self.fstab()? else { return Ok(None) };
        let root = GuestPath::from("/");
        let entry = fstab.entries().find(|e| GuestPath::new(&e.target.value) == root);
        Ok(entry.map(|entry| Source::parse(&entry.source.value)))
    }
}
