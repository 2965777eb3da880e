//! Files that the operator named and that are read, as streams.

use std::fs::File;
use std::io::{self, Read};
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
