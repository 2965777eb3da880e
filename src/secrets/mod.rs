//! The content scan: secrets in the files of a guest.
//!
//! For the check `secret-in-file` and the command `scan`. Rules are data (`checks/secrets`, and the
//! site's own). What is found leaves this room as place, rule, mask and fingerprint; the secret
//! itself stays in the buffer that it was found in ([`Secret`] cannot be printed).

mod finding;
mod packing;
mod rules;
mod scanner;
pub mod schema;
mod trust;
mod validator;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::guest::{Fact, Guest, Mode};
use crate::model::GuestPath;
use crate::sys::{self, Tally, Wanted};
use scanner::Scanner;
use trust::Trusted;

pub use finding::{Found, Location, Secret};
pub use rules::{Rule, RuleError, Rules};
pub use scanner::Limits;

include!(concat!(env!("OUT_DIR"), "/secrets.rs"));

/// How a guest is to be scanned.
#[derive(Debug)]
pub struct Options {
    /// Where to begin; empty means all of the guest that an image of its system disk would have.
    pub paths: Vec<GuestPath>,
    /// Whether what a package installed and nobody changed is left out.
    pub trusts_packages: bool,
    /// Whether every filesystem is read that is mounted below the paths.
    pub crosses: bool,
    /// How many threads; none means one a processor.
    pub threads: Option<usize>,
    /// What it is held to.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            trusts_packages: true,
            crosses: false,
            threads: None,
            limits: Limits { max_file_size: 1 << 30, unpacks: true },
        }
    }
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The secrets, by place.
    pub found: Vec<Found>,
    /// Those that somebody looked at and wants to keep, and why.
    pub waived: Vec<(Found, String)>,
    /// What could not be read, and why, a sentence each, by path.
    pub unread: Vec<(GuestPath, String)>,
    /// Files that were looked at.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The files among them that a package installed and nobody changed.
    pub trusted: u64,
    /// Whether the guest has a database of packages that tells them, where they were to be trusted.
    pub knows_packages: Option<bool>,
}

/// Scan a guest. `tick` is called ten times a second with how far it is.
///
/// # Errors
/// When a path to begin with cannot be found, and of a bundle, which has no contents.
pub fn scan(
    guest: &Guest,
    rules: &Rules,
    options: &Options,
    tick: &dyn Fn(&Tally),
) -> Fact<Scanned> {
    // A process that is killed by a signal would leave the buffers in its core.
    sys::refuse_core();
    let mut scanned = Scanned::default();
    let mut starts = options.paths.clone();
    if starts.is_empty() {
        starts = system_filesystems(guest, &mut scanned.unread);
    }
    let trusted = options.trusts_packages.then(|| Trusted::read(guest)).transpose()?;
    scanned.knows_packages = trusted.as_ref().map(|trusted| trusted.is_told);
    let threads = if guest.root().is_unmounted() { 1 } else { threads(options) };
    let turn = Mutex::new(());
    let scanner = || Scanner::new(rules, trusted.as_ref(), options.limits, &turn);
    let mut scanners: Vec<Scanner> = (0..threads).map(|_| scanner()).collect();
    let tally = Tally::default();
    let wanted = Wanted { starts, crosses: options.crosses };
    let names = guest.root().read_contents(&wanted, &mut scanners, &tally, &|| tick(&tally))?;
    scanned.files = tally.files();
    scanned.bytes = tally.bytes();
    let mut raws = Vec::new();
    for scanner in scanners {
        raws.extend(scanner.found);
        scanned.unread.extend(scanner.unread);
        scanned.trusted += scanner.trusted_files;
    }
    for raw in &mut raws {
        if let Some(name) = raw.inode.and_then(|inode| names.get(&inode)) {
            raw.at.path = GuestPath::new(name);
        }
    }
    raws.sort_by(|a, b| (&a.at, a.rule).cmp(&(&b.at, b.rule)));
    let mut alike: BTreeMap<(GuestPath, usize, String), usize> = BTreeMap::new();
    for raw in raws {
        let key = (raw.at.path.clone(), raw.rule, raw.mask.clone());
        let nth = alike.entry(key).and_modify(|nth| *nth += 1).or_default();
        let rule = &rules.rules()[raw.rule].id;
        let found = raw.into_found(rule, *nth);
        match rules.waiver(&found.fingerprint) {
            Some(why) => scanned.waived.push((found, why.to_owned())),
            None => scanned.found.push(found),
        }
    }
    scanned.unread.sort();
    scanned.unread.dedup();
    Ok(scanned)
}

fn threads(options: &Options) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    options.threads.unwrap_or_else(available).max(1)
}

/// The mount points of the filesystems that an image of the guest has: those on its system disks.
/// Where a running guest does not tell which they are, or one of an image could not be mounted, it is
/// said.
fn system_filesystems(guest: &Guest, unread: &mut Vec<(GuestPath, String)>) -> Vec<GuestPath> {
    let root = GuestPath::from("/");
    if let Some(image) = guest.disk_image() {
        unread.extend(image.left_out().iter().map(|why| (root.clone(), why.clone())));
    }
    let mut points = BTreeSet::from([root.clone()]);
    match guest.system_filesystems() {
        Ok(Some(found)) => {
            let targets = found.iter().map(|found| found.target.clone());
            points.extend(targets.filter(|at| matches!(guest.stat(at), Ok(Some(_)))));
        }
        Ok(None) => {}
        Err(why) if guest.mode() == Mode::Live => unread.push((root, why.0)),
        Err(_) => {}
    }
    points.into_iter().collect()
}
