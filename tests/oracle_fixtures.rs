//! The fstab of every fixture as findmnt(8) and systemd-fstab-generator(8) see it.
//!
//! findmnt agrees with every field that we read. Its verdict (`--verify`) is not ours: where it
//! takes an entry for good or bad otherwise than boot does, the case says why in `findmnt`.
//! The generator links a unit into the target that our reading of boot says. A program that is not
//! installed fails its test: a test without its oracle asserts nothing.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::case::{Case, CaseVerdict};
use common::fixture::{Fixture, fixtures};
use guestprep::guest::{Absence, Boot, Guest, Init, ItemKind, Mode, Pull};
use guestprep::model::{Impact, Policy};
use guestprep::parse::fstab::{Content, Entry, Fstab, Mntent, Number, Problem};
use guestprep::parse::source::{Source, udev_decode};
use guestprep::parse::unit_name::escape_path;
use walkdir::WalkDir;

/// Every fstab of the fixtures: those of the cases of all checks, and of the distributions.
fn fstabs() -> Vec<PathBuf> {
    let files = WalkDir::new(fixtures()).sort_by_file_name();
    let paths = files.into_iter().map(|entry| entry.expect("an entry").into_path());
    let found: Vec<PathBuf> = paths.filter(|path| path.ends_with("root/etc/fstab")).collect();
    assert!(found.len() > 100, "only {} fixtures have an fstab", found.len());
    found
}

/// A guest with an fstab.
struct Subject {
    name: String,
    case: Option<Case>,
    fixture: Fixture,
    guest: Guest,
    fstab: PathBuf,
}

/// The guests of all fstabs.
fn subjects() -> impl Iterator<Item = Subject> {
    fstabs().into_iter().map(|fstab| {
        let folder = fstab.ancestors().nth(3).expect("a folder").to_owned();
        let name = folder.strip_prefix(fixtures()).expect("below").display().to_string();
        let (case, fixture) = match name.strip_prefix("distros/") {
            Some(distro) => (None, Fixture::distro_in_memory(distro)),
            None => {
                let case = Case::read(&folder.join("case.toml"));
                let fixture = case.fixture(&folder);
                (Some(case), fixture)
            }
        };
        let guest = match &case {
            Some(case) => case.guest(&fixture),
            None => fixture.guest(Mode::Live, Policy::default()),
        };
        Subject { name, case, fixture, guest, fstab }
    })
}

impl Subject {
    /// What boot does; nothing where it cannot be told, which is what the case is about then.
    fn boot(&self) -> Option<&Boot> {
        match self.guest.boot() {
            Ok(boot) => Some(boot),
            Err(unknown) => {
                let reason = self.case.as_ref().filter(|case| case.verdict == CaseVerdict::Unknown);
                let reason = reason.and_then(|case| case.reason.as_deref());
                assert_eq!(reason, Some(unknown.0.as_str()), "{}: what boot does", self.name);
                None
            }
        }
    }
}

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_owned();
    let output = command.env("LC_ALL", "C").output();
    output.unwrap_or_else(|e| panic!("cannot run {}: {e}", name.display()))
}

#[test]
fn findmnt_reads_every_field_as_we_do() {
    const COLUMNS: &str = "SOURCE,TARGET,FSTYPE,OPTIONS,FREQ,PASSNO";
    let temp = tempfile::tempdir().expect("a temporary directory");
    let guarded = temp.path().join("fstab");
    for path in fstabs() {
        let text = fs::read(&path).expect("an fstab");
        // findmnt says nothing of a file without entries, and guesses the format from the first.
        fs::write(&guarded, [b"guard /guard ext4 rw 0 0\n", text.as_slice()].concat())
            .expect("a copy");
        let output = run(Command::new("findmnt")
            .args(["--raw", "--noheadings", "--nofsroot", "-o", COLUMNS, "--tab-file"])
            .arg(&guarded));
        let theirs: Vec<Vec<Vec<u8>>> = output
            .stdout
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| line.split(|b| *b == b' ').map(udev_decode).collect())
            .skip(1)
            .collect();
        let fstab = Fstab::parse(&text);
        let ours: Vec<Vec<Vec<u8>>> =
            fstab.entries().filter(|entry| !entry.refused_by_libmount()).map(fields).collect();
        assert_eq!(shown(&ours), shown(&theirs), "{}", path.display());
    }
}

