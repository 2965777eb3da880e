//! Which encrypted volumes boot opens: those that crypttab or the kernel's arguments name, and those
//! that the system itself lies on. What somebody opened by hand is there until the next start.

use super::names::uuid_bytes;
use crate::guest::boot::is_left_to_nobody;
use crate::guest::{DeviceKind, Disks, Fact, Guest, Init, Mode, Place, Unknown, keep};
use crate::parse::crypttab::{Crypttab, Entry};
use crate::parse::kernel_arguments::KernelArguments;
use crate::parse::luks_arguments::{LuksArguments, Reader, Volume};
use crate::parse::source::{LinkKind, Source};

/// What cryptsetup(8) calls the volumes that a key opens, in the names that it gives to device mapper
/// (dm_prepare_uuid() of its lib/libdevmapper.c).
const KINDS: [&str; 7] = ["LUKS1", "LUKS2", "PLAIN", "TCRYPT", "BITLK", "FVAULT2", "LOOPAES"];

/// How a volume is opened at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The line of crypttab, counted from 1; none for an argument of the kernel.
    pub line: Option<usize>,
    /// The name that the volume gets below /dev/mapper.
    pub name: Vec<u8>,
    /// What it is opened from.
    device: Source,
    /// Whether boot opens it by itself. Else systemd does for a unit that needs /dev/mapper/NAME by
    /// that very name (`noauto` in crypttab(5)).
    is_unasked: bool,
}

/// Everything that boot opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// The lines of crypttab that are acted upon, then the volumes of the kernel's arguments.
    pub list: Vec<Opening>,
    /// Why there may be more.
    doubt: Option<String>,
}

/// Whether a device is there at boot, as far as encrypted volumes are concerned.
enum Opened {
    /// Boot opens every volume that it lies on.
    Yes,
    /// It lies on this volume, which boot does not open.
    No(usize),
    /// Could not be told, and why.
    Untold(String),
}

impl Guest {
    /// /etc/crypttab; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn crypttab(&self) -> Fact<Option<&Crypttab>> {
        let fact = self.facts.crypttab.get_or_init(|| {
            Ok(self.file("/etc/crypttab")?.map(|content| Crypttab::parse(&content)))
        });
        fact.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// The encrypted volumes that boot opens.
    ///
    /// # Errors
    /// When crypttab cannot be read.
    pub(in crate::guest) fn openings(&self) -> Fact<&Openings> {
        keep(&self.facts.openings, || read(self))
    }

    /// The place of a device of the system disk that boot may not find by this source, since it lies
    /// in an encrypted volume.
    pub(super) fn unopened(
        &self,
        disks: &Disks,
        source: &Source,
        device: usize,
    ) -> Fact<Option<Place>> {
        Ok(match self.is_opened(source, device)? {
            Opened::Yes => None,
            Opened::No(volume) => {
                Some(Place::Closed { device, volume: disks.devices[volume].known_as() })
            }
            Opened::Untold(why) => Some(Place::Untold(why)),
        })
    }

    /// Whether boot opens the encrypted volumes that a device lies on, so that this source finds it.
    fn is_opened(&self, source: &Source, device: usize) -> Fact<Opened> {
        let disks = self.disks()?;
        let is_volume = |at: &usize| volume(disks, *at).is_some();
        let mut volumes = disks.stack(device).into_iter().filter(is_volume).peekable();
        if volumes.peek().is_none() {
            return Ok(Opened::Yes);
        }
        let of_system = self.under_system(disks)?;
        for at in volumes.filter(|at| !of_system.contains(at)) {
            let by_name = Some(source).filter(|source| at == device && is_by_name(source));
            match self.opens(disks, at, by_name)? {
                Opened::Yes => {}
                other => return Ok(other),
            }
        }
        Ok(Opened::Yes)
    }

    /// Whether boot opens one volume; under the name that `by_name` has, where it asks for one.
    fn opens(&self, disks: &Disks, at: usize, by_name: Option<&Source>) -> Fact<Opened> {
        let Some((name, uuid)) = volume(disks, at) else { return Ok(Opened::Yes) };
        let openings = self.openings()?;
        let is_asked = matches!(by_name, Some(Source::Path(_)));
        let mut doubt = openings.doubt.clone();
        for opening in openings.list.iter().filter(|opening| opening.is_unasked || is_asked) {
            let has_name = opening.name == name.as_bytes();
            if by_name.is_some() {
                // What is opened under this name is a matter of the line that opens it.
                if has_name {
                    return Ok(Opened::Yes);
                }
                continue;
            }
            if let (Some(wanted), Some(own)) = (opening.device.uuid().and_then(uuid_bytes), uuid) {
                if wanted == own {
                    return Ok(Opened::Yes);
                }
                continue;
            }
            match self.found_now(disks, &opening.device)? {
                Ok(found) if found.iter().any(|from| disks.devices[at].parents.contains(from)) => {
                    return Ok(Opened::Yes);
                }
                Ok(found) if found.is_empty() && has_name => return Ok(Opened::Yes),
                Ok(_) => {}
                Err(why) => doubt = Some(why),
            }
        }
        Ok(doubt.map_or(Opened::No(at), Opened::Untold))
    }

