//! Packages: which version of one is installed, and whether a file is as its package installed it.
//!
//! For probes. dpkg's database is read natively, once, and of it only what is asked for is kept.
//! rpm's is in one of three binary formats, so rpm itself is asked, on a live guest alone: a rpm
//! of another release may not know the format, and opening the old one writes lock files to it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use md5::{Digest, Md5};
use regex::bytes::Regex;

use super::{Fact, Family, Guest, MAX_FILE, Unknown, keep};
use crate::model::GuestPath;
use crate::parse::{rpm_verify, version};
use crate::sys::{ErrorKind, trace};

/// The package that has Debian's and Ubuntu's release files. Where a derivative moved one to another
/// package, what the file says is judged, not its digest.
const OWNER: &str = "base-files";

/// How long rpm may take. It verifies every file of the packages that own what is asked for,
/// some tens of files.
const RPM_LIMIT: Duration = Duration::from_secs(10);

/// Where rpm has its packages: of rpm 4.16 and later, and before; of the distributions that moved
/// it to /usr. A query leaves these files as they are.
const RPM_DATABASES: [&str; 6] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages",
    "/var/lib/rpm/Packages.db",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/usr/share/rpm/rpmdb.sqlite",
];

/// Every package whose version some check asks for, so that rpm is started once for all of them; a
/// start takes longer than all else of an audit.
const ASKED: [&str; 20] = [
    "bash",
    "chrony",
    "cloud-init",
    "dhclient",
    "dhcp-client",
    "glibc",
    "kdump",
    "kexec-tools",
    "kdump-utils",
    "aliyun-assist",
    "aliyun_assist",
    "ntp",
    "openssl",
    "openssl-libs",
    "qemu-guest-agent",
    "openssh-server",
    "systemd",
    "wget",
    "cloud-utils-growpart",
    "growpart",
];

/// What dpkg's database says, as far as it is asked for.
#[derive(Debug, Default)]
pub(super) struct Dpkg {
    /// Package and version of what is unpacked or installed.
    versions: BTreeMap<String, String>,
    /// The paragraph of [`OWNER`].
    owner: Vec<u8>,
}

/// Versions by package, of those that rpm was asked for; none of one that is not installed.
pub(super) type RpmVersions = BTreeMap<String, Option<String>>;

/// The kinds of versions, which have each their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageManager {
    /// Debian's.
    Dpkg,
    /// Red Hat's and SUSE's.
    Rpm,
}

