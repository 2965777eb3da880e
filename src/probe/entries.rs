//! What the probes of /etc/fstab share: its lines beside what boot makes of them.

use super::Guest;
use crate::guest::{Boot, BootItem, Unknown, is_system_target};
use crate::model::{ByteString, Edit, Finding, GuestPath, LineChange, Subject};

/// The entries of /etc/fstab with what boot makes of them.
pub struct Entries<'a> {
    /// Everything that boot would do.
    pub boot: &'a Boot,
    /// The entries, in the order of the file.
    pub list: Vec<Entry<'a>>,
}

/// One entry.
pub struct Entry<'a> {
    /// Its index in [`Boot::items`].
    pub at: usize,
    /// What boot makes of it.
    pub item: &'a BootItem,
    /// Its line, counted from 1.
    pub line: usize,
    /// The line as it stands, without its end.
    pub raw: &'a [u8],
}

/// The entries; `None` when there is no /etc/fstab.
pub fn read(guest: &Guest) -> Result<Option<Entries<'_>>, Unknown> {
    let Some(fstab) = guest.fstab()? else { return Ok(None) };
    let boot = guest.boot()?;
    let list = boot
        .fstab()
        .filter_map(|(at, item)| {
            let line = item.fstab_line()?;
            let raw = fstab.lines().get(line - 1)?.raw.as_slice();
            Some(Entry { at, item, line, raw })
        })
        .collect();
    Ok(Some(Entries { boot, list }))
}

impl Entry<'_> {
    /// A finding about this entry, with its source, target and line.
    pub fn finding(&self, key: &'static str) -> Finding {
        Finding::new(key, Subject::line(&fstab(), self.line))
            .with("source", &self.item.source_text)
            .with("target", self.item.shown_target())
            .evidence(ByteString::from(self.raw))
    }

    /// Whether the entry mounts a part of the system. Nothing of that is taken away: which
    /// filesystem belongs there only a person can say.
    pub fn is_of_the_system(&self) -> bool {
        let target = self.item.target.as_ref();
        target.is_some_and(|target| is_system_target(target) || target.as_bytes() == b"/var")
    }

    /// An edit of this entry's line.
    pub fn edit(&self, change: LineChange) -> Edit {
        Edit::Line { path: fstab(), line: self.line, original: ByteString::from(self.raw), change }
    }
}

/// The change that names a filesystem by its UUID.
pub fn by_uuid(uuid: &ByteString) -> LineChange {
    LineChange::SetSource(ByteString::from(format!("UUID={uuid}").as_str()))
}

/// The UUID of what a device carries, where it can be had.
pub fn uuid_of(guest: &Guest, device: usize) -> Option<ByteString> {
    guest.identity(device).ok()?.uuid.map(ByteString::from)
}

fn fstab() -> GuestPath {
    GuestPath::from("/etc/fstab")
}
