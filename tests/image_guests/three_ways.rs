//! Each fixture as a tree, as a disk image that the kernel mounts, and as one that is read in user
//! space; the distributions running too: check by check the same answer, but for what only the disk
//! can tell.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use guestprep::guest::{Access, Guest, Image, Mode, Reader, Unknown};
use guestprep::model::{Category, CheckResult, Policy, Report, VerdictName};
use guestprep::sys::{DiskImage, PrivateMounts, Use};
use walkdir::WalkDir;

use crate::common::case::Case;
use crate::common::command::Done;
use crate::common::fixture::{Fixture, fixtures};
use crate::differences::is_allowed;
use crate::disk::{self, Table};
use crate::host::{directory_in_memory, has};

/// In how many processes the fixtures are judged side by side. Not threads: while one starts a
/// program, that has for a moment every file that another has open on a filesystem to be unmounted.
/// More than there are processors: mounting is mostly waiting.
const SHARES: usize = 6;

/// Names the share of a process.
const SHARE: &str = "GUESTPREP_TEST_SHARE";

fn audit(guest: &Guest) -> Report {
    crate::common::audit::audit(guest, &[])
}

/// Everything of an answer that a reader acts on.
pub fn shown(result: &CheckResult) -> String {
    let mut text = format!("{:?}", result.verdict);
    if let Some(reason) = &result.reason {
        text += &format!(" ({reason})");
    }
    for finding in &result.findings {
        text += &format!(
            "\n    {} {} {}: {} [{:?} {:?} {:?}]",
            finding.severity,
            finding.key,
            finding.subject,
            finding.message,
            finding.evidence,
            finding.impact,
            finding.remedy
        );
    }
    text
}

/// What a root has at least, where a case has only what its check reads; and ext4, as the disk.
fn complete(fixture: &Fixture) {
    let etc = fixture.root.join("etc");
    let _ = std::fs::create_dir_all(&etc);
    let _ = std::fs::create_dir_all(fixture.root.join("usr"));
    let path = etc.join("fstab");
    let Ok(fstab) = std::fs::read(&path) else {
        if path.symlink_metadata().is_err() {
            std::fs::write(path, "").expect("an fstab");
        }
        return;
    };
    // The disk has ext4, where the distribution has another filesystem.
    let Ok(text) = String::from_utf8(fstab) else { return };
    let is_of_root =
        |line: &str| line.split_whitespace().nth(1) == Some("/") || line.contains("subvol=");
    let line = |line: &str| match is_of_root(line) {
        true => line.replacen(" xfs", " ext4", 1).replacen(" btrfs", " ext4", 1),
        false => line.to_owned(),
    };
    // ext4 has no subvolumes, and what would be mounted of them is nothing.
    let is_subvolume = |line: &&str| line.contains("subvol=/") || line.contains("subvol=home");
    let lines = text.split('\n').filter(|line| !is_subvolume(line));
    let changed: Vec<String> = lines.map(line).collect();
    let changed = changed.join("\n");
    // It may be immutable in a case about that.
    if changed != text {
        std::fs::write(path, changed).expect("an fstab");
    }
}

/// The answers that differ without a reason, a paragraph each; of a whole guest those of the running one too.
fn differences(
    fixture: &Fixture,
    is_whole: bool,
    policy: &Policy,
    table: Table,
    directory: &Path,
    mounts: &Rc<PrivateMounts>,
) -> Vec<String> {
    let tree = audit(&fixture.guest(Mode::Tree, policy.clone()));
    let path = directory.join("disk.raw");
    disk::of_tree(&fixture.root, &path, table);
    let by_kernel = match audit_image(&path, policy, Some(mounts)) {
        Ok(report) => report,
        Err(why) => return vec![format!("the image cannot be opened: {why}")],
    };
    let in_user_space = match audit_image(&path, policy, None) {
        Ok(report) => report,
        Err(why) => return vec![format!("the image cannot be read in user space: {why}")],
    };
    let of_tree = tree
        .checks
        .iter()
        .zip(&by_kernel.checks)
        .filter(|(tree, image)| shown(tree) != shown(image) && !is_allowed(tree, image))
        .map(|(tree, image)| {
            format!("{}:\n  tree: {}\n  image: {}", tree.id, shown(tree), shown(image))
        });
    let of_reader = by_kernel
        .checks
        .iter()
        .zip(&in_user_space.checks)
        .filter(|(kernel, user)| shown(kernel) != shown(user) && kernel.id.as_str() != FREE_SPACE)
        // Why a file cannot be read each says in its own words.
        .filter(|(kernel, user)| {
            kernel.verdict != VerdictName::Unknown || user.verdict != VerdictName::Unknown
        })
        .map(|(kernel, user)| {
            format!("{}:\n  kernel: {}\n  user space: {}", kernel.id, shown(kernel), shown(user))
        });
    let running = is_whole.then(|| of_running(fixture, policy, &by_kernel));
    of_tree.chain(of_reader).chain(running.into_iter().flatten()).collect()
}

