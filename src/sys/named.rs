//! Files that the operator named, as streams: many that are read, one that is written.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Error, Result};

/// A reader that may be another thread's.
pub type Reader = Box<dyn Read + Send>;

/// Files, and of directories the files below them whose names are wanted, each opened when it is its turn.
///
/// A directory is listed sorted, so that the order is the same tomorrow; its names, and no others, are in memory
/// meanwhile. Links below a directory are not followed.
pub struct Named {
    paths: std::vec::IntoIter<PathBuf>,
    below: Option<walkdir::IntoIter>,
    is_wanted: fn(&Path) -> bool,
    left_aside: u64,
}

impl Named {
    /// Read these; `-` is standard input.
    pub fn new(paths: Vec<PathBuf>, is_wanted: fn(&Path) -> bool) -> Self {
        Self { paths: paths.into_iter(), below: None, is_wanted, left_aside: 0 }
    }

    /// How many files of directories were left aside for their names so far.
    pub fn left_aside(&self) -> u64 {
        self.left_aside
    }
}

impl Iterator for Named {
    type Item = (PathBuf, io::Result<Reader>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(below) = &mut self.below else {
                let path = self.paths.next()?;
                if path.as_os_str() == "-" {
                    return Some((path, Ok(Box::new(io::stdin()))));
                }
                if path.is_dir() {
                    self.below = Some(WalkDir::new(path).sort_by_file_name().into_iter());
                    continue;
                }
                let reader = open(&path);
                return Some((path, reader));
            };
            match below.next() {
                None => self.below = None,
                Some(Err(e)) => {
                    let path = e.path().unwrap_or(Path::new("")).to_owned();
                    return Some((path, Err(e.into())));
                }
                Some(Ok(entry)) if entry.file_type().is_dir() => {}
                // A FIFO would be waited for.
                Some(Ok(entry))
                    if entry.file_type().is_file() && (self.is_wanted)(entry.path()) =>
                {
                    let reader = open(entry.path());
                    return Some((entry.into_path(), reader));
                }
                Some(Ok(_)) => self.left_aside += 1,
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Reader> {
    Ok(Box::new(File::open(path)?))
}

/// One file that the operator named.
///
/// # Errors
/// What the system says.
pub fn open_named(path: &Path) -> Result<Reader> {
    open(path).map_err(|e| Error::io("read", path.display(), &e))
}

/// Write to a file that the operator named, whole or not at all, or to standard output where none is named. A reader
/// that goes away (`| head`) is no error.
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
    let fail = |e: &io::Error| Error::io("write", path.display(), e);
    // A device or FIFO (`-o /dev/stderr`) is written to; only a file can be replaced.
    if path.exists() && !path.is_file() {
        let mut file = File::options().write(true).open(path).map_err(|e| fail(&e))?;
        return through(&mut file).map_err(|e| fail(&e));
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = File::create(&temporary).and_then(|mut file| {
        through(&mut file)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&temporary, path)).map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        fail(&e)
    })
}
