//! A guest's files, watched by inotify(7).
//!
//! A path is walked inside the guest's root component by component, through links. Each directory
//! on the way is watched for the next name (made, removed, renamed), which also sees a file that
//! is not there yet; what the path ends at is watched itself (written, its attributes changed,
//! unlinked). So an edit is seen whichever way it is made: in place, by a rename over the name, by
//! a link that is turned to another file, or by a directory that comes to be.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::model::GuestPath;
use crate::sys::trace::Question;
use crate::sys::{Error, FileKind, Result, Root};

/// How many links a path may lead through, as the kernel has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Names in a directory, and the directory itself.
const DIRECTORY: WatchFlags =
    WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVE).union(SELF);

/// A file's content, and the file itself.
const FILE: WatchFlags = WatchFlags::MODIFY.union(WatchFlags::CLOSE_WRITE).union(SELF);

const SELF: WatchFlags =
    WatchFlags::ATTRIB.union(WatchFlags::DELETE_SELF).union(WatchFlags::MOVE_SELF);

/// What of a watched inode somebody wants to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Interest {
    /// What it holds, and what it is.
    Itself,
    /// One name in it.
    Name(Box<[u8]>),
    /// Every name in it.
    Names,
}

#[derive(Debug, Default)]
struct Watched {
    is_directory: bool,
    wanted: BTreeMap<Interest, BTreeSet<Rc<Question>>>,
}

/// What a name was found to be.
#[derive(Clone, Debug)]
enum Found {
    Directory(Option<i32>),
    Link(Vec<u8>),
    Other(Option<i32>),
    Nothing,
}

/// The watched files of one guest.
#[derive(Debug)]
pub struct FileWatch {
    inotify: OwnedFd,
    root: Root,
    watched: BTreeMap<i32, Watched>,
    /// Where each question's path leads through.
    trails: BTreeMap<Rc<Question>, Box<[i32]>>,
    unwatched: BTreeSet<Rc<Question>>,
    limit: Option<String>,
}

impl FileWatch {
    /// Watch nothing yet.
    ///
    /// # Errors
    /// When the system gives no inotify.
    pub fn new(root: &Root) -> Result<Self> {
        Ok(Self {
            inotify: open()?,
            root: root.clone(),
            watched: BTreeMap::new(),
            trails: BTreeMap::new(),
            unwatched: BTreeSet::new(),
            limit: None,
        })
    }

    /// What becomes readable when something happens.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// How many inodes are watched.
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// Why not every file can be watched.
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Whether no event tells of a question's file.
    pub fn is_unwatched(&self, question: &Question) -> bool {
        self.unwatched.contains(question)
    }

    /// Forget where paths led. What is watched stays so until the next [`FileWatch::set`], which
    /// finds most of it again.
    ///
    /// # Errors
    /// When the system gives no inotify.
    pub fn start_over(&mut self) -> Result<()> {
        // To close an inotify takes as long as the kernel's read-copy-update does, which is tens of
        // milliseconds on a busy machine; it is done where old watches may be in the way of new ones.
        if self.limit.is_some() {
            self.inotify = open()?;
            self.watched.clear();
        }
        for watched in self.watched.values_mut() {
            watched.wanted.clear();
        }
        self.trails.clear();
        self.unwatched.clear();
        self.limit = None;
        Ok(())
    }

    /// Watch exactly these; gives those that were not watched before.
    pub fn set(&mut self, questions: BTreeSet<Rc<Question>>) -> BTreeSet<Rc<Question>> {
        let gone: Vec<Rc<Question>> =
            self.trails.keys().filter(|known| !questions.contains(*known)).cloned().collect();
        for question in gone {
            self.forget(&question);
        }
        self.unwatched.retain(|question| questions.contains(question));
        let new: BTreeSet<Rc<Question>> =
            questions.into_iter().filter(|question| !self.trails.contains_key(question)).collect();
        self.follow(new.iter().cloned());
        self.drop_unwanted();
        new
    }

