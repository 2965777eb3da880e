//! A guest's files that are noted, and those that are answered from notes.

use std::rc::Rc;

use super::{FileNotes, Noted, Notes, Recorder, Space};
use crate::model::{ByteString, Erasure, GuestPath, digest_of};
use crate::sys::files::{Files, FsUse};
use crate::sys::sweep::{Census, Reach};
use crate::sys::{Attributes, Error, ErrorKind, InodeFlags, Result, Stamp, Stream};

/// Asks the files below it and notes what they answer.
#[derive(Debug)]
pub(in crate::sys) struct Recording {
    inner: Rc<dyn Files>,
    recorder: Recorder,
    space: Space,
}

impl Recording {
    pub(in crate::sys) fn new(inner: Rc<dyn Files>, recorder: Recorder, space: Space) -> Self {
        Self { inner, recorder, space }
    }

    /// Note the first answer; a guest that answers otherwise the next time is one that changes.
    fn note<T: Clone>(
        &self,
        path: &GuestPath,
        answer: Result<Option<T>>,
        field: impl FnOnce(&mut FileNotes) -> &mut Option<Noted<T>>,
    ) -> Result<Option<T>> {
        self.recorder.note(|notes| {
            let files = notes.files.entry(self.space).or_default();
            field(files.entry(path.clone()).or_default())
                .get_or_insert_with(|| Noted::of(answer.clone()));
        });
        answer
    }
}

impl Files for Recording {
    fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        self.note(path, self.inner.stat(path), |notes| &mut notes.stat)
    }

    fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        self.note(path, self.inner.lstat(path), |notes| &mut notes.lstat)
    }

    fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>> {
        let answer = self.inner.read(path, limit);
        let is_known = |notes: &FileNotes| match &notes.content {
            // One reader was content with less than the file has; another was not.
            Some(Noted::Failed(error)) => error.kind() != ErrorKind::TooLarge,
            Some(_) => true,
            None => false,
        };
        let mut known = false;
        self.recorder.note(|notes| known = notes.file(self.space, path).is_some_and(is_known));
        if !known {
            let noted = Noted::of(answer.clone())
                .map(|content| self.recorder.store(self.space, path, &content));
            self.recorder.note(|notes| {
                let files = notes.files.entry(self.space).or_default();
                files.entry(path.clone()).or_default().content = Some(noted);
            });
        }
        answer
    }

    fn open_stream(&self, path: &GuestPath, limit: u64) -> Result<Option<Stream>> {
        self.inner.open_stream(path, limit)
    }

    fn stamp(&self, path: &GuestPath) -> Result<Option<Stamp>> {
        self.note(path, self.inner.stamp(path), |notes| &mut notes.stamp)
    }

    fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>> {
        let answer = self.inner.read_link(path).map(|link| link.map(ByteString::from));
        let answer = self.note(path, answer, |notes| &mut notes.link);
        answer.map(|link| link.map(ByteString::into_bytes))
    }

    fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>> {
        let noted = |names: Vec<Vec<u8>>| names.into_iter().map(ByteString::from).collect();
        let answer = self.inner.list(path).map(|names| names.map(noted));
        self.note(path, answer, |notes| &mut notes.names).map(given)
    }

    fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>> {
        self.note(path, self.inner.flags(path), |notes| &mut notes.flags)
    }

    fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>> {
        let answer = self.inner.xattr(path, name);
        self.recorder.note(|notes| {
            let files = notes.files.entry(self.space).or_default();
            let xattrs = &mut files.entry(path.clone()).or_default().xattrs;
            xattrs.entry(name.to_owned()).or_insert_with(|| Noted::of(answer.clone()));
        });
        answer
    }

    fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>> {
        self.note(path, self.inner.fs_use(path), |notes| &mut notes.fs_use)
    }

    fn census(&self, lists: &[&[Erasure]], reach: &Reach) -> Result<Vec<Census>> {
        let found = self.inner.census(lists, reach)?;
        self.recorder.note(|notes| {
            for (list, census) in lists.iter().zip(&found) {
                notes.censuses.entry(digest_of(list)).or_insert_with(|| census.clone());
            }
        });
        Ok(found)
    }
}

