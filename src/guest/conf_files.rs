//! The configuration files of a program of systemd's kind: one main file and drop-ins
//! (systemd-system.conf(5), "Configuration directories and precedence").

use super::{Fact, Guest};
use crate::model::GuestPath;

/// Where they lie, the operator's before the distribution's. /run is not in an image, and /lib a
/// link where /usr is merged.
const DIRECTORIES: [&str; 4] = ["/etc", "/usr/local/lib", "/usr/lib", "/lib"];

impl Guest {
    /// The files that a program reads, in the order in which the last word counts: the first main file
    /// that there is, then the drop-ins by name, whichever directory they lie in. A name in one
    /// directory hides that name in the later ones, and a link to /dev/null the file altogether.
    ///
    /// `name` is the main file's, `systemd/system.conf`.
    ///
    /// # Errors
    /// When a directory or link cannot be read.
    pub(super) fn conf_files(&self, name: &str) -> Fact<Vec<GuestPath>> {
        let mut files: Vec<GuestPath> = Vec::new();
        let mut drop_ins: Vec<GuestPath> = Vec::new();
        for directory in DIRECTORIES {
            let main = GuestPath::from(format!("{directory}/{name}").as_str());
            if files.is_empty() && self.root.lstat(&main)?.is_some() {
                files.push(main);
            }
            let directory = GuestPath::from(format!("{directory}/{name}.d").as_str());
            for name in self.root.list(&directory)?.unwrap_or_default() {
                if name.ends_with(b".conf") && !drop_ins.iter().any(|known| known.name() == name) {
                    drop_ins.push(directory.join(&name));
                }
            }
        }
        drop_ins.sort_by(|a, b| a.name().cmp(b.name()));
        files.extend(drop_ins);
        let mut read = Vec::new();
        for path in files {
            if self.root.read_link(&path)?.as_deref() != Some(b"/dev/null") {
                read.push(path);
            }
        }
        Ok(read)
    }
}
