//! Waits until an answer that a guest gave may have become another.
//!
//! Files are watched by inotify(7) ([`files`]); mounts, swaps, disks and addresses by what the
//! kernel tells whoever listens ([`kernel`]). What no event tells of is [`Told::Never`]: free
//! space, the processes, the time, most of /proc and /sys. Nothing wakes up while nothing happens.

mod files;
mod kernel;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::trace::Question;
use super::{Error, Result, Root, Space};
use files::FileWatch;
use kernel::KernelEvents;

/// How a change of an answer makes itself known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By an event of the kernel, of this kind.
    Kernel(Kind),
    /// By inotify.
    File,
    /// It does not change while the machine runs.
    Constant,
    /// Not at all: who wants to know has to ask again.
    Never,
}

/// What the kernel tells of beside files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something was mounted or unmounted: any path may lead elsewhere now.
    Mounts,
    /// Swap was turned on or off.
    Swaps,
    /// A disk or a partition came, went or changed.
    Disks,
    /// A network interface or an address came, went or changed.
    Network,
}

/// How a change of the answer to a question makes itself known.
pub fn told(question: &Question) -> Told {
    match question {
        Question::File(Space::Root, _) | Question::Names(Space::Root, _) => Told::File,
        Question::File(Space::Proc, path) => match path.as_bytes() {
            b"/self/mountinfo" | b"/1/mountinfo" => Told::Kernel(Kind::Mounts),
            b"/swaps" => Told::Kernel(Kind::Swaps),
            b"/cmdline"
            | b"/version"
            | b"/sys/kernel/osrelease"
            | b"/self/ns/mnt"
            | b"/1/ns/mnt" => Told::Constant,
            _ => Told::Never,
        },
        Question::File(Space::Sys, path) | Question::Names(Space::Sys, path) => {
            let below = |directory: &[u8]| path.as_bytes().starts_with(directory);
            if below(b"/class/net/") || path.as_bytes() == b"/class/net" {
                Told::Kernel(Kind::Network)
            } else if below(b"/block") || below(b"/class/block") || below(b"/dev/block") {
                Told::Kernel(Kind::Disks)
            } else if below(b"/class/dmi/") || below(b"/devices/system/cpu/vulnerabilities") {
                Told::Constant
            } else {
                Told::Never
            }
        }
        Question::Device(_) => Told::Kernel(Kind::Disks),
        Question::Addresses => Told::Kernel(Kind::Network),
        // The files that it reads are asked for beside it.
        Question::Command(program) if program == "rpm" => Told::Constant,
        Question::File(..)
        | Question::Names(..)
        | Question::FreeSpace(_)
        | Question::Census
        | Question::Metadata
        | Question::Processes
        | Question::Command(_)
        | Question::Time => Told::Never,
    }
}

/// What happened since the last look.
#[derive(Debug, Default)]
pub struct Changes {
    /// The files that were asked for and changed.
    files: BTreeSet<Rc<Question>>,
    kinds: BTreeSet<Kind>,
    /// Why it is not known what changed.
    lost: Option<&'static str>,
}

impl Changes {
    /// Whether anything happened at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.kinds.is_empty() && self.lost.is_none()
    }

    /// Why it is not known what changed, so that everything has to be judged again.
    pub fn lost(&self) -> Option<&'static str> {
        self.lost
    }

    /// Whether paths may lead elsewhere now, so that they have to be walked anew.
    pub fn moves_paths(&self) -> bool {
        self.lost.is_some() || self.kinds.contains(&Kind::Mounts)
    }

    /// Whether the answer to a question may be another now, as far as events tell.
    pub fn concern(&self, question: &Question) -> bool {
        if self.moves_paths() {
            return true;
        }
        match told(question) {
            Told::Kernel(kind) => self.kinds.contains(&kind),
            Told::File => self.files.contains(question),
            Told::Constant | Told::Never => false,
        }
    }

    /// Add what happened later.
    pub fn extend(&mut self, later: Changes) {
        self.files.extend(later.files);
        self.kinds.extend(later.kinds);
        self.lost = self.lost.or(later.lost);
    }
}

/// Wakes a [`Watch`] up, from another thread too.
#[derive(Clone, Debug)]
pub struct Waker(Arc<std::os::fd::OwnedFd>);

impl Waker {
    /// One that no [`Watch`] listens to yet.
    ///
    /// # Errors
    /// When the system gives no eventfd.
    pub fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let counter = eventfd(0, flags).map_err(|e| Error::errno("make", "an eventfd", e))?;
        Ok(Self(Arc::new(counter)))
    }

    /// Have [`Watch::wait`] return.
    pub fn wake(&self) {
        // The counter can only be full of wake-ups that nobody has heard yet.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// Everything that a guest was asked, watched.
#[derive(Debug)]
pub struct Watch {
    files: FileWatch,
    kernel: KernelEvents,
    waker: Waker,
}

impl Watch {
    /// Watch a guest whose files these are.
    ///
    /// # Errors
    /// When the system gives no inotify.
    pub fn new(root: &Root, waker: Waker) -> Result<Self> {
        Ok(Self { files: FileWatch::new(root)?, kernel: KernelEvents::listen(root), waker })
    }

    /// What cannot be listened to here, one sentence each.
    pub fn deaf_to(&self) -> &[String] {
        self.kernel.deaf_to()
    }

    /// Watch the files of exactly these questions. Whether one was not watched before: its answer
    /// may be from before it was.
    ///
    /// # Errors
    /// When paths cannot be walked at all.
    pub fn set<'a>(
        &mut self,
        questions: impl Iterator<Item = &'a Rc<Question>>,
    ) -> BTreeSet<Rc<Question>> {
        let files: BTreeSet<Rc<Question>> =
            questions.filter(|question| told(question) == Told::File).cloned().collect();
        self.files.set(files)
    }

    /// Whether a question's file cannot be watched, so that no event tells of its changes.
    pub fn is_unwatched(&self, question: &Question) -> bool {
        self.files.is_unwatched(question)
    }

    /// Why not every file can be watched, where that is so.
    pub fn limit(&self) -> Option<&str> {
        self.files.limit()
    }

    /// Begin anew: every path is walked and watched again at the next [`Watch::set`].
    ///
    /// # Errors
    /// When the system gives no inotify.
    pub fn start_over(&mut self) -> Result<()> {
        self.files.start_over()
    }

    /// How many inodes are watched.
    pub fn watched(&self) -> usize {
        self.files.len()
    }

    /// Wait until something happens, the waker is heard, or the time is over (`None`: never), and
    /// say what happened.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<Changes> {
        let failed = |e| Error::errno("wait for", "events", e);
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        let mut polled = vec![
            PollFd::new(&*self.waker.0, PollFlags::IN),
            PollFd::from_borrowed_fd(self.files.fd(), PollFlags::IN),
        ];
        polled.extend(self.kernel.polled());
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(failed(e)),
        }
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(polled);
        if ready[0] {
            let _ = rustix::io::read(&*self.waker.0, &mut [0_u8; 8]);
        }
        let mut changes = Changes { kinds: self.kernel.read(&ready[2..]), ..Changes::default() };
        if ready[1] {
            let (files, lost) = self.files.read()?;
            changes.files = files;
            changes.lost = lost;
        }
        Ok(changes)
    }
}
