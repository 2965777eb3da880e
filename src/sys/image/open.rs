//! Opening an image: look what the path names, look what the file is, and get at the disk in it.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};

use super::recognise::{self, Foreign, Format};
use super::temporary::Temporary;
use super::{Container, Error, ErrorKind, Opened, Result, Stamp, Use};
use super::{completeness, convert, unpack, vhd};

/// The operator's file, opened.
struct Source {
    file: File,
    /// In bytes.
    size: u64,
    /// `None` for a block device.
    stamp: Option<Stamp>,
    shown: String,
}

/// A disk and what held it; without a file where it lies in the operator's own.
struct Disk {
    file: Option<File>,
    size: u64,
    container: Container,
}

pub(super) fn open(path: &Path, wanted: Use, progress: &dyn Fn(u64, u64)) -> Result<Opened> {
    let source = Source::open(path, wanted)?;
    let disk = match source.stamp {
        None => Disk { file: None, size: source.size, container: Container::Raw },
        Some(_) => source.disk(wanted, progress)?,
    };
    if let Some(stamp) = source.stamp {
        check_stamp(&source.file, &source.shown, stamp)?;
    }
    Ok(Opened {
        own: disk.file.is_none(),
        file: disk.file.unwrap_or(source.file),
        size: disk.size,
        container: disk.container,
        path: path.to_owned(),
        stamp: source.stamp,
    })
}

/// Say so when a file is not what it was.
pub(super) fn check_stamp(file: &File, shown: &str, stamp: Stamp) -> Result<()> {
    let stat = rustix::fs::fstat(file).map_err(|e| Error::errno("look at", shown, e))?;
    if Stamp::from_stat(&stat) == stamp {
        return Ok(());
    }
    let cause = "it changed while it was read; stop what writes to it and try again";
    Err(Error::new("read", shown, ErrorKind::Changed, cause))
}

