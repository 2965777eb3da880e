//! `fstab-malformed`: a line that its readers cannot read, read differently, or that cannot be
//! what its writer meant.

use std::collections::HashMap;

use super::entries::{self, Entries, Entry};
use super::mount_options::{self, Taken, Version};
use super::{Answer, Guest};
use crate::guest::{Init, ItemKind, Place, Pull};
use crate::model::{ByteString, DataDisks, Finding, GuestPath, Impact, Severity, Subject, Verdict};
use crate::parse::fstab::{Content, Mntent, Problem};
use crate::parse::options::Options;

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(fstab) = guest.fstab()? else { return Ok(Verdict::NotApplicable("no-fstab")) };
    let Some(entries) = entries::read(guest)? else {
        return Ok(Verdict::NotApplicable("no-fstab"));
    };
    let (mut findings, mut doubts) = (Vec::new(), Vec::new());
    for line in fstab.lines() {
        let problems: &[Problem] = match &line.content {
            Content::Entry(entry) => &entry.problems,
            Content::Garbage(problems) => problems,
            Content::Blank | Content::Comment => &[],
        };
        findings.extend(problems.iter().filter_map(|p| syntax(*p, line.number, &line.raw)));
    }
    let targets = targets(&entries);
    let kernel = default_kernel(guest);
    let at_boot: HashMap<usize, Mntent> = fstab.getmntent().into_iter().collect();
    for entry in &entries.list {
        findings.extend(target(entry));
        findings.extend(order(entry, &targets));
        findings.extend(filesystem_type(guest, entry));
        if let Some(read) = at_boot.get(&entry.line) {
            let (refused, untold) = options(guest, entry, &read.opts, kernel);
            findings.extend(refused);
            doubts.extend(untold);
        }
        findings.extend(checking(guest, entry));
    }
    findings.sort_by_key(|finding| match finding.subject {
        Subject::File { line, .. } => line,
        _ => None,
    });
    Ok(Verdict::from_parts(findings, doubts))
}

/// What is wrong with a line as text.
fn syntax(problem: Problem, line: usize, raw: &[u8]) -> Option<Finding> {
    let (key, field) = match problem {
        Problem::MissingTarget | Problem::MissingFstype => ("too-few-fields", None),
        Problem::FreqNotNumber => ("bad-number", Some("5")),
        Problem::PassnoNotNumber | Problem::NumberOutOfRange => ("bad-number", Some("6")),
        Problem::BadEscape => ("bad-escape", None),
        Problem::TooManyFields | Problem::HashInField => ("extra-fields", None),
        Problem::CarriageReturn => ("carriage-return", None),
        Problem::NotUtf8 => ("not-utf8", None),
        Problem::EscapesDiffer | Problem::Nul | Problem::TooLong => ("readers-differ", None),
        // Both readers take these for what they were meant to be.
        Problem::MissingOptions | Problem::TrailingComment => return None,
    };
    let text = ByteString::from(raw);
    let finding = Finding::new(key, Subject::line(&GuestPath::from("/etc/fstab"), line))
        .with("text", &text)
        .evidence(&text);
    Some(match field {
        Some(field) => finding.with("field", field),
        None => finding,
    })
}

fn target(entry: &Entry) -> Option<Finding> {
    let written = written_target(entry)?;
    let is_path = written.starts_with(b"/") || written == b"none";
    (!is_path).then(|| entry.finding("bad-target").with("target", ByteString::from(written)))
}

/// The second field as written: the item's own target is made absolute already.
fn written_target<'a>(entry: &Entry<'a>) -> Option<&'a [u8]> {
    (entry.item.kind != ItemKind::Swap).then(|| {
        let mut fields = entry.raw.split(|b| matches!(b, b' ' | b'\t')).filter(|f| !f.is_empty());
        fields.nth(1).unwrap_or_default()
    })
}

/// The lines that mount something at a path, in the order of the file.
type Targets<'a> = HashMap<&'a [u8], Vec<usize>>;