    /// Take every event: the questions whose answers may be others now, and why some were lost.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&mut self) -> Result<(BTreeSet<Rc<Question>>, Option<&'static str>)> {
        let mut changed = BTreeSet::new();
        let mut lost = None;
        let mut gone = Vec::new();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 8 << 10];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => continue,
                Err(e) => return Err(Error::errno("read", "inotify events", e)),
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                lost = Some("the kernel had more events than its queue holds");
                continue;
            }
            let Some(watched) = self.watched.get(&event.wd()) else { continue };
            if flags.contains(ReadFlags::IGNORED) {
                gone.push(event.wd());
            }
            if flags.contains(ReadFlags::MOVE_SELF) && watched.is_directory {
                lost = Some("a watched directory was moved");
            }
            match event.file_name() {
                // What is at the name says by itself that its attributes changed.
                Some(_) if flags.contains(ReadFlags::ATTRIB) => {}
                Some(name) => {
                    let name = Interest::Name(name.to_bytes().into());
                    for interest in [&name, &Interest::Names] {
                        changed.extend(watched.wanted.get(interest).into_iter().flatten().cloned());
                    }
                }
                None if flags.intersects(ReadFlags::UNMOUNT | ReadFlags::IGNORED) => {
                    changed.extend(watched.wanted.values().flatten().cloned());
                }
                None => {
                    let own = watched.wanted.get(&Interest::Itself);
                    changed.extend(own.into_iter().flatten().cloned());
                }
            }
        }
        for wd in gone {
            self.watched.remove(&wd);
        }
        // Where a path leads may be what changed.
        for question in &changed {
            self.forget(question);
        }
        self.follow(changed.iter().cloned());
        Ok((changed, lost))
    }

    fn forget(&mut self, question: &Rc<Question>) {
        for wd in self.trails.remove(question).unwrap_or_default() {
            if let Some(watched) = self.watched.get_mut(&wd) {
                watched.wanted.retain(|_, questions| {
                    questions.remove(question);
                    !questions.is_empty()
                });
            }
        }
    }

    fn drop_unwanted(&mut self) {
        let inotify = &self.inotify;
        self.watched.retain(|wd, watched| {
            let wanted = !watched.wanted.is_empty();
            if !wanted {
                // The inode may be gone, and its watch with it.
                let _ = inotify::remove_watch(inotify, *wd);
            }
            wanted
        });
    }

    fn follow(&mut self, questions: impl Iterator<Item = Rc<Question>>) {
        let mut found = BTreeMap::new();
        for question in questions {
            let (path, names) = match &*question {
                Question::File(_, path) => (path, false),
                Question::Names(_, path) => (path, true),
                _ => continue,
            };
            let mut trail = Vec::new();
            let whole = self.walk(path, names, &question, &mut found, &mut trail);
            if whole {
                self.unwatched.remove(&question);
            } else {
                self.unwatched.insert(Rc::clone(&question));
            }
            trail.sort_unstable();
            trail.dedup();
            self.trails.insert(question, trail.into());
        }
    }

    /// Watch what a path leads through; whether all of it could be watched.
    fn walk(
        &mut self,
        path: &GuestPath,
        names: bool,
        question: &Rc<Question>,
        found: &mut BTreeMap<GuestPath, Found>,
        trail: &mut Vec<i32>,
    ) -> bool {
        let mut links = 0;
        let mut at = GuestPath::from("/");
        let mut here = self.find(&at, found);
        let mut rest: Vec<Vec<u8>> = components(path);
        let mut whole = true;
        let mut want = |this: &mut Self, wd: Option<i32>, interest: Interest| match wd {
            Some(wd) => {
                let wanted = &mut this.watched.entry(wd).or_default().wanted;
                wanted.entry(interest).or_default().insert(Rc::clone(question));
                trail.push(wd);
            }
            None => whole = false,
        };
        while let Some(name) = rest.pop() {
            let Found::Directory(wd) = here else { break };
            if name == b".." {
                at = at.parent();
                here = self.find(&at, found);
                continue;
            }
            want(self, wd, Interest::Name(name.as_slice().into()));
            let next = at.join(&name);
            match self.find(&next, found) {
                Found::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return whole;
                    }
                    if target.starts_with(b"/") {
                        at = GuestPath::from("/");
                        here = self.find(&at, found);
                    }
                    rest.extend(components(&GuestPath::new(&target)));
                }
                other => {
                    here = other;
                    at = next;
                }
            }
        }
        match here {
            Found::Directory(wd) if rest.is_empty() => {
                want(self, wd, Interest::Itself);
                if names {
                    want(self, wd, Interest::Names);
                }
            }
            Found::Other(wd) => want(self, wd, Interest::Itself),
            _ => {}
        }
        whole
    }

    /// What is at a path, the last component of which is no link to be followed; watched.
    fn find(&mut self, path: &GuestPath, known: &mut BTreeMap<GuestPath, Found>) -> Found {
        if let Some(found) = known.get(path) {
            return found.clone();
        }
        let found = self.look(path);
        known.insert(path.clone(), found.clone());
        found
    }

    fn look(&mut self, path: &GuestPath) -> Found {
        let Ok(directory) = self.root.directory() else { return Found::Nothing };
        let Ok(Some((handle, attributes))) = directory.handle(path) else { return Found::Nothing };
        match attributes.kind {
            FileKind::Symlink => match rustix::fs::readlinkat(&handle, "", Vec::new()) {
                Ok(target) => Found::Link(target.into_bytes()),
                Err(_) => Found::Nothing,
            },
            FileKind::Directory => Found::Directory(self.add(&handle, DIRECTORY, true)),
            FileKind::Regular => Found::Other(self.add(&handle, FILE, false)),
            // What is no file has no content that is read.
            _ => Found::Nothing,
        }
    }

    fn add(&mut self, handle: &OwnedFd, flags: WatchFlags, is_directory: bool) -> Option<i32> {
        // inotify takes a path; this one leads to the very inode that was looked at.
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        match inotify::add_watch(&self.inotify, path, flags) {
            Ok(wd) => {
                self.watched.entry(wd).or_default().is_directory = is_directory;
                Some(wd)
            }
            Err(Errno::NOSPC) => {
                let limit = "no more files can be watched (fs.inotify.max_user_watches)";
                self.limit.get_or_insert_with(|| limit.to_owned());
                None
            }
            Err(_) => None,
        }
    }
}

fn open() -> Result<OwnedFd> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|e| Error::errno("open", "inotify", e))
}

/// A path's components, the last first.
fn components(path: &GuestPath) -> Vec<Vec<u8>> {
    let parts = path.as_bytes().split(|b| *b == b'/').filter(|part| !part.is_empty());
    parts.rev().map(<[u8]>::to_vec).collect()
}