impl Source {
    /// Look, then open: a FIFO would block, a device may do something when it is opened.
    fn open(path: &Path, wanted: Use) -> Result<Self> {
        let shown = path.display().to_string();
        let fail = |e| Error::errno("open", &shown, e);
        let look = OFlags::PATH | OFlags::CLOEXEC;
        let looked = rustix::fs::open(path, look, Mode::empty()).map_err(fail)?;
        let before = rustix::fs::fstat(&looked).map_err(fail)?;
        let kind = FileType::from_raw_mode(before.st_mode);
        let refused = |cause| Err(Error::new("open", &shown, ErrorKind::NotRegular, cause));
        match kind {
            FileType::RegularFile => {}
            FileType::BlockDevice if wanted == Use::Read => {}
            FileType::BlockDevice => {
                return refused("a block device is only read; copy it into a file to change it");
            }
            FileType::Directory => {
                return refused("it is a directory; --root looks at a mounted tree");
            }
            _ => return refused("it is neither a file nor a block device"),
        }
        let access = if wanted == Use::Read { OFlags::RDONLY } else { OFlags::RDWR };
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?);
        let stat = rustix::fs::fstat(&file).map_err(fail)?;
        if identity(&stat) != identity(&before) {
            let cause = "it was replaced while it was opened; try again";
            return Err(Error::new("open", &shown, ErrorKind::Changed, cause));
        }
        let is_file = kind == FileType::RegularFile;
        let size = if is_file {
            u64::try_from(stat.st_size).unwrap_or(0)
        } else {
            rustix::fs::seek(&file, SeekFrom::End(0)).map_err(fail)?
        };
        if size == 0 {
            return Err(Error::new("open", &shown, ErrorKind::Refused, "it is empty"));
        }
        Ok(Self { file, size, stamp: is_file.then(|| Stamp::from_stat(&stat)), shown })
    }

    fn disk(&self, wanted: Use, progress: &dyn Fn(u64, u64)) -> Result<Disk> {
        let is_gzip = match self.format(&self.file, self.size)? {
            Format::Raw => {
                return Ok(Disk { file: None, size: self.size, container: Container::Raw });
            }
            Format::FixedVhd(size) => {
                let container = Container::Vhd { dynamic: false };
                return Ok(Disk { file: None, size, container });
            }
            Format::Foreign(foreign) => {
                if wanted == Use::Change {
                    let what = "the disk in it cannot be changed in place";
                    return Err(self.refused(format!("{what}; {}", self.conversion(foreign))));
                }
                let (file, size) = self.converted(&self.file, self.size, foreign, progress)?;
                return Ok(Disk { file: Some(file), size, container: container(foreign) });
            }
            Format::Packed { with, unpack } => {
                let command = format!("{unpack} {}", command_argument(&self.shown));
                let cause = format!("it is packed with {with}; unpack it with: {command}");
                return Err(self.refused(cause));
            }
            Format::Gzip => true,
            Format::Tar => false,
        };
        if wanted == Use::Change {
            let option = if is_gzip { "-xzf" } else { "-xf" };
            let command = format!("tar {option} {}", command_argument(&self.shown));
            let cause = "an archive can be read for audit and scan only; unpack it with";
            return Err(self.refused(format!("{cause}: {command}")));
        }
        let (unpacked, size, member) =
            unpack::unpack(&self.file, is_gzip, &self.shown, self.size, progress)?;
        let (file, size) = self.unpacked_disk(unpacked, size, progress)?;
        let container =
            if is_gzip { Container::TarGz { member } } else { Container::Tar { member } };
        Ok(Disk { file: Some(file), size, container })
    }

    /// The disk in what came out of an archive, which may have a container of its own.
    fn unpacked_disk(
        &self,
        unpacked: Temporary,
        size: u64,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(File, u64)> {
        match self.format(&unpacked.file, size)? {
            Format::Raw => Ok((unpacked.file, size)),
            Format::FixedVhd(size) => Ok((unpacked.file, size)),
            Format::Foreign(foreign) => self.converted(&unpacked.file, size, foreign, progress),
            Format::Tar | Format::Gzip | Format::Packed { .. } => {
                Err(self.refused("there is an archive in the archive; unpack it".to_owned()))
            }
        }
    }

    fn format(&self, file: &File, size: u64) -> Result<Format> {
        let head = self.piece(file, 0, recognise::HEAD)?;
        let tail = self.piece(file, size.saturating_sub(vhd::FOOTER as u64), vhd::FOOTER)?;
        recognise::recognise(&head, &tail, size).map_err(|cause| self.refused(cause))
    }

    /// A disk of another format, converted, after a look at whether it names other files.
    fn converted(
        &self,
        file: &File,
        size: u64,
        foreign: Foreign,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(File, u64)> {
        let read = |offset, length| self.piece(file, offset, length);
        completeness::check(foreign, size, &read)?.map_err(|cause| self.refused(cause))?;
        let target = Temporary::create()?;
        let advice = || self.conversion(foreign);
        convert::to_raw(file, &self.shown, foreign, &target, &advice, progress)?;
        let size = target.file.metadata().map_err(|e| Error::io("look at", target.shown(), &e))?;
        match size.len() {
            0 => Err(self.refused("the disk in it is empty".to_owned())),
            size => Ok((target.file, size)),
        }
    }

    /// The command that makes a raw disk of the operator's file.
    fn conversion(&self, foreign: Foreign) -> String {
        let from = command_argument(&self.shown);
        let to = format!("{}.raw", self.shown);
        let to = command_argument(&to);
        format!("convert it with: qemu-img convert -f {} -O raw {from} {to}", foreign.driver())
    }

    fn piece(&self, file: &File, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", &self.shown, &e)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn refused(&self, cause: String) -> Error {
        Error::new("open", &self.shown, ErrorKind::Refused, cause)
    }
}

fn container(foreign: Foreign) -> Container {
    match foreign {
        Foreign::Qcow2 => Container::Qcow2,
        Foreign::DynamicVhd => Container::Vhd { dynamic: true },
        Foreign::Vhdx => Container::Vhdx,
        Foreign::Vmdk => Container::Vmdk,
        Foreign::Vdi => Container::Vdi,
    }
}

fn identity(stat: &Stat) -> (u64, u64, u64, FileType) {
    (stat.st_dev, stat.st_ino, stat.st_rdev, FileType::from_raw_mode(stat.st_mode))
}

/// A path as a shell takes it for one argument.
pub fn command_argument(path: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    // A name that begins with a dash would be an option, in quotes too.
    let path: Cow<'_, str> =
        if path.starts_with('-') { format!("./{path}").into() } else { path.into() };
    if !path.is_empty() && path.chars().all(is_plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_as_a_shell_takes_them() {
        assert_eq!(command_argument("/var/disk-1.raw"), "/var/disk-1.raw");
        assert_eq!(command_argument("a disk"), "'a disk'");
        assert_eq!(command_argument("it's"), r"'it'\''s'");
        assert_eq!(command_argument("-rf"), "./-rf");
        assert_eq!(command_argument("$(id)"), "'$(id)'");
    }
}
