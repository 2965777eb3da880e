//! Boot impact: everything that boot would mount, swap to or decrypt, and what its absence does.
//!
//! What is said here is what systemd's generators and units, or the init scripts of older
//! releases, really do; `tests/vm/impact.tsv` holds each rule beside what a booted guest did.
//! `findmnt --verify` judges otherwise in both directions: it fails a missing UUID under `nofail`,
//! and only warns about a missing device path that stops boot.

mod graph;
mod scripts;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use systemd::is_left_to_nobody;

use super::{Fact, Guest, Init, Place};
use crate::model::{ByteString, GuestPath, Impact};
use crate::parse::fstab::Mntent;
use crate::parse::options::Options;
use crate::parse::source::Source;

/// Where an item comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of /etc/fstab, counted from 1.
    Fstab(usize),
    /// A line of /etc/crypttab, counted from 1.
    Crypttab(usize),
    /// A unit file.
    Unit {
        /// The unit's full name.
        name: String,
        /// Its file.
        path: GuestPath,
    },
}

/// What boot would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// Mount a filesystem.
    Mount,
    /// Mount one when something reaches into its target.
    Automount,
    /// Swap to a device or file.
    Swap,
    /// Open an encrypted volume.
    Crypt,
}

/// How much boot cares for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Without it boot stops.
    Required,
    /// Boot waits for it, and goes on without it.
    Awaited,
    /// Tried, while boot goes on.
    Background,
    /// Tried when something reaches for it.
    OnAccess,
    /// Not tried.
    Never,
}

/// Whether a clone without data disks lacks an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The clone has it.
    Present,
    /// Its own device is on a data disk, or nowhere.
    Own,
    /// Another item that it needs is absent, by index.
    Through(usize),
    /// Could not be told, and why.
    Untold(String),
}

/// One thing that boot would do.
#[derive(Clone, Debug)]
pub struct BootItem {
    /// Where it is written.
    pub origin: Origin,
    /// What it is.
    pub kind: ItemKind,
    /// The source as written, escapes decoded; or the device of `x-systemd.requires=`, where a
    /// clone lacks that one.
    pub source_text: ByteString,
    /// What the source names.
    pub source: Source,
    /// The mount point, or the name of an encrypted volume below /dev/mapper.
    pub target: Option<GuestPath>,
    /// The filesystem's type as written.
    pub fstype: ByteString,
    /// The options, as the boot splits them.
    pub options: Options,
    /// How much boot cares.
    pub pull: Pull,
    /// Where the source lies.
    pub place: Place,
    /// How long boot waits for the device; `None` for ever.
    pub wait: Option<u64>,
    /// Other items that it needs, by index.
    pub needs: Vec<usize>,
    /// A service that boot waits for and that waits for this, whatever the entry says.
    pub held_by: Option<String>,
    /// Whether a clone lacks it.
    pub absence: Absence,
}

impl BootItem {
    /// What the item's absence does to boot.
    pub fn impact(&self) -> Impact {
        let is_awaited = self.pull == Pull::Awaited || self.held_by.is_some();
        match (self.pull, self.wait) {
            (Pull::Required, _) => Impact::StopsBoot,
            (_, None) if is_awaited => Impact::StopsBoot,
            (_, Some(_)) if is_awaited => Impact::DelaysBoot,
            _ => Impact::Harmless,
        }
    }

    /// Whether boot tries it: by its entry, or because a service requires it.
    pub fn is_tried(&self) -> bool {
        self.pull != Pull::Never || self.held_by.is_some()
    }

    /// How long boot waits, in seconds, where it goes on after that.
    pub fn seconds(&self) -> u64 {
        self.wait.unwrap_or(0)
    }

    /// The line of /etc/fstab that it is.
    pub fn fstab_line(&self) -> Option<usize> {
        match self.origin {
            Origin::Fstab(line) => Some(line),
            _ => None,
        }
    }

    /// Where it is mounted, or what it is, for a message.
    pub fn shown_target(&self) -> String {
        match (&self.target, self.kind) {
            (_, ItemKind::Swap) => "swap".to_owned(),
            (Some(target), _) => target.to_string(),
            (None, _) => "-".to_owned(),
        }
    }
}

/// Everything that boot would do with disks.
#[derive(Clone, Debug, Default)]
pub struct Boot {
    /// fstab's items in its order, then crypttab's, then units'.
    pub items: Vec<BootItem>,
}

impl Boot {
    /// The items of /etc/fstab.
    pub fn fstab(&self) -> impl Iterator<Item = (usize, &BootItem)> {
        self.items.iter().enumerate().filter(|(_, item)| item.fstab_line().is_some())
    }

    /// The item at the start of a chain of needs: the one whose own device is absent.
    pub fn root_cause(&self, mut at: usize) -> usize {
        for _ in 0..self.items.len() {
            match self.items[at].absence {
                Absence::Through(next) => at = next,
                _ => break,
            }
        }
        at
    }
}