fn given(names: Option<Vec<ByteString>>) -> Option<Vec<Vec<u8>>> {
    names.map(|names| names.into_iter().map(ByteString::into_bytes).collect())
}

/// Answers from notes, and from nothing else.
#[derive(Debug)]
pub(in crate::sys) struct Replay {
    notes: Rc<Notes>,
    space: Space,
}

impl Replay {
    pub(in crate::sys) fn new(notes: Rc<Notes>, space: Space) -> Self {
        Self { notes, space }
    }

    fn shown(&self, path: &GuestPath) -> String {
        match self.space {
            Space::Root => path.to_string(),
            other => format!("{}:{path}", other.as_str()),
        }
    }

    fn answer<T: Clone>(
        &self,
        operation: &'static str,
        path: &GuestPath,
        field: impl FnOnce(&FileNotes) -> &Option<Noted<T>>,
    ) -> Result<Option<T>> {
        match self.notes.file(self.space, path).and_then(|notes| field(notes).as_ref()) {
            Some(noted) => noted.clone().answer(),
            None => Err(Notes::not_held(operation, self.shown(path))),
        }
    }
}

impl Files for Replay {
    fn stat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        self.answer("look at", path, |notes| &notes.stat)
    }

    fn lstat(&self, path: &GuestPath) -> Result<Option<Attributes>> {
        self.answer("look at", path, |notes| &notes.lstat)
    }

    fn read(&self, path: &GuestPath, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(stored) = self.answer("read", path, |notes| &notes.content)? else {
            return Ok(None);
        };
        if stored.size > limit {
            let cause = format!("it is larger than {limit} bytes");
            return Err(Error::new("read", self.shown(path), ErrorKind::TooLarge, cause));
        }
        let content = self.notes.contents.get(&stored.entry).ok_or_else(|| {
            let cause = format!("{} is not in the bundle", stored.entry);
            Error::new("read", self.shown(path), ErrorKind::Other, cause)
        })?;
        Ok(Some(content.clone()))
    }

    fn open_stream(&self, path: &GuestPath, _limit: u64) -> Result<Option<Stream>> {
        Err(Notes::not_held("read", self.shown(path)))
    }

    fn stamp(&self, path: &GuestPath) -> Result<Option<Stamp>> {
        self.answer("look at", path, |notes| &notes.stamp)
    }

    fn read_link(&self, path: &GuestPath) -> Result<Option<Vec<u8>>> {
        let link = self.answer("read the link", path, |notes| &notes.link)?;
        Ok(link.map(ByteString::into_bytes))
    }

    fn list(&self, path: &GuestPath) -> Result<Option<Vec<Vec<u8>>>> {
        self.answer("list", path, |notes| &notes.names).map(given)
    }

    fn flags(&self, path: &GuestPath) -> Result<Option<InodeFlags>> {
        self.answer("read the flags of", path, |notes| &notes.flags)
    }

    fn xattr(&self, path: &GuestPath, name: &str) -> Result<Option<ByteString>> {
        match self.notes.file(self.space, path).and_then(|notes| notes.xattrs.get(name)) {
            Some(noted) => noted.clone().answer(),
            None => Err(Notes::not_held("read an attribute of", self.shown(path))),
        }
    }

    fn census(&self, lists: &[&[Erasure]], _: &Reach) -> Result<Vec<Census>> {
        let known = |list: &&[Erasure]| {
            let census = self.notes.censuses.get(&digest_of(list)).cloned();
            census.ok_or_else(|| Notes::not_held("look through", "these directories"))
        };
        lists.iter().map(known).collect()
    }

    fn fs_use(&self, path: &GuestPath) -> Result<Option<FsUse>> {
        self.answer("look at", path, |notes| &notes.fs_use)
    }
}
