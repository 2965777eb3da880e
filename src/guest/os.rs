//! The distribution and its init system.

use super::{Fact, Guest};
use crate::model::GuestPath;
use crate::parse::os_release::OsRelease;
use crate::parse::release_file;

/// A family of distributions that share their ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Red Hat Enterprise Linux and its kin: CentOS, Rocky, Alibaba Cloud Linux, Anolis, openEuler.
    El,
    /// Debian and Ubuntu.
    Deb,
    /// SUSE Linux Enterprise and openSUSE.
    Suse,
    /// Fedora.
    Fedora,
    /// Systems whose /usr is an image of its own: reported on, not edited.
    Immutable,
    /// Something else.
    Unknown,
}

impl Family {
    /// The word that reports and checks use.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::El => "el",
            Family::Deb => "deb",
            Family::Suse => "suse",
            Family::Fedora => "fedora",
            Family::Immutable => "immutable",
            Family::Unknown => "unknown",
        }
    }
}

/// What runs as process 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// systemd.
    Systemd,
    /// upstart with mountall: Ubuntu before 15.04.
    Upstart,
    /// System V init scripts. EL6 runs upstart, but mounts from rc.sysinit as EL5 did.
    SysV,
    /// None that is known; judged as systemd, which is the strictest.
    Unknown,
}

impl Init {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Init::Systemd => "systemd",
            Init::Upstart => "upstart",
            Init::SysV => "sysv",
            Init::Unknown => "unknown",
        }
    }
}

/// The distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Os {
    /// `ID`, in lower case.
    pub id: Option<String>,
    /// `VERSION_ID`.
    pub version_id: Option<String>,
    /// `PRETTY_NAME`.
    pub pretty_name: Option<String>,
    /// The family.
    pub family: Family,
    /// The file that told.
    pub told_by: Option<&'static str>,
}

impl Os {
    /// The first number of the version.
    pub fn major(&self) -> Option<u32> {
        self.version_id.as_deref()?.split('.').next()?.parse().ok()
    }
}

/// The older files that name a release, those of a derived distribution first.
const OLDER: [&str; 9] = [
    "/etc/centos-release",
    "/etc/oracle-release",
    "/etc/redhat-release",
    "/etc/system-release",
    "/etc/alios-release",
    "/etc/aliyun-release",
    "/etc/SuSE-release",
    "/etc/lsb-release",
    "/etc/debian_version",
];

pub(super) fn read(guest: &Guest) -> Fact<Os> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        let Some(content) = guest.file(path)? else { continue };
        let release = OsRelease::parse(&content);
        let get = |key: &str| {
            let text = String::from_utf8_lossy(release.get(key)?).into_owned();
            (!text.is_empty()).then_some(text)
        };
        let Some(id) = get("ID") else { continue };
        let id = id.to_lowercase();
        let like = get("ID_LIKE").unwrap_or_default().to_lowercase();
        let variant = get("VARIANT_ID").unwrap_or_default();
        return Ok(Os {
            family: family(&id, &like, &variant),
            version_id: get("VERSION_ID"),
            pretty_name: get("PRETTY_NAME"),
            id: Some(id),
            told_by: Some(path),
        });
    }
    for path in OLDER {
        let Some(content) = guest.file(path)? else { continue };
        let release = match path {
            "/etc/SuSE-release" => release_file::suse(&content),
            "/etc/lsb-release" => release_file::lsb(&content),
            "/etc/debian_version" => release_file::debian(&content),
            _ => release_file::one_line(&content),
        };
        let Some(release) = release else { continue };
        let Some(id) = release.id.map(str::to_lowercase) else { continue };
        return Ok(Os {
            family: family(&id, "", ""),
            version_id: release.version,
            pretty_name: Some(release.pretty),
            id: Some(id),
            told_by: Some(path),
        });
    }
    Ok(Os { id: None, version_id: None, pretty_name: None, family: Family::Unknown, told_by: None })
}

fn family(id: &str, like: &str, variant: &str) -> Family {
    if variant == "coreos" || matches!(id, "coreos" | "flatcar" | "bottlerocket" | "lifsea") {
        return Family::Immutable;
    }
    let of = |id: &str| match id {
        "rhel" | "centos" | "rocky" | "almalinux" | "ol" | "alinux" | "aliyun" | "alios"
        | "anolis" | "openeuler" | "scientific" | "amzn" | "cloudlinux" | "eurolinux"
        | "virtuozzo" | "opencloudos" | "tencentos" | "kylin" | "redhat" => Some(Family::El),
        "debian" | "ubuntu" | "raspbian" | "linuxmint" | "deepin" | "uos" => Some(Family::Deb),
        "sles"
        | "sled"
        | "suse"
        | "opensuse"
        | "opensuse-leap"
        | "opensuse-tumbleweed"
        | "sles_sap" => Some(Family::Suse),
        "fedora" => Some(Family::Fedora),
        _ => None,
    };
    // ID first, then ID_LIKE from left to right, as os-release(5) asks.
    std::iter::once(id).chain(like.split_whitespace()).find_map(of).unwrap_or(Family::Unknown)
}

pub(super) fn init(guest: &Guest) -> Fact<Init> {
    let has = |path: &str| -> Fact<bool> { Ok(guest.stat(&GuestPath::from(path))?.is_some()) };
    for systemd in ["/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/sbin/systemd"] {
        if has(systemd)? {
            return Ok(Init::Systemd);
        }
    }
    if has("/sbin/mountall")? {
        return Ok(Init::Upstart);
    }
    if has("/etc/rc.d/rc.sysinit")?
        || has("/etc/init.d/mountall.sh")?
        || has("/etc/init.d/boot.localfs")?
    {
        return Ok(Init::SysV);
    }
    if has(super::services::OPENRC)? {
        return Ok(Init::Unknown);
    }
    // A tree without an init of its own: what its release would run.
    let os = guest.os()?;
    Ok(match (os.id.as_deref(), os.family, os.major()) {
        (Some("ubuntu"), _, Some(major)) if major < 15 => Init::Upstart,
        (Some("debian"), _, Some(major)) if major < 8 => Init::SysV,
        (_, Family::El, Some(major)) if (5..7).contains(&major) => Init::SysV,
        (Some("sles" | "suse"), _, Some(major)) if major < 12 => Init::SysV,
        (None, ..) => Init::Unknown,
        _ => Init::Systemd,
    })
}
