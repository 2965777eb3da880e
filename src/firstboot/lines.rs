//! The lines of fstab and crypttab that were parked, and what each of them waits for.

use super::comeback::Parked;
use crate::change::{Carried, Legacy};
use crate::guest::{Fact, Guest, Init, Place, Unknown, is_network_type};
use crate::model::{ByteString, Edit, GuestPath, LineChange};
use crate::parse::crypttab::{self, Crypttab};
use crate::parse::fstab::{Entry, Fstab};
use crate::parse::lines::Line;
use crate::parse::options::Options;
use crate::parse::source::Source;
use crate::parse::{marker, unit_name};

const FSTAB: &str = "/etc/fstab";
const CRYPTTAB: &str = "/etc/crypttab";

/// The checks that park a line because of the disk that it needs. What another check parked, such
/// as swap that the image was not to have, is meant to stay away.
const PARKED_FOR_A_DISK: [&str; 3] =
    ["fstab-data-disk", "fstab-missing-device", "crypttab-data-disk"];

/// Whether a line is parked at all.
pub fn any(guest: &Guest) -> bool {
    [FSTAB, CRYPTTAB].iter().any(|path| {
        let text = guest.file(*path).ok().flatten().unwrap_or_default();
        text.split(|b| *b == b'\n').any(|line| unpark(line).is_some())
    })
}

fn unpark(line: &[u8]) -> Option<(&str, &[u8])> {
    marker::unpark(line).filter(|(check, _)| PARKED_FOR_A_DISK.contains(check))
}

/// The parked lines of fstab.
pub fn fstab(guest: &Guest, legacy: &Legacy) -> Vec<Parked> {
    let fstab = match guest.fstab() {
        Ok(Some(fstab)) => fstab,
        Ok(None) => return Vec::new(),
        Err(Unknown(why)) => return vec![unread(FSTAB, why)],
    };
    let lines: Vec<ParkedEntry> = fstab.lines().iter().filter_map(ParkedEntry::of).collect();
    lines.iter().map(|line| line.judged(guest, legacy, fstab, &lines)).collect()
}

/// The parked lines of crypttab.
pub fn crypttab(guest: &Guest, legacy: &Legacy) -> Vec<Parked> {
    let crypttab = match guest.crypttab() {
        Ok(Some(crypttab)) => crypttab,
        Ok(None) => return Vec::new(),
        Err(Unknown(why)) => return vec![unread(CRYPTTAB, why)],
    };
    crypttab.lines().iter().filter_map(|line| volume(guest, legacy, line)).collect()
}

fn unread(path: &str, why: String) -> Parked {
    Parked {
        what: path.to_owned(),
        target: "-".to_owned(),
        source: "-".to_owned(),
        check: String::new(),
        comeback: Err(why),
    }
}

/// A parked line of fstab.
struct ParkedEntry<'a> {
    line: usize,
    raw: &'a [u8],
    check: &'a str,
    original: &'a [u8],
    entry: Entry,
    source: Source,
    target: GuestPath,
}

impl<'a> ParkedEntry<'a> {
    fn of<T>(line: &'a Line<T>) -> Option<Self> {
        let (check, original) = unpark(&line.raw)?;
        let entry = Fstab::parse(original).entries().next()?.clone();
        Some(Self {
            line: line.number,
            raw: &line.raw,
            check,
            original,
            source: Source::parse(&entry.source.value),
            target: GuestPath::new(&entry.target.value),
            entry,
        })
    }

    fn is_swap(&self) -> bool {
        self.entry.fstype.value == b"swap"
    }

    fn options(&self) -> Options {
        let text = self.entry.options.as_ref().map(|field| field.value.as_slice());
        Options::systemd(text.unwrap_or_default())
    }

    fn judged(&self, guest: &Guest, legacy: &Legacy, fstab: &Fstab, all: &[Self]) -> Parked {
        let comeback = self
            .is_free(guest, fstab)
            .and_then(|()| self.stands_on_ground(all))
            .and_then(|()| self.has_its_device(guest, legacy))
            .and_then(|()| self.started(guest))
            .map(|start| {
                let mut edits = vec![back(FSTAB, self.line, self.raw, self.original)];
                edits.extend(start);
                edits
            });
        let swap = "swap".to_owned();
        Parked {
            what: format!("{FSTAB}:{}", self.line),
            target: if self.is_swap() { swap } else { self.target.to_string() },
            source: ByteString::from(self.entry.source.value.as_slice()).to_string(),
            check: self.check.to_owned(),
            comeback,
        }
    }