fn targets<'a>(entries: &'a Entries<'a>) -> Targets<'a> {
    let mut targets = Targets::new();
    for entry in &entries.list {
        if let Some(target) = mounted_at(entry) {
            targets.entry(target.as_bytes()).or_default().push(entry.line);
        }
    }
    targets
}

/// A mount point that an earlier line has, and a line that stands before the mount that it lies in.
fn order(entry: &Entry, targets: &Targets) -> Vec<Finding> {
    let Some(target) = mounted_at(entry) else { return Vec::new() };
    let at = |path: &[u8]| targets.get(path).map_or(&[][..], Vec::as_slice);
    let first = at(target.as_bytes()).first().filter(|first| **first < entry.line);
    let duplicate = first.map(|first| entry.finding("duplicate-target").with("other", *first));
    // `/` holds all, and is mounted before fstab is read.
    let later = target.ancestors().filter_map(|above| {
        let lines = at(above);
        lines.get(lines.partition_point(|line| *line <= entry.line))
    });
    let wrong = later.map(|other| entry.finding("wrong-order").with("other", *other));
    duplicate.into_iter().chain(wrong).collect()
}

fn mounted_at<'a>(entry: &'a Entry) -> Option<&'a GuestPath> {
    let real = entry.item.kind != ItemKind::Swap && entry.item.pull != Pull::Never;
    entry.item.target.as_ref().filter(|t| real && t.as_bytes() != b"/none")
}

fn filesystem_type(guest: &Guest, entry: &Entry) -> Option<Finding> {
    let item = entry.item;
    let declared = String::from_utf8_lossy(item.fstype.as_bytes()).into_owned();
    let bind = ["bind", "rbind", "move"].iter().any(|option| item.options.has(option));
    if declared.is_empty() || declared == "auto" || bind || item.pull == Pull::Never {
        return None;
    }
    if let Place::System { device: Some(device) } = item.place
        && let Ok(identity) = guest.identity(device)
        && let Some(found) = identity.fstype
    {
        if can_mount(&declared, &found) {
            return None;
        }
        let finding = entry.finding("type-differs").with("type", &declared).with("found", found);
        return Some(weigh(finding, item.impact()));
    }
    let known = item.kind == ItemKind::Swap || is_known_type(guest, &declared);
    (!known).then(|| weigh(entry.finding("unknown-type").with("type", &declared), item.impact()))
}

/// The options that a mount is refused for, and those of which that cannot be told where boot would stop. `written` is the
/// fourth field as the boot's reader has it.
fn options(
    guest: &Guest,
    entry: &Entry,
    written: &[u8],
    kernel: Option<Version>,
) -> (Vec<Finding>, Vec<String>) {
    let (mut findings, mut doubts) = (Vec::new(), Vec::new());
    let item = entry.item;
    let fstype = String::from_utf8_lossy(item.fstype.as_bytes()).into_owned();
    let is_bind = ["bind", "rbind", "move"].iter().any(|option| item.options.has(option));
    if item.pull == Pull::Never || is_bind {
        return (findings, doubts);
    }
    // It hands them on to mount(8) as they are, which minds quotes.
    for (name, _) in Options::libmount(written).iter() {
        let option = String::from_utf8_lossy(name);
        match mount_options::taken(&fstype, &option, kernel) {
            _ if name.is_empty() => {}
            // mountall keeps its own words to itself.
            Taken::Untold if guest.init() == Ok(Init::Upstart) => {}
            Taken::Refused => {
                let finding = entry.finding("refused-option").with("type", &fstype);
                let finding = finding.with("option", ByteString::from(name));
                findings.push(weigh(finding, item.impact()));
                // The mount fails for the first.
                break;
            }
            Taken::Untold if item.impact() == Impact::StopsBoot => doubts.push(format!(
                "/etc/fstab:{}: whether {fstype} takes the option {} of {} is not known",
                entry.line,
                ByteString::from(name),
                item.shown_target(),
            )),
            Taken::Yes | Taken::Untold => {}
        }
    }
    (findings, doubts)
}

