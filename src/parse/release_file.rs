//! Release files of the time before os-release(5), and beside it.
//!
//! `/etc/redhat-release` and its kin, `/etc/SuSE-release`, `/etc/debian_version`, `/etc/lsb-release`. CentOS 5 and 6, SLES 11
//! and Debian 6 have nothing else.

use super::fields::{is_c_space, trim};
use super::key_value::KeyValue;

/// What a release file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The ID that os-release(5) gives this distribution. `None` for a name that is not known here.
    pub id: Option<&'static str>,
    /// The version, as exact as the file has it (`7.9.2009`, `11.4`).
    pub version: Option<String>,
    /// The code name (`Core`, `Hunting Beagle`).
    pub codename: Option<String>,
    /// The file's own line or description.
    pub pretty: String,
    /// Whether this is CentOS Stream, whose os-release has the ID of CentOS Linux though it is another distribution.
    pub is_stream: bool,
}

/// How the names in one-line release files start, and the ID they have in os-release(5). The first that fits counts.
const NAMES: [(&str, &str); 22] = [
    ("centos", "centos"),
    ("red hat enterprise linux", "rhel"),
    ("alibaba cloud linux", "alinux"),
    ("aliyun linux", "alinux"),
    ("alibaba group enterprise linux", "alios"),
    ("alibaba enterprise linux", "alios"),
    ("anolis os", "anolis"),
    ("rocky linux", "rocky"),
    ("almalinux", "almalinux"),
    ("oracle linux", "ol"),
    // Oracle's own name for its releases up to 5.
    ("enterprise linux", "ol"),
    ("openeuler", "openEuler"),
    ("euleros", "euleros"),
    ("fedora", "fedora"),
    ("scientific linux", "scientific"),
    ("amazon linux", "amzn"),
    ("tencentos", "tencentos"),
    ("kylin linux", "kylin"),
    ("uniontech os", "uos"),
    ("uos", "uos"),
    ("cloudlinux", "cloudlinux"),
    ("virtuozzo", "virtuozzo"),
];

/// Reads a one-line file: redhat-release, centos-release, system-release, aliyun-release and so on.
///
/// The form is `NAME release VERSION [MORE] [(CODENAME)]`. `None` when there is no such line.
pub fn one_line(text: &[u8]) -> Option<Release> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let (name, rest) = line.split_once(" release ")?;
    let name = name.to_ascii_lowercase();
    let version = rest.split_whitespace().next().filter(|word| !word.starts_with('('))?;
    let codename = rest
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .map(|(_, codename)| codename.trim());
    Some(Release {
        id: NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|&(_, id)| id),
        version: Some(version.to_owned()),
        codename: codename.filter(|codename| !codename.is_empty()).map(str::to_owned),
        pretty: line.to_owned(),
        is_stream: name.starts_with("centos stream"),
    })
}

/// Reads /etc/SuSE-release: a heading, then `VERSION = 11`, `PATCHLEVEL = 4`, perhaps `CODENAME = ...`.
pub fn suse(text: &[u8]) -> Option<Release> {
    let text = String::from_utf8_lossy(text);
    let pretty =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let version = value("VERSION")?;
    let id = if pretty.starts_with("openSUSE") {
        Some("opensuse")
    } else if pretty.starts_with("SUSE Linux Enterprise Server") {
        Some("sles")
    } else if pretty.starts_with("SUSE Linux Enterprise Desktop") {
        Some("sled")
    } else {
        None
    };
    // A service pack of 0 is the release itself: SLES 12 GA has VERSION_ID="12".
    let version = match value("PATCHLEVEL").filter(|level| level != "0") {
        Some(level) => format!("{version}.{level}"),
        None => version,
    };
    Some(Release {
        id,
        version: Some(version),
        codename: value("CODENAME"),
        pretty: pretty.to_owned(),
        is_stream: false,
    })
}

/// Reads /etc/debian_version: `6.0.10`, or `wheezy/sid` before a release has a number.
///
/// Ubuntu and other derivatives carry this file too, with Debian's values, so that it decides only when there is no
/// other.
pub fn debian(text: &[u8]) -> Option<Release> {
    let line = trim(text, is_c_space);
    let line = std::str::from_utf8(line)
        .ok()
        .filter(|line| !line.is_empty() && !line.contains(char::is_whitespace))?;
    let (version, codename) = match line.split_once('/') {
        Some((codename, _)) => (None, Some(codename.to_owned())),
        None if line.starts_with(|c: char| c.is_ascii_digit()) => (Some(line.to_owned()), None),
        None => return None,
    };
    Some(Release {
        id: Some("debian"),
        version,
        codename,
        pretty: format!("Debian {line}"),
        is_stream: false,
    })
}

