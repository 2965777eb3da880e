//! The files that name the distribution's release: which there are, which this release ships, and
//! what each says.
//!
//! For one probe. Parses, and judges nothing.

use std::rc::Rc;

use super::{Fact, Family, Guest, Mode, Os};
use crate::model::GuestPath;
use crate::parse::os_release::OsRelease;
use crate::parse::release_file::{self, Release};
use crate::sys::FileKind;

/// The form of a release file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseKind {
    /// os-release(5).
    OsRelease,
    /// `NAME release VERSION (CODENAME)`.
    OneLine,
    /// /etc/SuSE-release.
    Suse,
    /// /etc/debian_version.
    Debian,
    /// /etc/lsb-release.
    Lsb,
    /// The text before a login prompt (issue(5)).
    Issue,
}

/// A release file.
#[derive(Clone, Debug)]
pub struct ReleaseFile {
    /// Its path.
    pub path: &'static str,
    /// Its form.
    pub kind: ReleaseKind,
    /// Whether this release of this distribution ships it.
    pub is_shipped: bool,
    /// Where it points, if it is a link to nothing.
    pub dangling: Option<GuestPath>,
    /// Whether it is a link into /run, which only a running guest has.
    pub is_made_at_boot: bool,
    /// Device and inode: several of these names are one file.
    pub inode: Option<(u64, u64)>,
    /// The content; `None` when it is not there.
    pub content: Fact<Option<Rc<Vec<u8>>>>,
    /// What it says; `None` for an issue and for what has not the form of its kind.
    pub says: Option<Said>,
}

/// What a release file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The distribution by its os-release id, in lower case, where the name is known.
    pub id: Option<String>,
    /// The version, where there is one.
    pub version: Option<String>,
    /// The distribution and version as a person would say it.
    pub text: String,
}

/// Every file that is looked at; of several names for one file, the one that packages ship as a
/// file stands before its links.
const FILES: [(&str, ReleaseKind); 20] = [
    ("/etc/os-release", ReleaseKind::OsRelease),
    ("/usr/lib/os-release", ReleaseKind::OsRelease),
    ("/etc/alinux-release", ReleaseKind::OneLine),
    ("/etc/aliyun-release", ReleaseKind::OneLine),
    ("/etc/almalinux-release", ReleaseKind::OneLine),
    ("/etc/anolis-release", ReleaseKind::OneLine),
    ("/etc/fedora-release", ReleaseKind::OneLine),
    ("/etc/openEuler-release", ReleaseKind::OneLine),
    ("/etc/oracle-release", ReleaseKind::OneLine),
    ("/etc/rocky-release", ReleaseKind::OneLine),
    ("/etc/sl-release", ReleaseKind::OneLine),
    ("/etc/centos-release", ReleaseKind::OneLine),
    ("/etc/redhat-release", ReleaseKind::OneLine),
    ("/etc/system-release", ReleaseKind::OneLine),
    ("/etc/SuSE-release", ReleaseKind::Suse),
    ("/etc/debian_version", ReleaseKind::Debian),
    ("/etc/lsb-release", ReleaseKind::Lsb),
    ("/etc/issue", ReleaseKind::Issue),
    ("/etc/issue.net", ReleaseKind::Issue),
    ("/etc/alios-release", ReleaseKind::OneLine),
];

/// Stands for /etc/os-release or /usr/lib/os-release, either of which will do (os-release(5)).
const OS_RELEASE: &str = "os-release";

