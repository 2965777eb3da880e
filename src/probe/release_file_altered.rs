//! `release-file-altered`: a file that names the distribution's release is missing, empty or
//! changed.

use std::collections::BTreeMap;

use super::{Answer, Guest};
use crate::guest::{Family, Installed, Os, Packaged, ReleaseFile, ReleaseKind};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let os = guest.os()?;
    let files = guest.release_files()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let paths: Vec<&str> = files.iter().map(|file| file.path).collect();
    let packaged = guest.packaged(&paths).unwrap_or_else(|why| {
        doubts.push(why.0);
        BTreeMap::new()
    });
    let mut seen = Vec::new();
    for file in &files {
        let content = match &file.content {
            Ok(Some(content)) => content,
            Ok(None) if file.is_shipped && !file.is_made_at_boot => {
                match guest.lacks_usr() {
                    Ok(false) => findings.push(missing(file)),
                    Ok(true) => doubts.push(format!(
                        "{} may be in /usr, a filesystem of its own that is not mounted in the tree",
                        file.path
                    )),
                    Err(why) => doubts.push(why.0),
                }
                continue;
            }
            Ok(None) => continue,
            Err(why) => {
                doubts.push(why.0.clone());
                continue;
            }
        };
        // One file may have several of these names; what is wrong with it is said once.
        if let Some(inode) = file.inode {
            if seen.contains(&inode) {
                continue;
            }
            seen.push(inode);
        }
        findings.extend(judge_content(os, file, content, packaged.get(file.path)));
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn finding(key: &'static str, file: &ReleaseFile) -> Finding {
    Finding::new(key, Subject::file(&GuestPath::from(file.path))).with("path", file.path)
}

fn missing(file: &ReleaseFile) -> Finding {
    let finding = finding("missing", file);
    match &file.dangling {
        Some(target) => finding.evidence(format!("{} -> {target}", file.path)),
        None => finding,
    }
}

fn judge_content(
    os: &Os,
    file: &ReleaseFile,
    content: &[u8],
    packaged: Option<&Packaged>,
) -> Option<Finding> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Some(finding("empty", file));
    }
    if let Some(Packaged { package, state: Installed::Changed }) = packaged {
        return Some(
            finding("changed", file).with("package", package).evidence(first_line(content)),
        );
    }
    // LSB's own file names no distribution where the distribution does not write it.
    let may_say_nothing = matches!(file.kind, ReleaseKind::Issue | ReleaseKind::Lsb);
    if content.contains(&0) || file.says.is_none() && !may_say_nothing {
        return Some(finding("unreadable-text", file).evidence(first_line(content)));
    }
    inconsistent(os, file)
}

fn first_line(content: &[u8]) -> String {
    let line = content.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    crate::model::ByteString::from(line.unwrap_or_default()).to_string()
}

/// Whether a file names another distribution or version than the one that told which it is.
fn inconsistent(os: &Os, file: &ReleaseFile) -> Option<Finding> {
    let (says, told_by) = (file.says.as_ref()?, os.told_by?);
    let id = os.id.as_deref()?;
    // DISTRO(ubuntu and other derivatives): debian_version is the Debian release that it came
    // from. DISTRO(debian testing): it names the coming release, which has no number.
    if told_by == file.path || file.kind == ReleaseKind::Debian && id != "debian" {
        return None;
    }
    let same_id = match says.id.as_deref() {
        None => true,
        Some(other) => {
            other == id
                // Rebuilds keep /etc/redhat-release as it is at Red Hat's, for software that asks.
                || file.path == "/etc/redhat-release" && other == "rhel" && os.family == Family::El
                // SLES for SAP and others say which SLES they are.
                || file.kind == ReleaseKind::Suse && id.starts_with(other)
        }
    };
    let same_version = match (&says.version, &os.version_id) {
        (Some(a), Some(b)) => is_prefix(a, b) || is_prefix(b, a),
        _ => true,
    };
    if same_id && same_version {
        return None;
    }
    let other_says = os.pretty_name.clone().unwrap_or_else(|| id.to_owned());
    Some(
        finding("inconsistent", file)
            .with("says", &says.text)
            .with("other", told_by)
            .with("other_says", other_says),
    )
}

/// Whether one version is the other with fewer components: 7 of 7.9.2009.
fn is_prefix(short: &str, long: &str) -> bool {
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
