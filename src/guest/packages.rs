//! Whether a file is as its package installed it.
//!
//! For probes. dpkg's database is read natively, and of it only what names the files asked for.
//! rpm's is in one of three binary formats, so rpm itself is asked, on a live guest alone: a rpm
//! of another release may not know the format, and opening the old one writes lock files to it.

use std::collections::BTreeMap;
use std::time::Duration;

use md5::{Digest, Md5};
use regex::bytes::Regex;

use super::{Fact, Family, Guest, MAX_FILE};
use crate::model::GuestPath;
use crate::parse::rpm_verify;
use crate::sys::ErrorKind;

/// How long rpm may take. It verifies every file of the packages that own what is asked for,
/// some tens of files.
const RPM_LIMIT: Duration = Duration::from_secs(10);

/// How a file stands to the package that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// The content is the package's.
    Same,
    /// The content is another.
    Changed,
}

/// A file that a package owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packaged {
    /// The package's name; empty where rpm was not asked for it, as the file is unchanged.
    pub package: String,
    /// How the file stands to it.
    pub state: Installed,
}

impl Guest {
    /// What the packages say of files that exist; a file that no package is known to own is not in
    /// the answer. Files that are missing are not either.
    ///
    /// # Errors
    /// When dpkg's database cannot be read, and when rpm fails or takes longer than 10 s. A guest
    /// without a package manager that can be asked has an empty answer.
    pub fn packaged(&self, paths: &[&str]) -> Fact<BTreeMap<String, Packaged>> {
        let mut found = self.ask_dpkg(paths)?;
        if found.is_empty()
            && matches!(self.os()?.family, Family::El | Family::Suse | Family::Fedora)
        {
            found = self.ask_rpm(paths)?;
        }
        Ok(found)
    }

    fn ask_dpkg(&self, paths: &[&str]) -> Fact<BTreeMap<String, Packaged>> {
        let mut found = BTreeMap::new();
        let status = self.root.read(&GuestPath::from("/var/lib/dpkg/status"), MAX_FILE)?;
        let Some(status) = status else { return Ok(found) };
        let sums =
            self.root.read(&GuestPath::from("/var/lib/dpkg/info/base-files.md5sums"), MAX_FILE)?;
        let sums = sums.unwrap_or_default();
        let mut digests = conffiles(&status, paths);
        for path in paths {
            // /etc/os-release is a link to the file that the package has; where an administrator
            // put a file in its place, that file has to be the same.
            let listed = if *path == "/etc/os-release" { "/usr/lib/os-release" } else { *path };
            if let Some(digest) = listed_sum(&sums, listed.as_bytes()) {
                digests.entry((*path).to_owned()).or_insert(("base-files".to_owned(), digest));
            }
        }
        for (path, (package, digest)) in digests {
            let Some(content) = self.file(&path)? else { continue };
            let same = hex(&Md5::digest(content.as_slice())) == digest;
            let state = if same { Installed::Same } else { Installed::Changed };
            found.insert(path, Packaged { package, state });
        }
        Ok(found)
    }

    fn ask_rpm(&self, paths: &[&str]) -> Fact<BTreeMap<String, Packaged>> {
        let mut found = BTreeMap::new();
        let mut argv = vec!["rpm", "--verify", "--file", "--nodeps", "--noscripts"];
        for path in paths {
            if self.stat(&GuestPath::from(*path))?.is_some() {
                argv.push(path);
            }
        }
        let output = match self.runner().run(&argv, RPM_LIMIT) {
            Ok(output) => output,
            Err(error) if matches!(error.kind(), ErrorKind::Refused | ErrorKind::NotFound) => {
                return Ok(found);
            }
            Err(error) => return Err(error.into()),
        };
        for difference in rpm_verify::parse(&output.stdout) {
            let known = paths.iter().find(|path| path.as_bytes() == difference.path);
            if let Some(path) = known.filter(|_| difference.is_changed) {
                let package = self.rpm_owner(path)?;
                found.insert((*path).to_owned(), Packaged { package, state: Installed::Changed });
            }
        }
        Ok(found)
    }

    fn rpm_owner(&self, path: &str) -> Fact<String> {
        let argv = ["rpm", "--query", "--file", "--queryformat", "%{NAME}\\n", path];
        let output = self.runner().run(&argv, RPM_LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// The package and digest of configuration files, from the `Conffiles` fields of dpkg's status
/// (deb-conffiles(5)): ` /etc/issue 349d61a0e072d678e3e94923f0c3ce0e`. A line that ends in
/// `obsolete` names a file that the package has no more.
fn conffiles(status: &[u8], paths: &[&str]) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let names: Vec<String> = paths.iter().map(|path| regex::escape(path)).collect();
    let pattern = format!("(?m-u)^ ({}) ([0-9a-f]{{32}})$", names.join("|"));
    let Ok(pattern) = Regex::new(&pattern) else { return found };
    for captures in pattern.captures_iter(status) {
        let text = |at: usize| String::from_utf8_lossy(&captures[at]).into_owned();
        let above = &status[..captures.get(0).map_or(0, |whole| whole.start())];
        let package = above
            .rsplit(|b| *b == b'\n')
            .find_map(|line| line.strip_prefix(b"Package: "))
            .map(|name| String::from_utf8_lossy(name).trim().to_owned());
        if let Some(package) = package {
            found.insert(text(1), (package, text(2)));
        }
    }
    found
}

/// The digest in a package's list of sums: `07d3...  usr/lib/os-release`.
fn listed_sum(sums: &[u8], path: &[u8]) -> Option<String> {
    let wanted = path.strip_prefix(b"/")?;
    sums.split(|b| *b == b'\n')
        .find(|line| line.strip_suffix(wanted).is_some_and(|digest| digest.ends_with(b"  ")))
        .map(|line| String::from_utf8_lossy(&line[..line.len() - wanted.len()]).trim().to_owned())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] =
        b"Package: a\nConffiles:\n /etc/issue.d 00000000000000000000000000000000\n\
        Description: names\n /etc/issue 11111111111111111111111111111111 in prose\n\n\
        Package: base-files\nStatus: install ok installed\nConffiles:\n \
        /etc/issue 22222222222222222222222222222222\n \
        /etc/issue.net 33333333333333333333333333333333 obsolete\n \
        /etc/debian_version newconffile\n";

    #[test]
    fn a_conffile_is_found_with_its_package() {
        let found = conffiles(STATUS, &["/etc/issue", "/etc/issue.net", "/etc/debian_version"]);
        let want = ("base-files".to_owned(), "2".repeat(32));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("/etc/issue".to_owned(), want)]);
    }

    #[test]
    fn a_listed_sum_is_of_the_whole_path() {
        let sums = b"aa  usr/share/usr/lib/os-release\nbb  usr/lib/os-release\ncc  x\n";
        assert_eq!(listed_sum(sums, b"/usr/lib/os-release").as_deref(), Some("bb"));
        assert_eq!(listed_sum(sums, b"/lib/os-release"), None);
    }
}