fn fields(entry: &Entry) -> Vec<Vec<u8>> {
    let number = |n: &Option<Number>| n.as_ref().map_or(0, |n| n.value).to_string().into_bytes();
    vec![
        entry.source.value.clone(),
        entry.target.value.clone(),
        entry.fstype.value.clone(),
        entry.options.as_ref().map_or_else(Vec::new, |field| field.value.clone()),
        number(&entry.freq),
        number(&entry.passno),
    ]
}

fn shown(rows: &[Vec<Vec<u8>>]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(|f| f.escape_ascii().to_string()).collect()).collect()
}

/// What `findmnt --verify` says.
struct Verified {
    /// Lines that it cannot parse.
    parse_errors: usize,
    /// Mount points and the errors of their sources.
    unreachable: BTreeSet<(String, String)>,
}

fn verify(fstab: &Path) -> Verified {
    let output = run(Command::new("findmnt").args(["--verify", "--tab-file"]).arg(fstab));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut target = String::new();
    let mut unreachable = BTreeSet::new();
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            target = line.to_owned();
        }
        if let Some(source) = line.trim().strip_prefix("[E] unreachable on boot required source: ")
        {
            // A path is followed by why it cannot be reached.
            let source = source.split(": ").next().unwrap_or(source);
            unreachable.insert((target.clone(), source.to_owned()));
        }
    }
    let parse_errors = complaints.lines().filter(|line| line.contains("parse error at")).count();
    Verified { parse_errors, unreachable }
}

#[test]
fn findmnt_refuses_the_lines_that_we_say_it_refuses() {
    for path in fstabs() {
        let fstab = Fstab::parse(&fs::read(&path).expect("an fstab"));
        let refused = |problems: &[Problem]| problems.iter().any(|p| p.refused_by_libmount());
        let ours = fstab
            .lines()
            .iter()
            .filter(|line| match &line.content {
                Content::Entry(entry) => refused(&entry.problems),
                Content::Garbage(problems) => refused(problems),
                Content::Blank | Content::Comment => false,
            })
            .count();
        assert_eq!(ours, verify(&path).parse_errors, "{}", path.display());
    }
}

