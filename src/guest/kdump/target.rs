//! Where a dump goes, and whether a clone has that place.

use super::shell_file;
use super::way::{DEBIAN_CONFIG, EL_CONFIG, KdumpWay, SUSE_CONFIG};
use crate::guest::{Fact, Guest, Place};
use crate::model::{ByteString, GuestPath};
use crate::parse::kdump_conf::{KdumpConf, Target};
use crate::parse::source::Source;

/// Where dumps go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DumpTarget {
    /// A directory of this guest.
    Directory(Stored),
    /// A partition, raw.
    Raw {
        /// The partition, as written.
        device: ByteString,
        /// Where it lies.
        place: Place,
        /// The line that names it, counted from 1.
        line: usize,
    },
    /// Another machine, as written, without what could be a password.
    Remote(String),
    /// Could not be told.
    Untold,
}

/// A directory for dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The directory, in the filesystem that holds it.
    pub path: GuestPath,
    /// The file and line that name it; none where it is the default.
    pub named_by: Option<(GuestPath, usize)>,
    /// The filesystem that the configuration names, as written; none where the directory is looked
    /// for in the guest's own tree.
    pub filesystem: Option<(ByteString, usize)>,
    /// Where it lies.
    pub place: Place,
    /// Whether the directory is there; none where it was not looked for.
    pub exists: Option<bool>,
    /// Bytes that are free there, on a guest that runs here.
    pub free: Option<u64>,
}

pub(super) fn read(guest: &Guest, way: &KdumpWay, doubts: &mut Vec<String>) -> Fact<DumpTarget> {
    match way.config {
        DEBIAN_CONFIG => debian(guest, doubts),
        SUSE_CONFIG => suse(guest, doubts),
        _ => el(guest, doubts),
    }
}

/// `path` is in the filesystem that a target line names, or else wherever it is mounted.
fn el(guest: &Guest, doubts: &mut Vec<String>) -> Fact<DumpTarget> {
    let config = GuestPath::from(EL_CONFIG);
    let Some(text) = guest.file(&config)? else { return local(guest, "/var/crash", None) };
    let conf = KdumpConf::parse(&text);
    for error in conf.errors() {
        doubts.push(format!("{EL_CONFIG}:{}: {}", error.line, error.reason));
    }
    let named = conf.last("path");
    let path = named.map_or(&b"/var/crash"[..], |(_, directive)| &directive.value);
    let named_by = named.map(|(line, _)| (config.clone(), line.number));
    let line = conf.target_line().unwrap_or(0);
    Ok(match conf.target() {
        Target::Mounted => return local(guest, path, named_by),
        Target::Remote(to) => DumpTarget::Remote(String::from_utf8_lossy(&to).into_owned()),
        Target::Raw(device) => DumpTarget::Raw {
            place: guest.place(&Source::parse(&device), None)?,
            device: ByteString::from(device),
            line,
        },
        Target::Filesystem(source) => DumpTarget::Directory(Stored {
            path: GuestPath::new(path),
            named_by,
            place: guest.place(&Source::parse(&source), None)?,
            filesystem: Some((ByteString::from(source), line)),
            exists: None,
            free: None,
        }),
    })
}

fn debian(guest: &Guest, doubts: &mut Vec<String>) -> Fact<DumpTarget> {
    let config = GuestPath::from(DEBIAN_CONFIG);
    let Some(file) = shell_file(guest, DEBIAN_CONFIG)? else {
        return local(guest, "/var/crash", None);
    };
    for key in ["SSH", "NFS", "FTP"] {
        if let Some(to) = file.get(key).filter(|to| !to.is_empty()) {
            return Ok(DumpTarget::Remote(String::from_utf8_lossy(to).into_owned()));
        }
    }
    match file.last("KDUMP_COREDIR").filter(|set| !set.value.is_empty()) {
        None => local(guest, "/var/crash", None),
        Some(set) if set.expands => {
            doubts.push(format!("{config}:{}: KDUMP_COREDIR is in a variable", set.line));
            Ok(DumpTarget::Untold)
        }
        Some(set) => local(guest, &set.value[..], Some((config, set.line))),
    }
}

/// `KDUMP_SAVEDIR`: URLs separated by blanks, of which the first is looked at.
fn suse(guest: &Guest, doubts: &mut Vec<String>) -> Fact<DumpTarget> {
    let config = GuestPath::from(SUSE_CONFIG);
    let Some(file) = shell_file(guest, SUSE_CONFIG)? else {
        return local(guest, "/var/crash", None);
    };
    let Some(set) = file.last("KDUMP_SAVEDIR").filter(|set| !set.value.is_empty()) else {
        return local(guest, "/var/crash", None);
    };
    if set.expands {
        doubts.push(format!("{config}:{}: KDUMP_SAVEDIR is in a variable", set.line));
        return Ok(DumpTarget::Untold);
    }
    let url = set.value.split(u8::is_ascii_whitespace).find(|word| !word.is_empty());
    let url = url.unwrap_or_default();
    let path = url.strip_prefix(b"file://").unwrap_or(url);
    if path.starts_with(b"/") {
        return local(guest, path, Some((config, set.line)));
    }
    // `ftp://user:password@host/`: what stands before the at sign is not for a report.
    let shown = match url.iter().rposition(|b| *b == b'@') {
        Some(at) => &url[at + 1..],
        None => url,
    };
    Ok(DumpTarget::Remote(String::from_utf8_lossy(shown).into_owned()))
}

/// A directory of the guest's own tree.
fn local(
    guest: &Guest,
    path: impl AsRef<[u8]>,
    named_by: Option<(GuestPath, usize)>,
) -> Fact<DumpTarget> {
    let path = GuestPath::new(path.as_ref());
    let found = guest.stat(&path)?;
    let mut nearest = path.clone();
    while guest.stat(&nearest)?.is_none() && nearest.as_bytes() != b"/" {
        nearest = nearest.parent();
    }
    let free = match guest.is_running_here() {
        true => guest.fs_use(&nearest)?.map(|fs| fs.free),
        false => None,
    };
    Ok(DumpTarget::Directory(Stored {
        place: guest.place_inside(&path)?,
        exists: Some(found.is_some_and(|file| file.kind == crate::guest::FileKind::Directory)),
        path,
        named_by,
        filesystem: None,
        free,
    }))
}
