//! What was left in a guest by its use: files that checks list by their paths.
//!
//! The paths are data of the checks (`[[path]]`). All are looked up in one walk, once a guest.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::Kept;
use super::{Fact, Guest, Mode};
use crate::model::{ByteString, Erasure, ErasureKind, GuestPath};
use crate::parse::passwd::Kind;
use crate::sys::{Census, Reach, seconds_since_1970};

include!(concat!(env!("OUT_DIR"), "/paths.rs"));

/// One path of a check's list.
#[derive(Debug)]
pub struct ListedPath {
    /// The check.
    pub check: &'static str,
    /// The pattern; `~/` is the home of every account.
    pub glob: &'static str,
    /// What becomes of what it names.
    pub how: ErasureKind,
    /// Patterns of names that are left.
    pub except: &'static [&'static str],
    /// The distribution families that it is about; empty means all.
    pub families: &'static [&'static str],
    /// On a running guest, what changed within so many seconds is left.
    pub older_than: Option<u64>,
}

/// What is left of one check's list.
#[derive(Clone, Debug)]
pub struct Leftovers {
    /// What was looked for.
    pub targets: Vec<Erasure>,
    /// What was found.
    pub census: Census,
}

pub(super) type Known = Kept<Fact<BTreeMap<&'static str, Leftovers>>>;

impl Guest {
    /// What is left of the list of a check; `None` where the list has nothing for this guest.
    ///
    /// # Errors
    /// When the accounts cannot be read or the walk cannot begin.
    pub fn leftovers(&self, check: &str) -> Fact<Option<&Leftovers>> {
        let all = self.facts.leftovers.get_or_init(|| self.read_leftovers());
        all.as_ref().map(|all| all.get(check)).map_err(Clone::clone)
    }

    fn read_leftovers(&self) -> Fact<BTreeMap<&'static str, Leftovers>> {
        let family = self.os().map_or("", |os| os.family.as_str());
        let homes = self.homes()?;
        let mut lists: BTreeMap<&'static str, Vec<Erasure>> = BTreeMap::new();
        for listed in LISTED
            .iter()
            .filter(|listed| listed.families.is_empty() || listed.families.contains(&family))
        {
            lists.entry(listed.check).or_default().extend(listed.targets(&homes));
        }
        let targets: Vec<&[Erasure]> = lists.values().map(Vec::as_slice).collect();
        let found = self.root().census(&targets, &self.reach())?;
        let all = lists.into_iter().zip(found);
        Ok(all.map(|((id, targets), census)| (id, Leftovers { targets, census })).collect())
    }

    /// The home of every account and of root, links on the way to it followed. Where a home is not
    /// there, or is no directory, there is nothing in it.
    ///
    /// # Errors
    /// When passwd cannot be read.
    pub fn homes(&self) -> Fact<BTreeSet<GuestPath>> {
        let table = self.accounts(Kind::Passwd)?;
        // virt-sysprep knows /home/*; an account that was deleted by hand leaves its home there.
        let mut named = BTreeSet::from([GuestPath::from("/root")]);
        named.extend(
            table
                .iter()
                .flat_map(|table| table.entries())
                .filter_map(|entry| entry.home())
                .filter(|home| home.starts_with(b"/"))
                .map(GuestPath::new),
        );
        for name in self.root().list(&GuestPath::from("/home")).ok().flatten().unwrap_or_default() {
            named.insert(GuestPath::from("/home").join(&name));
        }
        let mut homes = BTreeSet::new();
        for home in named {
            homes.extend(self.followed(&home)?);
        }
        Ok(homes)
    }

    /// Where a path ends once the links in it are followed; `None` where that is no directory.
    fn followed(&self, path: &GuestPath) -> Fact<Option<GuestPath>> {
        let Ok(at) = self.resolved(path) else { return Ok(None) };
        // Where it may not be looked at, the walk says so.
        let is_directory = |about: super::Attributes| about.kind == super::FileKind::Directory;
        let is_there = self.stat(&at).map_or(true, |about| about.is_some_and(is_directory));
        Ok(is_there.then_some(at))
    }

    /// Where a walk for what is left may go: the filesystems that an image of the guest has.
    pub fn reach(&self) -> Reach {
        let mounts = match self.system_filesystems() {
            Ok(Some(found)) => found.iter().map(|found| found.target.clone()).collect(),
            _ => Vec::new(),
        };
        let now = || i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
        Reach { mounts, running_at: (self.mode() == Mode::Live).then(now) }
    }
}

impl ListedPath {
    /// What is to be looked up on a guest with these homes.
    pub fn targets(&self, homes: &BTreeSet<GuestPath>) -> Vec<Erasure> {
        let target = |path: ByteString| Erasure {
            path,
            how: self.how.clone(),
            except: self.except.iter().map(|name| ByteString::from(*name)).collect(),
            older_than: self.older_than,
        };
        let Some(below_home) = self.glob.strip_prefix('~') else {
            return vec![target(self.glob.into())];
        };
        let in_home = |home: &GuestPath| {
            let home = Erasure::of(home, ErasureKind::Remove).path;
            target([home.as_bytes(), below_home.as_bytes()].concat().into())
        };
        homes.iter().map(in_home).collect()
    }
}
