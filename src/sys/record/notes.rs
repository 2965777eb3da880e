//! What was asked of a guest and what it answered, as values.
//!
//! A question is a path and an operation; that it was never asked is told apart from every answer.
//! Contents are kept beside the answers, under names that a person can read in an archive. Nothing
//! here asks anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::{ByteString, GuestPath, sha256_hex};
use crate::sys::{
    Address, Attributes, Census, Error, ErrorKind, FsUse, Holder, InodeFlags, Metadata, Result,
    Stamp,
};

/// No name in an archive has a longer component, in bytes: the limit of Linux's filesystems.
const MAX_COMPONENT: usize = 255;

/// Which files a path is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// The guest's own.
    Root,
    /// /proc of the guest's kernel.
    Proc,
    /// /sys of the guest's kernel.
    Sys,
    /// /proc of the machine that has a tree mounted.
    HostProc,
    /// /sys of the machine that has a tree mounted.
    HostSys,
}

impl Space {
    /// Its directory in an archive.
    pub fn as_str(self) -> &'static str {
        match self {
            Space::Root => "root",
            Space::Proc => "proc",
            Space::Sys => "sys",
            Space::HostProc => "host-proc",
            Space::HostSys => "host-sys",
        }
    }
}

/// Whose kernel is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The guest's own.
    Guest,
    /// That of the machine that has a tree mounted.
    Host,
    /// No kernel's: the devices of a disk image.
    Image,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noted<T> {
    /// This.
    Is(T),
    /// There is no such thing.
    Absent,
    /// It could not be told.
    Failed(Error),
}

impl<T> Noted<T> {
    /// Note an answer.
    pub fn of(answer: Result<Option<T>>) -> Self {
        match answer {
            Ok(Some(answer)) => Noted::Is(answer),
            Ok(None) => Noted::Absent,
            Err(error) => Noted::Failed(error),
        }
    }

    /// Note what is made of an answer.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Noted<U> {
        match self {
            Noted::Is(answer) => Noted::Is(make(answer)),
            Noted::Absent => Noted::Absent,
            Noted::Failed(error) => Noted::Failed(error),
        }
    }

    /// Give it again.
    ///
    /// # Errors
    /// The one that was noted.
    pub fn answer(self) -> Result<Option<T>> {
        match self {
            Noted::Is(answer) => Ok(Some(answer)),
            Noted::Absent => Ok(None),
            Noted::Failed(error) => Err(error),
        }
    }
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stored {
    /// The name in the archive.
    pub entry: String,
    /// How many bytes the guest's file has; those in the archive are fewer where secrets were
    /// taken out.
    pub size: u64,
    /// How many secrets were taken out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reduced: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What was asked about one path, each with its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileNotes {
    /// What it is, links followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stat: Option<Noted<Attributes>>,
    /// What it is, a link not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lstat: Option<Noted<Attributes>>,
    /// Its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Noted<Stored>>,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Noted<Stamp>>,
    /// Where the link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Noted<ByteString>>,
    /// The names in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Noted<Vec<ByteString>>>,
    /// Its inode flags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Noted<InodeFlags>>,
    /// Its extended attributes, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Noted<ByteString>>,
    /// Space and inodes of its filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs_use: Option<Noted<FsUse>>,
}

/// The bytes of a block device that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeviceNotes {
    /// The ranges that were read, from one byte to before another.
    pub asked: BTreeSet<(u64, u64)>,
    /// Pieces by their offset in bytes; each lies in the archive under this name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pieces: BTreeMap<u64, String>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Error>,
}

/// What a kernel was asked beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct KernelNotes {
    /// Whether it ran when it was asked, and was not itself a record.
    pub is_live: bool,
    /// Its block devices by kernel name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, DeviceNotes>,
    /// The addresses of its network interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Noted<Vec<Address>>>,
    /// What the cloud's metadata service said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Noted<Metadata>>,
    /// The processes that keep a mount busy, by the mount's id in mountinfo.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub holders: BTreeMap<u32, Vec<Holder>>,
}

/// What a command answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CommandNotes {
    /// Program and arguments.
    pub argv: Vec<ByteString>,
    /// What came of it.
    pub answer: Noted<OutputNotes>,
}

/// What a command left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OutputNotes {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: ByteString,
    /// Its standard error.
    pub stderr: ByteString,
}