/// The answers on the running guest that are not those on its disk, of what both can judge. The disk
/// that was recorded is another one than is made here, with other filesystems: what is said of disks
/// is not compared.
fn of_running(fixture: &Fixture, policy: &Policy, image: &Report) -> Vec<String> {
    let is_judged = |check: &&CheckResult| {
        matches!(check.verdict, VerdictName::Pass | VerdictName::Fail)
            && check.category != Category::Storage
            && check.id.as_str() != "image-facts"
    };
    let running = audit(&fixture.guest(Mode::Live, policy.clone()));
    running
        .checks
        .iter()
        .filter(is_judged)
        .filter_map(|live| {
            Some((live, image.checks.iter().filter(is_judged).find(|c| c.id == live.id)?))
        })
        .filter(|(live, image)| shown(live) != shown(image))
        .map(|(live, image)| {
            format!("{}:\n  running: {}\n  image: {}", live.id, shown(live), shown(image))
        })
        .collect()
}

/// How much of a filesystem is free: the kernel counts what it keeps for itself.
const FREE_SPACE: &str = "disk-full";

/// Judge an image, read by the kernel where there are mounts, else in user space.
fn audit_image(
    path: &Path,
    policy: &Policy,
    mounts: Option<&Rc<PrivateMounts>>,
) -> Result<Report, Unknown> {
    let file = DiskImage::open(path, Use::Read, &|_, _| {}).expect("an image");
    let image = Rc::new(Image::open(file, path, Access::Look, mounts)?);
    let guest = Guest::image(&image, policy.clone()).expect("a guest");
    let report = audit(&guest);
    let reader = if mounts.is_some() { Reader::Kernel } else { Reader::UserSpace };
    assert_eq!(report.guest.image.as_ref().map(|image| &*image.reader), Some(reader.as_str()));
    drop(guest);
    Rc::into_inner(image).expect("nobody else's").close().expect("unmounted");
    Ok(report)
}

fn cases() -> Vec<PathBuf> {
    let folder = fixtures().join("checks");
    let mut cases: Vec<PathBuf> = WalkDir::new(folder)
        .min_depth(3)
        .max_depth(3)
        .into_iter()
        .map(|entry| entry.expect("an entry").into_path())
        .filter(|path| path.ends_with("case.toml"))
        // Its fstab names one filesystem for /usr and /boot, and a disk shows the same on both.
        .filter(|path| !path.ends_with("fstab-missing-device/fail-system-targets/case.toml"))
        .collect();
    cases.sort();
    cases
}

#[test]
fn a_tree_and_its_image_are_judged_alike() {
    if !has(&["mke2fs", "mkfs.vfat", "mcopy", "debugfs"]) {
        return;
    }
    if let Ok(share) = std::env::var(SHARE) {
        return judge_share(share.parse().expect("a number"));
    }
    let program = std::env::current_exe().expect("this program");
    let start = |share: usize| {
        Command::new(&program)
            .args(["--exact", "three_ways::a_tree_and_its_image_are_judged_alike"])
            .arg("--nocapture")
            .env(SHARE, share.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a share")
    };
    let running: Vec<_> = (0..SHARES).map(start).collect();
    let done: Vec<_> = running
        .into_iter()
        .map(|child| Done::of(child.wait_with_output().expect("a share")))
        .collect();
    let wrong: String = done.iter().filter(|share| share.code != 0).map(|s| &*s.err).collect();
    assert!(done.iter().all(|share| share.code == 0), "{wrong}");
}

fn judge_share(share: usize) {
    let cases = cases();
    assert!(cases.len() > 900, "{} cases", cases.len());
    let mounts = Rc::new(PrivateMounts::enter().expect("private mounts"));
    let directory = directory_in_memory();
    let mut wrong: Vec<String> = Vec::new();
    for path in cases.iter().skip(share).step_by(SHARES) {
        let folder = path.parent().expect("a folder");
        let case = Case::read(path);
        let fixture = case.fixture(folder);
        complete(&fixture);
        let policy: Policy = case.policy.clone().into();
        let found = differences(&fixture, false, &policy, Table::Mbr, directory.path(), &mounts);
        let name = folder.strip_prefix(fixtures()).expect("below the fixtures").display();
        wrong.extend(found.iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_distribution_and_its_disk_are_judged_alike() {
    if !has(&["mke2fs", "mkfs.vfat", "mcopy", "sfdisk"]) {
        return;
    }
    let mounts = Rc::new(PrivateMounts::enter().expect("private mounts"));
    let directory = directory_in_memory();
    let mut wrong: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(fixtures().join("distros")).expect("the distributions") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let fixture = Fixture::distro_in_memory(&name);
        complete(&fixture);
        let fstab = fixture.root.join("etc/fstab");
        let mut text = std::fs::read_to_string(&fstab).expect("an fstab");
        if !text.contains("/boot ") {
            text += "UUID=b0000000-0000-4000-8000-00000000b007 /boot ext4 defaults 0 2\n";
            std::fs::write(&fstab, text).expect("an fstab");
        }
        let policy = Policy::default();
        let found = differences(&fixture, true, &policy, Table::Gpt, directory.path(), &mounts);
        wrong.extend(found.iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