    /// Nothing else has come to its place meanwhile.
    fn is_free(&self, guest: &Guest, fstab: &Fstab) -> Result<(), String> {
        if self.is_swap() {
            return Ok(());
        }
        let other =
            fstab.entries().find(|other| GuestPath::new(&other.target.value) == self.target);
        if let Some(other) = other {
            return Err(format!("line {} mounts something else there", other.line));
        }
        let mounts = guest.mounts().map_err(|Unknown(why)| why)?;
        match mounts.own.at(self.target.as_bytes()) {
            Some(_) => Err("something is mounted there already".to_owned()),
            None => Ok(()),
        }
    }

    /// No mount that it lies in stays away: what is there now is only the empty place of it.
    fn stands_on_ground(&self, all: &[Self]) -> Result<(), String> {
        let lies_in = |other: &Self| {
            let source = match &self.source {
                Source::File(path) => GuestPath::new(path).is_within(&other.target),
                _ => false,
            };
            source || (!self.is_swap() && self.target.is_below(&other.target))
        };
        match all.iter().find(|other| !other.is_swap() && lies_in(other)) {
            Some(other) => Err(format!("it needs {}, which stays away", other.target)),
            None => Ok(()),
        }
    }

    fn has_its_device(&self, guest: &Guest, legacy: &Legacy) -> Result<(), String> {
        let target = (!self.is_swap()).then_some(&self.target);
        let place = guest.place(&self.source, target).map_err(|Unknown(why)| why)?;
        if let Place::Inside(path) = &place {
            return match guest.stat(path) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(format!("{path} is not there")),
                Err(Unknown(why)) => Err(why),
            };
        }
        if place == Place::NoDevice {
            return Ok(());
        }
        let device = device(&place)?;
        match legacy.carried(&ByteString::from(self.original)) {
            Some(carried) => is_the_same(guest, device, carried),
            None => self.is_as_written(guest, device),
        }
    }

    /// Where nobody noted what it carried: the line itself has to say it.
    fn is_as_written(&self, guest: &Guest, device: usize) -> Result<(), String> {
        let (path, found) = carried_by(guest, device)?;
        if !guest.is_stored_on_disk(&self.source, Some(device)) {
            return Err(format!(
                "{path} carries {found}, and the line names no filesystem that could be compared"
            ));
        }
        let written = String::from_utf8_lossy(&self.entry.fstype.value);
        let fits = matches!(&*written, "" | "auto")
            || written.split(',').any(|kind| kind == found)
            // One driver mounts all three.
            || (written == "ext4" && matches!(found.as_str(), "ext2" | "ext3"));
        if fits { Ok(()) } else { Err(format!("{path} carries {found}, not {written}")) }
    }

    /// What mounts it, or swaps to it, now. Under systemd its unit does, which checks the
    /// filesystem and makes the mount point as at every boot.
    fn started(&self, guest: &Guest) -> Result<Vec<Edit>, String> {
        if !runs_systemd(guest).map_err(|Unknown(why)| why)? {
            return self.mounted_by_hand(guest);
        }
        let options = self.options();
        let is_automount = options.has("x-systemd.automount");
        let (path, suffix) = match (self.is_swap(), is_automount) {
            (true, _) => (self.source.device_path(), "swap"),
            (false, true) => (Some(self.target.as_bytes().to_vec()), "automount"),
            (false, false) => (Some(self.target.as_bytes().to_vec()), "mount"),
        };
        let path = path.unwrap_or_else(|| self.entry.source.value.clone());
        let unit = unit_name::for_path(&path, suffix)
            .ok_or_else(|| format!("systemd has no unit for {}", GuestPath::new(&path)))?;
        // A boot that waits here for the network would wait for what waits for it.
        let needs_network = options.has("_netdev") || is_network_type(&self.entry.fstype.value);
        Ok(vec![Edit::Start { unit, wait: !needs_network }])
    }

    fn mounted_by_hand(&self, guest: &Guest) -> Result<Vec<Edit>, String> {
        if self.is_swap() {
            let place = guest.place(&self.source, None).map_err(|Unknown(why)| why)?;
            let device = match place {
                Place::Inside(path) => path,
                place => path_of(guest, device(&place)?)?,
            };
            return Ok(vec![Edit::SwapOn { device }]);
        }
        Ok(vec![Edit::Mount { target: self.target.clone() }])
    }
}

