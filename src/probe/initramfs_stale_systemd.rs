//! `initramfs-stale-systemd`: systemd of EL7 was updated to a build that fails when it takes over
//! from an older one, and the initramfs still has that.

use super::{Answer, Guest, drivers};
use crate::guest::{Fact, Initramfs, Os, Unknown};
use crate::model::{Finding, GuestPath, Subject, Verdict, sha256_hex};

/// The first release of systemd 219 that judges an end by a signal otherwise.
const FIRST_BAD: u32 = 71;

/// The bugs that the builds which mend it name.
const FIXES: [&str; 3] = ["1825232", "1889314", "1889315"];

const SYSTEMD: &str = "/usr/lib/systemd/systemd";

pub fn judge(guest: &Guest) -> Answer {
    if !is_el7(guest.os()?) {
        return Ok(Verdict::NotApplicable("other-release"));
    }
    let Some(installed) = guest.file(SYSTEMD)? else {
        return Ok(Verdict::NotApplicable("no-systemd"));
    };
    let mut stale = Vec::new();
    for kernel in guest.kernels()? {
        for path in &kernel.initramfs {
            let image = guest.initramfs(path)?;
            if !is_fresh(guest, &image, &installed)? {
                stale.push((kernel, path));
            }
        }
    }
    if stale.is_empty() {
        return Ok(Verdict::Pass);
    }
    let (_, first) = stale[0];
    let version = match needs_its_own(guest) {
        Ok(Some(version)) => version,
        Ok(None) => return Ok(Verdict::Pass),
        Err(why) => {
            let doubt = format!("{first} has an older systemd than the installed one, and {why}");
            return Err(Unknown(doubt));
        }
    };
    let mut findings = Vec::new();
    for (kernel, path) in stale {
        let rebuild = drivers::rebuild(guest, kernel, path)?;
        let finding = Finding::new("stale", Subject::file(path))
            .with("path", path)
            .with("version", &version)
            .fix(rebuild.map(|rebuild| rebuild.edit));
        findings.push(finding);
    }
    Ok(Verdict::Fail(findings))
}

/// EL7 and what is built like it.
fn is_el7(os: &Os) -> bool {
    let id = os.id.as_deref().unwrap_or_default();
    match os.major() {
        Some(7) => true,
        // DISTRO(alinux-2): built from EL7's sources.
        Some(2) => matches!(id, "alinux" | "aliyun"),
        _ => false,
    }
}

/// Whether an image has the installed systemd, or none. dracut may strip what it packs, so that
/// other bytes are not yet another build; an image that was written after systemd was installed
/// has it.
fn is_fresh(guest: &Guest, image: &Initramfs, installed: &[u8]) -> Fact<bool> {
    let Some(packed) = &image.systemd else { return Ok(true) };
    if packed.size == installed.len() as u64 && packed.sha256 == sha256_hex(installed) {
        return Ok(true);
    }
    // rpm sets the time of modification to that of the build; only the time of change is of here.
    let Some(stamp) = guest.stamp(&GuestPath::from(SYSTEMD))? else { return Ok(false) };
    let time = |time: crate::guest::Time| (time.seconds, time.nanoseconds);
    Ok(time(image.modified) > time(stamp.changed))
}

/// The version of the installed systemd where it has to find itself in the initramfs.
fn needs_its_own(guest: &Guest) -> Fact<Option<String>> {
    let Some(version) = guest.package("systemd")? else { return Ok(None) };
    if !is_affected(&version) || guest.rpm_changelog_names("systemd", &FIXES)? {
        return Ok(None);
    }
    Ok(Some(version))
}

fn is_affected(version: &str) -> bool {
    let release = version.strip_prefix("219-").unwrap_or_default();
    let number = release.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    number.parse().is_ok_and(|number: u32| number >= FIRST_BAD)
}

#[cfg(test)]
mod tests {
    use super::is_affected;

    #[test]
    fn builds_before_71_and_other_versions_are_not_affected() {
        for (version, affected) in [
            ("219-62.el7_6.5", false),
            ("219-70.el7", false),
            ("219-71.el7", true),
            ("219-78.el7_9.9", true),
            ("239-58.el8", false),
            ("219-x", false),
        ] {
            assert_eq!(is_affected(version), affected, "{version}");
        }
    }
}
