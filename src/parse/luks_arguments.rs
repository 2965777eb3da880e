//! What the kernel's arguments say of encrypted volumes, as systemd-cryptsetup-generator(8) reads them in the initramfs
//! and after it, and dracut's own scripts in the initramfs (dracut.cmdline(7)).

use super::crypttab::Entry;
use super::kernel_arguments::{Argument, KernelArguments};

/// Who reads the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// What runs in the initramfs: it heeds `rd.luks.*` and `luks.*`.
    Initramfs,
    /// What runs from the root: it heeds `luks.*` alone.
    System,
}

/// The arguments that one reader heeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LuksArguments {
    /// `luks=`: without it nothing is opened.
    pub is_enabled: bool,
    /// `luks.crypttab=`: without it what crypttab says is left alone.
    pub reads_crypttab: bool,
    /// The volumes named, each once.
    pub volumes: Vec<Volume>,
}

/// A volume that is named by the UUID of its superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The UUID as written.
    pub uuid: Vec<u8>,
    /// The name that `luks.name=` gives it.
    name: Option<Vec<u8>>,
}

impl Volume {
    /// The name that it gets below /dev/mapper where crypttab has no other.
    pub fn name(&self) -> Vec<u8> {
        self.name.clone().unwrap_or_else(|| [b"luks-", self.uuid.as_slice()].concat())
    }
}

impl LuksArguments {
    /// The arguments that a reader heeds.
    pub fn of(arguments: &KernelArguments, reader: Reader) -> Self {
        let mut found = Self { is_enabled: true, reads_crypttab: true, volumes: Vec::new() };
        for argument in arguments.words() {
            found.take(argument, reader);
        }
        found
    }

    fn take(&mut self, argument: &Argument, reader: Reader) {
        let key = match argument.key.strip_prefix(b"rd.") {
            Some(key) if reader == Reader::Initramfs => key,
            _ => argument.key.as_slice(),
        };
        let switch = || argument.value.as_deref().map_or(Some(true), boolean);
        let value = argument.value.as_deref().unwrap_or_default();
        let bare = |uuid: &[u8]| uuid.strip_prefix(b"luks-").unwrap_or(uuid).to_vec();
        match key {
            b"luks" => self.is_enabled = switch().unwrap_or(self.is_enabled),
            b"luks.crypttab" => self.reads_crypttab = switch().unwrap_or(self.reads_crypttab),
            b"luks.uuid" if argument.value.is_some() => self.name(bare(value), None),
            // DISTRO(el6): its dracut has this name for it.
            b"rd_LUKS_UUID" if reader == Reader::Initramfs => self.name(bare(value), None),
            b"luks.name" => {
                let is_digit = |b: &u8| b.is_ascii_hexdigit() || *b == b'-';
                let uuid = value.split(|b| *b == b'=').next().unwrap_or_default();
                let name = value.get(uuid.len() + 1..).unwrap_or_default();
                if !uuid.is_empty() && uuid.iter().all(is_digit) && !name.is_empty() {
                    self.name(uuid.to_vec(), Some(name.to_vec()));
                }
            }
            _ => {}
        }
    }

    fn name(&mut self, uuid: Vec<u8>, name: Option<Vec<u8>>) {
        match self.volumes.iter_mut().find(|known| known.uuid == uuid) {
            Some(known) => known.name = name.or_else(|| known.name.take()),
            None => self.volumes.push(Volume { uuid, name }),
        }
    }

    /// Whether a line of crypttab is acted upon: where any volume is named, those that are named alone.
    pub fn takes(&self, entry: &Entry) -> bool {
        self.is_enabled
            && self.reads_crypttab
            && (self.volumes.is_empty() || self.volumes.iter().any(|volume| is_of(entry, volume)))
    }

    /// The volumes that are opened beside the lines of crypttab that [`LuksArguments::takes`] takes.
    pub fn beside<'a>(&'a self, entries: &'a [&Entry]) -> impl Iterator<Item = &'a Volume> {
        let by_crypttab =
            |volume: &Volume| entries.iter().any(|entry| self.takes(entry) && is_of(entry, volume));
        self.volumes.iter().filter(move |volume| self.is_enabled && !by_crypttab(volume))
    }
}

/// Whether a line of crypttab is about the volume: by the UUID of its device, or by the name that is made of one.
fn is_of(entry: &Entry, volume: &Volume) -> bool {
    let device = entry.device.value.as_slice();
    let uuid =
        [&b"UUID="[..], b"/dev/disk/by-uuid/"].iter().find_map(|tag| device.strip_prefix(*tag));
    uuid.or_else(|| entry.name.value.strip_prefix(b"luks-")) == Some(&volume.uuid)
}

/// The words of parse_boolean() of systemd.
fn boolean(word: &[u8]) -> Option<bool> {
    const YES: [&[u8]; 6] = [b"1", b"yes", b"y", b"true", b"t", b"on"];
    const NO: [&[u8]; 6] = [b"0", b"no", b"n", b"false", b"f", b"off"];
    let is_one_of = |words: &[&[u8]]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    is_one_of(&YES).then_some(true).or_else(|| is_one_of(&NO).then_some(false))
}
