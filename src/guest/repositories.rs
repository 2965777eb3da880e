//! Where the package manager takes packages from: the enabled repositories.
//!
//! For probes. Nothing is asked of any of them.

use super::{Fact, Guest, Unknown};
use crate::model::GuestPath;
use crate::parse::apt_sources::AptSources;
use crate::parse::ini::Ini;
use crate::parse::lines::LineError;

/// An address of an enabled repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The file that names it.
    pub path: GuestPath,
    /// The line of the address.
    pub line: usize,
    /// Its name: the section of a `.repo`; empty in APT's files.
    pub name: String,
    /// The address, variables of yum put in where the guest defines them.
    pub address: String,
}

impl Repository {
    /// The host of the address, in lower case; `None` where it names none.
    pub fn host(&self) -> Option<String> {
        let rest = self.address.split_once("://")?.1;
        let host = rest.split(['/', '?']).next()?;
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        (!host.is_empty()).then(|| host.to_ascii_lowercase())
    }
}

impl Guest {
    /// Every address of every enabled repository of yum, dnf, zypper and APT.
    ///
    /// # Errors
    /// When a file of theirs cannot be read as one.
    pub fn repositories(&self) -> Fact<Vec<Repository>> {
        let mut found = Vec::new();
        for directory in ["/etc/yum.repos.d", "/etc/zypp/repos.d"] {
            for path in self.files_in(directory, b".repo")? {
                self.of_repo(&path, &mut found)?;
            }
        }
        let mut lists = vec![GuestPath::from("/etc/apt/sources.list")];
        lists.extend(self.files_in("/etc/apt/sources.list.d", b".list")?);
        for path in lists {
            let Some(text) = self.file(&path)? else { continue };
            of_apt(&path, &AptSources::one_line(&text), &mut found)?;
        }
        for path in self.files_in("/etc/apt/sources.list.d", b".sources")? {
            let Some(text) = self.file(&path)? else { continue };
            of_apt(&path, &AptSources::deb822(&text), &mut found)?;
        }
        Ok(found)
    }

    fn files_in(&self, directory: &str, ending: &[u8]) -> Fact<Vec<GuestPath>> {
        let directory = GuestPath::from(directory);
        let names = self.root().list(&directory)?.unwrap_or_default();
        let fits = |name: &&Vec<u8>| name.ends_with(ending) && !name.starts_with(b".");
        Ok(names.iter().filter(fits).map(|name| directory.join(name)).collect())
    }

    fn of_repo(&self, path: &GuestPath, found: &mut Vec<Repository>) -> Fact<()> {
        let Some(text) = self.file(path)? else { return Ok(()) };
        let file = Ini::parse(&text);
        refuse(path, file.errors())?;
        for section in file.sections() {
            let get =
                |key: &str| file.get(&section.name, key).unwrap_or_default().to_ascii_lowercase();
            if matches!(get("enabled").as_slice(), b"0" | b"no" | b"false" | b"off") {
                continue;
            }
            for key in ["baseurl", "mirrorlist", "metalink"] {
                let Some(setting) = file.last(&section.name, key) else { continue };
                let value = String::from_utf8_lossy(&setting.value).into_owned();
                for address in value.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()) {
                    found.push(Repository {
                        path: path.clone(),
                        line: setting.line,
                        name: String::from_utf8_lossy(&section.name).into_owned(),
                        address: self.with_variables(address)?,
                    });
                }
            }
        }
        Ok(())
    }

    /// An address with the variables of /etc/yum/vars and /etc/dnf/vars put in; others, such as
    /// `$basearch`, stay.
    fn with_variables(&self, address: &str) -> Fact<String> {
        let mut out = String::new();
        let mut rest = address;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            let after = rest[dollar + 1..].trim_start_matches('{');
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_of_name(c)).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            let mut value = None;
            for directory in ["/etc/yum/vars", "/etc/dnf/vars"] {
                if value.is_none() && !name.is_empty() {
                    value = self.file(GuestPath::from(directory).join(name.as_bytes()))?;
                }
            }
            match value {
                Some(value) => out.push_str(String::from_utf8_lossy(&value).trim()),
                None => {
                    out.push('$');
                    out.push_str(name);
                }
            }
            rest = tail.strip_prefix('}').unwrap_or(tail);
        }
        out.push_str(rest);
        Ok(out)
    }
}

fn of_apt(path: &GuestPath, file: &AptSources, found: &mut Vec<Repository>) -> Fact<()> {
    refuse(path, file.errors())?;
    found.extend(file.sources().iter().map(|source| Repository {
        path: path.clone(),
        line: source.line,
        name: String::new(),
        address: String::from_utf8_lossy(&source.uri).into_owned(),
    }));
    Ok(())
}

fn refuse(path: &GuestPath, errors: &[LineError]) -> Fact<()> {
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(Unknown(format!("{path}:{}: {}", error.line, error.reason))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_addresses() {
        for (address, host) in [
            ("http://Mirror.CentOS.org/centos/7/", Some("mirror.centos.org")),
            ("https://user@a.b:8080/x", Some("a.b")),
            ("http://mirrorlist.centos.org?release=7", Some("mirrorlist.centos.org")),
            ("file:///mnt", None),
            ("cdrom:[Debian]/", None),
        ] {
            let repository = Repository {
                path: GuestPath::from("/"),
                line: 1,
                name: String::new(),
                address: address.to_owned(),
            };
            assert_eq!(repository.host().as_deref(), host, "{address}");
        }
    }
}
