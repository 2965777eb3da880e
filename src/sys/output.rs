//! Files that are written where the operator said, whole or not at all.
//!
//! The directory may be one that other users write to (/tmp): whatever they put there beforehand, or
//! while guestprep writes, nothing but the named file is written.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Error, ErrorKind, Result};

/// How many names of a temporary file are tried. One can be left of a run that was killed; more are
/// somebody's who wants the file not to be written.
const MOST_NAMES: u32 = 100;

/// Where links lead to what a process has open (`-o /dev/stderr`, `-o >(command)`), and are root's.
const OPEN_FILES: &[&str] = &["/dev", "/dev/fd", "/proc/self/fd"];

/// Write to a file that the operator named, or to standard output where none is named. A reader that
/// goes away (`| head`) is no error.
///
/// # Errors
/// What the system says.
pub fn write_streamed(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let through = |file: &mut dyn Write| {
        let mut out = BufWriter::with_capacity(64 << 10, file);
        write(&mut out)?;
        out.flush()
    };
    let Some(path) = path else {
        return match through(&mut io::stdout().lock()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::io("write", "standard output", &e))
            }
            _ => Ok(()),
        };
    };
    let written = open_unreplaceable(path).and_then(|file| match file {
        Some(mut file) => through(&mut file),
        None => replace(path, 0o666, |file| {
            through(file)?;
            file.sync_all()
        }),
    });
    written.map_err(|e| Error::io("write", path.display(), &e))
}

/// Write a file that the operator named.
///
/// # Errors
/// What the system says.
pub fn write_named(path: &Path, content: &[u8]) -> Result<()> {
    write_streamed(Some(path), |out| out.write_all(content))
}

/// Write a file that the operator named and that everybody may read, whatever the umask.
///
/// # Errors
/// What the system says.
pub fn write_published(path: &Path, content: &[u8]) -> Result<()> {
    // What a reader sees is whole; that it survives a crash of the machine is not needed.
    let written = replace(path, 0o644, |file| {
        file.write_all(content)?;
        file.set_permissions(Permissions::from_mode(0o644))
    });
    written.map_err(|e| Error::io("write", path.display(), &e))
}

/// Write a file that the operator named and that nobody else may read.
///
/// # Errors
/// What the system says, and a name that is taken by anything but a file.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    if path.exists() && !path.is_file() {
        let cause = "it is no regular file";
        return Err(Error::new("write", path.display(), ErrorKind::NotRegular, cause));
    }
    let written = replace(path, 0o600, |file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(|e| Error::io("write", path.display(), &e))
}

/// Whether what is written takes the place of what has the name, in its directory. A device, a FIFO
/// and what a process has open are written to.
pub(super) fn is_replaced(path: &Path) -> bool {
    let Ok(about) = std::fs::symlink_metadata(path) else { return true };
    if about.is_symlink() {
        // Elsewhere whoever may write the directory says where a link leads.
        return !path.parent().is_some_and(|parent| OPEN_FILES.iter().any(|dir| parent == *dir));
    }
    about.is_file()
}

fn open_unreplaceable(path: &Path) -> io::Result<Option<File>> {
    if is_replaced(path) {
        return Ok(None);
    }
    let mut options = File::options();
    options.write(true);
    if path.is_symlink() {
        return options.truncate(true).open(path).map(Some);
    }
    let file = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)?;
    // A file may have been put in its place since.
    let is_file = file.metadata()?.is_file();
    Ok(if is_file { None } else { Some(file) })
}

/// Write a new file and give it a name, in the place of what has it; a link is replaced and not
/// followed. The new file is made under a name that nothing has, in a directory that is held open.
fn replace(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Behind Landlock a directory may be one that is written to and not listed: O_PATH.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
    let (mut file, temporary) = create_new(&dir, name, mode)?;
    let written =
        write(&mut file).and_then(|()| Ok(rustix::fs::renameat(&dir, &temporary, &dir, name)?));
    if written.is_err() {
        let _ = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
    }
    written
}

fn create_new(dir: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<(File, PathBuf)> {
    // EXCL follows no link (open(2)).
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for number in 0..MOST_NAMES {
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}-{number}.tmp", std::process::id()));
        match rustix::fs::openat(dir, &temporary, flags, Mode::from_raw_mode(mode)) {
            Ok(fd) => return Ok((File::from(fd), temporary.into())),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "every name of a temporary file is taken"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    type Writer = fn(&Path, &[u8]) -> Result<()>;
    const WRITERS: [Writer; 3] = [write_named, write_published, write_private];

    #[test]
    fn no_link_that_another_user_planted_is_written_through() {
        for write in WRITERS {
            let temp = tempfile::tempdir().unwrap();
            let victim = temp.path().join("victim");
            fs::write(&victim, "theirs").unwrap();
            let path = temp.path().join("out.json");
            for number in 0..3 {
                let name = format!("out.json.{}-{number}.tmp", std::process::id());
                symlink(&victim, temp.path().join(name)).unwrap();
            }
            let old = format!("out.json.{}.tmp", std::process::id());
            symlink(&victim, temp.path().join(old)).unwrap();
            symlink(&victim, &path).unwrap();
            write(&path, b"ours").unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"theirs");
            assert_eq!(fs::read(&path).unwrap(), b"ours");
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
        }
    }

    #[test]
    fn a_link_to_a_device_is_written_through_in_dev_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("out.json");
        symlink("/dev/null", &path).unwrap();
        write_named(&path, b"ours").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"ours");
        let file = File::create(temp.path().join("open")).unwrap();
        let open =
            PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
        write_named(&open, b"ours").unwrap();
        assert_eq!(fs::read(temp.path().join("open")).unwrap(), b"ours");
        write_named(Path::new("/dev/null"), b"ours").unwrap();
        assert!(!fs::symlink_metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn nothing_is_left_of_what_cannot_be_written() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("out.json");
        fs::write(&path, "before").unwrap();
        let broken = |_: &mut dyn Write| Err(io::Error::other("no"));
        write_streamed(Some(&path), broken).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
        // A directory has the name.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for write in WRITERS {
            write(&path, b"").unwrap_err();
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn modes_are_what_each_promises() {
        let temp = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for (write, expected) in [(WRITERS[1], 0o644), (WRITERS[2], 0o600)] {
            let path = temp.path().join(format!("{expected:o}"));
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
            write(&path, b"x").unwrap();
            assert_eq!(mode(&path), expected);
        }
    }
}