/// Every question that was asked of one guest, with its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Notes {
    /// Where the root lay on the machine that looked at it.
    pub path: ByteString,
    /// The time of day then, in seconds since 1970.
    pub now: u64,
    /// What was asked of files.
    pub files: BTreeMap<Space, BTreeMap<GuestPath, FileNotes>>,
    /// What was asked of kernels; a guest that is a tree has none of its own.
    #[serde(default)]
    pub kernels: BTreeMap<Whose, KernelNotes>,
    /// The commands that were run.
    #[serde(default)]
    pub commands: Vec<CommandNotes>,
    /// What was counted of the files that lists of patterns name, by the digest of each list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub censuses: BTreeMap<String, Census>,
    /// What was made of files that are too large to be kept, by a name of the maker's.
    #[serde(default)]
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Contents by their name in the archive.
    #[serde(skip)]
    pub contents: BTreeMap<String, Vec<u8>>,
    /// The names of contents by their digest, so that each is kept once.
    #[serde(skip)]
    pub(super) known: BTreeMap<String, String>,
}

impl Notes {
    /// What is noted of a path; `None` when nothing was asked.
    pub fn file(&self, space: Space, path: &GuestPath) -> Option<&FileNotes> {
        self.files.get(&space)?.get(path)
    }

    /// Keep bytes under a name, or name those that are kept already.
    pub(super) fn keep(&mut self, name: String, bytes: Vec<u8>) -> String {
        let digest = sha256_hex(&bytes);
        if let Some(known) = self.known.get(&digest) {
            return known.clone();
        }
        self.known.insert(digest, name.clone());
        self.contents.insert(name.clone(), bytes);
        name
    }

    /// How many files' contents, how many bytes and how many secrets that were taken out.
    pub fn reduced(&self) -> impl Iterator<Item = (Space, &GuestPath, usize)> {
        self.files.iter().flat_map(|(space, files)| {
            files.iter().filter_map(|(path, notes)| match &notes.content {
                Some(Noted::Is(stored)) if stored.reduced > 0 => {
                    Some((*space, path, stored.reduced))
                }
                _ => None,
            })
        })
    }

    /// The error of a question that has no answer here.
    pub fn not_held(operation: &'static str, what: impl std::fmt::Display) -> Error {
        let cause = "the bundle does not hold it, because nothing asked for it when it was made";
        Error::new(operation, what, ErrorKind::NotHeld, cause)
    }
}

/// The name of a path's content in an archive: printable ASCII, without `..`, every other byte as
/// `%NN`; a component that is too long then is named by its digest.
pub fn entry_name(directory: &str, path: &[u8]) -> String {
    let mut name = directory.to_owned();
    for component in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        let mut encoded = String::with_capacity(component.len());
        let is_dots = component == b"." || component == b"..";
        for byte in component {
            if byte.is_ascii_graphic() && *byte != b'%' && *byte != b'\\' && !is_dots {
                encoded.push(char::from(*byte));
            } else {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        if encoded.len() > MAX_COMPONENT {
            encoded = format!("%long-{}", sha256_hex(component));
        }
        name.push('/');
        name.push_str(&encoded);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_odd_paths() {
        for (path, name) in [
            (&b"/etc/fstab"[..], "root/etc/fstab"),
            (b"/a/../b c%", "root/a/%2E%2E/b%20c%25"),
            (b"/\xff\n\x1b", "root/%FF%0A%1B"),
            ("/ü".as_bytes(), "root/%C3%BC"),
            (b"/.hidden/...", "root/.hidden/..."),
        ] {
            assert_eq!(entry_name("root", path), name);
        }
        let long = entry_name("root", &[b"/", &[b'\xff'; 200][..]].concat());
        assert!(long.starts_with("root/%long-") && long.len() < 100, "{long}");
    }

    proptest! {
        #[test]
        fn a_name_stays_below_its_directory(path in proptest::collection::vec(any::<u8>(), 0..600)) {
            let name = entry_name("root", &path);
            prop_assert!(name.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert!(name.split('/').all(|part| part != ".." && part != "." && !part.is_empty()));
            prop_assert!(name.split('/').all(|part| part.len() <= MAX_COMPONENT));
        }

        #[test]
        fn two_paths_have_two_names(a in "(/[a-c.%\u{e9}]{1,3}){1,3}", b in "(/[a-c.%\u{e9}]{1,3}){1,3}") {
            prop_assert_eq!(a == b, entry_name("r", a.as_bytes()) == entry_name("r", b.as_bytes()));
        }
    }
}