    /// The devices that a source leads to now; inside, why it could not be told.
    fn found_now(&self, disks: &Disks, source: &Source) -> Fact<Result<Vec<usize>, String>> {
        let is_of_udev = matches!(source, Source::Path(_) | Source::Id(_))
            || matches!(source, Source::DiskLink { kind: LinkKind::Id | LinkKind::Path, .. });
        match self.mode {
            Mode::Live => self.devices_now(disks, source),
            // The names that this machine gives its devices are not the guest's.
            Mode::Tree | Mode::Image if is_of_udev => Ok(Ok(Vec::new())),
            Mode::Tree | Mode::Image => self.carriers(disks, source),
        }
    }

    /// What `/` and `/usr` lie on, which the initramfs has opened: this guest has booted with it.
    fn under_system(&self, disks: &Disks) -> Fact<Vec<usize>> {
        let tree = match self.mode {
            Mode::Tree => self.mount_of_tree()?,
            Mode::Live | Mode::Image => None,
        };
        let mounts = match &tree {
            Some(mount) => vec![mount],
            None if self.mode == Mode::Live => {
                let own = &self.mounts()?.own;
                [&b"/"[..], b"/usr"].iter().filter_map(|target| own.at(target)).collect()
            }
            None => Vec::new(),
        };
        let mut found = Vec::new();
        for mount in mounts {
            for device in self.devices_of_mount(mount)?.unwrap_or_default() {
                found.extend(disks.stack(device));
            }
        }
        Ok(found)
    }
}

/// The name and the superblock's UUID of an opened volume; `None` of any other device, and no UUID
/// where the volume has no superblock.
fn volume(disks: &Disks, at: usize) -> Option<(&str, Option<[u8; 16]>)> {
    let DeviceKind::Mapped { name, uuid } = &disks.devices[at].kind else { return None };
    let (kind, rest) = uuid.strip_prefix("CRYPT-")?.split_once('-')?;
    let uuid = rest.get(..32).filter(|_| kind.starts_with("LUKS"));
    KINDS.contains(&kind).then(|| (name.as_str(), uuid.and_then(|u| uuid_bytes(u.as_bytes()))))
}

/// Whether a source finds a volume by the name that it was opened under.
fn is_by_name(source: &Source) -> bool {
    match source {
        Source::Path(path) => path.starts_with(b"/dev/mapper/"),
        Source::DiskLink { kind: LinkKind::Id, value } | Source::Id(value) => {
            value.starts_with(b"dm-name-") || value.starts_with(b"dm-uuid-CRYPT-")
        }
        _ => false,
    }
}

fn read(guest: &Guest) -> Fact<Openings> {
    let lines: Vec<&Entry> = guest.crypttab()?.into_iter().flat_map(Crypttab::entries).collect();
    let is_systemd = matches!(guest.init()?, Init::Systemd | Init::Unknown);
    let (arguments, mut doubt) = match guest.boot_arguments() {
        Ok(arguments) => (arguments.cloned().unwrap_or_default(), None),
        Err(Unknown(why)) => (KernelArguments::default(), Some(why)),
    };
    let mut list = Vec::new();
    let system = LuksArguments::of(&arguments, Reader::System);
    for entry in &lines {
        let options = entry.options();
        let is_left = options.switch("noauto", "auto") == Some(true)
            || is_systemd && is_left_to_nobody(guest, &options);
        // The scripts of older releases do not read the arguments, and open nothing on demand.
        let is_taken = if is_systemd { system.takes(entry) } else { !is_left };
        if is_taken {
            list.push(Opening {
                line: Some(entry.line),
                name: entry.name.value.clone(),
                device: entry.source(),
                is_unasked: !is_left,
            });
        }
    }
    let by_uuid = |volume: &Volume| Opening {
        line: None,
        name: volume.name(),
        device: Source::Uuid(volume.uuid.clone()),
        is_unasked: true,
    };
    if is_systemd {
        list.extend(system.beside(&lines).map(by_uuid));
    }
    // initramfs-tools reads none of these.
    if guest.has_dracut()? {
        let initramfs = LuksArguments::of(&arguments, Reader::Initramfs);
        if initramfs.is_enabled {
            list.extend(initramfs.volumes.iter().map(by_uuid));
        }
        if arguments.words().iter().any(|word| word.key == b"rd.auto") {
            doubt.get_or_insert_with(|| {
                "rd.auto on the kernel's command line may open volumes that nothing names"
                    .to_owned()
            });
        }
    }
    Ok(Openings { list, doubt })
}