pub(super) fn read(guest: &Guest) -> Fact<Boot> {
    let init = guest.init()?;
    let is_systemd = matches!(init, Init::Systemd | Init::Unknown);
    let mut items = Vec::new();
    if let Some(fstab) = guest.fstab()? {
        let waits = systemd::Waits::read(guest)?;
        // Boot reads fstab with getmntent(3), which keeps a carriage return in the last field and
        // decodes fewer escapes than mount(8) does.
        let at_boot: BTreeMap<usize, Mntent> = fstab.getmntent().into_iter().collect();
        for entry in fstab.entries() {
            let written = match at_boot.get(&entry.line) {
                Some(read) => read.opts.as_slice(),
                None => entry.options.as_ref().map_or(&[][..], |o| &o.value),
            };
            let options = Options::systemd(written);
            let source = Source::parse(&entry.source.value);
            let is_swap = entry.fstype.value == b"swap";
            let target = (!is_swap).then(|| GuestPath::new(&entry.target.value));
            let fields = Fields {
                target: target.as_ref(),
                fstype: &entry.fstype.value,
                options: &options,
                passno: at_boot.get(&entry.line).map_or(0, |read| read.passno),
                is_swap,
            };
            let pull = match init {
                // The generator passes over a mount point that is no path.
                Init::Systemd if !is_swap && !entry.target.value.starts_with(b"/") => Pull::Never,
                Init::Systemd | Init::Unknown => systemd::fstab_pull(guest, &fields),
                Init::SysV => scripts::sysv_pull(guest, &fields),
                Init::Upstart => scripts::upstart_pull(&fields),
            };
            let mut place = guest.place(&source, target.as_ref())?;
            let mut source_text = ByteString::from(entry.source.value.as_slice());
            if is_systemd && let Some(lacking) = systemd::lacking_device(guest, &options)? {
                (source_text, place) = lacking;
            }
            items.push(BootItem {
                origin: Origin::Fstab(entry.line),
                kind: match (is_swap, pull) {
                    (true, _) => ItemKind::Swap,
                    (false, Pull::OnAccess) => ItemKind::Automount,
                    (false, _) => ItemKind::Mount,
                },
                source_text,
                source,
                target,
                fstype: ByteString::from(entry.fstype.value.as_slice()),
                wait: waits.of(&options),
                options,
                pull,
                place,
                needs: Vec::new(),
                held_by: None,
                absence: Absence::Present,
            });
        }
    }
    read_crypttab(guest, init, &mut items)?;
    if is_systemd {
        systemd::read_units(guest, &mut items)?;
    }
    graph::link(&mut items);
    graph::settle(&mut items);
    if is_systemd {
        systemd::hold(guest, &mut items)?;
    }
    Ok(Boot { items })
}

fn read_crypttab(guest: &Guest, init: Init, items: &mut Vec<BootItem>) -> Fact<()> {
    let Some(crypttab) = guest.crypttab()? else { return Ok(()) };
    let waits = systemd::Waits::read(guest)?;
    let acted_upon: BTreeSet<usize> =
        guest.openings()?.list.iter().filter_map(|opening| opening.line).collect();
    for entry in crypttab.entries().filter(|entry| acted_upon.contains(&entry.line)) {
        let options = entry.options();
        let source = entry.source();
        let pull = match init {
            Init::Systemd | Init::Unknown => systemd::crypttab_pull(guest, &options),
            // The scripts of SysV and upstart releases skip a volume whose device is not there.
            Init::SysV | Init::Upstart => scripts::crypttab_pull(&options),
        };
        let mut name = b"/dev/mapper/".to_vec();
        name.extend_from_slice(&entry.name.value);
        items.push(BootItem {
            origin: Origin::Crypttab(entry.line),
            kind: ItemKind::Crypt,
            source_text: ByteString::from(entry.device.value.as_slice()),
            place: guest.place(&source, None)?,
            source,
            target: Some(GuestPath::new(&name)),
            fstype: ByteString::default(),
            wait: waits.of(&options),
            options,
            pull,
            needs: Vec::new(),
            held_by: None,
            absence: Absence::Present,
        });
    }
    Ok(())
}

/// What of an fstab line decides how boot treats it.
pub(super) struct Fields<'a> {
    target: Option<&'a GuestPath>,
    fstype: &'a [u8],
    options: &'a Options,
    passno: i32,
    is_swap: bool,
}

impl Fields<'_> {
    fn is_at(&self, target: &str) -> bool {
        self.target.is_some_and(|t| t.as_bytes() == target.as_bytes())
    }

    fn noauto(&self) -> bool {
        self.options.switch("noauto", "auto") == Some(true)
    }

    fn nofail(&self) -> bool {
        self.options.switch("nofail", "fail") == Some(true)
    }

    fn is_network(&self) -> bool {
        self.options.has("_netdev") || is_network_type(self.fstype)
    }
}

/// Filesystem types that need the network, as systemd's `fstype_is_network` lists them (252), with
/// a subtype after `fuse.` looked at alone.
pub fn is_network_type(fstype: &[u8]) -> bool {
    let name = fstype.strip_prefix(b"fuse.").unwrap_or(fstype);
    [
        &b"afs"[..],
        b"ceph",
        b"cifs",
        b"smb3",
        b"smbfs",
        b"sshfs",
        b"ncpfs",
        b"ncp",
        b"nfs",
        b"nfs4",
        b"gfs",
        b"gfs2",
        b"glusterfs",
        b"pvfs2",
        b"ocfs2",
        b"lustre",
        b"davfs",
    ]
    .contains(&name)
}