/// An entry that a clone lacks is bad when boot stops or waits for it. What a clone has this host
/// has not, so that findmnt's word on it means nothing.
#[test]
fn where_findmnt_judges_otherwise_the_case_says_why() {
    let mut wrong = Vec::new();
    for subject in subjects() {
        let Some(boot) = subject.boot() else { continue };
        let differing = differing(boot, &verify(&subject.fstab));
        let said = subject.case.as_ref().and_then(|case| case.findmnt.as_deref());
        match (differing.is_empty(), said) {
            (true, Some(why)) => {
                wrong.push(format!("{}: findmnt judges no entry otherwise: {why}", subject.name));
            }
            (false, None) => {
                wrong.push(format!("{}: findmnt judges otherwise: {differing:?}", subject.name));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines that findmnt judges otherwise than boot does, with its word.
fn differing(boot: &Boot, verified: &Verified) -> Vec<(usize, &'static str)> {
    let entries = boot.fstab().filter(|(_, item)| item.absence != Absence::Present);
    entries
        .filter_map(|(_, item)| {
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let source = lossy(item.source_text.as_bytes());
            let named =
                |target: &str| verified.unreachable.contains(&(target.to_owned(), source.clone()));
            let theirs = match &item.target {
                Some(target) => named(&lossy(target.as_bytes())),
                None => named("none") || named("swap"),
            };
            let ours = item.impact() != Impact::Harmless;
            let word = if theirs { "bad" } else { "good" };
            (ours != theirs).then(|| (item.fstab_line().unwrap_or(0), word))
        })
        .collect()
}

/// A unit that the generator made.
#[derive(Debug, Default)]
struct Unit {
    text: String,
    /// The targets that it is linked into, and how.
    links: BTreeSet<(String, String)>,
}

fn generate(subject: &Subject) -> BTreeMap<String, Unit> {
    let out = subject.fixture.root.with_file_name("units");
    fs::create_dir(&out).expect("a directory for units");
    run(Command::new("/usr/lib/systemd/system-generators/systemd-fstab-generator")
        .env("SYSTEMD_FSTAB", &subject.fstab)
        .env("SYSTEMD_SYSROOT_FSTAB", "/dev/null")
        .env("SYSTEMD_IN_INITRD", "0")
        .env("SYSTEMD_LOG_TARGET", "null")
        .args([&out, &out, &out]));
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    for entry in WalkDir::new(&out).min_depth(1) {
        let path = entry.expect("an entry").into_path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.parent() == Some(&out) {
            if path.is_file() {
                let text = fs::read(&path).expect("a unit");
                units.entry(name).or_default().text = String::from_utf8_lossy(&text).into_owned();
            }
            continue;
        }
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        if let Some((target, kind @ ("wants" | "requires"))) = folder.rsplit_once('.') {
            let unit = units.entry(name).or_default();
            unit.links.insert((target.to_owned(), kind.to_owned()));
        }
    }
    units
}

#[test]
fn the_generator_links_units_as_we_say_that_boot_cares() {
    // In a container the generator passes over swaps, which are the host's.
    let in_container = run(Command::new("systemd-detect-virt").arg("--container")).status.success();
    let (mut judged, mut left_out) = (0, 0);
    for subject in subjects() {
        if !matches!(subject.guest.init(), Ok(Init::Systemd)) {
            continue;
        }
        let units = generate(&subject);
        let Some(boot) = subject.boot() else { continue };
        let read = Fstab::parse(&fs::read(&subject.fstab).expect("an fstab")).getmntent();
        let read: BTreeMap<usize, Mntent> = read.into_iter().collect();
        let mut seen = BTreeSet::new();
        for (_, item) in boot.fstab() {
            let is_swap = item.kind == ItemKind::Swap;
            // It swallows the line after a NUL, and decodes fewer escapes.
            let Some(entry) = item.fstab_line().and_then(|line| read.get(&line)) else { continue };
            let path = match is_swap {
                true => match Source::parse(item.source_text.as_bytes()).device_path() {
                    Some(path) => path,
                    None => item.source_text.as_bytes().to_vec(),
                },
                false => entry.dir.clone(),
            };
            // The root and /usr are the initramfs's, /proc and its like the manager's; of two lines for one target the first counts;
            // a target that is no path or no UTF-8 has no unit.
            let is_plain = std::str::from_utf8(&path).is_ok();
            let is_new = seen.insert((path.clone(), is_swap));
            let is_kernels = [&b"/proc"[..], b"/sys", b"/dev"].contains(&path.as_slice());
            if path == b"/" || path == b"/usr" || is_kernels || !is_new || !is_plain {
                continue;
            }
            let Some(stem) = escape_path(&path) else { continue };
            let unit = format!("{stem}.{}", if is_swap { "swap" } else { "mount" });
            let automount = units.contains_key(&format!("{stem}.automount"));
            let Some(made) = units.get(&unit) else {
                let at = format!("{}: {}", subject.name, item.shown_target());
                if !is_swap && !path.starts_with(b"/") {
                    assert_eq!(item.pull, Pull::Never, "{at}: it is no path");
                    continue;
                }
                assert!(is_swap && in_container, "{at} has no unit {unit}");
                left_out += 1;
                continue;
            };
            judged += 1;
            let theirs = match () {
                () if automount => Pull::OnAccess,
                () if made.links.is_empty() => Pull::Never,
                () if is_swap => Pull::Awaited,
                () => strongest(made),
            };
            let at = format!("{}: {unit} {made:?}", subject.name);
            assert_eq!(item.pull, theirs, "{at}");
        }
    }
    if left_out > 0 {
        println!("left out: {left_out} swaps: in a container the generator passes over them");
    }
    assert!(judged > 150, "the generator said something of {judged} entries only");
}

/// The strongest of the links: what local-fs.target requires stops boot if it is ordered before
/// it, what another target requires is waited for, what the targets of filesystems only want is
/// not ordered before them.
fn strongest(unit: &Unit) -> Pull {
    let has = |target: &str, kind: &str| unit.links.contains(&(target.into(), kind.into()));
    let is_first = unit.text.lines().any(|line| line == "Before=local-fs.target");
    if has("local-fs.target", "requires") && is_first || has("multi-user.target", "requires") {
        Pull::Required
    } else if has("remote-fs.target", "requires") || has("multi-user.target", "wants") {
        Pull::Awaited
    } else {
        Pull::Background
    }
}
