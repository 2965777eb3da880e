//! `rhel-instance-family`: Red Hat Enterprise Linux on an instance family that it is not certified
//! for.

use super::{Answer, Guest};
use crate::model::{Finding, Subject, Verdict};

/// The certified families (Alibaba Cloud ECS: 镜像FAQ).
const CERTIFIED: [&str; 14] = [
    "r5", "c5", "g5", "re4", "t5", "hfc5", "hfg5", "i2", "sn1ne", "sn2ne", "se1ne", "sn1", "sn2",
    "se1",
];

/// Those that are certified from a release on, and that release.
const CERTIFIED_LATER: [&str; 3] = ["r6", "c6", "g6"];
const LATER: (u32, u32) = (7, 7);

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let os = guest.os()?;
    if os.id.as_deref() != Some("rhel") {
        return Ok(Verdict::NotApplicable("not-rhel"));
    }
    let Some(metadata) = guest.metadata()? else {
        return Ok(Verdict::NotApplicable("not-asked"));
    };
    let Some(family) = metadata.instance_type.as_deref().and_then(family) else {
        let why = "the metadata service names no instance type";
        return Ok(Verdict::Unknown { reason: why.to_owned(), findings: Vec::new() });
    };
    let version = os.version_id.clone().unwrap_or_default();
    let finding = |key| {
        let subject = Subject::Setting { setting: "instance type".to_owned() };
        Finding::new(key, subject).with("family", family).with("version", &version)
    };
    let findings = if CERTIFIED.contains(&family) {
        Vec::new()
    } else if !CERTIFIED_LATER.contains(&family) {
        vec![finding("not-listed")]
    } else {
        match release(&version) {
            Some(release) if release >= LATER => Vec::new(),
            Some(_) => vec![finding("too-old")],
            None => {
                let why = format!("the release {version:?} is no number");
                return Ok(Verdict::Unknown { reason: why, findings: Vec::new() });
            }
        }
    };
    Ok(Verdict::from_parts(findings, Vec::new()))
}

/// `g6` of `ecs.g6.large`.
fn family(instance_type: &str) -> Option<&str> {
    instance_type.strip_prefix("ecs.")?.split('.').next().filter(|family| !family.is_empty())
}

/// `7.6` as numbers; a release without a minor number is the first of its major one.
fn release(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_releases() {
        assert_eq!(family("ecs.g6.large"), Some("g6"));
        assert_eq!(family("ecs.hfg5.xlarge"), Some("hfg5"));
        for none in ["g6.large", "ecs.", ""] {
            assert_eq!(family(none), None, "{none}");
        }
        assert_eq!(release("7.10"), Some((7, 10)));
        assert_eq!(release("8"), Some((8, 0)));
        assert_eq!(release("seven"), None);
    }
}
