//! Results that are dear to compute, kept for the next run on this machine.
//!
//! They lie in /run, in memory: nothing of them is written to the guest's disk or goes into an
//! image of it, and none outlives the boot, so that none is ever read on another machine. The
//! directory is root's alone. A result that cannot be read or written is computed, and is no
//! error. Nobody but this module writes here, and it writes nowhere else.

use std::path::Path;

use rustix::fs::{FsWord, Mode, OFlags};

use super::{Dir, Result, is_root};
use std::io::Write;

/// The directory; its files are small.
const DIRECTORY: &str = "guestprep-cache";

/// No result is larger than this, in bytes.
const MAX_RESULT: u64 = 8 << 20;

/// More results than this are not kept; a guest has a handful of kernels.
const MAX_RESULTS: usize = 64;

/// What /run is where this may lie in it.
const TMPFS_MAGIC: FsWord = 0x0102_1994;

/// The results of earlier runs.
#[derive(Debug)]
pub struct Cache {
    dir: Dir,
}

impl Cache {
    /// This machine's, made where it is missing. `None` for an ordinary user, and where /run is
    /// not in memory.
    pub fn open() -> Option<Self> {
        if !is_root() {
            return None;
        }
        Self::within(&Dir::open_on_host(Path::new("/run")).ok()?)
    }

    fn within(run: &Dir) -> Option<Self> {
        let is_memory = rustix::fs::fstatfs(run.fd()).is_ok_and(|fs| fs.f_type == TMPFS_MAGIC);
        if !is_memory {
            return None;
        }
        let dir = run.make_dir(DIRECTORY).ok()?;
        let stat = rustix::fs::fstat(dir.fd()).ok()?;
        let is_ours =
            stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o077 == 0;
        is_ours.then_some(Self { dir })
    }

    /// A result of an earlier run.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.dir.read(name.as_bytes(), MAX_RESULT).ok().flatten()
    }

    /// Keep a result under a name without a slash, whole or not at all.
    pub fn write(&self, name: &str, content: &[u8]) {
        if content.len() as u64 <= MAX_RESULT {
            // What cannot be kept is computed again.
            let _ = self.replace(name, content);
        }
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let known = self.dir.names()?;
        if known.len() >= MAX_RESULTS && !known.iter().any(|known| known == name) {
            return Ok(());
        }
        let temporary = format!(".{name}.{}", std::process::id());
        self.dir.remove(temporary.as_bytes())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.dir.fd(), &temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| super::Error::errno("create", self.dir.shown(&temporary), e))?;
        let written = std::fs::File::from(fd)
            .write_all(content)
            .map_err(|e| super::Error::io("write", self.dir.shown(&temporary), &e))
            .and_then(|()| {
                rustix::fs::renameat(self.dir.fd(), &temporary, self.dir.fd(), name)
                    .map_err(|e| super::Error::errno("replace", self.dir.shown(name), e))
            });
        if written.is_err() {
            self.dir.remove(temporary.as_bytes())?;
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn memory() -> Option<tempfile::TempDir> {
        let temp = tempfile::tempdir_in("/dev/shm").ok()?;
        let run = Dir::open_on_host(temp.path()).ok()?;
        let is_memory = rustix::fs::fstatfs(run.fd()).is_ok_and(|fs| fs.f_type == TMPFS_MAGIC);
        if !is_memory {
            println!("left out: /dev/shm is not in memory");
        }
        is_memory.then_some(temp)
    }

    #[test]
    fn a_result_is_read_again_and_is_the_owners_alone() {
        let Some(run) = memory() else { return };
        let open = || Cache::within(&Dir::open_on_host(run.path()).unwrap());
        let cache = open().unwrap();
        assert_eq!(cache.read("a"), None);
        cache.write("a", b"one");
        cache.write("a", b"two");
        cache.write("large", &vec![0; 9 << 20]);
        assert_eq!(open().unwrap().read("a").as_deref(), Some(&b"two"[..]));
        assert_eq!(cache.dir.names().unwrap(), ["a"]);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let dir = run.path().join(DIRECTORY);
        assert_eq!((mode(&dir), mode(&dir.join("a"))), (0o700, 0o600));
        for number in 0..MAX_RESULTS + 5 {
            cache.write(&format!("n{number}"), b"");
        }
        assert_eq!(cache.dir.names().unwrap().len(), MAX_RESULTS);
    }

    #[test]
    fn a_directory_that_others_may_write_and_a_link_are_not_trusted() {
        let Some(run) = memory() else { return };
        let dir = run.path().join(DIRECTORY);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        let opened = Dir::open_on_host(run.path()).unwrap();
        assert!(Cache::within(&opened).is_none());
        std::fs::remove_dir(&dir).unwrap();
        symlink("/tmp", &dir).unwrap();
        assert!(Cache::within(&opened).is_none());
    }
}