impl PackageManager {
    /// The order of two versions, `epoch:version-release`; `None` where one of them is none.
    pub fn compare(self, left: &str, right: &str) -> Option<Ordering> {
        match self {
            PackageManager::Dpkg => version::compare_deb(left, right),
            PackageManager::Rpm => Some(version::compare_rpm(left, right)),
        }
    }
}

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
    /// Which package manager the guest has, by its database.
    ///
    /// # Errors
    /// When dpkg's database cannot be read, and when there is none that is known.
    pub fn package_manager(&self) -> Fact<PackageManager> {
        if self.dpkg()?.is_some() {
            return Ok(PackageManager::Dpkg);
        }
        for path in ["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"] {
            if self.stat(&GuestPath::from(path))?.is_some() {
                return Ok(PackageManager::Rpm);
            }
        }
        Err(Unknown("there is no package database that is known".to_owned()))
    }

    /// The installed version of a package, `epoch:version-release`; `None` when it is not
    /// installed. Of several versions of one name the lowest.
    ///
    /// # Errors
    /// When the database cannot be read: rpm's can on a live guest that has rpm alone.
    pub fn package(&self, name: &str) -> Fact<Option<String>> {
        if let Some(dpkg) = self.dpkg()? {
            return Ok(dpkg.versions.get(name).cloned());
        }
        self.package_manager()?;
        let known = keep(&self.facts.rpm, || {
            let known = self.ask_rpm_versions(&ASKED)?;
            Ok(std::cell::RefCell::new(known))
        })?;
        if let Some(version) = known.borrow().get(name) {
            return Ok(version.clone());
        }
        let more = self.ask_rpm_versions(&[name])?;
        known.borrow_mut().extend(more);
        Ok(known.borrow().get(name).cloned().flatten())
    }

    /// dpkg's database; `None` when there is none.
    fn dpkg(&self) -> Fact<Option<&Dpkg>> {
        keep(&self.facts.dpkg, || {
            // Some megabytes on a large guest: what is not asked for is not kept.
            let status = self.root.read(&GuestPath::from("/var/lib/dpkg/status"), MAX_FILE)?;
            let mut dpkg = status.map(|status| Dpkg::read(&status));
            // Images that are built file by file have a paragraph a file here.
            let directory = GuestPath::from("/var/lib/dpkg/status.d");
            for name in self.root.list(&directory)?.unwrap_or_default() {
                if name.ends_with(b".md5sums") {
                    continue;
                }
                if let Some(text) = self.root.read(&directory.join(&name), MAX_FILE)? {
                    dpkg.get_or_insert_default().versions.extend(Dpkg::read(&text).versions);
                }
            }
            Ok(dpkg)
        })
        .map(Option::as_ref)
    }

    /// What rpm says rests on its database, which the program reads and not we.
    pub(super) fn rests_on_rpm_database(&self) {
        for path in RPM_DATABASES {
            trace::asked_file(&GuestPath::from(path));
        }
    }

    /// The versions of packages as rpm has them in its database.
    fn ask_rpm_versions(&self, names: &[&str]) -> Fact<RpmVersions> {
        self.rests_on_rpm_database();
        // DISTRO(el5): rpm 4.4 knows no %{EVR}.
        let format = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n";
        let mut argv = vec!["rpm", "--query", "--queryformat", format];
        argv.extend(names);
        let output = match self.runner().run(&argv, RPM_LIMIT) {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::Refused => {
                let why = "the rpm database is read on a running guest alone, by its own rpm";
                return Err(Unknown(why.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut found: RpmVersions = names.iter().map(|name| ((*name).to_owned(), None)).collect();
        // What is not installed is said on the same stream, in the guest's language, without a tab.
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Some((name, version)) = line.split_once('\t') else { continue };
            let Some(known) = found.get_mut(name) else { continue };
            let is_lower = known
                .as_deref()
                .is_none_or(|known| version::compare_rpm(version, known) == Ordering::Less);
            if is_lower {
                *known = Some(version.to_owned());
            }
        }
        // A database that cannot be opened is told by the exit code and stderr alone.
        let said = String::from_utf8_lossy(&output.stderr);
        let error = said.lines().find(|line| !line.ends_with("is not installed"));
        if let Some(error) = error
            && found.values().all(Option::is_none)
        {
            return Err(Unknown(format!("rpm cannot read its database: {error}")));
        }
        Ok(found)
    }

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
        let Some(dpkg) = self.dpkg()? else { return Ok(found) };
        let sums = GuestPath::from("/var/lib/dpkg/info/base-files.md5sums");
        let sums = self.root.read(&sums, MAX_FILE)?.unwrap_or_default();
        for path in paths {
            // /etc/os-release is a link to the file that the package has; where an administrator
            // put a file in its place, that file has to be the same.
            let listed = if *path == "/etc/os-release" { "/usr/lib/os-release" } else { *path };
            let digest =
                conffile(&dpkg.owner, path).or_else(|| listed_sum(&sums, listed.as_bytes()));
            let (Some(digest), Ok(Some(content))) = (digest, self.file(*path)) else { continue };
            let same = hex(&Md5::digest(content.as_slice())) == digest;
            let state = if same { Installed::Same } else { Installed::Changed };
            found.insert((*path).to_owned(), Packaged { package: OWNER.to_owned(), state });
        }
        Ok(found)
    }

    fn ask_rpm(&self, paths: &[&str]) -> Fact<BTreeMap<String, Packaged>> {
        self.rests_on_rpm_database();
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

impl Dpkg {
    /// Read a status file in one pass over its paragraphs (deb-status of dpkg: `Package`, `Status`
    /// and `Version` stand before what is long).
    fn read(status: &[u8]) -> Self {
        let mut found = Self::default();
        for paragraph in paragraphs(status) {
            let Some(name) = field(paragraph, b"Package: ") else { continue };
            if name == OWNER {
                found.owner = paragraph.to_vec();
            }
            // A paragraph below status.d has no Status.
            let state = field(paragraph, b"Status: ").unwrap_or_default();
            let is_there = !matches!(
                state.rsplit(' ').next(),
                Some("not-installed" | "config-files" | "half-installed")
            );
            if let Some(version) = field(paragraph, b"Version: ")
                && is_there
            {
                found.versions.insert(name.to_owned(), version.to_owned());
            }
        }
        found
    }
}

/// The paragraphs of a control file, which empty lines separate.
fn paragraphs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    // A search for a literal, without looking at every line.
    let end = Regex::new("\n\n").ok();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at =
            end.as_ref().and_then(|end| end.find(rest)).map(|found| (found.start(), found.end()));
        let (stop, next) = at.unwrap_or((rest.len(), rest.len()));
        let paragraph = &rest[..stop];
        rest = &rest[next..];
        Some(paragraph)
    })
}

/// The value of a field that takes one line; `None` when it is not there or no UTF-8.
fn field<'a>(paragraph: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let line = paragraph.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(name))?;
    std::str::from_utf8(line).ok().map(str::trim)
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
        let base = Dpkg::read(STATUS).owner;
        assert_eq!(conffile(&base, "/etc/issue"), Some("2".repeat(32)));
        for path in ["/etc/issue.net", "/etc/debian_version", "/etc/motd"] {
            assert_eq!(conffile(&base, path), None, "{path}");
        }
    }

    #[test]
    fn only_what_is_there_has_a_version() {
        let text = b"Package: a\nStatus: install ok installed\nVersion: 1:2-3\n\n\
            Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: c\nStatus: install reinstreq half-installed\nVersion: 1\n\n\
            Package: d\nStatus: install ok triggers-pending\nArchitecture: all\nVersion: 4\n\n\
            Package: e\nVersion: 5\nDescription: x\n Version: 6\n\n\nPackage: f\n";
        let found: Vec<_> = Dpkg::read(text).versions.into_iter().collect();
        let want = [("a", "1:2-3"), ("d", "4"), ("e", "5")];
        assert_eq!(found, want.map(|(name, version)| (name.to_owned(), version.to_owned())));
    }

    #[test]
    fn a_listed_sum_is_of_the_whole_path() {
        let sums = b"aa  usr/share/usr/lib/os-release\nbb  usr/lib/os-release\ncc  x\n";
        assert_eq!(listed_sum(sums, b"/usr/lib/os-release").as_deref(), Some("bb"));
        assert_eq!(listed_sum(sums, b"/lib/os-release"), None);
    }
}
