//! Looking up what patterns of paths name, in one walk for all of them.
//!
//! The walk goes from directory to directory by open descriptors and single names, each first
//! asked what it is: a link is never followed, at no place of a path, and a FIFO or a device never
//! opened. Where patterns have names, those are asked for and the directory is not listed. A
//! directory of any size is gone through as the kernel lists it, so that memory stays flat.
//!
//! It begins on the filesystems that it is given, by their mount points, and does not leave the one
//! that it is on below what a pattern names: nothing that is mounted there, by bind neither.

mod erase;
mod mounted;
mod unmounted;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind, Result};
use crate::model::{ByteString, Erasure, ErasureKind, GuestPath, NamePattern, Part, PathPattern};

pub(super) use erase::erase;
pub use erase::{Erased, Held, held};

/// So many of the paths that are found are named.
const FIRST: usize = 3;
/// So many failures are told one by one.
const MAX_FAILURES: usize = 100;
/// No directory of a guest lies deeper; one that does is a failure, not an end of descriptors.
const MAX_DEPTH: usize = 512;

/// Where the walk may go, and how it looks at what it finds.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The mount points of the filesystems that go with an image, beside `/`.
    pub mounts: Vec<GuestPath>,
    /// The time of day in seconds since 1970, where the guest runs: what a program may be using
    /// then (its sockets, and what an erasure says is in use) is left.
    pub running_at: Option<i64>,
}

/// What was found of one list of patterns: regular files with content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Census {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first of them by order.
    pub first: Vec<GuestPath>,
    /// What could not be looked at, and why.
    pub failures: Vec<Error>,
}

/// One pattern, ready to be looked up.
struct Target<'a> {
    list: usize,
    pattern: PathPattern,
    how: &'a ErasureKind,
    except: Vec<NamePattern>,
    /// What changed at that time or later is left.
    changed_before: Option<i64>,
}

/// What a name is.
struct About {
    kind: Kind,
    size: u64,
    /// When its content or attributes last changed, in seconds since 1970.
    changed: i64,
    links: u64,
    inode: (u64, u64),
    /// Which mount it is on.
    mount: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Regular,
    Directory,
    Link,
    Socket,
    Other,
}

/// The files that are walked through.
trait Tree {
    type Directory;
    /// The root, and the mounts that the walk may be on.
    fn top(&self, mounts: &[GuestPath]) -> Result<(Self::Directory, BTreeSet<u64>)>;
    /// What a name in a directory is; a link is not followed.
    fn about(&self, at: &Self::Directory, name: &[u8], path: &[u8]) -> Result<Option<About>>;
    /// Open a directory; `None` where it is none any more.
    fn enter(
        &self,
        at: &Self::Directory,
        name: &[u8],
        about: &About,
        path: &[u8],
    ) -> Result<Option<Self::Directory>>;
    /// Go through the names of a directory.
    fn each(&self, at: &Self::Directory, path: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<()>;
}

/// What is done with what is found.
trait Hand<T: Tree> {
    /// Anything but a directory.
    fn file(&mut self, target: &Target, at: &T::Directory, name: &[u8], about: &About, path: &[u8]);
    /// A directory of which everything was gone through that goes; it goes too.
    fn directory(&mut self, target: &Target, at: &T::Directory, name: &[u8], path: &[u8]);
    /// Something could not be looked at.
    fn failed(&mut self, list: usize, error: Error);
    /// How many names it took away: while it takes some, a directory is gone through again, since
    /// not every filesystem lists all the others meanwhile.
    fn taken(&self) -> u64;
}

/// A pattern that a directory has led up to: the names from this one on are still to be found.
type Cursor = (usize, usize);

struct Walker<'a, T: Tree, H> {
    tree: &'a T,
    hand: H,
    targets: Vec<Target<'a>>,
    mounts: BTreeSet<u64>,
    is_running: bool,
    path: Vec<u8>,
    depth: usize,
}

fn targets<'a>(lists: &[&'a [Erasure]], reach: &Reach) -> Result<Vec<Target<'a>>> {
    let mut targets = Vec::new();
    for (list, erasures) in lists.iter().enumerate() {
        for erasure in *erasures {
            let Some(pattern) = PathPattern::parse(erasure.path.as_bytes()) else {
                let cause = "it is no absolute pattern of paths";
                return Err(Error::new("look up", &erasure.path, ErrorKind::Other, cause));
            };
            let age = erasure.older_than.and_then(|age| i64::try_from(age).ok());
            targets.push(Target {
                list,
                pattern,
                how: &erasure.how,
                except: erasure.except.iter().map(|e| NamePattern::parse(e.as_bytes())).collect(),
                changed_before: reach.running_at.zip(age).map(|(now, age)| now - age),
            });
        }
    }
    Ok(targets)
}

