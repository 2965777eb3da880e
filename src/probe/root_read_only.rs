//! `root-read-only`: nothing makes the root filesystem writable.
//!
//! The kernel and the initial ramdisk mount it read-only unless the kernel's arguments say `rw`; later
//! systemd-remount-fs.service gives it the options that fstab has for `/`, and without such a line leaves it as it is.

use super::{Answer, Guest};
use crate::guest::{BootEntry, Family, Init, Loader, Unknown};
use crate::model::{ByteString, Edit, Finding, GuestPath, Severity, Subject, Verdict};
use crate::parse::fstab::Entry;
use crate::parse::options::Options;

/// The types of root partitions of x86-64 and arm64 that systemd-gpt-auto-generator(8) knows, and makes writable where the
/// kernel's arguments say neither `ro` nor `rw`.
const DISCOVERABLE: [&str; 2] =
    ["4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "b921b045-1df0-41c3-af44-4c6f280d3fae"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    if guest.os()?.family == Family::Immutable {
        return Ok(Verdict::NotApplicable("immutable"));
    }
    let menu = guest.boot_entries();
    let entry = menu.as_ref().ok().and_then(|menu| menu.default_entry());
    if has_another_root(guest, entry)? {
        return Ok(Verdict::NotApplicable("another-root"));
    }
    let fstab = GuestPath::from("/etc/fstab");
    let root = GuestPath::from("/");
    let table = guest.fstab()?;
    let line = table.and_then(|table| {
        let line = table.entries().find(|entry| {
            GuestPath::new(&entry.target.value) == root && !entry.refused_by_libmount()
        })?;
        Some((line, table.line_of(line)?.raw.as_slice()))
    });
    if let Some((line, raw)) = line {
        if !asks_for_read_only(line) {
            return Ok(Verdict::Pass);
        }
        let finding = Finding::new("asked-for", Subject::line(&fstab, line.line))
            .severity(Severity::Warning)
            .evidence(ByteString::from(raw));
        return Ok(Verdict::Fail(vec![finding]));
    }
    let menu = menu?;
    if let Loader::Other(name) = menu.loader {
        return Ok(untold(format!(
            "{}: the configuration of {name} cannot be judged",
            menu.config
        )));
    }
    let Some(entry) = entry.filter(|entry| entry.kernel.is_some()) else {
        return Ok(match menu.doubts.is_empty() {
            true => untold("no boot entry tells the kernel's arguments".to_owned()),
            false => Verdict::from_parts(Vec::new(), menu.doubts.clone()),
        });
    };
    let mut words = entry.arguments.arguments().iter().rev();
    let last = words.find(|word| word.value.is_none() && matches!(&*word.key, b"ro" | b"rw"));
    let mut doubts = menu.doubts.clone();
    let said = match last.map(|word| word.key.as_slice()) {
        Some(b"rw") => return Ok(Verdict::from_parts(Vec::new(), doubts)),
        Some(_) => "ro",
        None => "-",
    };
    if !matches!(guest.init()?, Init::Systemd | Init::Unknown) {
        doubts
            .push(format!("{fstab}: what the init scripts do without an entry for / is not known"));
        return Ok(Verdict::from_parts(Vec::new(), doubts));
    }
    if last.is_none() && may_be_discovered(guest)? {
        doubts.push(format!(
            "{fstab}: without an entry for /, and without ro or rw in the kernel's arguments, the partition's type decides"
        ));
        return Ok(Verdict::from_parts(Vec::new(), doubts));
    }
    let key = if table.is_some() { "no-entry" } else { "no-fstab" };
    let finding = Finding::new(key, Subject::file(&fstab))
        .with("said", said)
        .evidence(ByteString::from(entry.arguments.text()));
    let fix = if table.is_some() { repair(guest, fstab)? } else { None };
    Ok(Verdict::from_parts(vec![finding.fix(fix)], doubts))
}

fn untold(doubt: String) -> Verdict {
    Verdict::from_parts(Vec::new(), vec![doubt])
}

/// For mount(8), as for systemd, the last of the two counts.
fn asks_for_read_only(entry: &Entry) -> bool {
    let text = entry.options.as_ref().map(|options| options.value.as_slice()).unwrap_or_default();
    Options::libmount(text).switch("ro", "rw") == Some(true)
}

/// Whether `/` is another filesystem than the disk's, or read-only by the distribution's design: an overlay, a live system,
/// a system that is updated as a whole.
fn has_another_root(guest: &Guest, entry: Option<&BootEntry>) -> Result<bool, Unknown> {
    let has =
        |path: &str| -> Result<bool, Unknown> { Ok(guest.stat(&GuestPath::from(path))?.is_some()) };
    if has("/usr/sbin/transactional-update")? || has("/run/ostree-booted")? {
        return Ok(true);
    }
    if let Ok(mounts) = guest.mounts()
        && let Some(mount) = mounts.own.at(b"/")
        && matches!(mount.fstype.value.as_slice(), b"overlay" | b"squashfs" | b"erofs" | b"tmpfs")
    {
        return Ok(true);
    }
    let Some(entry) = entry else { return Ok(false) };
    let is_on = |key: &str| {
        entry.arguments.last(key).is_some_and(|word| {
            !matches!(
                word.value.as_deref(),
                Some(b"" | b"no" | b"0" | b"false" | b"off" | b"disabled")
            )
        })
    };
    let is_live = entry.arguments.value("boot") == Some(b"live");
    let root = entry.arguments.value("root").unwrap_or_default();
    let is_other = [&b"live:"[..], b"ZFS=", b"zfs:"].iter().any(|other| root.starts_with(other));
    Ok(is_live || is_other || ["overlayroot", "systemd.volatile", "ostree"].into_iter().any(is_on))
}

/// Whether the partition's type may make `/` writable.
fn may_be_discovered(guest: &Guest) -> Result<bool, Unknown> {
    let Some(root) = guest.root_identity()? else { return Ok(true) };
    Ok(root.part_type.is_none_or(|kind| DISCOVERABLE.contains(&kind.to_ascii_lowercase().as_str())))
}

/// The line that is missing, where it is known what lies on `/`. A btrfs root would need its subvolume named too.
fn repair(guest: &Guest, fstab: GuestPath) -> Result<Option<Edit>, Unknown> {
    let Ok(Some(root)) = guest.root_identity() else { return Ok(None) };
    let passno = match root.fstype.as_deref() {
        Some("ext2" | "ext3" | "ext4") => 1,
        Some("xfs") => 0,
        _ => return Ok(None),
    };
    let (Some(uuid), Some(fstype)) = (guest.root_uuid()?, root.fstype) else { return Ok(None) };
    let line = format!("UUID={uuid} / {fstype} defaults 0 {passno}");
    Ok(Some(Edit::Append { path: fstab, lines: vec![ByteString::from(line.as_str())] }))
}