/// Reads /etc/lsb-release. Known are Ubuntu's and Debian's; the LSB package of others has no `DISTRIB_ID`.
pub fn lsb(text: &[u8]) -> Option<Release> {
    let file = KeyValue::parse(text);
    let value = |key: &str| {
        let value = String::from_utf8_lossy(file.get(key)?).into_owned();
        (!value.is_empty()).then_some(value)
    };
    let distribution = value("DISTRIB_ID")?;
    let id = match distribution.to_ascii_lowercase().as_str() {
        "ubuntu" => Some("ubuntu"),
        "debian" => Some("debian"),
        _ => None,
    };
    let version = value("DISTRIB_RELEASE");
    let pretty = value("DISTRIB_DESCRIPTION").unwrap_or_else(|| {
        [Some(distribution), version.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    Some(Release { id, version, codename: value("DISTRIB_CODENAME"), pretty, is_stream: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_line_files() {
        for (text, id, version, codename, stream) in [
            ("CentOS release 6.10 (Final)\n", "centos", "6.10", "Final", false),
            ("CentOS Linux release 7.9.2009 (Core)", "centos", "7.9.2009", "Core", false),
            ("CentOS Stream release 8", "centos", "8", "", true),
            ("CentOS Stream release 9 \n", "centos", "9", "", true),
            (
                "Red Hat Enterprise Linux Server release 6.9 (Santiago)",
                "rhel",
                "6.9",
                "Santiago",
                false,
            ),
            ("Red Hat Enterprise Linux release 9.2 (Plow)", "rhel", "9.2", "Plow", false),
            (
                "Alibaba Cloud Linux (Aliyun Linux) release 2.1903 LTS (Hunting Beagle)",
                "alinux",
                "2.1903",
                "Hunting Beagle",
                false,
            ),
            (
                "Alibaba Cloud Linux release 3 (Soaring Falcon)",
                "alinux",
                "3",
                "Soaring Falcon",
                false,
            ),
            (
                "Alibaba Group Enterprise Linux Server release 5.7 (Tikanga)",
                "alios",
                "5.7",
                "Tikanga",
                false,
            ),
            ("Oracle Linux Server release 7.9", "ol", "7.9", "", false),
            (
                "Enterprise Linux Enterprise Linux Server release 5.5 (Carthage)",
                "ol",
                "5.5",
                "Carthage",
                false,
            ),
            ("Rocky Linux release 8.9 (Green Obsidian)", "rocky", "8.9", "Green Obsidian", false),
            (
                "AlmaLinux release 8.9 (Midnight Oncilla)",
                "almalinux",
                "8.9",
                "Midnight Oncilla",
                false,
            ),
            ("Anolis OS release 8.8", "anolis", "8.8", "", false),
            ("openEuler release 22.03 (LTS-SP1)", "openEuler", "22.03", "LTS-SP1", false),
            ("Fedora release 39 (Thirty Nine)", "fedora", "39", "Thirty Nine", false),
            ("Scientific Linux release 6.10 (Carbon)", "scientific", "6.10", "Carbon", false),
            ("Amazon Linux release 2 (Karoo)", "amzn", "2", "Karoo", false),
            ("Kylin Linux Advanced Server release V10 (Tercel)", "kylin", "V10", "Tercel", false),
        ] {
            let release = one_line(text.as_bytes()).expect(text);
            assert_eq!(release.id, Some(id), "{text}");
            assert_eq!(release.version.as_deref(), Some(version), "{text}");
            assert_eq!(release.codename.as_deref().unwrap_or(""), codename, "{text}");
            assert_eq!(release.is_stream, stream, "{text}");
            assert_eq!(release.pretty, text.trim());
        }
        assert_eq!(one_line(b"My Own Linux release 1").unwrap().id, None);
        for text in ["", "\n", "CentOS", "CentOS release (Final)"] {
            assert_eq!(one_line(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn suse_files() {
        let sles =
            suse(b"SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n")
                .unwrap();
        assert_eq!((sles.id, sles.version.as_deref()), (Some("sles"), Some("11.4")));
        assert_eq!(sles.pretty, "SUSE Linux Enterprise Server 11 (x86_64)");
        let ga = suse(b"SUSE Linux Enterprise Server 12 (x86_64)\nVERSION = 12\nPATCHLEVEL = 0\n# deprecated\n").unwrap();
        assert_eq!(ga.version.as_deref(), Some("12"));
        let open = suse(b"openSUSE 13.1 (x86_64)\nVERSION = 13.1\nCODENAME = Bottle\n").unwrap();
        assert_eq!((open.id, open.codename.as_deref()), (Some("opensuse"), Some("Bottle")));
        assert_eq!(suse(b"SUSE\n"), None);
    }

    #[test]
    fn debian_files() {
        let release = debian(b"6.0.10\n").unwrap();
        assert_eq!((release.version.as_deref(), release.codename), (Some("6.0.10"), None));
        let testing = debian(b"wheezy/sid\n").unwrap();
        assert_eq!((testing.version, testing.codename.as_deref()), (None, Some("wheezy")));
        for text in ["", "\n", "junk", "6 0"] {
            assert_eq!(debian(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn lsb_files() {
        let text = b"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\nDISTRIB_CODENAME=precise\nDISTRIB_DESCRIPTION=\"Ubuntu 12.04.5 LTS\"\n";
        let release = lsb(text).unwrap();
        assert_eq!((release.id, release.version.as_deref()), (Some("ubuntu"), Some("12.04")));
        assert_eq!(
            (release.codename.as_deref(), release.pretty.as_str()),
            (Some("precise"), "Ubuntu 12.04.5 LTS")
        );
        assert_eq!(lsb(b"LSB_VERSION=base-4.0-amd64\n"), None);
        assert_eq!(
            lsb(b"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\n").unwrap().pretty,
            "Ubuntu 10.04"
        );
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            one_line(&text);
            suse(&text);
            debian(&text);
            lsb(&text);
        }

        #[test]
        fn any_line(name in "[ -~]{0,20}", rest in "[ -~]{0,20}") {
            one_line(format!("{name} release {rest}").as_bytes());
        }
    }
}