fn walk<T: Tree, H: Hand<T>>(tree: &T, lists: &[&[Erasure]], reach: &Reach, hand: H) -> Result<H> {
    let targets = targets(lists, reach)?;
    let cursors: Vec<Cursor> = (0..targets.len()).map(|target| (target, 0)).collect();
    let (top, mounts) = tree.top(&reach.mounts)?;
    let is_running = reach.running_at.is_some();
    let path = Vec::new();
    let mut walker = Walker { tree, hand, targets, mounts, is_running, path, depth: 0 };
    walker.look_up(&top, &cursors);
    Ok(walker.hand)
}

impl<T: Tree, H: Hand<T>> Walker<'_, T, H> {
    /// Look up what patterns name below a directory.
    fn look_up(&mut self, at: &T::Directory, cursors: &[Cursor]) {
        let cursors = self.with_skipped_depths(cursors);
        let part = |(target, part): &Cursor| &self.targets[*target].pattern.parts()[*part];
        let mut names = BTreeSet::new();
        for cursor in &cursors {
            match part(cursor) {
                Part::Name(name) => {
                    names.insert(name.clone());
                }
                Part::Like(_) | Part::AnyDepth => {
                    return self.list(at, &cursors);
                }
            }
        }
        for name in names {
            self.child(at, &name, &cursors);
        }
    }

    /// `**` may stand for no directory at all.
    fn with_skipped_depths(&self, cursors: &[Cursor]) -> Vec<Cursor> {
        let mut all = cursors.to_vec();
        let mut at = 0;
        while let Some((target, part)) = all.get(at).copied() {
            if self.targets[target].pattern.parts()[part] == Part::AnyDepth {
                all.push((target, part + 1));
            }
            at += 1;
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    fn list(&mut self, at: &T::Directory, cursors: &[Cursor]) {
        loop {
            let before = self.hand.taken();
            let tree = self.tree;
            let path = self.path.clone();
            let listed = tree.each(at, &path, &mut |name| self.child(at, name, cursors));
            if let Err(error) = listed {
                let lists: BTreeSet<usize> =
                    cursors.iter().map(|(target, _)| self.targets[*target].list).collect();
                lists.into_iter().for_each(|list| self.hand.failed(list, error.clone()));
                return;
            }
            if self.hand.taken() == before {
                return;
            }
        }
    }

    /// One name of a directory, as the patterns have it.
    fn child(&mut self, at: &T::Directory, name: &[u8], cursors: &[Cursor]) {
        let mut further: Vec<Cursor> = Vec::new();
        // The first pattern of a list that names it says what becomes of it.
        let mut named: Vec<usize> = Vec::new();
        for (target, part) in cursors.iter().copied() {
            let parts = self.targets[target].pattern.parts();
            let is_match = match &parts[part] {
                Part::Name(wanted) => wanted == name,
                Part::Like(pattern) => pattern.is_match(name),
                Part::AnyDepth => {
                    if !self.is_left(target, name) {
                        further.push((target, part));
                    }
                    continue;
                }
            };
            // What a pattern names outright is meant.
            let is_left = matches!(&parts[part], Part::Like(_)) && self.is_left(target, name);
            if !is_match || is_left {
                continue;
            }
            if part + 1 < parts.len() {
                further.push((target, part + 1));
            } else if !named.iter().any(|n| self.targets[*n].list == self.targets[target].list) {
                named.push(target);
            }
        }
        if further.is_empty() && named.is_empty() {
            return;
        }
        let length = self.path.len();
        self.path.push(b'/');
        self.path.extend_from_slice(name);
        self.at_child(at, name, &further, &named);
        self.path.truncate(length);
    }

    fn at_child(&mut self, at: &T::Directory, name: &[u8], further: &[Cursor], named: &[usize]) {
        let lists: Vec<usize> = further.iter().map(|(t, _)| t).chain(named).copied().collect();
        let about = match self.tree.about(at, name, &self.path) {
            Ok(Some(about)) => about,
            Ok(None) => return,
            Err(error) => return self.fail(&lists, &error),
        };
        if !self.mounts.contains(&about.mount) {
            return;
        }
        if about.kind != Kind::Directory {
            for target in named {
                if *self.targets[*target].how != ErasureKind::Contents {
                    self.file(*target, at, name, &about);
                }
            }
            return;
        }
        if self.depth == MAX_DEPTH {
            return self.fail(&lists, &self.too_deep());
        }
        let inside = match self.tree.enter(at, name, &about, &self.path) {
            Ok(Some(inside)) => inside,
            Ok(None) => return,
            Err(error) => return self.fail(&lists, &error),
        };
        self.depth += 1;
        if !further.is_empty() {
            self.look_up(&inside, further);
        }
        for target in named {
            if self.targets[*target].how.takes_trees() {
                self.all_of(*target, &inside, about.mount);
            }
        }
        self.depth -= 1;
        for target in named {
            if *self.targets[*target].how == ErasureKind::Remove {
                self.hand.directory(&self.targets[*target], at, name, &self.path);
            }
        }
    }

    /// Everything in a directory that goes.
    fn all_of(&mut self, target: usize, at: &T::Directory, mount: u64) {
        loop {
            let before = self.hand.taken();
            let tree = self.tree;
            let path = self.path.clone();
            let listed = tree.each(at, &path, &mut |name| {
                if !self.is_left(target, name) {
                    let length = self.path.len();
                    self.path.push(b'/');
                    self.path.extend_from_slice(name);
                    self.one_of_all(target, at, name, mount);
                    self.path.truncate(length);
                }
            });
            if let Err(error) = listed {
                return self.hand.failed(self.targets[target].list, error);
            }
            if self.hand.taken() == before {
                return;
            }
        }
    }

    fn one_of_all(&mut self, target: usize, at: &T::Directory, name: &[u8], mount: u64) {
        let list = self.targets[target].list;
        let about = match self.tree.about(at, name, &self.path) {
            Ok(Some(about)) if about.mount == mount => about,
            Ok(_) => return,
            Err(error) => return self.hand.failed(list, error),
        };
        if about.kind != Kind::Directory {
            return self.file(target, at, name, &about);
        }
        if self.depth == MAX_DEPTH {
            return self.hand.failed(list, self.too_deep());
        }
        match self.tree.enter(at, name, &about, &self.path) {
            Ok(Some(inside)) => {
                self.depth += 1;
                self.all_of(target, &inside, mount);
                self.depth -= 1;
                drop(inside);
                self.hand.directory(&self.targets[target], at, name, &self.path);
            }
            Ok(None) => {}
            Err(error) => self.hand.failed(list, error),
        }
    }

    fn file(&mut self, target: usize, at: &T::Directory, name: &[u8], about: &About) {
        let of = &self.targets[target];
        let in_use = of.changed_before.is_some_and(|before| about.changed >= before)
            || self.is_running && about.kind == Kind::Socket;
        if !in_use {
            self.hand.file(of, at, name, about, &self.path);
        }
    }

    fn is_left(&self, target: usize, name: &[u8]) -> bool {
        self.targets[target].except.iter().any(|pattern| pattern.is_match(name))
    }

    fn fail(&mut self, targets: &[usize], error: &Error) {
        let lists: BTreeSet<usize> = targets.iter().map(|t| self.targets[*t].list).collect();
        lists.into_iter().for_each(|list| self.hand.failed(list, error.clone()));
    }

    fn too_deep(&self) -> Error {
        let cause = format!("it lies more than {MAX_DEPTH} directories deep");
        Error::new("look up", ByteString::from(self.path.as_slice()), ErrorKind::Other, cause)
    }
}

/// Counts.
#[derive(Default)]
struct Counting(Vec<Census>);

impl<T: Tree> Hand<T> for Counting {
    fn file(&mut self, target: &Target, _: &T::Directory, _: &[u8], about: &About, path: &[u8]) {
        let census = &mut self.0[target.list];
        if about.kind != Kind::Regular || about.size == 0 {
            return;
        }
        if let ErasureKind::Rewrite { content } = target.how
            && about.size == content.as_bytes().len() as u64
        {
            return;
        }
        census.files += 1;
        census.bytes += about.size;
        let path = GuestPath::new(path);
        let at = census.first.partition_point(|known| *known < path);
        if at < FIRST {
            census.first.insert(at, path);
            census.first.truncate(FIRST);
        }
    }

    fn directory(&mut self, _: &Target, _: &T::Directory, _: &[u8], _: &[u8]) {}

    fn failed(&mut self, list: usize, error: Error) {
        let failures = &mut self.0[list].failures;
        if failures.len() < MAX_FAILURES && !failures.contains(&error) {
            failures.push(error);
        }
    }

    fn taken(&self) -> u64 {
        0
    }
}

/// Count what each list of patterns names.
pub(super) fn census(
    root: &super::confined::Confined,
    lists: &[&[Erasure]],
    reach: &Reach,
) -> Result<Vec<Census>> {
    let counting = Counting(vec![Census::default(); lists.len()]);
    Ok(walk(&mounted::Mounted::new(root), lists, reach, counting)?.0)
}

/// The same in filesystems that are read without being mounted.
pub(super) fn census_unmounted(
    root: &super::walk::Walk,
    lists: &[&[Erasure]],
    reach: &Reach,
) -> Result<Vec<Census>> {
    let counting = Counting(vec![Census::default(); lists.len()]);
    Ok(walk(root, lists, reach, counting)?.0)
}
