//! Taking a file's place without losing what somebody else puts there meanwhile.
//!
//! A package manager may rename its own new file over the same name between our reading it and our
//! renaming. So the two names are exchanged, in one step of the kernel, and what came out is looked
//! at: if it is not what was read, it goes back. Before that the new file, which the disk has by
//! then, takes a second name, so that what a crash leaves under that name is whole, and either ours
//! or what came out. What came out may be anything, such as the link that a manager of resolv.conf
//! has put there: whatever cannot be read is not what was read.

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::write::{MAX_FILE, Spot};
use super::{Error, ErrorKind, Result};

impl Spot {
    /// Give a new file with this content the old one's name, if that has what was read.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] when somebody else has changed the file, which stays as they left it;
    /// and what the system says.
    pub(super) fn take_place(&self, temporary: &str, content: &[u8], read: &[u8]) -> Result<()> {
        let out = &name_of_what_comes_out(temporary);
        self.rename(temporary.as_bytes(), out)?;
        match self.exchange(out) {
            Ok(()) => {}
            // KERNEL(3.15): older ones have no renameat2(2), and some filesystems no exchange. What
            // is written between this look and the rename is lost there. EPERM: a seccomp filter
            // from before the call, or the file's own refusal, which the rename meets too.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::NOENT) => {
                let result = self.still_has(read).and_then(|()| self.rename(out, &self.name));
                return if result.is_ok() { result } else { self.dir.remove(out).and(result) };
            }
            Err(e) => {
                let failed = Err(Error::errno("replace", &self.path, e));
                return self.dir.remove(out).and(failed);
            }
        }
        let came_out = self.file_of(out);
        if matches!(&came_out, Ok(Some(came_out)) if came_out == read) {
            return self.dir.remove(out);
        }
        self.exchange(out).map_err(|e| Error::errno("replace", &self.path, e))?;
        if matches!(self.file_of(out), Ok(Some(came_out)) if came_out == content) {
            self.dir.remove(out)?;
        } else {
            // They changed it once more, and this is the later one.
            self.rename(out, &self.name)?;
        }
        came_out.and_then(|_| Err(self.changed()))
    }

    /// What stands under a name, where that is a file that could be edited.
    ///
    /// # Errors
    /// What the system says when it is one and cannot be read.
    fn file_of(&self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.dir.read(name, MAX_FILE) {
            Err(e) if matches!(e.kind(), ErrorKind::NotRegular | ErrorKind::TooLarge) => Ok(None),
            read => read,
        }
    }

    /// Clear away what a replacement that was cut short has left. What somebody else wrote, and was
    /// taken out in that moment, takes its place again.
    ///
    /// # Errors
    /// What the system says.
    pub fn settle(&self, temporary: &str, is_ours: impl Fn(&[u8]) -> bool) -> Result<()> {
        self.dir.remove(temporary.as_bytes())?;
        let out = &name_of_what_comes_out(temporary);
        if self.dir.lstat(out)?.is_none() {
            return Ok(());
        }
        let is_ours = |name: &[u8]| -> Result<bool> {
            Ok(self.file_of(name)?.is_some_and(|content| is_ours(&content)))
        };
        // Neither is ours: they changed it once more, and what has its name is the later one.
        if is_ours(out)? || !is_ours(&self.name)? {
            return self.dir.remove(out);
        }
        self.rename(out, &self.name)?;
        self.dir.sync()
    }

    /// See that nobody else has changed the file since it was read.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`], and what the system says.
    pub(super) fn still_has(&self, read: &[u8]) -> Result<()> {
        if self.read()?.is_some_and(|now| now == read) { Ok(()) } else { Err(self.changed()) }
    }

    fn exchange(&self, other: &[u8]) -> std::result::Result<(), Errno> {
        let (dir, name) = (self.dir.fd(), self.name.as_slice());
        rustix::fs::renameat_with(&dir, other, &dir, name, RenameFlags::EXCHANGE)
    }

    fn rename(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let dir = self.dir.fd();
        rustix::fs::renameat(&dir, from, &dir, to)
            .map_err(|e| Error::errno("replace", &self.path, e))
    }

    fn changed(&self) -> Error {
        let cause = "somebody else changed it meanwhile, and it is as they left it; run it again";
        Error::new("replace", &self.path, ErrorKind::Changed, cause)
    }
}

fn name_of_what_comes_out(temporary: &str) -> Vec<u8> {
    format!("{temporary}.out").into_bytes()
}
