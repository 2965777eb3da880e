//! Taking a file's place without losing what somebody else puts there meanwhile.
//!
//! A package manager may rename its own new file over the same name between our reading it and our
//! renaming. So the two names are exchanged, in one step of the kernel, and what came out is looked
//! at: if it is not what was read, it goes back. Before that the new file, which the disk has by
//! then, takes a second name, so that what a crash leaves under that name is whole, and either ours
//! or what came out.

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
        if self.dir.read(out, MAX_FILE)?.is_some_and(|came_out| came_out == read) {
            return self.dir.remove(out);
        }
        self.exchange(out).map_err(|e| Error::errno("replace", &self.path, e))?;
        if self.dir.read(out, MAX_FILE)?.is_some_and(|came_out| came_out == content) {
            self.dir.remove(out)?;
        } else {
            // They changed it once more, and this is the later one.
            self.rename(out, &self.name)?;
        }
        Err(self.changed())
    }

    /// Clear away what a replacement that was cut short has left. What somebody else wrote, and was
    /// taken out in that moment, takes its place again.
    ///
    /// # Errors
    /// What the system says.
    pub fn settle(&self, temporary: &str, is_ours: impl Fn(&[u8]) -> bool) -> Result<()> {
        self.dir.remove(temporary.as_bytes())?;
        let out = &name_of_what_comes_out(temporary);
        let Some(came_out) = self.dir.read(out, MAX_FILE)? else { return Ok(()) };
        if is_ours(&came_out) || !self.read()?.is_some_and(|now| is_ours(&now)) {
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
