//! `filesystem-features`: a system filesystem has a type or a feature that the rules for imported
//! images advise against.

use super::{Answer, Guest};
use crate::guest::SystemFilesystem;
use crate::model::{Finding, Subject, Verdict};
use crate::parse::superblock::Detail;
use crate::parse::superblock::ext::{Incompat, RoCompat};

/// The types that are recommended, ext2 that is tolerated, and that of the ESP, which must be FAT
/// (UEFI 13.3).
const USUAL: [&str; 5] = ["xfs", "ext3", "ext4", "ext2", "vfat"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(filesystems) = guest.system_filesystems()? else {
        return Ok(Verdict::NotApplicable("unseen"));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for filesystem in filesystems {
        match one(guest, filesystem) {
            Ok(found) => findings.extend(found),
            Err(why) => doubts.push(why.0),
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn one(
    guest: &Guest,
    filesystem: &SystemFilesystem,
) -> Result<Vec<Finding>, crate::guest::Unknown> {
    let Some(device) = filesystem.devices.first().copied() else { return Ok(Vec::new()) };
    let name = guest.disks()?.devices[device].known_as();
    let finding = |key: &'static str| {
        Finding::new(key, Subject::Device { device: name.clone() })
            .with("device", &name)
            .with("target", &filesystem.target)
    };
    // The superblock tells ext2, 3 and 4 apart; the kernel mounts all of them with the ext4 driver.
    let superblock = guest.identity(device).map(|identity| identity.superblock);
    let known = match &superblock {
        Ok(Some(superblock)) => superblock.kind.name(),
        _ => filesystem.fstype.as_str(),
    };
    if !USUAL.contains(&known) {
        return Ok(vec![finding("unusual-type").with("type", known)]);
    }
    if !known.starts_with("ext") {
        return Ok(Vec::new());
    }
    let Some(superblock) = superblock? else {
        return Err(crate::guest::Unknown(format!("the superblock of {name} cannot be read")));
    };
    let Detail::Ext(ext) = &superblock.detail else { return Ok(Vec::new()) };
    Ok(advised_against(ext.incompat, ext.ro_compat).into_iter().map(finding).collect())
}

/// The message keys of the features that import advises against: quota and project are fine, each
/// without the other.
fn advised_against(incompat: Incompat, ro_compat: RoCompat) -> Vec<&'static str> {
    let both = RoCompat(RoCompat::PROJECT.0 | RoCompat::QUOTA.0);
    [
        (incompat.contains(Incompat::BIT64), "ext4-64bit"),
        (ro_compat.contains(both), "project-and-quota"),
    ]
    .into_iter()
    .filter_map(|(is_set, key)| is_set.then_some(key))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_and_quota_are_bad_together() {
        // s_feature_incompat and s_feature_ro_compat, as ext4(5) and the kernel number them.
        for (incompat, ro_compat, keys) in [
            (0x242, 0x46b, &[][..]),
            (0x2c2, 0x46b, &["ext4-64bit"]),
            (0, 0x100, &[]),
            (0, 0x2000, &[]),
            (0, 0x2100, &["project-and-quota"]),
            (0x80, 0x2100, &["ext4-64bit", "project-and-quota"]),
        ] {
            assert_eq!(advised_against(Incompat(incompat), RoCompat(ro_compat)), keys);
        }
    }
}
