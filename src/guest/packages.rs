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

/// The package that has Debian's and Ubuntu's release files. Where a derivative moved one to another
/// package, what the file says is judged, not its digest.
const OWNER: &str = "base-files";

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
        // Some megabytes on a large guest: read for this alone and not kept.
        let status = self.root.read(&GuestPath::from("/var/lib/dpkg/status"), MAX_FILE)?;
        let Some(status) = status else { return Ok(found) };
        let sums = GuestPath::from("/var/lib/dpkg/info/base-files.md5sums");
        let sums = self.root.read(&sums, MAX_FILE)?.unwrap_or_default();
        let stanza = stanza(&status, OWNER);
        for path in paths {
            // /etc/os-release is a link to the file that the package has; where an administrator
            // put a file in its place, that file has to be the same.
            let listed = if *path == "/etc/os-release" { "/usr/lib/os-release" } else { *path };
            let digest = conffile(stanza, path).or_else(|| listed_sum(&sums, listed.as_bytes()));
            let (Some(digest), Ok(Some(content))) = (digest, self.file(*path)) else { continue };
            let same = hex(&Md5::digest(content.as_slice())) == digest;
            let state = if same { Installed::Same } else { Installed::Changed };
            found.insert((*path).to_owned(), Packaged { package: OWNER.to_owned(), state });
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

/// A package's paragraph in dpkg's status; empty when there is none. Found without looking at the
/// lines of the others.
fn stanza<'a>(status: &'a [u8], package: &str) -> &'a [u8] {
    let head = format!("Package: {package}\n");
    let find = |text: &'a [u8], literal: &str| {
        Regex::new(&regex::escape(literal)).ok().and_then(|literal| literal.find(text))
    };
    let start = if status.starts_with(head.as_bytes()) {
        0
    } else {
        match find(status, &format!("\n{head}")) {
            Some(found) => found.start() + 1,
            None => return &[],
        }
    };
    let rest = &status[start..];
    &rest[..find(rest, "\n\n").map_or(rest.len(), |end| end.start())]
}

/// A configuration file's digest, from the field `Conffiles` of a paragraph (deb-conffiles(5)):
/// ` /etc/issue 349d61a0e072d678e3e94923f0c3ce0e`. A line that ends in `obsolete` names a file
/// that the package has no more.
fn conffile(stanza: &[u8], path: &str) -> Option<String> {
    let is_digest = |text: &[u8]| text.len() == 32 && text.iter().all(u8::is_ascii_hexdigit);
    stanza
        .split(|b| *b == b'\n')
        .skip_while(|line| *line != b"Conffiles:")
        .skip(1)
        .take_while(|line| line.starts_with(b" "))
        .filter_map(|line| line[1..].strip_prefix(path.as_bytes())?.strip_prefix(b" "))
        .find(|digest| is_digest(digest))
        .map(|digest| String::from_utf8_lossy(digest).into_owned())
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

    const STATUS: &[u8] = b"Package: a\nConffiles:\n /etc/issue 00000000000000000000000000000000\n\
        Description: Package: base-files\n\nPackage: base-files\nStatus: install ok installed\nConffiles:\n \
        /etc/issue.d 11111111111111111111111111111111\n \
        /etc/issue 22222222222222222222222222222222\n \
        /etc/issue.net 33333333333333333333333333333333 obsolete\n \
        /etc/debian_version newconffile\nDescription: x\n /etc/motd 44444444444444444444444444444444\n\n\
        Package: base-files-extra\nConffiles:\n /etc/motd 55555555555555555555555555555555\n";

    #[test]
    fn a_conffile_is_found_in_its_own_paragraph() {
        let base = stanza(STATUS, "base-files");
        assert_eq!(conffile(base, "/etc/issue"), Some("2".repeat(32)));
        for path in ["/etc/issue.net", "/etc/debian_version", "/etc/motd"] {
            assert_eq!(conffile(base, path), None, "{path}");
        }
        assert_eq!(conffile(stanza(STATUS, "a"), "/etc/issue"), Some("0".repeat(32)));
        assert_eq!(stanza(STATUS, "issue"), b"");
    }

    #[test]
    fn a_listed_sum_is_of_the_whole_path() {
        let sums = b"aa  usr/share/usr/lib/os-release\nbb  usr/lib/os-release\ncc  x\n";
        assert_eq!(listed_sum(sums, b"/usr/lib/os-release").as_deref(), Some("bb"));
        assert_eq!(listed_sum(sums, b"/lib/os-release"), None);
    }
}
