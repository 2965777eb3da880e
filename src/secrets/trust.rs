//! What a package installed and nobody changed is no secret of a user.
//!
//! dpkg's lists of MD5 sums say what a package installed (`/var/lib/dpkg/info/*.md5sums`). The digest
//! decides, and is only made where it can decide something: where a finding lies in a file that a
//! package owns. A file whose time of change lies within the hour before dpkg wrote down that it
//! had unpacked the package (`*.list`) was not written since, as no write leaves that time alone and
//! only the kernel sets it; it is not even opened. A tree that was copied has other times, and is read.

use std::collections::HashMap;
use std::io::Read;

use md5::{Digest, Md5};

use crate::guest::{Fact, Guest, MAX_FILE};
use crate::model::GuestPath;
use crate::sys::OpenFile;

const DATABASE: &str = "/var/lib/dpkg/info";

/// How long dpkg may take to unpack one package, in seconds.
const UNPACKING: i64 = 3600;

/// The files of the packages, by path without the slash at its beginning.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    files: HashMap<Box<[u8]>, Owned>,
    /// Whether there is a database of dpkg. Of rpm's nothing is known: only rpm reads it, and of a
    /// guest that does not run it cannot be asked.
    pub is_told: bool,
    /// Whether /lib and its like are links into /usr, so that a package's `lib/x` is `usr/lib/x`.
    is_merged: bool,
}

#[derive(Clone, Copy, Debug)]
struct Owned {
    md5: [u8; 16],
    /// When dpkg wrote down that the package is unpacked, in seconds since 1970.
    unpacked: Option<i64>,
}

impl Trusted {
    /// Read what dpkg has; nothing where there is no dpkg.
    ///
    /// # Errors
    /// When its lists cannot be read.
    pub fn read(guest: &Guest) -> Fact<Self> {
        let root = guest.root();
        let mut trusted = Self {
            is_merged: root.read_link(&GuestPath::from("/lib"))?.is_some(),
            ..Self::default()
        };
        let directory = GuestPath::from(DATABASE);
        for name in root.list(&directory)?.unwrap_or_default() {
            let Some(package) = name.strip_suffix(b".md5sums") else { continue };
            let Some(sums) = root.read(&directory.join(&name), MAX_FILE)? else { continue };
            let list = directory.join(&[package, b".list"].concat());
            let unpacked = root.stat(&list)?.map(|about| about.modified.seconds);
            trusted.is_told = true;
            for line in sums.split(|b| *b == b'\n') {
                if let Some((md5, path)) = listed(line) {
                    trusted.files.insert(path.into(), Owned { md5, unpacked });
                }
            }
        }
        Ok(trusted)
    }

    fn owned(&self, path: &[u8]) -> Option<&Owned> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        self.files.get(path).or_else(|| {
            let path = path.strip_prefix(b"usr/").filter(|_| self.is_merged)?;
            self.files.get(path)
        })
    }

    /// Whether a package has a file of that path.
    pub fn owns(&self, path: &[u8]) -> bool {
        self.owned(path).is_some()
    }

    /// Whether a file's time of change says that it is as dpkg unpacked it.
    pub fn is_as_unpacked(&self, path: &[u8], changed: i64) -> bool {
        let unpacked = self.owned(path).and_then(|owned| owned.unpacked);
        unpacked.is_some_and(|unpacked| (unpacked - UNPACKING..=unpacked).contains(&changed))
    }

    /// Whether a file's digest is that of its package.
    pub fn confirms(&self, file: &mut OpenFile) -> bool {
        let Some(owned) = self.owned(file.path()) else { return false };
        let mut digest = Md5::new();
        let mut buffer = [0; 16 * 1024];
        if file.rewind().is_err() {
            return false;
        }
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return digest.finalize().as_slice() == owned.md5,
                Ok(read) => digest.update(&buffer[..read]),
                Err(_) => return false,
            }
        }
    }
}

/// A line of a list of sums: 32 digits, two spaces, the path without its first slash.
fn listed(line: &[u8]) -> Option<([u8; 16], &[u8])> {
    let (digits, path) = line.split_at_checked(32)?;
    let path = path.strip_prefix(b"  ")?;
    let mut md5 = [0; 16];
    for (byte, pair) in md5.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((md5, path))
}
