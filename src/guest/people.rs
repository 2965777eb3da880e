//! The accounts of a guest with their homes, wherever they lie, and the files that let their owners
//! in by a key.
//!
//! For probes. The accounts are those of /etc/passwd and of the files that other modules of nsswitch
//! keep; what a directory service has is not in an image.

use super::sshd::Sshd;
use super::{Fact, Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::passwd::{Kind, Table};

/// Files in the format of passwd(5): libc's, libnss-extrausers', nss-altfiles'.
const FILES: [&str; 3] = ["/etc/passwd", "/var/lib/extrausers/passwd", "/usr/lib/passwd"];

/// Links in one path are followed this often, as the kernel does (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where sshd looks for keys unless it is told otherwise (sshd_config(5)).
const KEY_FILES: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its name.
    pub name: Vec<u8>,
    /// Its user id.
    pub uid: u32,
    /// Its home directory, links resolved, so that what is named below it is there.
    pub home: GuestPath,
    /// The file and line that it stands on.
    pub at: (GuestPath, usize),
}

impl Person {
    /// Its name as text.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

impl Guest {
    /// Every account, the first of a name alone.
    ///
    /// # Errors
    /// When a file of accounts cannot be read.
    pub fn people(&self) -> Fact<Vec<Person>> {
        let mut people: Vec<Person> = Vec::new();
        for file in FILES.map(GuestPath::from) {
            let Some(text) = self.file(&file)? else { continue };
            for entry in Table::parse(Kind::Passwd, &text).entries() {
                if people.iter().any(|known| known.name == entry.name) {
                    continue;
                }
                let home = GuestPath::new(entry.home().unwrap_or_default());
                people.push(Person {
                    name: entry.name.clone(),
                    uid: entry.uid().unwrap_or(u32::MAX),
                    home: self.resolved(&home)?,
                    at: (file.clone(), entry.line),
                });
            }
        }
        Ok(people)
    }

    /// A path with the links in it resolved inside the guest, as far as it is there.
    ///
    /// # Errors
    /// When a part of it cannot be looked at, or its links lead in a circle.
    pub fn resolved(&self, path: &GuestPath) -> Fact<GuestPath> {
        let mut done = GuestPath::from("/");
        let mut todo: Vec<Vec<u8>> = names(path.as_bytes());
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                done = done.parent();
                continue;
            }
            let next = done.join(&name);
            // A part that is no directory has nothing below it.
            let Ok(target) = self.root().read_link(&next) else { return Ok(path.clone()) };
            let Some(target) = target else {
                done = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(Unknown(format!("{path}: its links lead in a circle")));
            }
            if target.starts_with(b"/") {
                done = GuestPath::from("/");
            }
            todo.extend(names(&target));
        }
        Ok(done)
    }

    /// The files that sshd looks for a person's keys in, whichever `Match` says so, and those that
    /// it looks in by itself.
    ///
    /// # Errors
    /// When the configuration of sshd cannot be read.
    pub fn key_files(&self, person: &Person) -> Fact<Vec<GuestPath>> {
        let mut patterns: Vec<Vec<u8>> = KEY_FILES.map(|name| name.as_bytes().to_vec()).to_vec();
        patterns.extend(self.sshd()?.into_iter().flat_map(Sshd::authorized_keys_files));
        let mut files: Vec<GuestPath> = Vec::new();
        for pattern in patterns {
            let path = expanded(&pattern, person);
            let path = match path.starts_with(b"/") {
                true => GuestPath::new(&path),
                false => person.home.join(&path),
            };
            let path = self.resolved(&path)?;
            if !files.contains(&path) {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// The names of a path, the last first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

/// sshd_config(5), "TOKENS": of AuthorizedKeysFile.
fn expanded(pattern: &[u8], person: &Person) -> Vec<u8> {
    let mut path = Vec::new();
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (b'%', Some(b'h')) => path.extend_from_slice(person.home.as_bytes()),
            (b'%', Some(b'u')) => path.extend_from_slice(&person.name),
            (b'%', Some(b'U')) => path.extend_from_slice(person.uid.to_string().as_bytes()),
            (b'%', Some(b'%')) => path.push(b'%'),
            _ => {
                path.push(*byte);
                continue;
            }
        }
        bytes.next();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_key_files() {
        let person = Person {
            name: b"ann".to_vec(),
            uid: 1000,
            home: GuestPath::from("/home/ann"),
            at: (GuestPath::from("/etc/passwd"), 1),
        };
        for (pattern, path) in [
            ("%h/.k", "/home/ann/.k"),
            ("/etc/keys/%u", "/etc/keys/ann"),
            ("/k/%U/%%x", "/k/1000/%x"),
            ("a%", "a%"),
        ] {
            assert_eq!(expanded(pattern.as_bytes(), &person), path.as_bytes(), "{pattern}");
        }
        assert_eq!(names(b"/a/./b//c/"), [b"c".to_vec(), b"b".to_vec(), b"a".to_vec()]);
    }
}