/// A parked line of crypttab.
fn volume<T>(guest: &Guest, legacy: &Legacy, line: &Line<T>) -> Option<Parked> {
    let (check, original) = unpark(&line.raw)?;
    let entry = Crypttab::parse(original).entries().next()?.clone();
    let comeback = opened(guest, legacy, &entry, original).map(|start| {
        let mut edits = vec![back(CRYPTTAB, line.number, &line.raw, original)];
        edits.extend(start);
        edits
    });
    Some(Parked {
        what: format!("{CRYPTTAB}:{}", line.number),
        target: ByteString::from(entry.name.value.as_slice()).to_string(),
        source: ByteString::from(entry.device.value.as_slice()).to_string(),
        check: check.to_owned(),
        comeback,
    })
}

fn opened(
    guest: &Guest,
    legacy: &Legacy,
    entry: &crypttab::Entry,
    original: &[u8],
) -> Result<Vec<Edit>, String> {
    let known = |Unknown(why)| why;
    let device = device(&guest.place(&entry.source(), None).map_err(known)?)?;
    let options = entry.options();
    if options.has("swap") || options.has("tmp") {
        return Err("opening it would format it".to_owned());
    }
    match legacy.carried(&ByteString::from(original)) {
        Some(carried) => is_the_same(guest, device, carried)?,
        None => {
            let (path, found) = carried_by(guest, device)?;
            if found != "crypto_LUKS" || !guest.is_stored_on_disk(&entry.source(), Some(device)) {
                return Err(format!("{path} carries {found}, and no LUKS volume that is named"));
            }
        }
    }
    // A boot that asks for a passphrase waits for whoever is not there.
    let key = entry.key_file.as_ref().map(|key| GuestPath::new(&key.value));
    let key = key.ok_or_else(|| "opening it would ask for a passphrase".to_owned())?;
    if guest.stat(&key).map_err(known)?.is_none() {
        return Err(format!("its key {key} is not there"));
    }
    if !runs_systemd(guest).map_err(known)? {
        return Err("only systemd opens it; `cryptdisks_start` does it by hand".to_owned());
    }
    let name = unit_name::escape_path(&entry.name.value)
        .ok_or_else(|| "systemd has no unit for its name".to_owned())?;
    Ok(vec![Edit::Start { unit: format!("systemd-cryptsetup@{name}.service"), wait: true }])
}

/// The line as it was before it was parked.
fn back(path: &str, line: usize, raw: &[u8], original: &[u8]) -> Edit {
    Edit::Line {
        path: GuestPath::from(path),
        line,
        original: ByteString::from(raw),
        change: LineChange::Replace(ByteString::from(original)),
    }
}

/// The device of a place, or why there is none.
pub fn device(place: &Place) -> Result<usize, String> {
    match place {
        Place::Untold(why) => Err(why.clone()),
        place => place.device().ok_or_else(|| "its device is not there".to_owned()),
    }
}

/// A device's path, and the type of what it carries.
fn carried_by(guest: &Guest, device: usize) -> Result<(String, String), String> {
    let known = |Unknown(why)| why;
    let path = guest.disks().map_err(known)?.devices[device].path();
    match guest.identity(device).map_err(known)?.fstype {
        Some(fstype) => Ok((path, fstype)),
        None => Err(format!("{path} carries no filesystem")),
    }
}

/// Whether a device carries the very filesystem that was there when it was put away.
pub fn is_the_same(guest: &Guest, device: usize, carried: &Carried) -> Result<(), String> {
    let (path, found) = carried_by(guest, device)?;
    let uuid = guest.identity(device).map_err(|Unknown(why)| why)?.uuid.map(ByteString::from);
    if Some(&found) == carried.fstype.as_ref() && uuid == carried.uuid {
        return Ok(());
    }
    let shown = |kind: &str, uuid: &Option<ByteString>| match uuid {
        Some(uuid) => format!("{kind} {uuid}"),
        None => kind.to_owned(),
    };
    Err(format!(
        "{path} carries {}, not the source's {}",
        shown(&found, &uuid),
        shown(carried.fstype.as_deref().unwrap_or("-"), &carried.uuid)
    ))
}

fn path_of(guest: &Guest, device: usize) -> Result<GuestPath, String> {
    let disks = guest.disks().map_err(|Unknown(why)| why)?;
    Ok(GuestPath::from(disks.devices[device].path().as_str()))
}

/// Whether systemd is process 1, now (sd_booted(3)).
pub fn runs_systemd(guest: &Guest) -> Fact<bool> {
    let is_there = guest.stat(&GuestPath::from("/run/systemd/system"))?.is_some();
    Ok(guest.init()? == Init::Systemd && is_there)
}