/// The version of the kernel that is booted.
fn default_kernel(guest: &Guest) -> Option<Version> {
    let release = guest.boot_entries().ok()?.default_entry()?.version()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A mount that cannot succeed stops what its absence stops.
fn weigh(finding: Finding, impact: Impact) -> Finding {
    match impact {
        Impact::StopsBoot => finding.impact(impact).severity(Severity::Blocker),
        _ => finding.impact(impact),
    }
}

/// Whether a driver asked for by one name mounts what is found under another: the ext4 driver
/// mounts all three (ext4(5)), and vfat has older names.
fn can_mount(declared: &str, found: &str) -> bool {
    let ext = ["ext2", "ext3", "ext4"];
    let rank = |name: &str| ext.iter().position(|e| *e == name);
    match (rank(declared), rank(found)) {
        (Some(declared), Some(found)) => declared >= found,
        _ => {
            declared == found || (found == "vfat" && ["msdos", "umsdos", "fat"].contains(&declared))
        }
    }
}

/// Whether the guest can have a driver or a helper for a type: one of the kernel's own, or
/// /sbin/mount.TYPE (mount(8)).
fn is_known_type(guest: &Guest, fstype: &str) -> bool {
    const KERNEL: &str = " adfs affs afs autofs bcachefs befs bfs binder binfmt_misc bpf btrfs ceph cgroup cgroup2 \
        cifs coda configfs cramfs debugfs devpts devtmpfs ecryptfs efivarfs efs erofs exfat ext2 ext3 ext4 \
        f2fs fuse fuseblk fusectl gfs2 hfs hfsplus hostfs hpfs hugetlbfs iso9660 jffs2 jfs minix mqueue msdos \
        ncpfs nfs nfs4 nilfs2 none ntfs ntfs3 ocfs2 omfs orangefs overlay overlayfs proc pstore qnx4 qnx6 \
        ramfs reiserfs romfs rpc_pipefs securityfs selinuxfs smackfs smb3 smbfs squashfs swap sysfs sysv \
        tmpfs tracefs ubifs udf ufs usbfs usbdevfs vboxsf vfat virtiofs xfs zonefs 9p ";
    let name = fstype.split('.').next().unwrap_or(fstype);
    if KERNEL.contains(&format!(" {name} ")) {
        return true;
    }
    let running = guest.kernel().and_then(|kernel| kernel.proc("/filesystems").ok().flatten());
    let listed = running.is_some_and(|text| {
        text.split(|b| *b == b'\n')
            .any(|l| l.rsplit(|b| *b == b'\t').next() == Some(name.as_bytes()))
    });
    listed
        || ["/sbin", "/usr/sbin"].iter().any(|directory| {
            let helper = GuestPath::from(format!("{directory}/mount.{name}").as_str());
            guest.stat(&helper).is_ok_and(|found| found.is_some())
        })
}

/// The sixth field: which filesystems are checked at boot.
fn checking(guest: &Guest, entry: &Entry) -> Option<Finding> {
    let fstab = guest.fstab().ok().flatten()?;
    let Content::Entry(line) = &fstab.lines().get(entry.line.checked_sub(1)?)?.content else {
        return None;
    };
    let passno = line.passno.as_ref().map_or(0, |number| number.value);
    let is_ext = entry.item.fstype.as_bytes().starts_with(b"ext");
    let target = entry.item.target.as_ref()?;
    if target.as_bytes() == b"/" && is_ext && passno == 0 {
        return Some(entry.finding("root-not-checked"));
    }
    // An entry that `prepare` comments out need not be checked either.
    let stays = guest.policy().data_disks != DataDisks::Comment;
    let on_data_disk = matches!(entry.item.place, Place::Data { .. });
    let waits = entry.item.impact() != Impact::Harmless;
    (stays && on_data_disk && passno != 0 && waits).then(|| entry.finding("check-without-nofail"))
}