/// Which releases ship which files: id, first and last major version, files.
const SHIPPED: [(&str, u32, u32, &[&str]); 25] = [
    (
        "alinux",
        2,
        3,
        &[OS_RELEASE, "/etc/alinux-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    (
        "almalinux",
        8,
        10,
        &[OS_RELEASE, "/etc/almalinux-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    ("amzn", 2, 2023, &[OS_RELEASE, "/etc/system-release"]),
    (
        "anolis",
        7,
        8,
        &[OS_RELEASE, "/etc/anolis-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    ("anolis", 23, 23, &[OS_RELEASE, "/etc/anolis-release", "/etc/system-release"]),
    ("centos", 5, 5, &["/etc/redhat-release"]),
    ("centos", 6, 6, &["/etc/centos-release", "/etc/redhat-release", "/etc/system-release"]),
    (
        "centos",
        7,
        10,
        &[OS_RELEASE, "/etc/centos-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    ("debian", 6, 6, &["/etc/debian_version"]),
    ("debian", 7, u32::MAX, &[OS_RELEASE, "/etc/debian_version"]),
    (
        "fedora",
        20,
        u32::MAX,
        &[OS_RELEASE, "/etc/fedora-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    ("ol", 5, 5, &["/etc/redhat-release"]),
    ("ol", 6, 6, &["/etc/oracle-release", "/etc/redhat-release", "/etc/system-release"]),
    (
        "ol",
        7,
        10,
        &[OS_RELEASE, "/etc/oracle-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    ("openeuler", 20, u32::MAX, &[OS_RELEASE, "/etc/openEuler-release", "/etc/system-release"]),
    ("opensuse-leap", 15, u32::MAX, &[OS_RELEASE]),
    ("rhel", 5, 5, &["/etc/redhat-release"]),
    ("rhel", 6, 6, &["/etc/redhat-release", "/etc/system-release"]),
    ("rhel", 7, 10, &[OS_RELEASE, "/etc/redhat-release", "/etc/system-release"]),
    (
        "rocky",
        8,
        10,
        &[OS_RELEASE, "/etc/rocky-release", "/etc/redhat-release", "/etc/system-release"],
    ),
    ("sles", 11, 11, &["/etc/SuSE-release"]),
    ("sles", 12, 12, &[OS_RELEASE, "/etc/SuSE-release"]),
    ("sles", 15, u32::MAX, &[OS_RELEASE]),
    ("ubuntu", 10, 13, &["/etc/lsb-release", "/etc/debian_version"]),
    ("ubuntu", 14, u32::MAX, &[OS_RELEASE, "/etc/lsb-release", "/etc/debian_version"]),
];

impl Guest {
    /// The files that name the release.
    ///
    /// # Errors
    /// When the distribution cannot be told, or a path cannot be looked at. A file that is there
    /// and cannot be read is an error of its own.
    pub fn release_files(&self) -> Fact<Vec<ReleaseFile>> {
        let os = self.os()?;
        let mut files = Vec::with_capacity(FILES.len());
        for (path, kind) in FILES {
            files.push(self.release_file(path, kind)?);
        }
        let is_there = |file: &ReleaseFile| !matches!(file.content, Ok(None));
        let has_any = files.iter().any(|f| f.kind != ReleaseKind::Issue && is_there(f));
        let has_os_release = files.iter().any(|f| f.kind == ReleaseKind::OsRelease && is_there(f));
        let shipped = shipped(os);
        let wants_os_release = match shipped {
            Some(paths) => paths.contains(&OS_RELEASE),
            None => !has_any,
        };
        for file in &mut files {
            file.is_shipped = match (file.path, shipped) {
                ("/etc/os-release", _) => wants_os_release && !has_os_release,
                // Every release that is known here has one; of others nothing is known.
                ("/etc/issue", Some(_)) => true,
                (path, Some(paths)) => paths.contains(&path),
                (_, None) => false,
            } || file.dangling.is_some() && file.kind == ReleaseKind::OsRelease;
        }
        Ok(files)
    }

    fn release_file(&self, path: &'static str, kind: ReleaseKind) -> Fact<ReleaseFile> {
        let guest_path = GuestPath::from(path);
        // Most of the names are not there, which one look tells.
        let kind_of_entry = self.root().lstat(&guest_path)?.map(|entry| entry.kind);
        let content = match kind_of_entry {
            Some(_) => self.file(path),
            None => Ok(None),
        };
        let target = match kind_of_entry {
            Some(FileKind::Symlink) => self.root().read_link(&guest_path)?,
            _ => None,
        };
        let target = target.map(|target| guest_path.parent().join(&target));
        let is_absent = matches!(content, Ok(None));
        let into_run = |to: &GuestPath| {
            let text = to.as_bytes();
            text.starts_with(b"/run/") || text.starts_with(b"/etc/../run/")
        };
        let is_made_at_boot =
            is_absent && self.mode() != Mode::Live && target.as_ref().is_some_and(into_run);
        let says = match &content {
            Ok(Some(content)) => said(kind, content),
            _ => None,
        };
        let attributes = if is_absent { None } else { self.stat(&guest_path)? };
        Ok(ReleaseFile {
            path,
            kind,
            is_shipped: false,
            dangling: target.filter(|_| is_absent && !is_made_at_boot),
            is_made_at_boot,
            inode: attributes.map(|a| (a.device, a.inode)),
            content,
            says,
        })
    }
}

/// The files that a release ships; `None` when it is not known.
fn shipped(os: &Os) -> Option<&'static [&'static str]> {
    // A release that has no number yet is the newest.
    let major = match (&os.version_id, os.major()) {
        (None, _) if os.family == Family::Deb => u32::MAX,
        (_, major) => major?,
    };
    let id = os.id.as_deref()?;
    SHIPPED
        .iter()
        .find(|(of, first, last, _)| *of == id && (*first..=*last).contains(&major))
        .map(|(.., paths)| *paths)
}

fn said(kind: ReleaseKind, content: &[u8]) -> Option<Said> {
    let release = |release: Release| Said {
        id: release.id.map(str::to_lowercase),
        version: release.version,
        text: release.pretty,
    };
    match kind {
        ReleaseKind::OsRelease => {
            let file = OsRelease::parse(content);
            let get = |key: &str| file.get(key).map(|v| String::from_utf8_lossy(v).into_owned());
            let (id, version) = (get("ID")?, get("VERSION_ID"));
            let text = get("PRETTY_NAME").unwrap_or_else(|| {
                [Some(id.clone()), version.clone()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
            });
            Some(Said { id: Some(id.to_lowercase()), version, text })
        }
        ReleaseKind::OneLine => release_file::one_line(content).map(release),
        ReleaseKind::Suse => release_file::suse(content).map(release),
        ReleaseKind::Debian => release_file::debian(content).map(release),
        ReleaseKind::Lsb => release_file::lsb(content).map(release),
        ReleaseKind::Issue => None,
    }
}
